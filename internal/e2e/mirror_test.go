package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"meibo/internal/auth"
	"meibo/internal/drill"
	"meibo/provisioning"
)

// mirror is a host application's copy of the directory, made of what the API told it and nothing else, in
// the way that docs/api.md describes.
type mirror struct {
	users   map[string]string // by id: the user as JSON
	groups  map[string]string
	members map[string]map[string]bool // by group
	at      int64                      // the position that it has reached
}

func newMirror() *mirror {
	return &mirror{users: map[string]string{}, groups: map[string]string{}, members: map[string]map[string]bool{}}
}

// told is one item of /changes.
type told struct {
	Position    int64
	Resource    struct{ ID string }
	User, Group json.RawMessage // nil where it is not told
	Members     struct {
		Add    []struct{ ID string }
		Remove []string
	}
}

// apply puts one item in.
func (m *mirror) apply(i told) error {
	if i.Position != m.at+1 {
		return fmt.Errorf("position %d after %d", i.Position, m.at)
	}
	m.at = i.Position
	tell(m.users, i.Resource.ID, i.User)
	tell(m.groups, i.Resource.ID, i.Group)
	if string(i.Group) == "null" {
		delete(m.members, i.Resource.ID)
		return nil
	}
	for _, a := range i.Members.Add {
		m.join(i.Resource.ID, a.ID)
	}
	for _, id := range i.Members.Remove {
		delete(m.members[i.Resource.ID], id)
	}
	return nil
}

func tell(into map[string]string, id string, now json.RawMessage) {
	switch {
	case now == nil:
	case string(now) == "null":
		delete(into, id)
	default:
		into[id] = string(now)
	}
}

func (m *mirror) join(group, id string) {
	if m.members[group] == nil {
		m.members[group] = map[string]bool{}
	}
	m.members[group][id] = true
}

// differs compares two mirrors but for how far they have come. A group without members is as one never told of.
func (m *mirror) differs(other *mirror) string {
	view := func(m *mirror) []any {
		members := maps.Clone(m.members)
		maps.DeleteFunc(members, func(_ string, of map[string]bool) bool { return len(of) == 0 })
		return []any{m.users, m.groups, members}
	}
	return gocmp.Diff(view(m), view(other))
}

// reader reads a tenant over the API with a key of a host application.
type reader struct {
	t    *testing.T
	base string
	key  string
	http *http.Client
}

func (c *tenant) newReader(t *testing.T, base string) *reader {
	t.Helper()
	text, hash, hint := auth.NewKey()
	_, err := c.service.CreateKey(t.Context(), provisioning.Origin{Tenant: c.name, Actor: "test"},
		provisioning.NewAPIKey{Holder: "intranet", Role: provisioning.KeyApplication, Hash: hash, Hint: hint})
	if err != nil {
		t.Fatal(err)
	}
	return &reader{t, base + "/api/v1", text, c.client}
}

// read reads one answer into a value.
func (r *reader) read(ctx context.Context, target string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+target, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+r.key)
	res, err := r.http.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %d %s: %w", target, res.StatusCode, data, err)
	}
	return json.Unmarshal(data, into)
}

// each calls fn with the items of a list, page by page. Small pages, so that much changes between two.
func (r *reader) each(ctx context.Context, target string, fn func(id string, item json.RawMessage)) error {
	for next := ""; ; {
		var page struct {
			Items []json.RawMessage
			Next  string
		}
		if err := r.read(ctx, target+next, &page); err != nil {
			return err
		}
		for _, item := range page.Items {
			var named struct{ ID string }
			if err := json.Unmarshal(item, &named); err != nil {
				return err
			}
			fn(named.ID, item)
		}
		if page.Next == "" {
			return nil
		}
		next = "&next=" + page.Next
	}
}

// full reads everything that there is, after the position that the journal has come to.
func (r *reader) full(ctx context.Context) (*mirror, error) {
	m := newMirror()
	var journal struct{ Head int64 }
	if err := r.read(ctx, "/changes?limit=1", &journal); err != nil {
		return nil, err
	}
	m.at = journal.Head
	if err := r.each(ctx, "/users?includeRemoved=true&limit=7", func(id string, item json.RawMessage) { tell(m.users, id, item) }); err != nil {
		return nil, err
	}
	if err := r.each(ctx, "/groups?includeRemoved=true&limit=3", func(id string, item json.RawMessage) { tell(m.groups, id, item) }); err != nil {
		return nil, err
	}
	for group := range m.groups {
		if err := r.each(ctx, "/groups/"+group+"/members?limit=5", func(id string, _ json.RawMessage) { m.join(group, id) }); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// follow brings a mirror to the head, and waits there for a while. It returns the head.
func (r *reader) follow(ctx context.Context, m *mirror, wait int, hear func(told)) (head int64, err error) {
	for {
		var page struct {
			Items []told
			Head  int64
		}
		if err := r.read(ctx, fmt.Sprintf("/changes?after=%d&limit=50&wait=%d", m.at, wait), &page); err != nil {
			return 0, err
		}
		for _, item := range page.Items {
			if err := m.apply(item); err != nil {
				return 0, err
			}
			hear(item)
		}
		if m.at == page.Head {
			return page.Head, nil
		}
	}
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
		mirrors := make([]*mirror, 3)
		var items []told // all of them, as the first mirror heard
		var hosts sync.WaitGroup
		for i := range mirrors {
			hosts.Go(func() {
				m, heard := newMirror(), func(told) {}
				if i == 0 {
					heard = func(item told) { items = append(items, item) }
				}
				for !finished.Load() || m.at < entries.Load() {
					var err error
					if i == 1 || i > 1 && m.at == 0 { // the second reads everything again and again
						if m, err = r.full(ctx); err != nil {
							t.Error(err)
							return
						}
					}
					if _, err = r.follow(ctx, m, 1, heard); err != nil {
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
		entries.Store(int64(len(c.entries())))
		finished.Store(true)
		hosts.Wait()
		if t.Failed() {
			return
		}

		want, err := r.full(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range mirrors {
			if diff := want.differs(m); diff != "" {
				t.Errorf("mirror %d (-full read +mirror):\n%s", i, diff)
			}
		}
		if len(want.users) == 0 || len(want.groups) == 0 || len(want.members) == 0 {
			t.Errorf("%d users, %d groups, %d groups with members", len(want.users), len(want.groups), len(want.members))
		}
		wantEachOmissionNoticed(t, want, items)
	})
}

// omissions are ways to mirror wrongly.
var omissions = map[string]func(*told){
	"no one joins":     func(i *told) { i.Members.Add = nil },
	"no one leaves":    func(i *told) { i.Members.Remove = nil },
	"no user is told":  func(i *told) { i.User = nil },
	"no group is told": func(i *told) { i.Group = nil },
}

// wantEachOmissionNoticed fails where a mirror that leaves something out equals the full read: then the test proves nothing.
func wantEachOmissionNoticed(t *testing.T, want *mirror, items []told) {
	t.Helper()
	for name, omit := range omissions {
		m := newMirror()
		for _, item := range items {
			omit(&item)
			m.at = item.Position - 1
			if err := m.apply(item); err != nil {
				t.Fatal(err)
			}
		}
		if want.differs(m) == "" {
			t.Errorf("%s: a mirror that leaves that out is not noticed", name)
		}
	}
}
