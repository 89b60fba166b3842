package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"meibo/provisioning"
	"meibo/store/storetest"
	"meibo/web/api"
)

// gated is a store whose chain is read when the gate lets it.
type gated struct {
	provisioning.Store
	reached, open chan struct{}
	pieces        atomic.Int32
}

func (g *gated) View(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error {
	return g.Store.View(ctx, tenant, func(r provisioning.Reader) error { return fn(gatedReader{r, g}) })
}

type gatedReader struct {
	provisioning.Reader
	gate *gated
}

func (r gatedReader) Chain(after int64, limit int) (provisioning.ChainPage, error) {
	r.gate.pieces.Add(1)
	r.gate.reached <- struct{}{}
	<-r.gate.open
	return r.Reader.Chain(after, limit)
}

// TestVerifyOneAtATime: who asks for a verification while another runs is told which one; it ends when its caller goes, and
// then another may begin.
func TestVerifyOneAtATime(t *testing.T) {
	t.Parallel()
	g := &gated{Store: storetest.Open(t), reached: make(chan struct{}), open: make(chan struct{})}
	b := newBenchOn(t, g)
	ctx, leave := context.WithCancel(t.Context())
	first := make(chan *httptest.ResponseRecorder)
	go func() {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, api.Base+"/audit/verify", nil)
		r.Header.Set("Authorization", "Bearer owner")
		w := httptest.NewRecorder()
		b.handler.ServeHTTP(w, r)
		first <- w
	}()
	<-g.reached
	second := b.do("support", http.MethodGet, "/audit/verify", "")
	wantProblem(t, "the second", second, http.StatusTooManyRequests)
	leave()
	g.open <- struct{}{}
	w := <-first
	if w.Code == http.StatusOK || g.pieces.Load() != 1 {
		t.Errorf("the caller has gone, and is answered %d after %d pieces", w.Code, g.pieces.Load())
	}
	if running := w.Header().Get(api.CorrelationHeader); second.header.Get("Retry-After") == "" || !strings.Contains(second.body, running) {
		t.Errorf("the second is not told of %s: %v %s", running, second.header, second.body)
	}
	go func() {
		<-g.reached
		g.open <- struct{}{}
	}()
	if v := b.must(http.StatusOK, "owner", http.MethodGet, "/audit/verify", ""); v["fault"] != nil {
		t.Errorf("it says %v", v)
	}
}

// stalled is a client that does not read on before it is told so.
type stalled struct {
	*httptest.ResponseRecorder
	begun, on chan struct{}
}

func (s *stalled) Write(p []byte) (int, error) {
	s.begun <- struct{}{}
	<-s.on
	return s.ResponseRecorder.Write(p)
}

// TestExportsAreFew: clients that do not read on do not take all connections of the database.
func TestExportsAreFew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	done := make(chan *stalled)
	var clients []*stalled
	for range 2 {
		s := &stalled{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
		clients = append(clients, s)
		go func() {
			r := httptest.NewRequest(http.MethodGet, api.Base+"/export", nil)
			r.Header.Set("Authorization", "Bearer owner")
			b.handler.ServeHTTP(s, r)
			done <- s
		}()
		<-s.begun
	}
	third := b.do("owner", http.MethodGet, "/export", "")
	wantProblem(t, "the third", third, http.StatusServiceUnavailable)
	if third.header.Get("Retry-After") == "" {
		t.Error("the third is not told when to come back")
	}
	for _, s := range clients {
		close(s.on)
	}
	for range clients {
		if s := <-done; s.Code != http.StatusOK || s.Body.Len() == 0 {
			t.Errorf("answered %d %q", s.Code, s.Body)
		}
	}
	if a := b.do("owner", http.MethodGet, "/export", ""); a.status != http.StatusOK {
		t.Errorf("when they are done: %d %s", a.status, a.body)
	}
}
