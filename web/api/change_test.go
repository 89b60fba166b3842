package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"meibo/internal/auth"
	"meibo/provisioning"
	"meibo/scim"
	"meibo/store"
	"meibo/store/storetest"
	"meibo/web/api"
)

// changes is a page of the journal as a client reads it: null and absent are told apart.
type changes struct {
	Items []struct {
		Position        int64
		Action, Outcome string
		Resource        struct{ Type, ID string }
		User, Group     json.RawMessage
		Members         struct {
			Add    []struct{ ID string }
			Remove []string
		}
	}
	Head int64
}

func (b *bench) changes(query string) changes {
	b.t.Helper()
	a := b.do("application", http.MethodGet, "/changes?"+query, "")
	if a.status != http.StatusOK {
		b.t.Fatalf("GET /changes?%s: %d %s", query, a.status, a.body)
	}
	var c changes
	a.read(b.t, &c)
	return c
}

// follow gives all entries their positions.
func follow(t *testing.T, s *store.Store) {
	t.Helper()
	for {
		_, more, err := s.Follow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			return
		}
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, st provisioning.Store) {
		s := st.(*store.Store)
		b := newBenchOn(t, st)
		c := b.client("default")
		ken := c.user("ken")
		staff := c.create(scim.Group, scim.Attributes{"displayName": "staff"}, ken)
		c.patch(scim.Group, staff, "remove", "members", nil)
		c.patch(scim.User, ken, "replace", "displayName", "Ken")
		c.patch(scim.User, ken, "replace", "displayName", "Ken") // which changes nothing
		c.delete(scim.User, ken)
		if _, err := b.service.Create(t.Context(), c.origin, scim.Group, provisioning.Body{Attributes: scim.Attributes{"displayName": "Staff"}}); provisioning.KindOf(err) != provisioning.Conflict {
			t.Fatalf("a second group of that name: %v", err)
		}
		follow(t, s)

		whole := b.changes("limit=1000")
		var said []string
		for i, item := range whole.Items {
			if item.Position != int64(i+1) {
				t.Errorf("position %d at %d", item.Position, i)
			}
			line := item.Action + " " + item.Outcome + " " + item.Resource.Type
			if item.User != nil {
				line += " with user"
			}
			if item.Group != nil {
				line += " with group"
			}
			for _, m := range item.Members.Add {
				line += " +" + m.ID
			}
			for _, m := range item.Members.Remove {
				line += " -" + m
			}
			said = append(said, line)
		}
		want := []string{
			"other success ", "other success ", // tenant and connection
			"create success User with user",
			"create success Group with group +" + ken,
			"update success Group with group -" + ken,
			"update success User with user",
			"update skipped User",
			"delete success User with user",
			"create failure ",
		}
		if diff := cmp.Diff(want, said); diff != "" {
			t.Errorf("changes (-want +got):\n%s", diff)
		}
		if whole.Head != int64(len(want)) {
			t.Errorf("head %d", whole.Head)
		}
		for size := 1; size <= len(want)+1; size++ {
			var pieces changes
			for after := int64(0); after < whole.Head; {
				p := b.changes("after=" + strconv.FormatInt(after, 10) + "&limit=" + strconv.Itoa(size))
				if len(p.Items) == 0 || p.Head != whole.Head {
					t.Fatalf("after %d: %d items, head %d", after, len(p.Items), p.Head)
				}
				pieces.Items = append(pieces.Items, p.Items...)
				after = p.Items[len(p.Items)-1].Position
			}
			pieces.Head = whole.Head
			if diff := cmp.Diff(whole, pieces); diff != "" {
				t.Fatalf("in pieces of %d (-whole +pieces):\n%s", size, diff)
			}
		}
		if p := b.changes("after=" + strconv.FormatInt(whole.Head, 10)); len(p.Items) != 0 || p.Head != whole.Head {
			t.Errorf("at the head: %+v", p)
		}
		wantProblem(t, "behind the head", b.do("application", http.MethodGet, "/changes?after="+strconv.FormatInt(whole.Head+1, 10), ""), http.StatusConflict)
	})
}

// TestChangesOfThePurged: what is gone is null, in all that is told of it.
func TestChangesOfThePurged(t *testing.T) {
	t.Parallel()
	real := storetest.Open(t)
	b := newBenchOn(t, purged{real})
	c := b.client("default")
	c.delete(scim.User, c.user("ken"))
	follow(t, real)
	var nulls []bool
	for _, item := range b.changes("after=2").Items {
		nulls = append(nulls, string(item.User) == "null")
	}
	if !slices.Equal(nulls, []bool{true, true}) {
		t.Errorf("null in what is told: %v", nulls)
	}
}

// purged is a store whose removed users have been purged.
type purged struct{ provisioning.Store }

type purgedReader struct{ provisioning.Reader }

func (p purged) View(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error {
	return p.Store.View(ctx, tenant, func(r provisioning.Reader) error { return fn(purgedReader{r}) })
}

func (p purgedReader) Account(t scim.ResourceType, id string, refs provisioning.References) (provisioning.Resource, error) {
	x, err := p.Reader.Account(t, id, refs)
	x.State, x.Asserted, x.Effective = provisioning.Removed, []byte("{}"), nil
	return x, err
}

// TestChangesWait: who waits is answered once there is something, when the time is over, or when the server leaves.
func TestChangesWait(t *testing.T) {
	t.Parallel()
	real := storetest.Open(t)
	asked := make(chan struct{}, 1000)
	var leaving atomic.Bool
	var seen api.Observation
	asking := &timed{Store: watched{real, asked}}
	b := newBenchOn(t, asking, func(o *api.Options) {
		o.Leaving = leaving.Load
		o.Observe = func(x api.Observation) { seen = x }
		o.Now = asking.now
	})
	follow(t, real)
	wait := func(query string) chan changes {
		out := make(chan changes, 1)
		for len(asked) > 0 {
			<-asked
		}
		go func() { out <- b.changes(query) }()
		for range 2 { // it has looked, and looked again
			<-asked
		}
		return out
	}

	out := wait("after=2&wait=60")
	b.client("default").user("ken")
	follow(t, real)
	if got := <-out; len(got.Items) != 1 || got.Items[0].Action != "create" {
		t.Errorf("woken with %+v", got)
	}
	began := time.Now()
	if got := <-wait("after=3&wait=1"); len(got.Items) != 0 || got.Head != 3 || time.Since(began) < time.Second {
		t.Errorf("after %v: %+v", time.Since(began), got)
	}
	if seen.Duration > time.Second/2 {
		t.Errorf("observed %v, with the time that it waited", seen.Duration)
	}
	out = wait("after=3&wait=60")
	leaving.Store(true)
	if got := <-out; len(got.Items) != 0 || got.Head != 3 {
		t.Errorf("as the server leaves: %+v", got)
	}
}

// TestChangesWaitForAPlace: whoever comes when all places are taken is not answered at once, to ask again at once.
func TestChangesWaitForAPlace(t *testing.T) {
	t.Parallel()
	real := storetest.Open(t)
	var leaving atomic.Bool
	waiting := make(chan int, 1000)
	b := newBenchOn(t, real, func(o *api.Options) {
		o.Leaving = leaving.Load
		o.Waiting = func(n int) { waiting <- n }
	})
	follow(t, real)
	var others sync.WaitGroup
	for range 64 {
		others.Go(func() { b.changes("after=2&wait=60") })
		<-waiting
	}
	began := time.Now()
	if got := b.changes("after=2&wait=60"); len(got.Items) != 0 || time.Since(began) < time.Second {
		t.Errorf("after %v: %+v", time.Since(began), got)
	}
	leaving.Store(true)
	others.Wait()
}

// TestChangesOfARevokedKey: a key that is revoked while it waits is told nothing more.
func TestChangesOfARevokedKey(t *testing.T) {
	t.Parallel()
	real := storetest.Open(t)
	asked := make(chan struct{}, 1000)
	var revoked atomic.Bool
	b := newBenchOn(t, watched{real, asked}, func(o *api.Options) {
		valid := o.Authenticate
		o.Authenticate = func(ctx context.Context, key string) (auth.Holder, error) {
			if revoked.Load() {
				return auth.Holder{}, auth.Unknown
			}
			return valid(ctx, key)
		}
	})
	follow(t, real)
	for len(asked) > 0 {
		<-asked
	}
	out := make(chan int, 1)
	go func() { out <- b.do("application", http.MethodGet, "/changes?after=2&wait=60", "").status }()
	for range 2 { // it has looked, and looked again
		<-asked
	}
	revoked.Store(true)
	b.client("default").user("ken")
	follow(t, real)
	if got := <-out; got != 401 {
		t.Errorf("answered %d", got)
	}
}

// timed is a store with a clock that stands still while it is asked, which takes as long as the machine is busy.
type timed struct {
	provisioning.Store
	spent atomic.Int64 // as time.Duration
}

func (s *timed) View(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error {
	began := time.Now()
	defer func() { s.spent.Add(int64(time.Since(began))) }()
	return s.Store.View(ctx, tenant, fn)
}

func (s *timed) now() time.Time { return time.Now().Add(-time.Duration(s.spent.Load())) }

// watched is a store that tells of each look at the changes.
type watched struct {
	provisioning.Store
	asked chan struct{}
}

type watchedReader struct {
	provisioning.Reader
	asked chan struct{}
}

func (w watched) View(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error {
	return w.Store.View(ctx, tenant, func(r provisioning.Reader) error { return fn(watchedReader{r, w.asked}) })
}

func (w watchedReader) Changes(after int64, limit int) ([]provisioning.PositionedEntry, int64, error) {
	w.asked <- struct{}{}
	return w.Reader.Changes(after, limit)
}
