package endpoint

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"meibo/provisioning"
	"meibo/store/storetest"
)

// serveDirectly sends a request past the network, with a context of the caller's.
func (d *directory) serveDirectly(ctx context.Context, method, target string, body io.Reader) answer {
	req := httptest.NewRequest(method, "/t/"+d.tenant+"/scim/v2"+target, body).WithContext(ctx)
	req.Header.Set("Authorization", "Bearer default")
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, req)
	return answer{w.Code, w.Header(), w.Body.Bytes()}
}

// waitingReader waits in the middle of a member list.
type waitingReader struct {
	provisioning.Reader
	arrived chan<- struct{}
	proceed <-chan struct{}
}

func (r waitingReader) Members([]string, func(provisioning.GroupMember) error) error {
	r.arrived <- struct{}{}
	<-r.proceed
	return nil
}

// TestStreamsAreBounded: readers of member lists that hold all places of their connection keep a
// further one waiting, who may lose patience, and nobody else.
func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	group := d.create("/Groups", `{"displayName":"G"}`)
	arrived, proceed := make(chan struct{}), make(chan struct{})
	var reads atomic.Int64
	broken := d.breakStore()
	broken.view = func(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error {
		reads.Add(1)
		return d.store.View(ctx, tenant, func(r provisioning.Reader) error { return fn(waitingReader{r, arrived, proceed}) })
	}
	var wg sync.WaitGroup
	for range maxStreamsOf {
		wg.Go(func() {
			if a := d.serveDirectly(t.Context(), http.MethodGet, "/Groups/"+group, http.NoBody); a.status != http.StatusOK {
				t.Errorf("GET: %d %s", a.status, a.body)
			}
		})
	}
	for range maxStreamsOf {
		<-arrived
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	for _, target := range []string{"/Groups/" + group, "/Groups"} {
		mustBeError(t, "one too many: "+target, d.serveDirectly(impatient, http.MethodGet, target, http.NoBody), http.StatusServiceUnavailable, "")
	}
	if n := reads.Load(); n != maxStreamsOf {
		t.Errorf("%d reads, want %d: the store was bothered without a place", n, maxStreamsOf)
	}
	if a := d.serveDirectly(t.Context(), http.MethodGet, "/Groups/"+group+"?excludedAttributes=members", http.NoBody); a.status != http.StatusOK {
		t.Errorf("without members: %d %s", a.status, a.body)
	}
	close(proceed)
	wg.Wait()
	broken.view = nil
	if a := d.get("/Groups/" + group); a.status != http.StatusOK {
		t.Errorf("afterwards: %d", a.status)
	}
}

// announcingReader tells that it is being read, then waits.
type announcingReader struct {
	arrived chan<- struct{}
	rest    io.Reader
	once    sync.Once
}

func (r *announcingReader) Read(p []byte) (int, error) {
	r.once.Do(func() { r.arrived <- struct{}{} })
	return r.rest.Read(p)
}

// TestLargeBodiesAreBounded is the same for bodies that take much memory; a body of unknown length
// may be one.
func TestLargeBodiesAreBounded(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	arrived := make(chan struct{})
	var pipes []*io.PipeWriter
	var wg sync.WaitGroup
	for range maxLargeBodies {
		r, w := io.Pipe()
		pipes = append(pipes, w)
		wg.Go(func() {
			a := d.serveDirectly(t.Context(), http.MethodPost, "/Groups", &announcingReader{arrived: arrived, rest: r})
			mustBeError(t, "a body of blanks", a, http.StatusBadRequest, "invalidSyntax")
		})
	}
	for range maxLargeBodies {
		<-arrived
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	large := strings.NewReader(strings.Repeat(" ", maxUserBody+1))
	mustBeError(t, "one too many", d.serveDirectly(impatient, http.MethodPost, "/Groups", large), http.StatusServiceUnavailable, "")
	d.create("/Groups", `{"displayName":"small"}`)
	for _, w := range pipes {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
}

// deadlines counts the read deadlines that a request gets.
type deadlines struct {
	*httptest.ResponseRecorder
	set int
}

func (d *deadlines) SetReadDeadline(time.Time) error {
	d.set++
	return nil
}

// TestReadDeadline: a body has to come in time. Without one a deadline would end the request, since
// net/http reads ahead on its connection.
func TestReadDeadline(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	for method, body := range map[string]string{http.MethodGet: "", http.MethodDelete: "", http.MethodPost: "{}"} {
		w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
		d.handler.ServeHTTP(w, httptest.NewRequest(method, "/t/"+d.tenant+"/scim/v2/Users", strings.NewReader(body)))
		if got, want := w.set > 0, body != ""; got != want {
			t.Errorf("%s: %d read deadlines", method, w.set)
		}
	}
}
