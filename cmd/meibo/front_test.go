package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestLeavingClosesConnections: a client that keeps its connection would find it closed under a request.
func TestLeavingClosesConnections(t *testing.T) {
	t.Parallel()
	for _, leaving := range []bool{false, true} {
		f := &front{leaving: func() bool { return leaving }}
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
		if got := w.Header().Get("Connection") == "close"; got != leaving {
			t.Errorf("leaving %v: Connection %q", leaving, w.Header().Get("Connection"))
		}
	}
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault error
		code  int
		body  string
	}{
		"ready":     {nil, http.StatusOK, `{"status":"ready"}`},
		"not ready": {errors.New("shutting down"), http.StatusServiceUnavailable, `{"status":"not ready","reason":"shutting down"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &front{ready: func(context.Context) error { return tc.fault }}
			w := httptest.NewRecorder()
			f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
			if w.Code != tc.code || strings.TrimSpace(w.Body.String()) != tc.body {
				t.Errorf("%d %s, want %d %s", w.Code, w.Body, tc.code, tc.body)
			}
			// The process is alive either way: a restart would not bring the database back.
			w = httptest.NewRecorder()
			f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
			if w.Code != http.StatusOK {
				t.Errorf("healthz: %d", w.Code)
			}
		})
	}
}
