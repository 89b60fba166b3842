package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// spelling is how a client writes an update.
type spelling string

const (
	entraDefault spelling = "default" // a path per operation, op in Pascal case, booleans as text
	entraFlag    spelling = "flag"    // lower-case op, real booleans, values without a path, members by value path
	put          spelling = "PUT"     // the whole resource
)

// stage is a tenant on which one row of the semantics is played: a client of the connection "default", whose users
// and groups have short names, and a view of what the host application sees. Its methods fail the test.
type stage struct {
	*writer
	t        *testing.T
	spelling spelling
	ids      map[string]string // by name
	bodies   map[string]object // what the client asserts, by name
	last     answer            // of the last write
}

// newStage makes a tenant whose connection has the settings that edit makes of the default ones; nil for these.
func newStage(t *testing.T, s *server, tenant string, sp spelling, edit func(*provisioning.Settings)) *stage {
	t.Helper()
	own := *s
	own.t = t
	c := own.newTenant(tenant)
	c = c.apply(provisioning.DefaultConnection, func(s *provisioning.Settings) {
		s.Roles.Names = []string{"auditor"} // whom a row appoints
		if edit != nil {
			edit(s)
		}
	})
	return &stage{writer: c.newWriter(), t: t, spelling: sp, ids: map[string]string{}, bodies: map[string]object{}}
}

// change puts other settings in force in the middle of a play.
func (s *stage) change(edit func(*provisioning.Settings)) {
	s.t.Helper()
	s.tenant = s.apply(provisioning.DefaultConnection, edit)
}

// beside is a client of another connection of the tenant, which is made at its first use.
func (s *stage) beside(connection string, edit func(*provisioning.Settings)) *stage {
	s.t.Helper()
	c := s.connect(connection, func(*provisioning.ConnectionSettings) {})
	if edit != nil {
		c = c.apply(connection, edit)
	}
	return &stage{writer: c.newWriter(), t: s.t, spelling: s.spelling, ids: map[string]string{}, bodies: map[string]object{}}
}

func nameOf(name string) string { return name + "@contoso.com" }

// keyOf is somebody's object id in the client's directory.
func keyOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	h := hex.EncodeToString(sum[:16])
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-8" + h[17:20] + "-" + h[20:]
}

// user is the body of a user with some attributes other than usual; nil leaves one out.
func user(name string, other object) object {
	u := object{"schemas": []string{scim.UserSchema}, "userName": nameOf(name), "externalId": keyOf(name), "active": true, "displayName": name,
		"emails": []object{{"type": "work", "value": nameOf(name), "primary": true}}}
	maps.Copy(u, other)
	maps.DeleteFunc(u, func(_ string, v any) bool { return v == nil })
	return u
}

// do sends a write and takes any answer.
func (s *stage) do(method, target string, body object) answer {
	s.t.Helper()
	text := ""
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			s.t.Fatal(err)
		}
		text = string(data)
	}
	a, err := s.write(s.t.Context(), method, target, text)
	if err != nil {
		s.t.Fatal(err)
	}
	s.last = a
	return a
}

// want fails unless the last write was answered with the status.
func (s *stage) want(status int) {
	s.t.Helper()
	if s.last.status != status {
		s.t.Fatalf("answered %d, want %d: %s", s.last.status, status, s.last.body)
	}
}

// refused is want with a scimType.
func (s *stage) refused(status int, scimType string) {
	s.t.Helper()
	s.want(status)
	if !strings.Contains(s.last.body, `"scimType":"`+scimType+`"`) {
		s.t.Errorf("no scimType %s in %s", scimType, s.last.body)
	}
}

// post creates a user and remembers it; what is not 201 is for the caller to expect.
func (s *stage) post(name string, other object) answer {
	s.t.Helper()
	body := user(name, other)
	a := s.do(http.MethodPost, "/Users", body)
	if a.status == http.StatusCreated {
		s.ids[name], s.bodies[name] = a.id(), body
	}
	return a
}

// users creates users who must all be new.
func (s *stage) users(names ...string) {
	s.t.Helper()
	for _, name := range names {
		s.post(name, nil)
		s.want(http.StatusCreated)
	}
}

// crowd creates n users and returns their names.
func (s *stage) crowd(n int) []string {
	s.t.Helper()
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("u%02d", i)
	}
	s.users(names...)
	return names
}

// team creates a group.
func (s *stage) team(name string, members ...string) {
	s.t.Helper()
	body := object{"schemas": []string{scim.GroupSchema}, "displayName": name, "members": s.list(members)}
	s.do(http.MethodPost, "/Groups", body)
	s.want(http.StatusCreated)
	s.ids[name], s.bodies[name] = s.last.id(), body
}

// list names members, by id where they are known.
func (s *stage) list(names []string) []object {
	out := []object{}
	for _, name := range names {
		out = append(out, object{"value": s.id(name)})
	}
	return out
}

func (s *stage) id(name string) string {
	if id, known := s.ids[name]; known {
		return id
	}
	return name
}

func (s *stage) path(name string) string {
	if s.bodies[name]["displayName"] != nil && s.bodies[name]["userName"] == nil {
		return "/Groups/" + s.ids[name]
	}
	return "/Users/" + s.ids[name]
}

// set assigns attributes in the client's spelling; nil unassigns.
func (s *stage) set(name string, values object) answer {
	s.t.Helper()
	body := maps.Clone(s.bodies[name])
	var ops []object
	for _, path := range slices.Sorted(maps.Keys(values)) {
		v := values[path]
		body[path] = v
		switch {
		case v == nil:
			delete(body, path)
			ops = append(ops, object{"op": s.op("Remove"), "path": path})
		case s.spelling == entraFlag && path != "active":
			ops = append(ops, object{"op": "replace", "value": object{path: v}})
		default:
			ops = append(ops, object{"op": s.op("Replace"), "path": path, "value": s.spelt(v)})
		}
	}
	if s.spelling == put {
		s.do(http.MethodPut, s.path(name), body)
	} else {
		s.operate(name, ops...)
	}
	if s.last.status < 300 {
		s.bodies[name] = body
	}
	return s.last
}

// operate sends operations as they are, in a PATCH whatever the spelling.
func (s *stage) operate(name string, ops ...object) answer {
	s.t.Helper()
	return s.do(http.MethodPatch, s.path(name), object{"schemas": []string{"urn:ietf:params:scim:api:messages:2.0:PatchOp"}, "Operations": ops})
}

func (s *stage) op(name string) string {
	if s.spelling == entraFlag {
		return strings.ToLower(name)
	}
	return name
}

// spelt is a value as the client sends it.
func (s *stage) spelt(v any) any {
	if b, is := v.(bool); is && s.spelling == entraDefault {
		return strings.ToUpper(fmt.Sprint(b)[:1]) + fmt.Sprint(b)[1:]
	}
	return v
}

func (s *stage) disable(name string) answer {
	s.t.Helper()
	return s.set(name, object{"active": false})
}

func (s *stage) enable(name string) answer {
	s.t.Helper()
	return s.set(name, object{"active": true})
}

func (s *stage) remove(name string) answer {
	s.t.Helper()
	return s.do(http.MethodDelete, s.path(name), nil)
}

// join adds members to a group, leave removes some; both in the client's spelling.
func (s *stage) join(group string, names ...string) answer {
	s.t.Helper()
	if s.spelling == put {
		return s.replace(group, append(s.inGroup(group), names...)...)
	}
	return s.operate(group, object{"op": s.op("Add"), "path": "members", "value": s.list(names)})
}

func (s *stage) leave(group string, names ...string) answer {
	s.t.Helper()
	switch s.spelling {
	case put:
		gone := func(name string) bool { return slices.Contains(names, name) }
		return s.replace(group, slices.DeleteFunc(s.inGroup(group), gone)...)
	case entraFlag:
		var ops []object
		for _, name := range names {
			ops = append(ops, object{"op": "remove", "path": fmt.Sprintf("members[value eq %q]", s.id(name))})
		}
		return s.operate(group, ops...)
	default:
		return s.operate(group, object{"op": "Remove", "path": "members", "value": s.list(names)})
	}
}

// replace puts the whole list of members.
func (s *stage) replace(group string, names ...string) answer {
	s.t.Helper()
	body := maps.Clone(s.bodies[group])
	body["members"] = s.list(names)
	return s.do(http.MethodPut, s.path(group), body)
}

// delayed expects a 503 that says when to come back.
func (s *stage) delayed() {
	s.t.Helper()
	s.want(http.StatusServiceUnavailable)
	if s.last.retryAfter == "" {
		s.t.Error("503 without Retry-After")
	}
}

// get reads a resource; nil where it is not there.
func (s *stage) get(target string) object {
	s.t.Helper()
	a, err := s.send(s.t.Context(), http.MethodGet, target, "")
	if err != nil {
		s.t.Fatal(err)
	}
	switch a.status {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil
	default:
		s.t.Fatalf("GET %s was answered %d: %s", target, a.status, a.body)
	}
	var o object
	if err := json.Unmarshal([]byte(a.body), &o); err != nil {
		s.t.Fatal(err)
	}
	return o
}

// found lists the ids that a filter finds.
func (s *stage) found(kind, path, value string) []string {
	s.t.Helper()
	page := s.get("/" + kind + "?filter=" + url.QueryEscape(fmt.Sprintf("%s eq %q", path, value)))
	ids := []string{}
	list, _ := page["Resources"].([]any)
	for _, v := range list {
		res, _ := v.(map[string]any)
		ids = append(ids, fmt.Sprint(res["id"]))
	}
	if page["totalResults"] != float64(len(ids)) {
		s.t.Errorf("totalResults %v for %d resources", page["totalResults"], len(ids))
	}
	return ids
}

// shows expects the client to find the resource, by id and by filters, with attributes as given; nil for none of that name.
func (s *stage) shows(name string, attributes object) object {
	s.t.Helper()
	res := s.get(s.path(name))
	if res == nil {
		s.t.Fatalf("%s is not found by id", name)
	}
	for path, want := range attributes {
		if got := res[path]; !sameJSON(got, want) {
			s.t.Errorf("%s: %s is shown as %v, want %v", name, path, got, want)
		}
	}
	kind, key := s.kind(name)
	for path, value := range map[string]any{key: res[key], "id": res["id"]} {
		if got := s.found(kind, path, fmt.Sprint(value)); !slices.Equal(got, []string{s.ids[name]}) {
			s.t.Errorf("%s: %s finds %v", name, path, got)
		}
	}
	return res
}

func (s *stage) kind(name string) (endpoint, key string) {
	if strings.HasPrefix(s.path(name), "/Groups") {
		return "Groups", "displayName"
	}
	return "Users", "userName"
}

// hides expects that the client finds nothing of the resource, and that its name is free.
func (s *stage) hides(name string) {
	s.t.Helper()
	if res := s.get(s.path(name)); res != nil {
		s.t.Errorf("%s is found by id: %v", name, res)
	}
	kind, key := s.kind(name)
	for path, value := range map[string]string{key: fmt.Sprint(s.bodies[name][key]), "id": s.ids[name]} {
		if got := s.found(kind, path, value); slices.Contains(got, s.ids[name]) {
			s.t.Errorf("%s: %s still finds it", name, path)
		}
	}
}

func sameJSON(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return string(x) == string(y)
}

// host expects the host application to see the resource in a state, "" for any, and returns it.
func (s *stage) host(name string, state provisioning.State) provisioning.Resource {
	s.t.Helper()
	kind := scim.User
	if strings.HasPrefix(s.path(name), "/Groups") {
		kind = scim.Group
	}
	x, err := s.service.Account(s.t.Context(), s.name, kind, s.ids[name])
	if err != nil {
		s.t.Fatalf("%s as the host application sees it: %v", name, err)
	}
	if state != "" && x.State != state {
		s.t.Errorf("%s: the host application sees it %s, want %s", name, x.State, state)
	}
	return x
}

// sees is the effective attribute that the host application sees of a user.
func (s *stage) sees(name, path string) any {
	s.t.Helper()
	x, err := s.service.Account(s.t.Context(), s.name, scim.User, s.ids[name])
	if err != nil {
		s.t.Fatal(err)
	}
	doc := x.Effective
	if doc == nil {
		doc = x.Asserted
	}
	var o object
	if err := json.Unmarshal(doc, &o); err != nil {
		s.t.Fatal(err)
	}
	return o[path]
}

// entry expects the journal to have one entry of the last write, with action, outcome and, unless it is "", reason.
func (s *stage) entry(action provisioning.JournalAction, outcome provisioning.Outcome, reason string) provisioning.Entry {
	s.t.Helper()
	own := s.entriesOf(s.last.correlation)
	own = slices.DeleteFunc(own, func(e provisioning.Entry) bool { return e.Request == nil })
	if len(own) != 1 {
		s.t.Fatalf("%d entries of the request, want 1", len(own))
	}
	e := own[0]
	if e.Action != action || e.Outcome != outcome || reason != "" && e.Reason.Code != reason {
		s.t.Errorf("journalled as %s / %s, reason %v; want %s / %s, reason %s", e.Action, e.Outcome, e.Reason, action, outcome, reason)
	}
	return e
}

func (s *stage) entriesOf(correlation string) []provisioning.Entry {
	s.t.Helper()
	var all []provisioning.Entry
	err := s.service.Entries(s.t.Context(), s.name, provisioning.EntryQuery{Correlation: correlation}, func(e provisioning.Entry) error {
		all = append(all, e)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// inGroup are the members that the client sees, by name, sorted.
func (s *stage) inGroup(group string) []string {
	s.t.Helper()
	res := s.get(s.path(group))
	names := []string{}
	list, _ := res["members"].([]any)
	for _, v := range list {
		m, _ := v.(map[string]any)
		names = append(names, s.called(fmt.Sprint(m["value"])))
	}
	slices.Sort(names)
	return names
}

// inHostGroup are the members that the host application sees.
func (s *stage) inHostGroup(group string) []string {
	s.t.Helper()
	names := []string{}
	err := s.service.Memberships(s.t.Context(), s.name, s.ids[group], func(m provisioning.GroupMember) error {
		names = append(names, s.called(m.Value))
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

func (s *stage) called(id string) string {
	for name, known := range s.ids {
		if known == id {
			return name
		}
	}
	return id
}

// members expects a group to have these members for the client and for the host application.
func (s *stage) members(group string, names ...string) {
	s.t.Helper()
	slices.Sort(names)
	if got := s.inGroup(group); !slices.Equal(got, names) {
		s.t.Errorf("the client sees %v in %s, want %v", got, group, names)
	}
	if got := s.inHostGroup(group); !slices.Equal(got, names) {
		s.t.Errorf("the host application sees %v in %s, want %v", got, group, names)
	}
}

// parted expects a group to have other members for its client than for the host application, in all that each of them reads.
func (s *stage) parted(group string, listed, effective []string) {
	s.t.Helper()
	if got := s.inGroup(group); !slices.Equal(got, listed) {
		s.t.Errorf("the client sees %v in %s, want %v", got, group, listed)
	}
	if got := s.inHostGroup(group); !slices.Equal(got, effective) {
		s.t.Errorf("the host application sees %v in %s, want %v", got, group, effective)
	}
	for _, name := range effective {
		of := s.get(s.path(name))["groups"]
		found := len(s.found("Groups", "members", s.id(name))) > 0
		if lists := slices.Contains(listed, name); lists != (of != nil) || lists != found {
			s.t.Errorf("%s is shown the groups %v, and found as a member: %t; the client lists it: %t", name, of, found, lists)
		}
	}
}

// matters are the tenant's open matters of a kind, latest first.
func (s *stage) matters(kind provisioning.MatterKind, status provisioning.MatterStatus) []provisioning.Matter {
	s.t.Helper()
	var all []provisioning.Matter
	err := s.store.View(s.t.Context(), s.name, func(r provisioning.Reader) error {
		return r.Matters(provisioning.MatterQuery{Kind: kind, Status: status}, func(m provisioning.Matter) error {
			all = append(all, m)
			return nil
		})
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// open expects exactly one open matter of a kind, about a resource unless name is "".
func (s *stage) open(kind provisioning.MatterKind, name string) provisioning.Matter {
	s.t.Helper()
	all := s.matters(kind, provisioning.MatterOpen)
	if len(all) != 1 || name != "" && all[0].Resource != s.ids[name] {
		s.t.Fatalf("open matters of kind %s: %+v; want one about %q", kind, all, name)
	}
	return all[0]
}

// none expects no open matter of any kind.
func (s *stage) none() {
	s.t.Helper()
	if all := s.matters("", provisioning.MatterOpen); len(all) > 0 {
		s.t.Errorf("open matters: %+v; want none", all)
	}
}

func period(d time.Duration) provisioning.Period { return provisioning.Period(d) }
