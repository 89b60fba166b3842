package endpoint

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"meibo/provisioning"
	"meibo/scim"
	"meibo/store/storetest"
)

// mustBeError holds an answer to what every error must be.
func mustBeError(t *testing.T, what string, a answer, status int, scimType string) {
	t.Helper()
	if a.status != status {
		t.Errorf("%s: status %d, want %d: %s", what, a.status, status, a.body)
		return
	}
	if ct := a.header.Get("Content-Type"); ct != "application/scim+json" {
		t.Errorf("%s: Content-Type %q", what, ct)
	}
	if a.correlation() == "" {
		t.Errorf("%s: no correlation id", what)
	}
	body := a.object(t)
	want := map[string]any{"schemas": []any{scim.ErrorSchema}, "status": fmt.Sprint(status), "detail": "<any>"}
	if scimType != "" {
		want["scimType"] = scimType
	}
	for _, problem := range compare("error", want, body, true) {
		t.Errorf("%s: %s", what, problem)
	}
}

const user = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"kim@contoso.com"}`

// addresses are all addresses with the methods that each knows.
var addresses = map[string]string{
	"/Users":                 "GET, HEAD, POST",
	"/Users/":                "GET, HEAD, POST",
	"/Users/x":               "GET, HEAD, PUT, PATCH, DELETE",
	"/users":                 "GET, HEAD, POST",
	"/users/x":               "GET, HEAD, PUT, PATCH, DELETE",
	"/Groups":                "GET, HEAD, POST",
	"/groups":                "GET, HEAD, POST",
	"/Groups/":               "GET, HEAD, POST",
	"/Groups/x":              "GET, HEAD, PUT, PATCH, DELETE",
	"/ServiceProviderConfig": "GET, HEAD",
	"/serviceConfiguration":  "GET, HEAD",
	"/ResourceTypes":         "GET, HEAD",
	"/ResourceTypes/User":    "GET, HEAD",
	"/Schemas":               "GET, HEAD",
	"/Schemas/x":             "GET, HEAD",
	"/Bulk":                  "POST",
	"/Me":                    "GET, HEAD, POST, PUT, PATCH, DELETE",
	"/.search":               "POST",
}

func TestMethodNotAllowed(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	for _, target := range slices.Sorted(maps.Keys(addresses)) {
		allowed := strings.Split(addresses[target], ", ")
		listed := slices.Sorted(slices.Values(allowed))
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "LINK"} {
			if slices.Contains(allowed, method) {
				continue
			}
			what := method + " " + target
			a := d.send(request{method: method, target: target})
			if method == "HEAD" { // whose answer has no body to judge
				if a.status != http.StatusMethodNotAllowed {
					t.Errorf("%s: %d", what, a.status)
				}
			} else {
				mustBeError(t, what, a, http.StatusMethodNotAllowed, "")
			}
			known := strings.Split(a.header.Get("Allow"), ", ")
			slices.Sort(known)
			if d := cmp.Diff(listed, known); d != "" {
				t.Errorf("%s: Allow (-want +got):\n%s", what, d)
			}
		}
		// Even to ask for the methods is no success without a token.
		if a := d.send(request{method: http.MethodOptions, target: target}); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") == "" {
			t.Errorf("OPTIONS %s: %d, Allow %q", target, a.status, a.header.Get("Allow"))
		}
	}
}

func TestUnknownAddresses(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	id := d.create("/Users", user)
	for _, target := range []string{
		"", "/", "/USERS", "/Users/" + id + "/", "/Users/" + id + "/name", "/Users/" + id + "/../" + id + "/x",
		"//Users", "/./Users", "/x/../Users", "/%55sers/x/y", "/Users/.search/x", "/Schemas/a/b", "/%2e%2e/Users",
	} {
		mustBeError(t, "GET "+target, d.get(target), http.StatusNotFound, "")
	}
	// Beside and above the SCIM base.
	for _, path := range []string{"/t/", "/t/x", "/t/" + d.tenant + "/scim", "/t/" + d.tenant + "/scim/v1/Users", "/t//scim/v2/x", "/x"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		mustBeError(t, "GET "+path, d.answer(req), http.StatusNotFound, "")
	}
}

// TestUnsupported: the parts of the protocol that a server may leave out say so.
func TestUnsupported(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	for _, target := range []string{"/Bulk", "/.search", "/Users/.search", "/Groups/.search", "/Me"} {
		a := d.post(target, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:SearchRequest"]}`)
		mustBeError(t, target, a, http.StatusNotImplemented, "")
		if entries := d.entries(a.correlation()); len(entries) > 0 {
			t.Errorf("%s: journalled", target)
		}
	}
	mustBeError(t, "GET /Me", d.get("/Me"), http.StatusNotImplemented, "")
}

// TestLowerCaseAddresses: Microsoft's collection writes some addresses so; answers have the RFC's.
func TestLowerCaseAddresses(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	a := d.post("/users", user)
	id, _ := a.object(t)["id"].(string)
	if want := publicURL + "/t/" + d.tenant + "/scim/v2/Users/" + id; a.header.Get("Location") != want {
		t.Errorf("Location is %s, want %s", a.header.Get("Location"), want)
	}
	if a := d.get("/users/" + id); a.status != http.StatusOK {
		t.Errorf("GET: %d", a.status)
	}
	group := d.create("/groups", `{"displayName":"G"}`)
	if a := d.get("/Groups/" + group); a.status != http.StatusOK {
		t.Errorf("GET: %d", a.status)
	}
}

func TestTrailingSlash(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	id := d.create("/Users/", user)
	for _, target := range []string{"/Users/", "/Users/?filter=userName+eq+%22kim@contoso.com%22"} {
		if got := d.get(target).object(t)["totalResults"]; fmt.Sprint(got) != "1" {
			t.Errorf("GET %s: totalResults is %v", target, got)
		}
	}
	if a := d.get("/Users/" + id); a.status != http.StatusOK {
		t.Errorf("GET by id: %d", a.status)
	}
}

// TestUnauthorized tries every address with every way of having no right to it.
func TestUnauthorized(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	d, other := newDirectory(t, s), newDirectory(t, s)
	d.callers["foreign"] = other.callers[provisioning.DefaultConnection]
	tests := []struct{ name, authorization, challenge string }{
		{"none", "", `Bearer realm="meibo"`},
		{"scheme alone", "Bearer ", `Bearer realm="meibo"`},
		{"another scheme", "Basic ZGVmYXVsdDpkZWZhdWx0", `Bearer realm="meibo"`},
		{"unknown", "Bearer nobody", `Bearer realm="meibo", error="invalid_token"`},
		{"another tenant's", "Bearer foreign", `Bearer realm="meibo", error="invalid_token"`},
		{"with a tail", "Bearer default x", `Bearer realm="meibo", error="invalid_token"`},
	}
	for _, tt := range tests {
		for target, methods := range addresses {
			for method := range strings.SplitSeq(methods, ", ") {
				what := tt.name + ": " + method + " " + target
				a := d.send(request{method: method, target: target, headers: []header{{"Authorization", tt.authorization}}})
				if method == http.MethodHead {
					a.body = []byte(`{"schemas":["` + scim.ErrorSchema + `"],"status":"401","detail":"not sent with HEAD"}`)
				}
				mustBeError(t, what, a, http.StatusUnauthorized, "")
				if got := a.header.Get("WWW-Authenticate"); got != tt.challenge {
					t.Errorf("%s: WWW-Authenticate is %q, want %q", what, got, tt.challenge)
				}
			}
		}
	}
	if entries := d.query(provisioning.EntryQuery{Connection: d.callers[provisioning.DefaultConnection].Connection.ID}); len(entries) > 1 {
		t.Errorf("refused requests were journalled: %+v", entries)
	}
	// Which of two would count? A proxy in front may have judged the other.
	for _, second := range []string{"Bearer nobody", "Bearer default", ""} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+"/t/"+d.tenant+"/scim/v2/Users", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header["Authorization"] = []string{"Bearer default", second}
		mustBeError(t, "two fields", d.answer(req), http.StatusUnauthorized, "")
	}
	// The scheme's name compares without case (RFC 9110 §11.1).
	if a := d.get("/Users", header{"Authorization", "bearer default"}); a.status != http.StatusOK {
		t.Errorf("bearer in lower case: %d", a.status)
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	id := d.create("/Users", user)
	group := d.create("/Groups", `{"displayName":"G","members":[{"value":"`+id+`"}]}`)
	for _, target := range []string{
		"/Users", "/Users/" + id, "/Users/" + id + "?attributes=userName", "/Users/nobody", "/Users?filter=broken",
		"/Groups", "/Groups/" + group, "/Groups/" + group + "?excludedAttributes=members",
		"/ServiceProviderConfig", "/ResourceTypes", "/Schemas", "/Schemas/" + scim.UserSchema, "/nowhere",
	} {
		get, head := d.get(target), d.send(request{method: http.MethodHead, target: target})
		if get.status != head.status || len(head.body) > 0 || len(get.body) == 0 {
			t.Errorf("HEAD %s: %d with %d bytes, GET is %d with %d", target, head.status, len(head.body), get.status, len(get.body))
		}
		for _, h := range []header{{"Content-Type", ""}, {"ETag", ""}, {"Location", ""}} {
			if got, want := head.header.Get(h.name), get.header.Get(h.name); got != want {
				t.Errorf("HEAD %s: %s is %q, of GET %q", target, h.name, got, want)
			}
		}
	}
}

// TestUnreadableBodies sends what is no message at all; each is answered 4xx and journalled once.
func TestUnreadableBodies(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	id := d.create("/Users", user)
	deep := strings.Repeat(`[`, 40) + strings.Repeat(`]`, 40)
	bodies := []struct{ name, body, scimType string }{
		{"nothing", " ", "invalidSyntax"},
		{"half", `{"userName":"a"`, "invalidSyntax"},
		{"array", `[]`, "invalidSyntax"},
		{"string", `"userName"`, "invalidSyntax"},
		{"number", `1`, "invalidSyntax"},
		{"null", `null`, "invalidSyntax"},
		{"two values", `{}{}`, "invalidSyntax"},
		{"comment", `{"userName":"a"} // a`, "invalidSyntax"},
		{"single quotes", `{'userName':'a'}`, "invalidSyntax"},
		{"NUL escape", `{"userName":"a\u0000"}`, "invalidValue"},
		{"NUL byte", "{\"userName\":\"a\x00\"}", "invalidSyntax"},
		{"NUL in a name", `{"userName":"a","na\u0000me":1}`, "invalidValue"},
		{"lone surrogate", `{"userName":"a\ud800"}`, "invalidSyntax"},
		{"invalid UTF-8", "{\"userName\":\"a\xff\"}", "invalidSyntax"},
		{"too deep", `{"userName":"a","x":` + deep + `}`, "invalidSyntax"},
		{"huge number", `{"userName":"a","x":1e999}`, "invalidValue"},
	}
	for _, b := range bodies {
		for _, r := range []request{
			{method: http.MethodPost, target: "/Users"}, {method: http.MethodPut, target: "/Users/" + id},
			{method: http.MethodPatch, target: "/Users/" + id}, {method: http.MethodPost, target: "/Groups"},
		} {
			r.body = b.body
			a := d.send(r)
			what := b.name + ": " + r.method + " " + r.target
			mustBeError(t, what, a, http.StatusBadRequest, b.scimType)
			mustBeJournalled(t, what, d.entries(a.correlation()), provisioning.Failure, http.StatusBadRequest)
		}
	}
}

func mustBeJournalled(t *testing.T, what string, entries []provisioning.Entry, outcome provisioning.Outcome, status int) {
	t.Helper()
	if len(entries) != 1 || entries[0].Request == nil || entries[0].Request.Status != status || entries[0].Outcome != outcome {
		t.Errorf("%s: journal has %+v, want one entry: %s, %d", what, entries, outcome, status)
	}
}

func TestInvalidResources(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	long := strings.Repeat("ä", 1025)
	bodies := []struct{ name, target, body, scimType string }{
		{"name given twice", "/Users", `{"userName":"a","USERNAME":"b"}`, "invalidSyntax"},
		{"userName too long", "/Users", `{"userName":"` + long + `"}`, "invalidValue"},
		{"externalId too long", "/Users", `{"userName":"a","externalId":"` + long + `"}`, "invalidValue"},
		{"mail too long", "/Users", `{"userName":"a","emails":[{"value":"` + long + `"}]}`, "invalidValue"},
		{"displayName of a group too long", "/Groups", `{"displayName":"` + long + `"}`, "invalidValue"},
		{"member without value", "/Groups", `{"displayName":"a","members":[{"display":"x"}]}`, "invalidValue"},
		{"two primaries", "/Users", `{"userName":"a","emails":[{"value":"a","primary":true},{"value":"b","primary":true}]}`, "invalidValue"},
		{"number for a string", "/Users", `{"userName":7}`, "invalidValue"},
		{"object for a string", "/Users", `{"userName":{"value":"a","type":"b"}}`, "invalidValue"},
		{"large resource", "/Users", `{"userName":"a","displayName":"` + strings.Repeat("x", 256<<10) + `"}`, "invalidValue"},
		{"extension that is no object", "/Users", `{"userName":"a","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":"x"}`, "invalidValue"},
	}
	for _, b := range bodies {
		a := d.post(b.target, b.body)
		mustBeError(t, b.name, a, http.StatusBadRequest, b.scimType)
		mustBeJournalled(t, b.name, d.entries(a.correlation()), provisioning.Failure, http.StatusBadRequest)
	}
	// 1,024 characters are not too many, whatever they take in bytes.
	d.create("/Users", `{"userName":"`+strings.Repeat("ä", 1024)+`"}`)
}

// TestInvalidPatches: each is refused with the number of the operation where there is one, and
// changes nothing.
func TestInvalidPatches(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	id := d.create("/Users", user)
	group := d.create("/Groups", `{"displayName":"G"}`)
	for _, tt := range []struct{ name, target, body, scimType string }{
		{"no operations", "/Users/" + id, `{"schemas":["` + scim.PatchOpSchema + `"]}`, "invalidSyntax"},
		{"operations that are no list", "/Users/" + id, `{"Operations":{"op":"add"}}`, "invalidSyntax"},
		{"operation that is no object", "/Users/" + id, `{"Operations":["add"]}`, "invalidSyntax"},
		{"null operation", "/Users/" + id, `{"Operations":[null]}`, "invalidSyntax"},
		{"operations twice", "/Users/" + id, `{"Operations":[],"operations":[]}`, "invalidSyntax"},
		{"no op", "/Users/" + id, `{"Operations":[{"path":"title","value":"x"}]}`, "invalidSyntax"},
		{"op that is no string", "/Users/" + id, `{"Operations":[{"op":1,"path":"title","value":"x"}]}`, "invalidSyntax"},
		{"path that is no string", "/Users/" + id, `{"Operations":[{"op":"add","path":7,"value":"x"}]}`, "invalidSyntax"},
		{"no value without path", "/Users/" + id, `{"Operations":[{"op":"add"}]}`, "invalidValue"},
		{"string without path", "/Users/" + id, `{"Operations":[{"op":"replace","value":"x"}]}`, "invalidValue"},
		{"object for a string", "/Users/" + id, `{"Operations":[{"op":"add","path":"title","value":[{"text":"x"}]}]}`, "invalidValue"},
		{"array for a string", "/Users/" + id, `{"Operations":[{"op":"add","path":"title","value":[]},{"op":"add","path":"title","value":[["x"]]}]}`, "invalidValue"},
		{"broken filter", "/Users/" + id, `{"Operations":[{"op":"add","path":"emails[type xx \"work\"].value","value":"x"}]}`, "invalidPath"},
		{"id", "/Users/" + id, `{"Operations":[{"op":"replace","path":"id","value":"x"}]}`, "mutability"},
		{"meta", "/Users/" + id, `{"Operations":[{"op":"replace","path":"meta.created","value":"2026-01-01T00:00:00Z"}]}`, "mutability"},
		{"groups", "/Users/" + id, `{"Operations":[{"op":"add","path":"groups","value":[{"value":"` + group + `"}]}]}`, "mutability"},
		{"member without value", "/Groups/" + group, `{"Operations":[{"op":"add","path":"members","value":[{"value":null}]}]}`, "invalidValue"},
		{"member that is a number", "/Groups/" + group, `{"Operations":[{"op":"add","path":"members","value":[7]}]}`, "invalidValue"},
		{"member's value", "/Groups/" + group, `{"Operations":[{"op":"replace","path":"members[value eq \"x\"].value","value":"y"}]}`, "mutability"},
		{"name of a group", "/Groups/" + group, `{"Operations":[{"op":"replace","path":"displayName","value":null}]}`, "invalidValue"},
	} {
		a := d.patch(tt.target, tt.body)
		mustBeError(t, tt.name, a, http.StatusBadRequest, tt.scimType)
		mustBeJournalled(t, tt.name, d.entries(a.correlation()), provisioning.Failure, http.StatusBadRequest)
		if a := d.get(tt.target); a.header.Get("ETag") != `W/"1"` {
			t.Fatalf("%s: changed something: %s", tt.name, a.body)
		}
	}
}

// TestInvalidParameters: writes are refused over parameters, too, before they do anything.
func TestInvalidParameters(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	id := d.create("/Users", user)
	for _, r := range []request{
		{method: http.MethodPost, target: "/Users", body: `{"userName":"a"}`},
		{method: http.MethodPut, target: "/Users/" + id, body: `{"userName":"a"}`},
		{method: http.MethodPatch, target: "/Users/" + id, body: `{"Operations":[{"op":"add","path":"title","value":"x"}]}`},
	} {
		r.target += "?attributes=title&excludedAttributes=meta"
		a := d.send(r)
		mustBeError(t, r.method, a, http.StatusBadRequest, "invalidValue")
		mustBeJournalled(t, r.method, d.entries(a.correlation()), provisioning.Failure, http.StatusBadRequest)
	}
	if got := d.get("/Users").object(t); got["totalResults"] != number(1) || d.get("/Users/"+id).header.Get("ETag") != `W/"1"` {
		t.Errorf("something changed: %v", got)
	}
}

// TestBodyThatBreaksOff is a client that goes away in the middle of its request.
func TestBodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	body := io.MultiReader(strings.NewReader(`{"userName":`), iotest.ErrReader(io.ErrUnexpectedEOF))
	req := httptest.NewRequest(http.MethodPost, "/t/"+d.tenant+"/scim/v2/Users", body)
	req.Header.Set("Authorization", "Bearer default")
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, req)
	mustBeError(t, "POST", answer{w.Code, w.Header(), w.Body.Bytes()}, http.StatusBadRequest, "invalidSyntax")
}

func TestMediaTypes(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	n := 0
	for _, tt := range []struct {
		name   string
		header header
		status int
	}{
		{"SCIM", header{"Content-Type", "application/scim+json"}, 201},
		{"with charset", header{"Content-Type", "application/scim+json; charset=utf-8"}, 201},
		{"in capitals", header{"Content-Type", "Application/SCIM+JSON;Charset=UTF-8"}, 201},
		{"JSON", header{"Content-Type", "application/json"}, 201},
		{"none", header{"Content-Type", ""}, 201},
		{"identity", header{"Content-Encoding", "identity"}, 201},
		{"text", header{"Content-Type", "text/plain"}, 415},
		{"form", header{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		{"XML", header{"Content-Type", "application/xml"}, 415},
		{"broken", header{"Content-Type", "application/json; charset"}, 415},
		{"gzip", header{"Content-Encoding", "gzip"}, 415},
	} {
		n++
		a := d.post("/Users", fmt.Sprintf(`{"userName":"user-%d"}`, n), tt.header)
		outcome := provisioning.Success
		if tt.status == http.StatusUnsupportedMediaType {
			mustBeError(t, tt.name, a, tt.status, "")
			outcome = provisioning.Failure
		} else if a.status != tt.status {
			t.Errorf("%s: %d, want %d: %s", tt.name, a.status, tt.status, a.body)
		}
		mustBeJournalled(t, tt.name, d.entries(a.correlation()), outcome, tt.status)
	}
}

// TestBodyTooLarge goes past the network, where a client may see the connection end before it has
// read the answer.
func TestBodyTooLarge(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	send := func(target string, size int) answer {
		frame := `{"userName":"large","displayName":"large","x":""}`
		body := strings.Replace(frame, `""`, `"`+strings.Repeat("x", size-len(frame))+`"`, 1)
		req := httptest.NewRequest(http.MethodPost, "/t/"+d.tenant+"/scim/v2"+target, strings.NewReader(body))
		req.Header.Set("Authorization", "Bearer default")
		w := httptest.NewRecorder()
		d.handler.ServeHTTP(w, req)
		return answer{w.Code, w.Header(), w.Body.Bytes()}
	}
	for _, tt := range []struct {
		target string
		size   int
		status int
	}{
		{"/Users", 1 << 20, 201}, {"/Users", 1<<20 + 1, 413}, {"/Groups", 1<<20 + 1, 201}, {"/Groups", 16<<20 + 1, 413},
	} {
		a := send(tt.target, tt.size)
		what := fmt.Sprintf("%s with %d bytes", tt.target, tt.size)
		if tt.status != 413 {
			if a.status != tt.status {
				t.Errorf("%s: %d, want %d: %s", what, a.status, tt.status, a.body)
			}
			continue
		}
		mustBeError(t, what, a, tt.status, "")
		mustBeJournalled(t, what, d.entries(a.correlation()), provisioning.Failure, 413)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		d := newDirectory(t, s)
		var ids []any
		for i := range 5 {
			ids = append(ids, d.create("/Users", fmt.Sprintf(`{"userName":"user-%d"}`, i)))
		}
		for _, tt := range []struct {
			query string
			start int
			ids   []any
		}{
			{"", 1, ids},
			{"startIndex=1&count=2", 1, ids[:2]},
			{"startIndex=2&count=2", 2, ids[1:3]},
			{"startIndex=5&count=2", 5, ids[4:]},
			{"startIndex=6", 6, nil},
			{"startIndex=2147483648", 2147483648, nil},
			{"startIndex=0&count=1", 1, ids[:1]},
			{"startIndex=-7&count=1", 1, ids[:1]},
			{"count=0", 1, nil},
			{"count=-1", 1, nil},
			{"count=5000", 1, ids},
			{"STARTINDEX=4", 4, ids[3:]},
			{"startindex=4&Count=1", 4, ids[3:4]},
			{"startIndex=&count=", 1, ids},
			{"filter=userName%20sw%20%22user%22&startIndex=4", 4, ids[3:]},
			{"filter=userName%20sw%20%22user%22&startIndex=2&count=2", 2, ids[1:3]},
			{"sortBy=userName&sortOrder=descending&count=2", 1, ids[:2]},
			{"flag=1&flag=2&count=2", 1, ids[:2]},
		} {
			got := d.get("/Users?" + tt.query).object(t)
			var found []any
			for _, r := range got["Resources"].([]any) {
				found = append(found, r.(map[string]any)["id"])
			}
			if d := cmp.Diff(tt.ids, found); d != "" && len(tt.ids)+len(found) > 0 {
				t.Errorf("%s: ids (-want +got):\n%s", tt.query, d)
			}
			for _, problem := range compare("page", map[string]any{"schemas": []any{scim.ListResponseSchema}, "totalResults": number(5),
				"startIndex": number(tt.start), "itemsPerPage": number(len(tt.ids)), "Resources": "<any>"}, got, true) {
				t.Errorf("%s: %s", tt.query, problem)
			}
		}
		for _, query := range []string{"startIndex=one", "count=1.5", "count=%20", "startIndex=99999999999999999999"} {
			mustBeError(t, query, d.get("/Users?"+query), http.StatusBadRequest, "invalidValue")
		}
		for _, query := range []string{"filter=%", "filter=a;b=c", "count=1&Count=2", "count=1&count=1",
			"startIndex=1&startIndex=2", "filter=title+pr&filter=title+pr", "attributes=id&attributes=meta", "x=1&X=2"} {
			mustBeError(t, query, d.get("/Users?"+query), http.StatusBadRequest, "invalidSyntax")
		}
	})
}

func TestPaging(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		params       map[string]string
		start, count int
	}{
		{nil, 1, 100},
		{map[string]string{"count": "1000"}, 1, 1000},
		{map[string]string{"count": "1001"}, 1, 1000},
		{map[string]string{"startindex": "7", "count": "3"}, 7, 3},
	} {
		start, count, err := paging(tt.params)
		if err != nil || start != tt.start || count != tt.count {
			t.Errorf("%v: %d, %d, %v; want %d, %d", tt.params, start, count, err, tt.start, tt.count)
		}
	}
}

// TestLocations: wherever the request went, addresses in answers begin with the public URL.
func TestLocations(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t), func(o *Options) { o.PublicURL = "https://id.example.test:8443/prefix" })
	base := "https://id.example.test:8443/prefix/t/" + d.tenant + "/scim/v2"
	spoof := []header{{"Host", "evil.example"}, {"X-Forwarded-Host", "evil.example"}, {"Forwarded", "host=evil.example"}}
	created := d.post("/Users", user, spoof...)
	id, _ := created.object(t)["id"].(string)
	if got, want := created.header.Get("Location"), base+"/Users/"+id; got != want {
		t.Errorf("Location is %q, want %q", got, want)
	}
	group := d.create("/Groups", `{"displayName":"G","members":[{"value":"`+id+`"}]}`)
	for _, target := range []string{"/Users/" + id, "/Users", "/Groups/" + group, "/Groups", "/Users/" + id + "?attributes=meta", "/Schemas", "/ResourceTypes", "/ServiceProviderConfig"} {
		body := d.get(target, spoof...).body
		if bytes.Contains(body, []byte("evil")) || !bytes.Contains(body, []byte(`"location":"`+base+"/")) {
			t.Errorf("GET %s: %s", target, body)
		}
	}
	if !bytes.Contains(d.get("/Groups/"+group).body, []byte(`"$ref":"`+base+"/Users/"+id+`"`)) {
		t.Errorf("the member's $ref is not below %s", base)
	}
}

// TestVersionsOfGroups: a change of members is a change of the group; an entity tag spares reading
// them.
func TestVersionsOfGroups(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	id := d.create("/Users", user)
	group := d.create("/Groups", `{"displayName":"G"}`)
	if a := d.get("/Groups/"+group, header{"If-None-Match", `W/"1"`}); a.status != http.StatusNotModified || len(a.body) > 0 {
		t.Errorf("the same version: %d %s", a.status, a.body)
	}
	add := `{"Operations":[{"op":"add","path":"members","value":[{"value":"` + id + `"}]}]}`
	mustBeError(t, "stale", d.patch("/Groups/"+group, add, header{"If-Match", `W/"2"`}), http.StatusPreconditionFailed, "")
	if a := d.patch("/Groups/"+group, add, header{"If-Match", `"1"`}); a.status != http.StatusNoContent || a.header.Get("ETag") != `W/"2"` {
		t.Errorf("the current version, as a strong tag: %d, ETag %q", a.status, a.header.Get("ETag"))
	}
	if a := d.get("/Groups/"+group, header{"If-None-Match", `W/"1"`}); a.status != http.StatusOK {
		t.Errorf("an older version: %d", a.status)
	}
	if a := d.get("/Groups/"+group, header{"If-None-Match", `*`}); a.status != http.StatusNotModified {
		t.Errorf("any version: %d", a.status)
	}
	if a := d.send(request{method: http.MethodHead, target: "/Groups/" + group, headers: []header{{"If-None-Match", `W/"2"`}}}); a.status != http.StatusNotModified {
		t.Errorf("HEAD of the same version: %d", a.status)
	}
}

func TestProjectionOfGroups(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		d := newDirectory(t, s)
		id := d.create("/Users", `{"userName":"kim@contoso.com","displayName":"Kim","emails":[{"type":"work","value":"kim@contoso.com"}]}`)
		one := d.create("/Groups", `{"displayName":"One","externalId":"e","members":[{"value":"`+id+`","display":"K"}]}`)
		d.create("/Groups", `{"displayName":"None"}`)
		core, member := []any{scim.GroupSchema}, map[string]any{"value": id, "display": "K", "type": "User", "$ref": publicURL + "/t/" + d.tenant + "/scim/v2/Users/" + id}
		for _, tt := range []struct {
			query string
			want  map[string]any
		}{
			{"attributes=displayName", map[string]any{"schemas": core, "id": one, "displayName": "One"}},
			{"attributes=members", map[string]any{"schemas": core, "id": one, "members": []any{member}}},
			{"attributes=members.value", map[string]any{"schemas": core, "id": one, "members": []any{map[string]any{"value": id}}}},
			{"attributes=MEMBERS.display,externalId", map[string]any{"schemas": core, "id": one, "externalId": "e", "members": []any{map[string]any{"display": "K"}}}},
			{"attributes=unheardOf", map[string]any{"schemas": core, "id": one}},
			{"excludedAttributes=members,meta", map[string]any{"schemas": core, "id": one, "externalId": "e", "displayName": "One"}},
			{"excludedAttributes=meta,displayName", map[string]any{"schemas": core, "id": one, "externalId": "e", "members": []any{member}}},
			{"excludedAttributes=members.display,meta,externalId,displayName", map[string]any{"schemas": core, "id": one, "members": []any{map[string]any{"value": id, "type": "User", "$ref": member["$ref"]}}}},
			{"excludedAttributes=members", map[string]any{"schemas": core, "id": one, "externalId": "e", "displayName": "One", "meta": "<any>"}},
		} {
			for _, problem := range compare(tt.query, tt.want, d.get("/Groups/"+one+"?"+tt.query).object(t), true) {
				t.Errorf("one: %s", problem)
			}
			list := d.get("/Groups?" + tt.query).object(t)["Resources"].([]any)
			if len(list) != 2 {
				t.Errorf("%s: %d resources", tt.query, len(list))
				continue
			}
			for _, problem := range compare(tt.query, tt.want, list[0], true) {
				t.Errorf("list: %s", problem)
			}
			if _, there := list[1].(map[string]any)["members"]; there {
				t.Errorf("%s: the empty group has members: %v", tt.query, list[1])
			}
		}
		got := d.get("/Users/" + id + "?attributes=groups,displayName").object(t)
		for _, problem := range compare("user", map[string]any{"schemas": []any{scim.UserSchema}, "id": id, "displayName": "Kim",
			"groups": []any{map[string]any{"value": one, "display": "One", "type": "direct", "$ref": "<any>"}}}, got, true) {
			t.Error(problem)
		}
	})
}

// number is a number as a decoded body has it.
func number(n int) any {
	v, _ := decodeJSON(fmt.Append(nil, n))
	return v
}
