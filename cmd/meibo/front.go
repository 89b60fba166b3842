package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
)

// front is the first handler of every request: SCIM below /t/, the API below /api/, three addresses for
// operators, and a problem document for all else. It compares paths exactly and never redirects, so no spelling
// of a path gets around the endpoint's authentication.
type front struct {
	scim    http.Handler                // nil where only operators are served
	api     http.Handler                // the same
	metrics http.Handler                // nil where an address of its own serves them
	ready   func(context.Context) error // why the server takes no requests; nil when it does
	leaving func() bool                 // whether clients should look for another connection; nil: never
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.leaving != nil && f.leaving() {
		w.Header().Set("Connection", "close") // so that none is in use when the server closes it
	}
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, "/t/") && f.scim != nil:
		f.scim.ServeHTTP(w, r)
	case strings.HasPrefix(path, "/api/") && f.api != nil:
		f.api.ServeHTTP(w, r)
	case path == "/healthz":
		onlyReading(w, r, func() { writeStatus(w, http.StatusOK, "ok", "") })
	case path == "/readyz":
		onlyReading(w, r, func() { f.readiness(w, r) })
	case path == "/metrics" && f.metrics != nil:
		onlyReading(w, r, func() { f.metrics.ServeHTTP(w, r) })
	default:
		writeProblem(w, http.StatusNotFound, "nothing is served here; SCIM is at /t/{tenant}/scim/v2, the API at /api/v1")
	}
}

func (f *front) readiness(w http.ResponseWriter, r *http.Request) {
	if err := f.ready(r.Context()); err != nil {
		writeStatus(w, http.StatusServiceUnavailable, "not ready", err.Error())
		return
	}
	writeStatus(w, http.StatusOK, "ready", "")
}

// onlyReading runs fn for GET and HEAD.
func onlyReading(w http.ResponseWriter, r *http.Request, fn func()) {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		fn()
		return
	}
	w.Header().Set("Allow", "GET, HEAD")
	writeProblem(w, http.StatusMethodNotAllowed, "this address is only read")
}

// writeStatus answers a probe.
func writeStatus(w http.ResponseWriter, code int, status, reason string) {
	w.Header().Set("Cache-Control", "no-store")
	writeBody(w, code, "application/json", struct {
		Status string `json:"status"`
		Reason string `json:"reason,omitempty"`
	}{status, reason})
}

// writeProblem answers with a problem document (RFC 9457).
func writeProblem(w http.ResponseWriter, code int, detail string) {
	writeBody(w, code, "application/problem+json", struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{"about:blank", http.StatusText(code), code, detail})
}

func writeBody(w http.ResponseWriter, code int, contentType string, body any) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // the client is gone if this fails
}
