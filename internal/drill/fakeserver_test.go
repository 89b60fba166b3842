package drill

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const (
	fakeBase  = "http://fake.example/t/acme/scim/v2"
	fakeToken = "right-token"
)

// fakeServer is a small SCIM server in memory that answers as meibo promises to, until a plant makes it do otherwise.
type fakeServer struct {
	mu       sync.Mutex
	users    []*record
	groups   []*record
	issued   int // ids
	answered int // correlation ids
	plant    plant
	policy   policy
}

// plant is what one planted fault changes. Its zero value changes nothing.
type plant struct {
	before func(*http.Request) *reply             // answers instead of the server
	after  func(s *fakeServer, q *call, r *reply) // changes an answer
	store  func(attrs map[string]any)             // changes what a write leaves behind
	addTo  func(g *record, ids []string) []string // changes what an add of members adds
	// members answers an operation on members by itself, unless it returns nil
	members func(g *record, op string, ids []string) *reply
	list    func(q url.Values, all []*record) []*record
	match   func(attr, want, got string) (hit, decided bool)

	emptyOnRemove, dropOnDisable, dropOnEnable, wipeOnReplace, replaceAdds bool
	allowTwins, keepDeleted, listDeleted, hideDisabled, showDeletedMembers bool
	ignoreFilter, ignorePatch, ignoreExclude, anyToken                     bool
	nameStaysTaken, freshIDOnRestore, inheritID                            bool
	keepManager, oldNames                                                  bool

	view                     func(a *Account) (found bool) // changes what the host application sees
	share                    int                           // per cent that the tolerance lets go, instead of 20
	applyDelayed, deafToThem bool                          // does what it puts off; does not listen to the person
	hostGroupsEmpty          bool                          // the host application sees no members
	stopsOthers              bool                          // answers 503 to every PATCH once the tolerance is used up
}

type record struct {
	id      string
	attrs   map[string]any
	members []string
	gone    bool
	names   []string // every userName it ever had
	state   string   // in the host application's view
	role    string
}

// call is a parsed request.
type call struct {
	*http.Request
	kind   string // Users, Groups or a discovery endpoint
	id     string
	query  url.Values
	body   map[string]any
	target *record
}

type reply struct {
	status int
	header http.Header
	body   any
	raw    []byte // instead of body
}

// RoundTrip answers without a network.
func (s *fakeServer) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, r)
	return rec.Result(), nil
}

func (s *fakeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.parse(r)
	var re *reply
	if s.plant.before != nil {
		re = s.plant.before(r)
	}
	if re == nil {
		re = s.route(q)
	}
	s.answered++
	re.header = orHeader(re.header)
	re.header.Set("X-Correlation-Id", fmt.Sprintf("00000000-0000-4000-8000-%012d", s.answered))
	re.header.Set("Content-Type", "application/scim+json; charset=utf-8")
	if s.plant.after != nil {
		s.plant.after(s, q, re)
	}
	maps.Copy(w.Header(), re.header)
	w.WriteHeader(re.status)
	if re.raw == nil && re.body != nil {
		re.raw, _ = json.Marshal(re.body)
	}
	_, _ = w.Write(re.raw)
}

func orHeader(h http.Header) http.Header {
	if h == nil {
		return http.Header{}
	}
	return h
}

func (s *fakeServer) parse(r *http.Request) *call {
	q := &call{Request: r, query: r.URL.Query()}
	rest := strings.TrimPrefix(r.URL.Path, "/t/acme/scim/v2/")
	q.kind, q.id, _ = strings.Cut(rest, "/")
	if r.Body != nil {
		raw, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(raw, &q.body)
	}
	for _, rec := range *s.table(q.kind) {
		if rec.id == q.id && q.id != "" {
			q.target = rec
		}
	}
	return q
}

func (s *fakeServer) table(kind string) *[]*record {
	if kind == "Groups" {
		return &s.groups
	}
	return &s.users
}

func fail(status int, scimType, detail string) *reply {
	body := map[string]any{"schemas": []string{errorSchema}, "status": strconv.Itoa(status), "detail": detail}
	if scimType != "" {
		body["scimType"] = scimType
	}
	return &reply{status: status, body: body}
}

func (s *fakeServer) route(q *call) *reply {
	if q.Header.Get("Authorization") != "Bearer "+fakeToken && !s.plant.anyToken {
		re := fail(http.StatusUnauthorized, "", "the token is unknown")
		re.header = http.Header{"Www-Authenticate": {"Bearer"}}
		return re
	}
	switch q.kind {
	case "ServiceProviderConfig", "ResourceTypes", "Schemas":
		return discoveryReply(q.kind)
	case "Users", "Groups":
	default:
		return fail(http.StatusNotFound, "", "no such endpoint")
	}
	switch {
	case q.id == "" && q.Method == http.MethodPost:
		return s.create(q)
	case q.id == "" && q.Method == http.MethodGet:
		return s.list(q)
	case q.target == nil || (q.target.gone && !s.plant.keepDeleted):
		return fail(http.StatusNotFound, "", "no such resource")
	case q.Method == http.MethodGet:
		return &reply{status: http.StatusOK, body: s.render(q, q.target)}
	case q.Method == http.MethodPatch:
		return s.patch(q)
	case q.Method == http.MethodDelete:
		if q.target.gone {
			return fail(http.StatusNotFound, "", "no such resource")
		}
		if q.kind == "Users" {
			if re := s.leave(q.target, s.policy.deleted); re != nil {
				return re
			}
		}
		q.target.gone = true
		return &reply{status: http.StatusNoContent}
	default:
		return fail(http.StatusMethodNotAllowed, "", "not here")
	}
}

func (s *fakeServer) create(q *call) *reply {
	attrs := maps.Clone(q.body)
	for _, key := range []string{"schemas", "meta", "members", "id"} {
		delete(attrs, key)
	}
	if roles, _ := attrs["roles"].([]any); len(roles) == 0 {
		delete(attrs, "roles")
	}
	unique := uniqueAttr(q.kind)
	name, _ := attrs[unique].(string)
	var restored *record
	for _, rec := range *s.table(q.kind) {
		same := strings.EqualFold(fmt.Sprint(rec.attrs[unique]), name)
		if same && !s.plant.allowTwins && (!rec.gone || s.plant.nameStaysTaken) {
			return fail(http.StatusConflict, "uniqueness", unique+" is taken: choose another")
		}
		if rec.gone && (!s.policy.purges || rec.role == "admin") && q.kind == "Users" && (rec.attrs["externalId"] == attrs["externalId"] || same && s.plant.inheritID) {
			restored = rec
		}
	}
	if restored == nil || s.plant.freshIDOnRestore {
		s.issued++
		restored = &record{id: fmt.Sprintf("0192a7e2-0000-7000-8000-%012x", s.issued)}
		table := s.table(q.kind)
		*table = append(*table, restored)
	}
	restored.gone = false
	s.arrive(restored, attrs["active"])
	s.keep(restored, attrs)
	re := &reply{status: http.StatusCreated, body: s.render(q, restored)}
	re.header = http.Header{"Location": {fakeBase + "/" + q.kind + "/" + restored.id}}
	return re
}

func uniqueAttr(kind string) string {
	if kind == "Groups" {
		return "displayName"
	}
	return "userName"
}

func (s *fakeServer) keep(rec *record, attrs map[string]any) {
	if s.plant.store != nil {
		s.plant.store(attrs)
	}
	rec.attrs = attrs
	if name, ok := attrs["userName"].(string); ok {
		rec.names = append(rec.names, name)
	}
}

func (s *fakeServer) render(q *call, rec *record) map[string]any {
	res := map[string]any{}
	raw, _ := json.Marshal(rec.attrs) // a deep copy: plants may change answers
	_ = json.Unmarshal(raw, &res)
	schema := coreUser
	if q.kind == "Groups" {
		schema = coreGroup
	}
	schemas := []any{schema}
	if res[enterpriseUser] != nil {
		schemas = append(schemas, enterpriseUser)
	}
	res["id"], res["schemas"] = rec.id, schemas
	res["meta"] = map[string]any{
		"resourceType": strings.TrimSuffix(q.kind, "s"), "created": "2026-11-21T00:00:00.000000Z", "lastModified": "2026-11-21T00:00:00.000000Z",
		"location": fakeBase + "/" + q.kind + "/" + rec.id, "version": `W/"1"`,
	}
	if q.kind == "Groups" && (q.query.Get("excludedAttributes") != "members" || s.plant.ignoreExclude) {
		if members := s.visible(rec.members); len(members) > 0 {
			res["members"] = members
		}
	}
	return res
}

func (s *fakeServer) visible(ids []string) []any {
	var members []any
	for _, id := range ids {
		i := slices.IndexFunc(s.users, func(u *record) bool { return u.id == id })
		if i >= 0 && (!s.users[i].gone || s.plant.showDeletedMembers) {
			members = append(members, map[string]any{"value": id, "$ref": fakeBase + "/Users/" + id, "type": "User"})
		}
	}
	return members
}

func (s *fakeServer) list(q *call) *reply {
	var hits []*record
	for _, rec := range *s.table(q.kind) {
		if rec.gone && !s.plant.keepDeleted && (!s.plant.listDeleted || q.query.Has("filter")) {
			continue
		}
		if rec.attrs["active"] == false && s.plant.hideDisabled {
			continue
		}
		if s.plant.ignoreFilter || s.selects(q.query.Get("filter"), rec) {
			hits = append(hits, rec)
		}
	}
	if s.plant.list != nil {
		hits = s.plant.list(q.query, hits)
	}
	start, count := atoi(q.query.Get("startIndex"), 1), atoi(q.query.Get("count"), 100)
	from := min(start-1, len(hits))
	resources := []any{}
	for _, rec := range hits[from:min(from+count, len(hits))] {
		if q.query.Get("attributes") == "id" {
			resources = append(resources, map[string]any{"id": rec.id})
			continue
		}
		resources = append(resources, s.render(q, rec))
	}
	return &reply{status: http.StatusOK, body: map[string]any{
		"schemas": []any{listSchema}, "totalResults": len(hits), "startIndex": start, "itemsPerPage": len(resources), "Resources": resources,
	}}
}

func atoi(s string, fallback int) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return fallback
	}
	return n
}

var (
	termForm = regexp.MustCompile(`^(emails\[type eq "work"\]\.value|[\w.:]+) eq ("(?:[^"\\]|\\.)*")(?: and )?`)
	pathForm = regexp.MustCompile(`^(?:(urn:.*:User):)?(\w+)(?:\[(\w+) eq "(.*)"\])?(?:\.(\w+))?$`)
)

// selects joins terms by and; an unreadable filter selects nothing.
func (s *fakeServer) selects(filter string, rec *record) bool {
	for filter != "" {
		m := termForm.FindStringSubmatch(filter)
		if m == nil {
			return false
		}
		var want string
		if json.Unmarshal([]byte(m[2]), &want) != nil || !s.equal(rec, m[1], want) {
			return false
		}
		filter = filter[len(m[0]):]
	}
	return true
}

func (s *fakeServer) equal(rec *record, attr, want string) bool {
	folded := func(got string) bool { return strings.EqualFold(got, want) }
	switch strings.ToLower(attr) {
	case "id":
		return rec.id == want
	case "members":
		return slices.Contains(rec.members, want)
	case "manager":
		ext, _ := rec.attrs[enterpriseUser].(map[string]any)
		m, _ := ext["manager"].(map[string]any)
		return m["value"] == want
	case "emails[type eq \"work\"].value":
		e, _ := find(rec.attrs["emails"], "type", "work").(map[string]any)
		got, ok := e["value"].(string)
		return ok && folded(got)
	case "externalid":
		got, _ := rec.attrs["externalId"].(string)
		return s.decide("externalId", want, got, got == want)
	case "displayname":
		return folded(fmt.Sprint(rec.attrs["displayName"]))
	default:
		if s.plant.oldNames && slices.ContainsFunc(rec.names, folded) {
			return true
		}
		got := fmt.Sprint(rec.attrs["userName"])
		return s.decide("userName", want, got, folded(got))
	}
}

func (s *fakeServer) decide(attr, want, got string, right bool) bool {
	if s.plant.match != nil {
		if hit, decided := s.plant.match(attr, want, got); decided {
			return hit
		}
	}
	return right
}

func find(list any, key, value string) any {
	values, _ := list.([]any)
	for _, v := range values {
		if e, _ := v.(map[string]any); strings.EqualFold(fmt.Sprint(e[key]), value) {
			return e
		}
	}
	return nil
}

func (s *fakeServer) patch(q *call) *reply {
	rec := q.target
	if !s.plant.ignorePatch {
		attrs := map[string]any{}
		raw, _ := json.Marshal(rec.attrs)
		_ = json.Unmarshal(raw, &attrs)
		ops, _ := q.body["Operations"].([]any)
		for _, o := range ops {
			op, _ := o.(map[string]any)
			if re := s.onMembers(rec, op); re != nil {
				return re
			}
			s.operate(rec, attrs, strings.ToLower(fmt.Sprint(op["op"])), op)
		}
		if re := s.govern(q, rec, attrs); re != nil {
			return re
		}
		s.toggled(rec, attrs)
		s.keep(rec, attrs)
	}
	if q.kind == "Groups" {
		return &reply{status: http.StatusNoContent}
	}
	return &reply{status: http.StatusOK, body: s.render(q, rec)}
}

// toggled plants the loss of memberships when a user is disabled or enabled.
func (s *fakeServer) toggled(rec *record, attrs map[string]any) {
	was, is := rec.attrs["active"], attrs["active"]
	if (was == true && is == false && s.plant.dropOnDisable) || (was == false && is == true && s.plant.dropOnEnable) {
		for _, g := range s.groups {
			g.members = without(g.members, rec.id)
		}
	}
}

func without(list []string, gone ...string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(id string) bool { return slices.Contains(gone, id) })
}

func (s *fakeServer) operate(rec *record, attrs map[string]any, op string, o map[string]any) {
	path, _ := o["path"].(string)
	switch {
	case strings.HasPrefix(path, "members"):
		s.membersOp(rec, op, path, o["value"])
	case path != "":
		s.set(rec, attrs, path, op, o["value"])
	default:
		values, _ := o["value"].(map[string]any)
		for key, v := range values {
			s.set(rec, attrs, key, op, v)
		}
	}
}

func (s *fakeServer) onMembers(rec *record, o map[string]any) *reply {
	path, _ := o["path"].(string)
	if s.plant.members == nil || !strings.HasPrefix(path, "members") {
		return nil
	}
	return s.plant.members(rec, strings.ToLower(fmt.Sprint(o["op"])), idsIn(path, o["value"]))
}

// idsIn reads the member ids of an operation from its value list or its value path.
func idsIn(path string, value any) []string {
	var ids []string
	values, _ := value.([]any)
	for _, v := range values {
		m, _ := v.(map[string]any)
		ids = append(ids, fmt.Sprint(m["value"]))
	}
	if m := pathForm.FindStringSubmatch(path); m != nil && m[4] != "" {
		ids = []string{m[4]}
	}
	return ids
}

func (s *fakeServer) membersOp(rec *record, op, path string, value any) {
	ids := idsIn(path, value)
	switch {
	case op == "remove" && (s.plant.emptyOnRemove || len(ids) == 0):
		rec.members = nil
	case op == "remove":
		rec.members = without(rec.members, ids...)
	case op == "replace" && !s.plant.replaceAdds:
		rec.members = ids
	default:
		if s.plant.addTo != nil {
			ids = s.plant.addTo(rec, ids)
			rec.members = append(rec.members, ids...)
			return
		}
		rec.members = append(rec.members, without(ids, rec.members...)...)
	}
}

// set writes one attribute, with Entra's spellings taken in.
func (s *fakeServer) set(rec *record, attrs map[string]any, path, op string, v any) {
	m := pathForm.FindStringSubmatch(path)
	urn, name, key, want, sub := m[1], m[2], m[3], m[4], m[5]
	if s.plant.wipeOnReplace && (name == "externalId" || name == "displayName") {
		rec.members = nil
	}
	holder := attrs
	if urn != "" || name == "manager" {
		holder = child(attrs, enterpriseUser)
	}
	switch {
	case name == "active":
		attrs["active"] = strings.EqualFold(fmt.Sprint(v), "true")
	case name == "manager":
		s.setManager(holder, v)
	case key != "":
		element, _ := find(holder[name], key, want).(map[string]any)
		if element == nil {
			element = map[string]any{key: want}
			list, _ := holder[name].([]any)
			holder[name] = append(list, element)
		}
		element[sub] = v
	case sub != "":
		child(holder, name)[sub] = v
	case name == "roles" && op == "add":
		list, _ := holder[name].([]any)
		more, _ := v.([]any)
		holder[name] = append(list, more...)
	default:
		holder[name] = v
	}
}

func (s *fakeServer) setManager(ext map[string]any, v any) {
	if list, ok := v.([]any); ok && len(list) == 1 {
		m, _ := list[0].(map[string]any)
		v = m["value"]
	}
	switch {
	case v != "":
		ext["manager"] = map[string]any{"value": v}
	case !s.plant.keepManager:
		delete(ext, "manager")
	}
}

func child(m map[string]any, key string) map[string]any {
	c, ok := m[key].(map[string]any)
	if !ok {
		c = map[string]any{}
		m[key] = c
	}
	return c
}

func discoveryReply(kind string) *reply {
	if kind == "ServiceProviderConfig" {
		yes := map[string]any{"supported": true}
		return &reply{status: http.StatusOK, body: map[string]any{"schemas": []any{}, "patch": yes, "filter": yes}}
	}
	var resources []any
	if kind == "ResourceTypes" {
		resources = []any{map[string]any{"endpoint": "/Users"}, map[string]any{"endpoint": "/Groups"}}
	} else {
		resources = schemaResources()
	}
	return &reply{status: http.StatusOK, body: map[string]any{
		"schemas": []any{listSchema}, "totalResults": len(resources), "startIndex": 1, "itemsPerPage": len(resources), "Resources": resources,
	}}
}

func schemaResources() []any {
	attr := func(name string, subs ...string) any {
		list := []any{}
		for _, sub := range subs {
			list = append(list, map[string]any{"name": sub})
		}
		return map[string]any{"name": name, "subAttributes": list}
	}
	return []any{
		map[string]any{"id": coreUser, "attributes": []any{
			attr("userName"), attr("displayName"), attr("title"), attr("preferredLanguage"), attr("active"),
			attr("name", "formatted", "givenName", "familyName"), attr("emails", "type", "value"), attr("phoneNumbers", "type", "value"),
			attr("roles", "type", "value", "primary"),
			attr("addresses", "type", "formatted", "streetAddress", "locality", "region", "postalCode", "country"),
		}},
		map[string]any{"id": coreGroup, "attributes": []any{attr("displayName"), attr("members", "value")}},
		map[string]any{"id": enterpriseUser, "attributes": []any{attr("employeeNumber"), attr("department"), attr("manager", "value")}},
	}
}
