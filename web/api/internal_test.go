package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"

	"meibo/internal/auth"
	"meibo/provisioning"
)

func plain(t *testing.T) (*echo.Echo, *api) {
	t.Helper()
	router, a := build(Options{Log: zap.NewNop(), Authenticate: func(_ context.Context, key string) (auth.Holder, error) {
		if key != "owner" {
			return auth.Holder{}, auth.Unknown
		}
		return auth.Holder{Tenant: "acme", Key: provisioning.APIKey{Role: provisioning.KeyOwner}}, nil
	}})
	return router.(*echo.Echo), a
}

func ask(h http.Handler, method, path, key string) int {
	r := httptest.NewRequest(method, path, nil)
	r.Header.Set("Authorization", "Bearer "+key)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// TestEveryRouteAsksForAKey walks what the router knows, whether the document lists it or not.
func TestEveryRouteAsksForAKey(t *testing.T) {
	t.Parallel()
	router, a := plain(t)
	routes := router.Routes()
	documented := 0
	for _, item := range a.huma.OpenAPI().Paths {
		for _, o := range []any{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
			if o != nil {
				documented++
			}
		}
	}
	if len(routes) < len(a.huma.OpenAPI().Paths) || documented == 0 {
		t.Fatalf("%d routes", len(routes))
	}
	for _, r := range routes {
		path := strings.NewReplacer(":id", "x", ":name", "x", ":version", "1").Replace(r.Path)
		if status := ask(router, r.Method, path, "wrong"); status != http.StatusUnauthorized {
			t.Errorf("%s %s: %d", r.Method, r.Path, status)
		}
	}
}

// TestDenyByDefault: an operation that forgot its roles can be called by nobody.
func TestDenyByDefault(t *testing.T) {
	t.Parallel()
	router, a := plain(t)
	register(a, operation{id: "forgetful", method: http.MethodGet, path: "/forgetful", tag: "x", summary: "x"},
		func(*call, *struct{}) (*struct{}, error) { return nil, nil })
	if status := ask(router, http.MethodGet, Base+"/forgetful", "owner"); status != http.StatusForbidden {
		t.Errorf("without roles: %d", status)
	}
	register(a, operation{id: "open", method: http.MethodGet, path: "/open", tag: "x", summary: "x", roles: owners},
		func(*call, *struct{}) (*struct{}, error) { return nil, nil })
	if status := ask(router, http.MethodGet, Base+"/open", "owner"); status != http.StatusOK {
		t.Errorf("with roles: %d", status)
	}
}

// A panic is a problem of 500, and the next request is served.
func TestPanic(t *testing.T) {
	t.Parallel()
	router, a := plain(t)
	register(a, operation{id: "broken", method: http.MethodGet, path: "/broken", tag: "x", summary: "x", roles: owners},
		func(*call, *struct{}) (*struct{}, error) { panic("secret") })
	r := httptest.NewRequest(http.MethodGet, Base+"/broken", nil)
	r.Header.Set("Authorization", "Bearer owner")
	w := httptest.NewRecorder()
	router.ServeHTTP(w, r)
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "secret") || w.Header().Get("Content-Type") != problemMedia {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestMaskedSentences: what a sentence quotes is masked, however it is quoted; meibo's own words stay.
func TestMaskedSentences(t *testing.T) {
	t.Parallel()
	m := mask{key: []byte("k"), tenant: "acme", own: map[string]bool{"held": true}}
	kim := m.of("Kim")
	for sentence, want := range map[string]string{
		`the name "Kim" is taken`:                      `the name "` + kim + `" is taken`,
		`"Kim" and "Kim" are one`:                      `"` + kim + `" and "` + kim + `" are one`,
		`a matter of kind "held" is none of "Kim"`:     `a matter of kind "held" is none of "` + kim + `"`,
		`the name "Kim \"the boss\" Sato" is taken`:    `the name "` + m.of(`Kim "the boss" Sato`) + `" is taken`,
		`the name "Kim\\" is taken`:                    `the name "` + m.of(`Kim\`) + `" is taken`,
		`the name "\u004bim" is taken`:                 `the name "` + kim + `" is taken`,
		`it is cut off: "Kim`:                          `it is cut off: "` + kim + `"`,
		`it is cut off: "Kim \"the boss\" Sato`:        `it is cut off: "` + m.of(`Kim \"the boss\" Sato`) + `"`,
		"it breaks: \"Kim\nSato\" is no name":          `it breaks: "` + m.of("Kim\nSato") + `" is no name`,
		`nothing is quoted, so that nothing is hidden`: `nothing is quoted, so that nothing is hidden`,
	} {
		if got := m.string(place{key: "detail"}, sentence); got != want {
			t.Errorf("%s\nbecame %s,\nwant   %s", sentence, got, want)
		}
	}
}

// TestMaskedWords: support reads what was repaired of a request, and which client sent it, in JSON as in CSV; in documents, and of persons, nothing.
func TestMaskedWords(t *testing.T) {
	t.Parallel()
	m := mask{key: []byte("k"), tenant: "acme"}
	for _, c := range []struct{ in, want string }{
		{`{"quirks":["op-case","role-json"]}`, `{"quirks":["op-case","role-json"]}`},
		{`{"details":{"quirks":"op-case remove-with-value"}}`, `{"details":{"quirks":"op-case remove-with-value"}}`},
		{`{"quirks":["Ken"],"attributes":{"quirks":"op-case"}}`, `{"quirks":["` + m.of("Ken") + `"],"attributes":{"quirks":"` + m.of("op-case") + `"}}`},
		{`{"args":{"at":"2026-11-22 17:28 UTC"}}`, `{"args":{"at":"2026-11-22 17:28 UTC"}}`},
		{`{"args":{"at":"Ken"},"attributes":{"at":"2026-11-22 17:28 UTC"}}`, `{"args":{"at":"` + m.of("Ken") + `"},"attributes":{"at":"` + m.of("2026-11-22 17:28 UTC") + `"}}`},
	} {
		if got := string(m.json([]byte(c.in), place{})); got != c.want {
			t.Errorf("%s: %s, want %s", c.in, got, c.want)
		}
	}
	got := m.row([]string{"initiatedBy", "quirks", "members"}, []string{"token …x7Qz", `["op-case"]`, `["op-case"]`})
	if want := []string{"token …x7Qz", `["op-case"]`, m.of(`["op-case"]`)}; !slices.Equal(got, want) {
		t.Errorf("a row: %q, want %q", got, want)
	}
	if got := m.row([]string{"initiatedBy"}, []string{"key of Rie Sato"}); got[0] != m.of("key of Rie Sato") {
		t.Errorf("who holds a key is seen: %q", got)
	}
}

// TestMasksAreApart: among many values no two have one mask.
func TestMasksAreApart(t *testing.T) {
	t.Parallel()
	m, seen := mask{key: []byte("k"), tenant: "acme"}, map[string]bool{}
	for n := range 20_000 {
		v := m.of(strconv.Itoa(n))
		if seen[v] {
			t.Fatalf("%d looks like another value: %s", n, v)
		}
		seen[v] = true
	}
}
