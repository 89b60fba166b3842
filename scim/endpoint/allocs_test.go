package endpoint

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.uber.org/zap"

	"meibo/internal/auth"
	"meibo/provisioning"
	"meibo/scim"
)

// still is a store that answers with one resource and one token, and tells whether members were asked for.
type still struct {
	provisioning.Tx    // for what is not asked
	provisioning.Store // likewise
	resource           provisioning.Resource
	members            int
}

func (s *still) View(_ context.Context, _ string, fn func(provisioning.Reader) error) error {
	return fn(s)
}
func (s *still) Update(_ context.Context, _ string, fn func(provisioning.Tx) error) error {
	return fn(s)
}
func (s *still) Snapshot() error                 { return nil }
func (s *still) Commit(provisioning.Batch) error { return nil }
func (s *still) Resource(q provisioning.ResourceQuery) (provisioning.Resource, error) {
	if q.AllMembers || len(q.MemberFacts) > 0 {
		s.members++
	}
	return s.resource, nil
}
func (s *still) List(provisioning.ListQuery) (provisioning.Page, error) {
	return provisioning.Page{Total: 1, Resources: []provisioning.Resource{s.resource}}, nil
}
func (s *still) Members([]string, func(provisioning.GroupMember) error) error {
	s.members++
	return nil
}
func (s *still) CredentialByHash(hash []byte) (provisioning.Credential, provisioning.Connection, error) {
	return provisioning.Credential{ID: "k", Connection: 1, Hash: hash, Created: epoch},
		provisioning.Connection{ID: 1, Name: "default", Settings: provisioning.DefaultConnectionSettings()}, nil
}

// sink is a ResponseWriter that keeps nothing but the status and how much came.
type sink struct {
	header       http.Header
	status, size int
}

func (w *sink) Header() http.Header         { return w.header }
func (w *sink) WriteHeader(status int)      { w.status = status }
func (w *sink) Write(p []byte) (int, error) { w.size += len(p); return len(p), nil }

// atRest serves a resource from memory, with tokens checked as in the program.
func atRest(t *testing.T, r provisioning.Resource) (*still, http.Handler) {
	t.Helper()
	s := &still{resource: r}
	authenticator := auth.New(auth.Options{Store: s})
	t.Cleanup(func() {
		if err := authenticator.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s, New(Options{Service: provisioning.New(provisioning.Options{Store: s}), Authenticate: authenticator.Authenticate,
		PublicURL: publicURL, RateLimit: 1e9, Log: zap.NewNop(), Observe: func(Observation) {}})
}

// TestGetAllocates holds how much a GET by id allocates from the handler to the last byte, router and
// token included, without a database and without the server's own reading of the request.
func TestGetAllocates(t *testing.T) {
	const id = "0190a0b0-0000-7000-8000-000000000001"
	document := scim.Standard(scim.User).Encode(scim.Attributes{"userName": "ada@example.com", "displayName": "Ada", "active": true, "title": "Engineer",
		"name":   map[string]any{"givenName": "Ada", "familyName": "Lovelace"},
		"emails": []any{map[string]any{"value": "ada@example.com", "type": "work", "primary": true}}})
	_, h := atRest(t, provisioning.Resource{ID: id, Type: scim.User, Connection: 1, Visible: true, State: provisioning.Active, Version: 1,
		Created: epoch, Modified: epoch, Asserted: document})
	req := httptest.NewRequest(http.MethodGet, "/t/acme/scim/v2/Users/"+id, nil)
	token, _, _ := auth.NewToken()
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("User-Agent", "allocations")
	w := &sink{header: http.Header{}}
	n := testing.AllocsPerRun(500, func() {
		clear(w.header)
		w.status, w.size = 0, 0
		h.ServeHTTP(w, req)
		if w.status != http.StatusOK || w.size < len(document) {
			t.Fatalf("%d with %d bytes", w.status, w.size)
		}
	})
	t.Logf("%v allocations for %d bytes", n, w.size)
	if n > 60 {
		t.Errorf("%v allocations, want at most 60", n)
	}
}

// TestMembersNotAsked holds that what excludes the members of a group never asks for them.
func TestMembersNotAsked(t *testing.T) {
	t.Parallel()
	const id = "0190a0b0-0000-7000-8000-000000000001"
	s, h := atRest(t, provisioning.Resource{ID: id, Type: scim.Group, Connection: 1, Visible: true, State: provisioning.Active, Version: 1,
		Created: epoch, Modified: epoch, Asserted: scim.Standard(scim.Group).Encode(scim.Attributes{"displayName": "Staff"})})
	token, _, _ := auth.NewToken()
	for target, asked := range map[string]bool{
		"/Groups/" + id + "?excludedAttributes=members": false,
		"/Groups/" + id + "?attributes=displayName":     false,
		"/Groups?excludedAttributes=members":            false,
		"/Groups/" + id:                                 true,
		"/Groups":                                       true,
		"/Groups?attributes=members":                    true,
	} {
		s.members = 0
		w := httptest.NewRecorder()
		req := httptest.NewRequest(http.MethodGet, "/t/acme/scim/v2"+target, nil)
		req.Header.Set("Authorization", "Bearer "+token)
		h.ServeHTTP(w, req)
		if w.Code != http.StatusOK || s.members > 0 != asked {
			t.Errorf("%s: %d, members asked for %d times: %s", target, w.Code, s.members, w.Body)
		}
	}
}
