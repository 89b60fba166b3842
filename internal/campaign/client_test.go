package campaign

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// outcome is what a client knows of its request.
type outcome int

const (
	acknowledged outcome = iota // 2xx, read to the end
	refused                     // any other status, read to the end
	unknown                     // sent, at least in part, and no answer or half of one: it may have been done
	unsent                      // no connection came about: it was not done
)

func (o outcome) String() string {
	return [...]string{"acknowledged", "refused", "unknown", "unsent"}[o]
}

// answer is what came back.
type answer struct {
	outcome outcome
	Status  int // 0 without an answer
	Header  http.Header
	Body    []byte
	Err     error // why nothing or not all came
	Took    time.Duration
}

func (a answer) String() string {
	if a.Err != nil {
		return fmt.Sprintf("%s after %v: %v", a.outcome, a.Took.Round(time.Millisecond), a.Err)
	}
	return fmt.Sprintf("%d after %v: %.500s", a.Status, a.Took.Round(time.Millisecond), a.Body)
}

// id is that of the resource that the body is, "" where it is none.
func (a answer) id() string {
	var body struct{ ID string }
	_ = json.Unmarshal(a.Body, &body) // "" then
	return body.ID
}

// object is the body as a JSON object, nil where it is none.
func (a answer) object() (o map[string]any) {
	_ = json.Unmarshal(a.Body, &o) // nil then
	return o
}

// list is what a list answer holds.
func (a answer) list() (total int, ids []string, resources []map[string]any) {
	var body struct {
		TotalResults int
		Resources    []map[string]any
	}
	_ = json.Unmarshal(a.Body, &body) // nothing then
	for _, r := range body.Resources {
		id, _ := r["id"].(string)
		ids = append(ids, id)
	}
	return body.TotalResults, ids, body.Resources
}

// client sends requests over connections that it keeps, one for each request under way. Nothing is ever sent twice:
// net/http's client repeats some requests by itself, which would hide what a campaign looks for.
type client struct {
	address string
	base    string // path of the tenant's SCIM base
	token   string
	dial    net.Dialer
	once    bool          // a new connection for each request
	think   time.Duration // at most so long the crew's writers pause before each request

	mu   sync.Mutex
	idle []*connection
}

// connection is one connection to the server.
type connection struct {
	net.Conn
	reader *bufio.Reader
	served int // answers read
}

// close closes the connections that are not in use.
func (c *client) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.idle {
		conn.Close()
	}
	c.idle = nil
}

func (c *client) take() (*connection, error) {
	c.mu.Lock()
	if n := len(c.idle); n > 0 {
		conn := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		return conn, nil
	}
	c.mu.Unlock()
	conn, err := c.dial.Dial("tcp", c.address)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: conn, reader: bufio.NewReaderSize(conn, 16<<10)}, nil
}

func (c *client) keep(conn *connection) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = append(c.idle, conn)
}

// do sends one request with the token. target is below the tenant's SCIM base if it begins with /Users or the like,
// and an address of the server's own if it is /healthz, /readyz, /metrics or begins with /t/.
func (c *client) do(method, target, body string) answer {
	req := &http.Request{Method: method, URL: c.locate(target), Host: c.address, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Authorization": {"Bearer " + c.token}, "User-Agent": {"campaign"}}}
	if body != "" {
		req.Header.Set("Content-Type", "application/scim+json")
		req.ContentLength, req.Body = int64(len(body)), io.NopCloser(strings.NewReader(body))
	}
	return c.send(req)
}

// send sends any request, whose body has to be ready.
func (c *client) send(req *http.Request) answer {
	began := time.Now()
	a := c.exchange(req)
	a.Took = time.Since(began)
	return a
}

func (c *client) exchange(req *http.Request) answer {
	conn, err := c.take()
	if err != nil {
		return answer{outcome: unsent, Err: err}
	}
	a, reusable := conn.exchange(req)
	if reusable && !c.once {
		c.keep(conn)
	} else {
		conn.Close()
	}
	return a
}

func (conn *connection) exchange(req *http.Request) (a answer, reusable bool) {
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return answer{outcome: unknown, Err: err}, false
	}
	// The server may answer and close before it has read all: the answer counts, so a failed write is no end yet.
	broken := req.Write(conn)
	res, err := http.ReadResponse(conn.reader, req)
	if err != nil {
		return answer{outcome: unknown, Err: errors.Join(broken, err)}, false
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	a = answer{outcome: refused, Status: res.StatusCode, Header: res.Header, Body: body, Err: err}
	switch {
	case err != nil:
		a.outcome = unknown
	case res.StatusCode/100 == 2:
		a.outcome = acknowledged
	}
	conn.served++
	return a, err == nil && broken == nil && !res.Close
}

func (c *client) locate(target string) *url.URL {
	path, query, _ := strings.Cut(target, "?")
	switch {
	case path == "/healthz", path == "/readyz", path == "/metrics", strings.HasPrefix(path, "/t/"):
	default:
		path = c.base + path
	}
	return &url.URL{Scheme: "http", Host: c.address, Opaque: path, RawQuery: query}
}

const (
	userSchema  = "urn:ietf:params:scim:schemas:core:2.0:User"
	groupSchema = "urn:ietf:params:scim:schemas:core:2.0:Group"
	patchSchema = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
)

// get reads anything; target is as for do.
func (c *client) get(target string) answer { return c.do(http.MethodGet, target, "") }

// createUser creates a user with these attributes.
func (c *client) createUser(attributes map[string]any) answer {
	return c.do(http.MethodPost, "/Users", resource(userSchema, attributes))
}

// createGroup creates a group; Entra sends the members afterwards.
func (c *client) createGroup(displayName string) answer {
	return c.do(http.MethodPost, "/Groups", resource(groupSchema, map[string]any{"displayName": displayName, "members": []any{}}))
}

func resource(schema string, attributes map[string]any) string {
	body := map[string]any{"schemas": []string{schema}}
	for name, value := range attributes {
		body[name] = value
	}
	return text(body)
}

// operation is one operation of a PATCH, with Entra's capital letters.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path,omitempty"`
	Value any    `json:"value,omitempty"`
}

// patch changes a resource; target is such as /Users/{id}.
func (c *client) patch(target string, operations ...operation) answer {
	return c.do(http.MethodPatch, target, text(map[string]any{"schemas": []string{patchSchema}, "Operations": operations}))
}

// set replaces one attribute of a user.
func (c *client) set(id, path string, value any) answer {
	return c.patch("/Users/"+id, operation{"Replace", path, value})
}

// addMembers and removeMembers change a group by the ids of its members.
func (c *client) addMembers(group string, ids ...string) answer {
	return c.patch("/Groups/"+group, operation{"Add", "members", references(ids)})
}

func (c *client) removeMembers(group string, ids ...string) answer {
	return c.patch("/Groups/"+group, operation{"Remove", "members", references(ids)})
}

func references(ids []string) []map[string]string {
	values := make([]map[string]string, len(ids))
	for i, id := range ids {
		values[i] = map[string]string{"value": id}
	}
	return values
}

// delete deletes a resource; target is such as /Users/{id}.
func (c *client) delete(target string) answer { return c.do(http.MethodDelete, target, "") }

// filter lists the resources of an endpoint (/Users, /Groups) that a filter finds.
func (c *client) filter(endpoint, filter string) answer {
	return c.get(endpoint + "?filter=" + url.QueryEscape(filter))
}

// page lists a page of an endpoint; startIndex counts from 1.
func (c *client) page(endpoint string, startIndex, count int) answer {
	return c.get(fmt.Sprintf("%s?startIndex=%d&count=%d", endpoint, startIndex, count))
}

// text is a value as JSON, for values that have one.
func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // a map of strings and the like always has one
	}
	return string(data)
}
