package endpoint

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"meibo/internal/auth"
	"meibo/internal/testkit"
	"meibo/provisioning"
)

// publicURL is where the tests' clients believe the server to be; its real address is another one.
const publicURL = "https://id.example.test"

// epoch is when a directory's clock starts.
var epoch = time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC)

// errRefused is what the tests' Authenticate says of a token that it does not know.
var errRefused = auth.Unknown

// tenants numbers the tenants of all tests, several of which share a database.
var tenants atomic.Int64

// directory is a fresh tenant behind an endpoint of its own. Its clock moves by a second with each
// request.
type directory struct {
	t       *testing.T
	store   provisioning.Store
	service *provisioning.Service
	clock   *testkit.Clock
	tenant  string
	handler http.Handler
	url     string // of the server
	client  *http.Client
	callers map[string]auth.Caller // by token, which is the connection's name
}

// newDirectory makes a tenant with the connection "default" and serves it; change, if any, edits
// the endpoint's options before.
func newDirectory(t *testing.T, s provisioning.Store, change ...func(*Options)) *directory {
	t.Helper()
	d := &directory{t: t, store: s, clock: testkit.NewClock(epoch), tenant: fmt.Sprintf("tenant-%d", tenants.Add(1)),
		callers: map[string]auth.Caller{}}
	d.service = provisioning.New(provisioning.Options{Store: s, Now: d.clock.Now})
	if _, err := d.service.CreateTenant(context.Background(), provisioning.Origin{Tenant: d.tenant, Actor: "test"}); err != nil {
		t.Fatalf("create the tenant: %v", err)
	}
	d.connect(provisioning.DefaultConnection, nil)
	d.serve(change...)
	return d
}

// serve puts an endpoint before the directory.
func (d *directory) serve(change ...func(*Options)) {
	o := Options{Service: d.service, Authenticate: d.authenticate, PublicURL: publicURL, Log: zap.NewNop(), Now: d.clock.Now}
	for _, c := range change {
		c(&o)
	}
	d.handler = New(o)
	server := httptest.NewServer(d.handler)
	d.t.Cleanup(server.Close)
	d.url, d.client = server.URL, server.Client()
	d.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
}

func (d *directory) authenticate(_ context.Context, tenant, token string) (auth.Caller, error) {
	c, ok := d.callers[token]
	if !ok || c.Tenant != tenant {
		return auth.Caller{}, errRefused
	}
	return c, nil
}

// connect makes a connection unless it is there, and gives it settings.
func (d *directory) connect(name string, set func(*provisioning.ConnectionSettings)) {
	d.t.Helper()
	ctx, o := context.Background(), provisioning.Origin{Tenant: d.tenant, Actor: "test"}
	c, err := d.service.Connection(ctx, d.tenant, name)
	if provisioning.KindOf(err) == provisioning.NotFound && err != nil {
		c, err = d.service.CreateConnection(ctx, o, name)
	}
	if err == nil && set != nil {
		c, err = d.service.SetConnection(ctx, o, name, set)
	}
	if err != nil {
		d.t.Fatalf("connection %s: %v", name, err)
	}
	d.callers[name] = auth.Caller{Tenant: d.tenant, Connection: c, Credential: "credential of " + name, Hint: "test"}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// request is one request to send; the zero value is a GET of the default connection.
type request struct {
	method  string
	target  string // below the tenant's SCIM base
	speaker string // connection; "" for the default one
	body    string
	headers []header
}

// send sends a request and reads the answer to its end.
func (d *directory) send(r request) answer {
	d.t.Helper()
	d.clock.Advance(time.Second)
	if r.speaker == "" {
		r.speaker = provisioning.DefaultConnection
	}
	var body io.Reader = http.NoBody
	if r.body != "" {
		body = strings.NewReader(r.body)
	}
	req, err := http.NewRequestWithContext(d.t.Context(), r.method, d.url+"/t/"+d.tenant+"/scim/v2"+r.target, body)
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.speaker)
	if r.body != "" {
		req.Header.Set("Content-Type", "application/scim+json; charset=utf-8")
	}
	for _, h := range r.headers {
		switch {
		case h.value == "":
			req.Header.Del(h.name)
		case strings.EqualFold(h.name, "Host"):
			req.Host = h.value
		default:
			req.Header.Set(h.name, h.value)
		}
	}
	return d.answer(req)
}

func (d *directory) answer(req *http.Request) answer {
	d.t.Helper()
	res, err := d.client.Do(req)
	if err != nil {
		d.t.Fatalf("%s %s: %v", req.Method, req.URL.Path, err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		d.t.Fatalf("%s %s: read the answer: %v", req.Method, req.URL.Path, err)
	}
	return answer{res.StatusCode, res.Header, data}
}

// get, post, put, patch and del are the requests of the default connection.
func (d *directory) get(target string, headers ...header) answer {
	d.t.Helper()
	return d.send(request{method: http.MethodGet, target: target, headers: headers})
}

func (d *directory) post(target, body string, headers ...header) answer {
	d.t.Helper()
	return d.send(request{method: http.MethodPost, target: target, body: body, headers: headers})
}

func (d *directory) patch(target, body string, headers ...header) answer {
	d.t.Helper()
	return d.send(request{method: http.MethodPatch, target: target, body: body, headers: headers})
}

// create makes a resource and returns its id.
func (d *directory) create(target, body string) string {
	d.t.Helper()
	a := d.post(target, body)
	id, _ := a.object(d.t)["id"].(string)
	if a.status != http.StatusCreated || id == "" {
		d.t.Fatalf("POST %s: %d %s", target, a.status, a.body)
	}
	return id
}

// entries are the journal entries of one request, the one with the request first.
func (d *directory) entries(correlation string) []provisioning.Entry {
	d.t.Helper()
	return d.query(provisioning.EntryQuery{Correlation: correlation})
}

func (d *directory) query(q provisioning.EntryQuery) []provisioning.Entry {
	d.t.Helper()
	var out []provisioning.Entry
	err := d.service.Entries(context.Background(), d.tenant, q, func(e provisioning.Entry) error {
		out = append(out, e)
		return nil
	})
	if err != nil {
		d.t.Fatalf("read the journal: %v", err)
	}
	return out
}

// decodeJSON reads one JSON value with its numbers as they are written.
func decodeJSON(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, fmt.Errorf("there is text after the JSON value")
	}
	return v, nil
}

// object is the answer's body, which must be a JSON object.
func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	v, err := decodeJSON(a.body)
	o, ok := v.(map[string]any)
	if err != nil || !ok {
		t.Fatalf("the answer %d is no JSON object (%v): %s", a.status, err, a.body)
	}
	return o
}

// correlation is the id under which journal and log know the request.
func (a answer) correlation() string { return a.header.Get(CorrelationHeader) }
