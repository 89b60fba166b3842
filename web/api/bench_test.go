package api_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"meibo/internal/auth"
	"meibo/internal/testkit"
	"meibo/provisioning"
	"meibo/store"
	"meibo/store/storetest"
	"meibo/web/api"
)

const (
	tenant    = "acme"
	publicURL = "https://meibo.example.com"
)

// bench is the API on a tenant of its own, with a key of each role, whose text is the role's name.
type bench struct {
	t       *testing.T
	service *provisioning.Service
	handler http.Handler
}

func newBench(t *testing.T, edit ...func(*api.Options)) *bench {
	t.Helper()
	return newBenchOn(t, storetest.Open(t), edit...)
}

func newBenchOn(t *testing.T, s provisioning.Store, edit ...func(*api.Options)) *bench {
	t.Helper()
	b := &bench{t: t, service: provisioning.New(provisioning.Options{Store: s})}
	if _, err := b.service.CreateTenant(t.Context(), provisioning.Origin{Tenant: tenant, Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	o := api.Options{Service: b.service, Authenticate: holder, PublicURL: publicURL, Log: zap.NewNop()}
	for _, fn := range edit {
		fn(&o)
	}
	b.handler = api.New(o)
	return b
}

// newClockedBench is a bench in 2026 whose clock goes when it is told to, and the origin of its client's requests.
func newClockedBench(t *testing.T) (b *bench, st *store.Store, clock *testkit.Clock, o provisioning.Origin) {
	t.Helper()
	clock = testkit.NewClock(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC))
	st = storetest.Open(t)
	service := provisioning.New(provisioning.Options{Store: st, Now: clock.Now})
	b = newBenchOn(t, st, func(o *api.Options) { o.Service = service })
	b.service = service
	connection, err := service.Connection(t.Context(), tenant, provisioning.DefaultConnection)
	if err != nil {
		t.Fatal(err)
	}
	return b, st, clock, provisioning.Origin{Tenant: tenant, Connection: connection, Actor: "test", Correlation: "long ago"}
}

// holder is whom a key belongs to whose text is a role.
func holder(_ context.Context, text string) (auth.Holder, error) {
	for _, role := range provisioning.KeyRoles() {
		if text == string(role) {
			return auth.Holder{Tenant: tenant, Key: provisioning.APIKey{ID: text, Holder: "the " + text, Role: role}}, nil
		}
	}
	if text == "" {
		return auth.Holder{}, auth.Missing
	}
	return auth.Holder{}, auth.Unknown
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// read reads the body as JSON.
func (a answer) read(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		t.Fatalf("%v in %d %s", err, a.status, a.body)
	}
}

// do sends one request with a key; target is below the API's base.
func (b *bench) do(key, method, target, body string) answer {
	b.t.Helper()
	return b.send(key, method, target, body, "application/json")
}

func (b *bench) send(key, method, target, body, media string) answer {
	b.t.Helper()
	header := http.Header{}
	if body != "" {
		header.Set("Content-Type", media)
	}
	return b.sendWith(key, method, target, body, header)
}

func (b *bench) sendWith(key, method, target, body string, header http.Header) answer {
	b.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, api.Base+target, reader)
	r.Header = header
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	wantDocumented(b.t, method, r.URL.EscapedPath(), w)
	return answer{w.Code, w.Header(), w.Body.String()}
}

// wantProblem holds the form of a problem (RFC 9457).
func wantProblem(t *testing.T, what string, a answer, status int) api.Problem {
	t.Helper()
	var p api.Problem
	a.read(t, &p)
	if a.status != status || a.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s: %d %s, want a problem of %d: %s", what, a.status, a.header.Get("Content-Type"), status, a.body)
	}
	if p.Status != a.status || p.Type != "about:blank" || p.Title == "" || p.Detail == "" || p.CorrelationID != a.header.Get(api.CorrelationHeader) {
		t.Errorf("%s: problem %s", what, a.body)
	}
	return p
}
