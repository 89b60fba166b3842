package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

const (
	userBody  = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"NAME"}`
	groupBody = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"NAME"}`
	patchBody = `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"displayName","value":"NAME"}]}`
)

func named(body, name string) string { return strings.ReplaceAll(body, "NAME", name) }

// route is one address below a tenant's SCIM base, with a body that it takes.
type route struct{ method, path, body string }

// routes are all addresses of the endpoint. DELETE comes last: with the right token each works.
func routes(user, group string) []route {
	var out []route
	for _, path := range []string{"/Users", "/Users/", "/Users/" + user, "/Groups", "/Groups/", "/Groups/" + group,
		"/ServiceProviderConfig", "/serviceConfiguration", "/ResourceTypes", "/ResourceTypes/User",
		"/Schemas", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:User"} {
		out = append(out, route{http.MethodGet, path, ""}, route{http.MethodHead, path, ""})
	}
	return append(out,
		route{http.MethodPost, "/Users", named(userBody, "new@example.com")},
		route{http.MethodPost, "/Users/", named(userBody, "newer@example.com")},
		route{http.MethodPost, "/Groups", named(groupBody, "new")},
		route{http.MethodPost, "/Groups/", named(groupBody, "newer")},
		route{http.MethodPut, "/Users/" + user, named(userBody, "put@example.com")},
		route{http.MethodPut, "/Groups/" + group, named(groupBody, "put")},
		route{http.MethodPatch, "/Users/" + user, named(patchBody, "patched")},
		route{http.MethodPatch, "/Groups/" + group, named(patchBody, "patched")},
		route{http.MethodDelete, "/Users/" + user, ""},
		route{http.MethodDelete, "/Groups/" + group, ""},
	)
}

// once replaces the first occurrence of a part of a path.
func once(old, new string) func(string) string {
	return func(path string) string { return strings.Replace(path, old, new, 1) }
}

func before(prefix string) func(string) string {
	return func(path string) string { return prefix + path }
}

// spellings are ways to write a path that a server might take for the same one.
var spellings = map[string]func(string) string{
	"plain":                      func(path string) string { return path },
	"percent-encoded tenant":     once("/acme/", "/%61cm%65/"),
	"percent-encoded prefix":     once("/t/", "/%74/"),
	"percent-encoded version":    once("/v2/", "/%76%32/"),
	"percent-encoded slashes":    once("/scim/", "%2Fscim%2f"),
	"doubled slash at the front": before("/"),
	"doubled slash inside":       once("/v2/", "/v2//"),
	"dot":                        once("/scim/", "/./scim/"),
	"dots":                       before("/x/.."),
	"dots after health":          before("/healthz/.."),
	"encoded dots":               before("/healthz/%2e%2e"),
	"dots into the tenant":       once("/t/acme/", "/t/other/../acme/"),
	"matrix parameter":           once("/t/acme/", "/t/acme;x/"),
	"upper-case prefix":          once("/t/", "/T/"),
	"upper-case tenant":          once("/acme/", "/ACME/"),
	"token in the query":         func(path string) string { return path + "?access_token=TOKEN" },
}

// TestRoutesAndTokens is the promise of the authentication: nothing below /t/ answers 2xx without
// a token that counts in that tenant, however its path is spelt.
func TestRoutesAndTokens(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "MEIBO_RATE_LIMIT=0")
	for _, tenant := range []string{"acme", "other"} {
		m.run("tenant", "create", tenant)
	}
	right, revoked := m.token("acme"), m.token("acme")
	m.run("token", "revoke", "--tenant", "acme", idOf(t, m, revoked))
	expired := m.token("acme", "--expires", "1s")
	bad := map[string]string{
		"none":             "",
		"wrong":            "Bearer meibo_" + strings.Repeat("A", 43),
		"nothing behind":   "Bearer ",
		"another scheme":   "Basic " + right,
		"scheme missing":   right,
		"expired":          "Bearer " + expired,
		"revoked":          "Bearer " + revoked,
		"another tenant's": "Bearer " + m.token("other"),
		"cut short":        "Bearer " + right[:len(right)-1],
		"second of two":    "Bearer x, Bearer " + right,
	}
	s := m.serve()
	for s.do(http.MethodGet, "/t/acme/scim/v2/Users", "Bearer "+expired, "").status == http.StatusOK { // its second is not over
	}
	user := s.create("/t/acme/scim/v2/Users", "Bearer "+right, named(userBody, "ken@example.com"))
	group := s.create("/t/acme/scim/v2/Groups", "Bearer "+right, named(groupBody, "staff"))

	for _, r := range routes(user, group) {
		for token, authorization := range bad {
			for spelling, spell := range spellings {
				path := strings.Replace(spell("/t/acme/scim/v2"+r.path), "TOKEN", right, 1)
				a := s.do(r.method, path, authorization, r.body)
				if a.status < 300 {
					t.Errorf("%s %s (%s) with token %s: %d", r.method, path, spelling, token, a.status)
				}
				if spelling == "plain" {
					checkRefusal(t, r, token, a)
				}
			}
		}
	}
	for _, r := range routes(user, group) {
		if a := s.do(r.method, "/t/acme/scim/v2"+r.path, "Bearer "+right, r.body); a.status < 200 || a.status > 299 {
			t.Errorf("%s %s with the right token: %d %s", r.method, r.path, a.status, a.body)
		}
	}
}

// checkRefusal holds the form of a 401 (RFC 7235 §3.1, RFC 7644 §3.12).
func checkRefusal(t *testing.T, r route, token string, a answer) {
	t.Helper()
	if a.status != http.StatusUnauthorized {
		t.Errorf("%s %s with token %s: %d, want 401", r.method, r.path, token, a.status)
	}
	if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") || a.header.Get("Content-Type") != "application/scim+json" {
		t.Errorf("%s %s with token %s: headers %v", r.method, r.path, token, a.header)
	}
}

// idOf finds a token of tenant acme in the list by its last characters.
func idOf(t *testing.T, m *machine, token string) string {
	t.Helper()
	for line := range strings.Lines(m.run("token", "list", "--tenant", "acme", "--json")) {
		var row tokenJSON
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(token, row.Hint) {
			return row.ID
		}
	}
	t.Fatal("the token is not listed")
	return ""
}

// Operators' addresses need no token; nothing else is there.
func TestOperatorsAddresses(t *testing.T) {
	t.Parallel()
	s := newMachine(t).serve()
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			if a := s.do(method, path, "", ""); a.status != http.StatusOK {
				t.Errorf("%s %s: %d", method, path, a.status)
			}
		}
		if a := s.do(http.MethodPost, path, "", "{}"); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d, Allow %q", path, a.status, a.header.Get("Allow"))
		}
	}
	for _, path := range []string{"/", "/t", "/metrics/", "/healthz/x", "//healthz", "/debug/pprof/", "/api", "/api/v1", "/api/v1/", "/api/v2/users", "/.meibo-dev-token"} {
		a := s.do(http.MethodGet, path, "", "")
		var problem struct{ Status int }
		if a.status != http.StatusNotFound || a.header.Get("Content-Type") != "application/problem+json" ||
			json.Unmarshal([]byte(a.body), &problem) != nil || problem.Status != http.StatusNotFound {
			t.Errorf("GET %s: %d %s %s", path, a.status, a.header.Get("Content-Type"), a.body)
		}
	}
	// Below /t/ every error is a SCIM error, even where there is no such address.
	for _, path := range []string{"/t/", "/t/acme", "/t/acme/scim/v2", "/t/acme/scim/v2/Nothing"} {
		if a := s.do(http.MethodGet, path, "", ""); a.status < 400 || a.header.Get("Content-Type") != "application/scim+json" {
			t.Errorf("GET %s: %d %s", path, a.status, a.header.Get("Content-Type"))
		}
	}
}
