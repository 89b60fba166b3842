package e2e

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"meibo/internal/auth"
	"meibo/internal/drill"
	"meibo/internal/mirror"
	"meibo/provisioning"
	"meibo/scim"
)

// newReader reads the tenant over an address with a key of a host application.
func (c *tenant) newReader(t *testing.T, base string) *mirror.Reader {
	t.Helper()
	text, hash, hint := auth.NewKey()
	_, err := c.service.CreateKey(t.Context(), provisioning.Origin{Tenant: c.name, Actor: "test"},
		provisioning.NewAPIKey{Holder: "intranet", Role: provisioning.KeyApplication, Hash: hash, Hint: hint})
	if err != nil {
		t.Fatal(err)
	}
	return &mirror.Reader{Base: base, Key: text, Client: c.client}
}

// entrance is the address that clients know, in front of a server that is replaced. No request is dropped meanwhile.
type entrance struct {
	http  *httptest.Server
	mu    sync.RWMutex // held for reading by each request under way
	proxy *httputil.ReverseProxy
}

func newEntrance(t *testing.T) *entrance {
	e := &entrance{}
	e.http = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.RLock()
		defer e.mu.RUnlock()
		e.proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(e.http.Close)
	return e
}

// lead has requests answered by a server.
func (e *entrance) lead(t *testing.T, s *server) {
	t.Helper()
	to, err := url.Parse(s.http.URL)
	if err != nil {
		t.Fatal(err)
	}
	e.proxy = &httputil.ReverseProxy{Transport: s.client.Transport, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
}

// TestMirror: while the drill plays, host applications build mirrors, one from the first position on and others from full
// reads at any time. The server is replaced by another on the same database in between. In the end all equal a full read.
func TestMirror(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		url, in := db.fresh(t), newEntrance(t)
		var leaving atomic.Bool
		o := options{leaving: leaving.Load}
		o.store.URL = url
		s := newServer(t, db, o)
		in.lead(t, s)
		c := s.newTenant("acme")
		r := c.newReader(t, in.http.URL)
		c.base = in.http.URL + "/t/acme/scim/v2"

		ctx, done := context.WithTimeout(t.Context(), patience)
		defer done()
		var finished atomic.Bool
		var entries atomic.Int64 // that the journal has in the end
		mirrors := make([]*mirror.Mirror, 3)
		var items []mirror.Item // all of them, as the first mirror heard
		var hosts sync.WaitGroup
		for i := range mirrors {
			hosts.Go(func() {
				m, heard := mirror.New(), func(mirror.Item) {}
				if i == 0 {
					heard = func(item mirror.Item) { items = append(items, item) }
				}
				for !finished.Load() || m.At < entries.Load() {
					var err error
					if i == 1 || i > 1 && m.At == 0 { // the second reads everything again and again
						if m, err = r.Full(ctx); err != nil {
							t.Error(err)
							return
						}
					}
					if err = r.Follow(ctx, m, 1, heard); err != nil {
						t.Error(err)
						return
					}
				}
				mirrors[i] = m
			})
		}

		half := company()
		half.Cycles = 2
		c.drill(drill.Default, half)
		leaving.Store(true)
		in.mu.Lock()
		s.stop()
		leaving.Store(false)
		s = newServer(t, db, o)
		in.lead(t, s)
		in.mu.Unlock()
		c.server = s
		rest := company()
		rest.Seed++
		c.drill(drill.Flag, rest)
		c.personActs(r)
		entries.Store(int64(len(c.entries())))
		finished.Store(true)
		hosts.Wait()
		if t.Failed() {
			return
		}

		want, err := r.Full(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range mirrors {
			if diff := want.Differs(m); diff != "" {
				t.Errorf("mirror %d (-full read +mirror):\n%s", i, diff)
			}
		}
		if len(want.Users) == 0 || len(want.Groups) == 0 || len(want.Members) == 0 {
			t.Errorf("%d users, %d groups, %d groups with members", len(want.Users), len(want.Groups), len(want.Members))
		}
		for group, members := range want.Members {
			for id := range members {
				if want.Users[id] == "" && want.Groups[id] == "" {
					t.Errorf("%s, who is nobody, is a member of %s", id, group)
				}
			}
		}
		wantEachOmissionNoticed(t, want, items)
	})
}

// personActs removes some of what there is, purges some of that, and empties a group.
func (c *tenant) personActs(r *mirror.Reader) {
	c.t.Helper()
	now, err := r.Full(c.t.Context())
	if err != nil {
		c.t.Fatal(err)
	}
	act := func(t scim.ResourceType, id string, a provisioning.Act) {
		if _, err := c.service.Act(c.t.Context(), provisioning.Origin{Tenant: c.name, Actor: "key of Ken"}, t, id, a); err != nil {
			c.t.Fatal(err)
		}
	}
	gone := []provisioning.Act{{State: provisioning.Removed}, {Purge: true}}
	for i, id := range slices.Sorted(maps.Keys(now.Users)) {
		for _, a := range gone[:i%3] { // nothing, removed, purged as well
			act(scim.User, id, a)
		}
	}
	for i, id := range slices.Sorted(maps.Keys(now.Groups)) {
		switch i {
		case 0:
			act(scim.Group, id, gone[0])
			act(scim.Group, id, gone[1])
		case 1:
			act(scim.Group, id, gone[0])
		case 2:
			if len(now.Members[id]) > 0 {
				act(scim.Group, id, provisioning.Act{Empty: true})
			}
		}
	}
}

// omissions are ways to mirror wrongly.
var omissions = map[string]func(*mirror.Item){
	"no one joins":     func(i *mirror.Item) { i.Members.Add = nil },
	"no one leaves":    func(i *mirror.Item) { i.Members.Remove = nil },
	"no user is told":  func(i *mirror.Item) { i.User = nil },
	"no group is told": func(i *mirror.Item) { i.Group = nil },
	"no one is purged": func(i *mirror.Item) {
		if string(i.User) == "null" {
			i.User = json.RawMessage("{}")
		}
	},
}

// wantEachOmissionNoticed fails where a mirror that leaves something out equals the full read: then the test proves nothing.
func wantEachOmissionNoticed(t *testing.T, want *mirror.Mirror, items []mirror.Item) {
	t.Helper()
	for name, omit := range omissions {
		m := mirror.New()
		for _, item := range items {
			omit(&item)
			m.At = item.Position - 1
			if err := m.Apply(item); err != nil {
				t.Fatal(err)
			}
		}
		if want.Differs(m) == "" {
			t.Errorf("%s: a mirror that leaves that out is not noticed", name)
		}
	}
}
