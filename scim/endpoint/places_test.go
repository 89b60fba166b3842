package endpoint

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"meibo/provisioning"
	"meibo/store/storetest"
)

// serveDirectly sends a request past the network, with a context of the caller's.
func (d *directory) serveDirectly(ctx context.Context, method, target string, body io.Reader) answer {
	return d.serveTo(ctx, provisioning.DefaultConnection, method, target, body)
}

func (d *directory) serveTo(ctx context.Context, connection, method, target string, body io.Reader) answer {
	req := httptest.NewRequest(method, "/t/"+d.tenant+"/scim/v2"+target, body).WithContext(ctx)
	req.Header.Set("Authorization", "Bearer "+connection)
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

// TestLargeBodiesAreBounded is the same for bodies that take much memory. Whoever has sent less than
// that holds no place, whatever length is announced.
func TestLargeBodiesAreBounded(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	blanks := strings.Repeat(" ", largeBody+1)
	connections := []string{provisioning.DefaultConnection, "second", "third"}
	arrived := make(chan struct{})
	var pipes []*io.PipeWriter
	var wg sync.WaitGroup
	begin := func(connection string, sent string) {
		r, w := io.Pipe()
		pipes = append(pipes, w)
		wg.Go(func() {
			body := io.MultiReader(strings.NewReader(sent), &announcingReader{arrived: arrived, rest: r})
			mustBeError(t, "a body of blanks", d.serveTo(t.Context(), connection, http.MethodPost, "/Groups", body), http.StatusBadRequest, "invalidSyntax")
		})
		<-arrived
	}
	for _, name := range connections {
		d.connect(name, nil)
		begin(name, blanks[1:]) // not too much yet
	}
	for _, name := range connections[:maxLargeBodies] {
		begin(name, blanks)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	for _, name := range connections {
		mustBeError(t, "one too many: "+name, d.serveTo(impatient, name, http.MethodPost, "/Groups", strings.NewReader(blanks)), http.StatusServiceUnavailable, "")
	}
	d.create("/Groups", `{"displayName":"small"}`)
	if a := d.serveDirectly(t.Context(), http.MethodPost, "/Groups", io.MultiReader(strings.NewReader(`{"displayName":"of unknown length"}`))); a.status != http.StatusCreated {
		t.Errorf("a small body of unknown length: %d %s", a.status, a.body)
	}
	for _, w := range pipes {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	wg.Wait()
	if a := d.serveDirectly(t.Context(), http.MethodPost, "/Groups", strings.NewReader(blanks+`{"displayName":"large"}`)); a.status != http.StatusCreated {
		t.Errorf("a large body afterwards: %d %s", a.status, a.body)
	}
}

// TestLargeBodiesOfOneConnection: a connection that sends large bodies slowly leaves a place to others.
func TestLargeBodiesOfOneConnection(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	d.connect("second", nil)
	blanks := strings.Repeat(" ", largeBody+1)
	arrived, done := make(chan struct{}), make(chan struct{})
	r, w := io.Pipe()
	go func() {
		defer close(done)
		d.serveDirectly(t.Context(), http.MethodPost, "/Groups", io.MultiReader(strings.NewReader(blanks), &announcingReader{arrived: arrived, rest: r}))
	}()
	<-arrived
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	mustBeError(t, "the same connection", d.serveDirectly(impatient, http.MethodPost, "/Groups", strings.NewReader(blanks)), http.StatusServiceUnavailable, "")
	if a := d.serveTo(t.Context(), "second", http.MethodPost, "/Groups", strings.NewReader(blanks+`{"displayName":"large"}`)); a.status != http.StatusCreated {
		t.Errorf("another connection: %d %s", a.status, a.body)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	<-done
}

// TestAnnouncedBodyTooLarge: nothing is read of a body that says itself that it is too large.
func TestAnnouncedBodyTooLarge(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	for target, limit := range map[string]int64{"/Users": maxUserBody, "/Groups": maxGroupBody} {
		req := httptest.NewRequest(http.MethodPost, "/t/"+d.tenant+"/scim/v2"+target, iotest.ErrReader(errors.New("read")))
		req.Header.Set("Authorization", "Bearer default")
		req.ContentLength = limit + 1
		w := httptest.NewRecorder()
		d.handler.ServeHTTP(w, req)
		mustBeError(t, target, answer{w.Code, w.Header(), w.Body.Bytes()}, http.StatusRequestEntityTooLarge, "")
	}
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
