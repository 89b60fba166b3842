package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"

	"meibo/internal/auth"
	"meibo/provisioning"
	"meibo/provisioning/transfer"
	"meibo/scim"
	"meibo/store"
	"meibo/store/storetest"
	"meibo/web/api"
)

// neighbours are two tenants on one server, each with a key of each role: "acme/owner" and so on. What is beta's own bears
// a mark, or an id that is listed.
type neighbours struct {
	*bench
	beta client
	ids  map[string]string // of beta's, by what they are of
	then time.Time         // when beta had its user and group, before they changed
	asks atomic.Int32      // since the last request, whether the server is about to stop
}

const (
	beta = "beta"
	// mark is in every text that is beta's alone.
	mark = "zq7beta"
)

func newNeighbours(t *testing.T, s *store.Store) *neighbours {
	t.Helper()
	n := &neighbours{ids: map[string]string{}}
	n.bench = newBenchOn(t, s, func(o *api.Options) {
		o.Authenticate = func(_ context.Context, text string) (auth.Holder, error) {
			of, role, _ := strings.Cut(text, "/")
			return auth.Holder{Tenant: of, Key: provisioning.APIKey{ID: text, Holder: "the " + role, Role: provisioning.KeyRole(role)}}, nil
		}
		o.Leaving = func() bool { return n.asks.Add(1) > 1 } // a stream ends when it has told what there is
	})
	n.fill()
	follow(t, s)
	return n
}

// fill gives beta something of everything, and acme a little.
func (n *neighbours) fill() {
	n.t.Helper()
	ctx, o := n.t.Context(), provisioning.Origin{Tenant: beta, Actor: "token …" + mark, Correlation: mark}
	must := func(err error) {
		n.t.Helper()
		if err != nil {
			n.t.Fatal(err)
		}
	}
	n.client("default").user("ann")
	_, err := n.service.CreateTenant(ctx, o)
	must(err)
	o.Connection, err = n.service.CreateConnection(ctx, o, mark)
	must(err)
	n.beta = client{n.bench, o}
	n.ids["user"] = n.beta.create(scim.User, scim.Attributes{"userName": mark + "-ken", "externalId": mark, "active": true, "roles": []any{map[string]any{"value": "admin"}}})
	n.ids["group"] = n.beta.create(scim.Group, scim.Attributes{"displayName": mark + " staff"}, n.ids["user"])
	n.then = time.Now()
	n.beta.patch(scim.User, n.ids["user"], "replace", "displayName", mark)
	n.beta.patch(scim.Group, n.ids["group"], "replace", "externalId", mark)
	n.must(http.StatusOK, beta+"/owner", http.MethodPut, "/connections/"+mark+"/settings?comment="+mark, `{"deletion":{"users":{"deactivated":"hold"}}}`)
	n.beta.origin.Connection, err = n.service.Connection(ctx, beta, mark) // with its settings
	must(err)
	n.beta.patch(scim.User, n.beta.user(mark+"-leaver"), "replace", "active", false)
	must(n.service.Matters(ctx, beta, provisioning.MatterQuery{}, func(m provisioning.Matter) error { n.ids["matter"] = m.ID; return nil }))
	for _, made := range []struct{ what, path, body string }{
		{"key", "/keys", `{"holder":"` + mark + `","role":"support"}`},
		{"token", "/connections/" + mark + "/tokens", `{}`},
		{"job", "/undos", `{"connection":"` + mark + `","from":"2020-01-01T00:00:00Z"}`},
	} {
		n.ids[made.what], _ = n.must(http.StatusCreated, beta+"/owner", http.MethodPost, made.path, made.body)["id"].(string)
	}
	must(n.service.Entries(ctx, beta, provisioning.EntryQuery{Limit: 1}, func(e provisioning.Entry) error { n.ids["entry"] = e.ID; return nil }))
	for _, what := range []string{"user", "group", "matter", "key", "token", "job", "entry"} {
		if n.ids[what] == "" {
			n.t.Fatalf("beta has no %s", what)
		}
	}
}

// bodies are what each operation that has a body is sent: something that would work with beta's key, were it not for ids.
func (n *neighbours) bodies() map[string]string {
	const since = `"from":"2020-01-01T00:00:00Z"`
	file := `"file":"userName\nx@example.com\n","connection":"` + mark + `"`
	return map[string]string{
		"replay":          `{"under":"now"}`,
		"eraseUser":       `{"force":true}`,
		"allowDepartures": `{"kind":"user","until":"2099-01-01T00:00:00Z","left":1}`, "debugConnection": `{"minutes":5}`,
		"testMapping": `{}`, "applySettings": `{}`, "planSettings": `{}`, "rollbackSettings": `{"to":0}`, "createToken": `{}`,
		"createKey":  `{"holder":"somebody","role":"support"}`,
		"changeUser": `{"protected":true}`, "changeGroup": `{"protected":true}`,
		"planImport": `{` + file + `}`, "importFile": `{"plan":"00000000000000000000000000000000",` + file + `}`,
		"resolveMatters": `{"csv":"matter,choice\n` + n.ids["matter"] + `,allow\n"}`, "resolveMatter": `{"status":"allowed"}`,
		"undo": `{"connection":"` + mark + `",` + since + `}`, "planUndo": `{"entry":"` + n.ids["entry"] + `"}`,
	}
}

// targets are the addresses of an operation with everything of beta's in the place of each parameter.
func (n *neighbours) targets(path string, o *openapi3.Operation) []string {
	ids := slices.Sorted(maps.Values(n.ids))
	if !strings.Contains(path, "{id}") {
		ids = []string{""}
	}
	queries := []string{""}
	for _, p := range o.Parameters {
		name := p.Value.Name
		switch {
		case p.Value.In != "query":
		case name == "at", name == "from":
			for i := range queries {
				queries[i] += "&" + name + "=" + n.then.UTC().Format(time.RFC3339Nano)
			}
		case name == "user":
			for i := range queries {
				queries[i] += "&user=" + mark + "-ken"
			}
		case p.Value.Required:
			n.t.Errorf("%s has to be given: name a value here", name)
		default:
			for _, value := range n.values(name) {
				queries = append(queries, "&"+name+"="+value)
			}
		}
	}
	var out []string
	for _, id := range ids {
		for _, q := range queries {
			out = append(out, strings.NewReplacer("{id}", id, "{name}", mark, "{version}", "1").Replace(path)+"?"+strings.TrimPrefix(q, "&"))
		}
	}
	return out
}

// values are what of beta's a parameter could name.
func (n *neighbours) values(parameter string) []string {
	switch parameter {
	case "connection", "name", "prefix", "mail", "externalId", "correlationId":
		return []string{mark}
	case "resource", "member":
		return []string{n.ids["user"], n.ids["group"]}
	case "cycle":
		return []string{n.ids["job"]}
	case "after":
		return []string{"0"}
	case "filter":
		return []string{"userName%20pr", "externalId%20eq%20%22" + mark + "%22"}
	case "includeRemoved":
		return []string{"true"}
	case "next":
		return []string{n.ids["user"], "0.0"}
	default: // which names nothing of anybody's
		return nil
	}
}

// ask sends one request, whatever way it ends.
func (n *neighbours) ask(key, method, target, body string) (a answer) {
	n.asks.Store(0)
	r := httptest.NewRequest(method, api.Base+target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+key)
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	n.handler.ServeHTTP(w, r)
	return answer{w.Code, w.Header(), w.Body.String()}
}

// betas reports what of beta's an answer tells, but for what was asked with.
func (n *neighbours) betas(a answer, asked string) (told []string) {
	text := a.body
	for name, values := range a.header {
		text += name + strings.Join(values, " ")
	}
	for _, secret := range append(slices.Sorted(maps.Values(n.ids)), mark) {
		if strings.Contains(text, secret) && !strings.Contains(asked, secret) {
			told = append(told, secret)
		}
	}
	return told
}

// TestTenantsSeeNothingOfEachOther walks every operation of the document with acme's keys and everything that beta has as
// its parameters: no answer tells anything of beta's, nothing of beta changes, and each address with an id of beta's is
// answered as if there were none. With beta's own key the same walk tells it: so the walk would see it.
func TestTenantsSeeNothingOfEachOther(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	n := newNeighbours(t, s)
	bodies, before := n.bodies(), n.everything(s)
	for path, item := range document(t).Paths.Map() {
		for method, o := range item.Operations() {
			body, known := bodies[o.OperationID]
			if o.RequestBody != nil && !known {
				t.Errorf("%s has a body: add one to bodies", o.OperationID)
			}
			own := false
			for _, target := range n.targets(path, o) {
				for _, role := range rolesOf(o) {
					a := n.ask(tenant+"/"+role, method, target, body)
					if told := n.betas(a, target+body); told != nil {
						t.Errorf("%s %s as acme's %s tells %q: %d %s", method, target, role, told, a.status, a.body)
					}
					if strings.Contains(path, "{") && (a.status < 400 || a.status >= 500) {
						t.Errorf("%s %s as acme's %s: %d %s", method, target, role, a.status, a.body)
					}
				}
				if method == http.MethodGet && o.OperationID != "exportSubject" { // which beta's journal would have
					own = own || n.betas(n.ask(beta+"/"+rolesOf(o)[0], method, target, ""), "") != nil
				}
			}
			if method == http.MethodGet && !own && !slices.Contains([]string{"getSummary", "getSettings", "getConnectionHealth", "verifyAudit", "getCapture", "listCaptures", "getCapturedRequest", "exportSubject"}, o.OperationID) {
				t.Errorf("%s tells nothing of beta's even to beta: the test would see nothing", o.OperationID)
			}
		}
	}
	if after := n.everything(s); after != before {
		t.Errorf("beta has changed:\n%s\nfrom\n%s", after, before)
	}
}

// everything is all that beta has, as text.
func (n *neighbours) everything(s *store.Store) string {
	n.t.Helper()
	follow(n.t, s)
	var out bytes.Buffer
	o := transfer.ExportOptions{Format: transfer.NDJSON, Types: []scim.ResourceType{scim.User, scim.Group}}
	if _, err := transfer.Export(n.t.Context(), n.service, beta, &out, o); err != nil {
		n.t.Fatal(err)
	}
	for _, target := range []string{"/log?limit=1000", "/matters?limit=1000", "/keys", "/jobs?limit=1000", "/connections", "/connections/" + mark + "/tokens", "/connections/" + mark + "/settings/versions"} {
		a := n.ask(beta+"/owner", http.MethodGet, target, "")
		if a.status != http.StatusOK || !json.Valid([]byte(a.body)) {
			n.t.Fatalf("%s: %d %s", target, a.status, a.body)
		}
		out.WriteString(a.body)
	}
	return out.String()
}
