package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"meibo/internal/auth"
	"meibo/internal/testkit"
	"meibo/provisioning"
	"meibo/provisioning/summary"
	"meibo/scim"
	"meibo/store"
	"meibo/store/storetest"
	"meibo/web/api"
)

// tail is a client that reads the stream.
type tail struct {
	t    *testing.T
	end  context.CancelFunc
	body *bufio.Reader
	last string // id of the last event
}

// event is one that has data.
type event struct {
	id    int64
	entry summary.Entry
}

// tail opens the stream on a server of its own; want is what is answered.
func (b *bench) tail(url, query, last string, want int) *tail {
	b.t.Helper()
	ctx, end := context.WithTimeout(b.t.Context(), 2*time.Minute) // of a stream that does not tell what it should
	b.t.Cleanup(end)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+api.Base+"/log/stream?"+query, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer operator")
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = a.Body.Close() })
	if a.StatusCode != want || want == http.StatusOK && a.Header.Get("Content-Type") != "text/event-stream" {
		b.t.Fatalf("%s: %d %s, want %d", query, a.StatusCode, a.Header.Get("Content-Type"), want)
	}
	return &tail{t: b.t, end: end, body: bufio.NewReader(a.Body)}
}

// next reads up to the next event that has data, as the HTML standard says; ok is false at the end.
func (s *tail) next() (e event, ok bool) {
	data := ""
	for {
		line, err := s.body.ReadString('\n')
		if err != nil {
			return e, false
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "\n" && data != "":
			if err := json.Unmarshal([]byte(data), &e.entry); err != nil {
				s.t.Error(err)
			}
			e.id, _ = strconv.ParseInt(s.last, 10, 64)
			if e.id != e.entry.Meibo.Position {
				s.t.Errorf("event %d has position %d", e.id, e.entry.Meibo.Position)
			}
			return e, true
		case name == "id":
			s.last = value
		case name == "data":
			data += value
		}
	}
}

// mark reads up to the first id, which a stream begins with.
func (s *tail) mark() string {
	for s.last == "" {
		line, err := s.body.ReadString('\n')
		if err != nil {
			s.t.Fatal(err)
		}
		if id, is := strings.CutPrefix(line, "id: "); is {
			s.last = strings.TrimSpace(id)
		}
	}
	return s.last
}

func (b *bench) serve() string {
	s := httptest.NewServer(b.handler)
	b.t.Cleanup(s.Close)
	return s.URL
}

func TestStream(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st provisioning.Store) {
		s := st.(*store.Store)
		b := newBenchOn(t, st)
		url := b.serve()
		b.world()
		follow(t, s)
		whole, _ := b.logPage("/log")
		slices.Reverse(whole.Items)

		all, filtered := b.tail(url, "after=0", "", 200), b.tail(url, "after=0&prefix=KEN&outcome=success", "", 200)
		for i, want := range whole.Items {
			got, ok := all.next()
			if want.Meibo.Position = got.id; !ok || got.id != int64(i+1) || said(got.entry) != said(want) || got.entry.ID != want.ID {
				t.Fatalf("event %d: %s, want %s", got.id, said(got.entry), said(want))
			}
		}
		for _, want := range []string{"create success Ken@example.com", "update success Ken@example.com", "update success Ken@example.com"} {
			if got, _ := filtered.next(); said(got.entry) != want {
				t.Errorf("filtered: %s, want %s", said(got.entry), want)
			}
		}

		fresh := b.tail(url, "", "", 200)
		if got := fresh.mark(); got != strconv.Itoa(len(whole.Items)) {
			t.Errorf("a stream from the end begins at %s", got)
		}
		resumed := b.tail(url, "after=0", "3", 200)
		if got, _ := resumed.next(); got.id != 4 {
			t.Errorf("after 3 comes %d", got.id)
		}
		b.client("default").user("ren")
		follow(t, s)
		for name, one := range map[string]*tail{"from the end": fresh, "from the beginning": all} {
			if got, _ := one.next(); said(got.entry) != "create success ren" || got.id != int64(len(whole.Items)+1) {
				t.Errorf("%s: %d %s", name, got.id, said(got.entry))
			}
		}
		b.tail(url, "after=12", "", http.StatusConflict)
		b.tail(url, "after=0", "12", http.StatusConflict)
		b.tail(url, "connection=nobody", "", http.StatusNotFound)
		b.tail(url, "after=-1", "", http.StatusUnprocessableEntity)
		b.tail(url, "", "first", http.StatusUnprocessableEntity)
	})
}

// TestStreamEnds: a key that is revoked is told nothing more, and nobody holds a server that leaves.
func TestStreamEnds(t *testing.T) {
	t.Parallel()
	real := storetest.Open(t)
	var revoked, leaving atomic.Bool
	b := newBenchOn(t, real, func(o *api.Options) {
		valid := o.Authenticate
		o.Authenticate = func(ctx context.Context, key string) (auth.Holder, error) {
			if revoked.Load() {
				return auth.Holder{}, auth.Unknown
			}
			return valid(ctx, key)
		}
		o.Leaving = leaving.Load
	})
	url := b.serve()
	follow(t, real)
	one := b.tail(url, "", "", 200)
	one.mark()
	revoked.Store(true)
	b.client("default").user("ken")
	follow(t, real)
	if got, ok := one.next(); ok {
		t.Errorf("told %s", said(got.entry))
	}
	revoked.Store(false)
	two := b.tail(url, "", "", 200)
	two.mark()
	leaving.Store(true)
	if got, ok := two.next(); ok {
		t.Errorf("told %s", said(got.entry))
	}
}

// TestStreamPlaces: more than there are places for are told to come back, and a place that is left is free.
func TestStreamPlaces(t *testing.T) {
	t.Parallel()
	real := storetest.Open(t)
	left := make(chan int, 1000)
	b := newBenchOn(t, real, func(o *api.Options) {
		o.Waiting = func(n int) { left <- n }
	})
	follow(t, real)
	url := b.serve()
	var all []*tail
	for range 64 {
		all = append(all, b.tail(url, "", "", 200))
		<-left
	}
	b.tail(url, "", "", http.StatusServiceUnavailable)
	if a := b.do("application", http.MethodGet, "/changes?after=2&wait=1", ""); a.status != 200 { // which has places of its own
		t.Errorf("changes: %d", a.status)
	}
	for range 2 {
		<-left
	}
	all[0].end()
	if n := <-left; n != -1 {
		t.Fatalf("%d", n)
	}
	b.tail(url, "", "", http.StatusOK)
}

// TestStreamUnderWriters: while many write and positions are given, clients that come and go with the last id they saw, and
// one that asks /changes, are told each position once and in order; each filter's client exactly what the log has of it.
func TestStreamUnderWriters(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st provisioning.Store) {
		s := st.(*store.Store)
		b := newBenchOn(t, st)
		c := b.client("default")
		url := b.serve()
		const writers, each = 8, 12
		written, stop := make(chan struct{}), make(chan struct{})
		var following, writing, reading sync.WaitGroup
		following.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					follow(t, s)
				}
			}
		})
		for w := range writers {
			writing.Go(func() {
				for i := range each {
					id := c.user(fmt.Sprintf("w%d-%d", w, i))
					if i%3 == 0 {
						c.patch(scim.User, id, "replace", "displayName", "x")
					}
				}
			})
		}
		// The last two positions are those of a user that all filters select: so everybody knows when all is told.
		total := int64(2 + writers*each + writers*each/3 + 2)
		queries := map[string]int64{"": total, "prefix=w3-": total, "action=update": total, "outcome=success&action=create&prefix=w": total - 1}
		go func() {
			defer close(written)
			writing.Wait()
			c.patch(scim.User, c.user("w3-last"), "replace", "displayName", "x")
		}()
		var mu sync.Mutex
		got := map[string][]event{}
		for query, end := range queries {
			reading.Go(func() {
				all := b.followTo(url, query, end, 7)
				mu.Lock()
				defer mu.Unlock()
				got[query] = all
			})
		}
		reading.Wait()
		got["late"] = b.followTo(url, "", total, 1000) // on one connection, with more before it than one read takes
		<-written
		close(stop)
		following.Wait()
		for who, told := range got {
			query := strings.TrimPrefix(who, "late")
			whole, _ := b.logPage("/log?limit=1000&" + query)
			var want, ids []string
			for _, e := range whole.Items {
				want = append(want, e.ID)
			}
			at := int64(0)
			for _, e := range told {
				if e.id <= at || query == "" && e.id != at+1 {
					t.Errorf("%q: position %d after %d", who, e.id, at)
				}
				at = e.id
				ids = append(ids, e.entry.ID)
			}
			slices.Sort(want)
			slices.Sort(ids)
			if !slices.Equal(want, ids) || len(ids) == 0 {
				t.Errorf("%q: told %d entries, the log has %d", who, len(ids), len(want))
			}
		}
	})
}

// followTo follows until a position is told, on a new connection after so many events at most.
func (b *bench) followTo(url, query string, end int64, most int) (all []event) {
	last := "0"
	for n := 0; ; n++ {
		s := b.tail(url, query, last, 200)
		for range most - n%most {
			e, ok := s.next()
			if !ok {
				b.t.Error("the stream ended")
				return all
			}
			if all = append(all, e); e.id >= end {
				s.end()
				return all
			}
		}
		last = s.last
		s.end()
	}
}

// slow is a store that takes its time, by a clock, for each few entries that it looks at.
type slow struct {
	provisioning.Store
	clock *testkit.Clock
}

const (
	slowLooks = 2
	slowTime  = 6 * time.Second
)

func (s slow) View(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error {
	return s.Store.View(ctx, tenant, func(r provisioning.Reader) error { return fn(slowReader{r, s.clock}) })
}

type slowReader struct {
	provisioning.Reader
	clock *testkit.Clock
}

func (r slowReader) Changes(after int64, limit int) ([]provisioning.PositionedEntry, int64, error) {
	r.clock.Advance(slowTime)
	return r.Reader.Changes(after, min(limit, slowLooks))
}

// TestStreamIsHeardWhileItSearches: of a long search that finds little the client hears in time, and how far it has come.
func TestStreamIsHeardWhileItSearches(t *testing.T) {
	t.Parallel()
	st := storetest.Open(t)
	clock := testkit.NewClock(time.Now())
	b := newBenchOn(t, st, func(o *api.Options) {
		o.Service, o.Now = provisioning.New(provisioning.Options{Store: slow{st, clock}}), clock.Now
	})
	const others = 30
	for i := range others {
		b.client("default").user(fmt.Sprintf("user%d", i))
	}
	b.client("default").user("zoe")
	follow(t, st)
	s := b.tail(b.serve(), "after=0&prefix=zoe", "", 200)
	var marks []int
	for {
		line, err := s.body.ReadString('\n')
		if err != nil || strings.HasPrefix(line, "data: ") {
			break
		}
		if id, is := strings.CutPrefix(line, "id: "); is {
			at, err := strconv.Atoi(strings.TrimSpace(id))
			if err != nil {
				t.Fatal(err)
			}
			marks = append(marks, at)
		}
	}
	const most = slowLooks * int(15*time.Second/slowTime+1) // of entries between two marks
	if len(marks) < others/most {
		t.Errorf("the client heard of positions %v", marks)
	}
	for i := 1; i < len(marks)-1; i++ { // the last id is that of the event
		if step := marks[i] - marks[i-1]; step <= 0 || step > most {
			t.Errorf("the client heard of positions %v", marks)
		}
	}
}
