package endpoint

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"meibo/internal/capture"
	"meibo/provisioning"
	"meibo/store/storetest"
)

// capturing is a directory, and what its endpoint handed over to be kept.
type capturing struct {
	*directory
	kept []capture.Exchange
}

func newCapturing(t *testing.T) *capturing {
	c := &capturing{}
	c.directory = newDirectory(t, storetest.Open(t), func(o *Options) {
		o.Capture = func(x capture.Exchange) { c.kept = append(c.kept, x) }
		o.RateLimit = 100
	})
	return c
}

// ask returns the answer and what was kept.
func (c *capturing) ask(method, path, token, body string) (*httptest.ResponseRecorder, []capture.Exchange) {
	c.t.Helper()
	r := httptest.NewRequestWithContext(c.t.Context(), method, "/t/"+c.tenant+"/scim/v2"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Cookie", "session=canary")
	r.Header.Set("User-Agent", "Azure AD SCIM")
	c.kept = nil
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	return w, c.kept
}

const plainUser = `{"userName":"kim@contoso.com"}`

// Writes and failures of known callers are handed over as they came and as they were answered.
func TestCapture(t *testing.T) {
	t.Parallel()
	c := newCapturing(t)
	many := strings.Repeat(`{"value":"019aa000-0000-7000-8000-000000000000"},`, 4000)
	for _, tt := range []struct {
		method, path, body string
		want               int
	}{
		{"POST", "/Users", plainUser, 201},
		{"POST", "/Users", plainUser, 409},
		{"POST", "/Users", `{"userName":`, 400},
		{"PUT", "/Users/none", plainUser, 404},
		{"PATCH", "/Users/none", `{"Operations":[{"op":"replace","path":"title","value":"x"}]}`, 404},
		{"DELETE", "/Users/none", "", 404},
		{"GET", "/Users/none", "", 404},
		{"GET", "/Users?filter=nonsense", "", 400},
		{"POST", "/Groups", `{"displayName":"large","members":[` + strings.TrimSuffix(many, ",") + `]}`, 400},
		{"POST", "/Bulk", "{}", 501},
	} {
		answer, kept := c.ask(tt.method, tt.path, "default", tt.body)
		if answer.Code != tt.want || len(kept) != 1 {
			t.Errorf("%s %s: status %d, %d kept; want %d and 1", tt.method, tt.path, answer.Code, len(kept), tt.want)
			continue
		}
		x := kept[0]
		if x.Method != tt.method || x.Status != tt.want || !strings.HasSuffix(x.Target, tt.path) || x.Tenant != c.tenant || x.Connection == 0 ||
			x.Correlation != answer.Header().Get(CorrelationHeader) || x.Headers["User-Agent"] != "Azure AD SCIM" || len(x.Headers) != 1 {
			t.Errorf("%s %s: kept %+v", tt.method, tt.path, x)
		}
		if got := string(x.Answer.Text); got != answer.Body.String() || x.Answer.Size != len(got) {
			t.Errorf("%s %s: the answer %q is kept as %q", tt.method, tt.path, answer.Body, got)
		}
		sent := tt.body
		if tt.path == "/Bulk" {
			sent = "" // refused before it was read
		}
		if string(x.Request.Text) != sent[:min(len(sent), capture.MaxBody)] || x.Request.Size != len(sent) {
			t.Errorf("%s %s: of the request's %d bytes %d are kept: %.80q", tt.method, tt.path, x.Request.Size, len(x.Request.Text), x.Request.Text)
		}
	}
}

// Nothing is kept of whoever is not known, of reads that go well, of what is throttled or paused.
func TestNotCaptured(t *testing.T) {
	t.Parallel()
	c := newCapturing(t)
	for _, tt := range []struct {
		method, path, token string
		want                int
	}{
		{"POST", "/Users", "nobody", 401}, {"GET", "/Users", "", 401}, {"GET", "/nowhere", "default", 404},
		{"GET", "/Users", "default", 200}, {"GET", "/ServiceProviderConfig", "default", 200},
	} {
		if answer, kept := c.ask(tt.method, tt.path, tt.token, plainUser); answer.Code != tt.want || len(kept) != 0 {
			t.Errorf("%s %s by %q: status %d, kept %+v", tt.method, tt.path, tt.token, answer.Code, kept)
		}
	}
	c.connect("default", func(s *provisioning.ConnectionSettings) { s.Paused = true })
	if answer, kept := c.ask("POST", "/Users", "default", plainUser); answer.Code != 503 || len(kept) != 0 {
		t.Errorf("while paused: status %d, kept %+v", answer.Code, kept)
	}
	c.connect("default", func(s *provisioning.ConnectionSettings) { s.Paused = false })
	for {
		answer, kept := c.ask("POST", "/Users", "default", "{}")
		if answer.Code == http.StatusTooManyRequests {
			if len(kept) != 0 {
				t.Errorf("throttled, kept %+v", kept)
			}
			return
		}
	}
}

// A connection that is debugged has its reads kept, too, until the time is over.
func TestCaptureDebugged(t *testing.T) {
	t.Parallel()
	c := newCapturing(t)
	caller := c.callers["default"]
	caller.Connection.DebugUntil = c.clock.Now().Add(time.Minute)
	c.callers["default"] = caller
	if answer, kept := c.ask("GET", "/Users", "default", ""); answer.Code != 200 || len(kept) != 1 || string(kept[0].Answer.Text) != answer.Body.String() {
		t.Errorf("status %d, kept %+v", answer.Code, kept)
	}
	c.clock.Advance(time.Hour)
	if _, kept := c.ask("GET", "/Users", "default", ""); len(kept) != 0 {
		t.Errorf("after its time: kept %+v", kept)
	}
}
