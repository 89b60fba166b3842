package campaign

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

const (
	linearClients = 8
	linearSlots   = 6 // userNames that the clients quarrel over
	linearGroups  = 2
	linearMembers = 4
	linearCheck   = 2 * time.Minute // of each key's history
)

// TestLinearizable has several clients quarrel over a few users and memberships, and asks whether each one's history
// could have happened in some order of single steps: no read that is older than one before it, no lost change.
func TestLinearizable(t *testing.T) {
	concurrently(t)
	each(t, func(t *testing.T, db database) {
		s := start(t, db.fresh(t))
		checkLinear(t, "linearizability", db.name, s)
	})
}

// TestLinearizableOverTwoServers is the same over two processes on one database, between which nothing but it knows
// what happened.
func TestLinearizableOverTwoServers(t *testing.T) {
	concurrently(t)
	db := databases[1]
	s := start(t, db.fresh(t))
	checkLinear(t, "linearizability, two servers", db.name, s, s.another())
}

func checkLinear(t *testing.T, name, database string, servers ...*server) {
	t.Helper()
	f := report(t, name, database)
	h := record(t, times(1_000, 10_000), servers...)
	f.done, f.times = "concurrent creates, patches, deletes, reads, member changes", len(h.operations)
	began := time.Now()
	wrong := h.judge(t)
	h.checkPlanted(t)
	f.seen = fmt.Sprintf("%d of %d keys not linearizable, %d unknown outcomes, %d unexpected answers; %v; %d clients; checked in %v",
		wrong, len(h.keys()), h.unknown, h.odd, h.counts, linearClients, time.Since(began).Round(time.Millisecond))
	if h.unknown > 0 {
		t.Errorf("%d requests without an answer, and no fault was planted", h.unknown)
	}
	for what, least := range map[string]int{
		"created": 20, "create refused": 20, "patched": 20, "overtaken": 5, "deleted": 20, "found": 20, "not found": 20, "member": 20, "no member": 20,
	} {
		if h.counts[what] < least {
			t.Errorf("%q happened %d times: too few to prove anything", what, h.counts[what])
		}
	}
}

// checkPlanted makes one read of the clients' own history older than it was: the check must not let that pass.
func (h *history) checkPlanted(t *testing.T) {
	t.Helper()
	for _, operations := range byKey(h.operations) {
		stale, ok := withStaleRead(operations)
		if !ok {
			continue
		}
		if porcupine.CheckOperations(userModel(), stale) {
			t.Error("a stale read passes the check")
		}
		return
	}
	t.Error("no history has two writes and a read in a row to plant a stale read in")
}

// withStaleRead is a history in which a read that began after two writes, one after the other, shows the first.
func withStaleRead(operations []porcupine.Operation) ([]porcupine.Operation, bool) {
	wrote := func(o porcupine.Operation, id string) bool {
		return o.Input.(act).verb == patchingOne && o.Output.(result).status == http.StatusOK && o.Output.(result).id == id
	}
	for i, read := range operations {
		was := read.Output.(result)
		if read.Input.(act).verb != readingOne || was.status != http.StatusOK {
			continue
		}
		for _, first := range operations {
			for _, second := range operations {
				if wrote(first, was.id) && wrote(second, was.id) && first.Return < second.Call && second.Return < read.Call {
					planted := slices.Clone(operations)
					planted[i].Output = first.Output
					return planted, true
				}
			}
		}
	}
	return nil, false
}

// act is what a client asks of one key, as the models see it.
type act struct {
	key    string // of the partition: "user 3", "member 1 of 0"
	verb   verb
	id     string // of the user that is asked for
	value  string // to be written
	expect int    // version that If-Match names; 0: unconditional
}

type verb int

const (
	creating verb = iota
	patchingOne
	deletingOne
	readingOne // by id
	findingOne // by name
	addingMember
	removingMember
	readingMember
)

// result is what came back, where it is known.
type result struct {
	unknown bool // no answer: it may have been done or not
	status  int
	id      string
	value   string
	version int
	member  bool
}

// history is what the clients saw.
type history struct {
	began time.Time

	mu         sync.Mutex
	operations []porcupine.Operation
	counts     map[string]int
	unknown    int
	odd        int
}

func (h *history) keys() map[string]bool {
	keys := map[string]bool{}
	for _, o := range h.operations {
		keys[o.Input.(act).key] = true
	}
	return keys
}

// judge checks each key's history by itself, which together is as good as all at once, and returns how many are wrong.
func (h *history) judge(t *testing.T) (wrong int) {
	t.Helper()
	for key, operations := range byKey(h.operations) {
		model := userModel()
		if strings.HasPrefix(key, "member") {
			model = memberModel()
		}
		if got := porcupine.CheckOperationsTimeout(model, operations, linearCheck); got != porcupine.Ok {
			wrong++
			t.Errorf("the history of %s, %d operations: %v", key, len(operations), got)
		}
	}
	return wrong
}

func byKey(operations []porcupine.Operation) map[string][]porcupine.Operation {
	keys := map[string][]porcupine.Operation{}
	for _, o := range operations {
		key := o.Input.(act).key
		keys[key] = append(keys[key], o)
	}
	return keys
}

// user is the state of the user of one name. The zero user is absent.
type user struct {
	id      string
	value   string
	version int // 0: present, but of a version that nobody was told
}

// anyID is the id of a user whose creation was not answered, until some answer tells it.
const anyID = "?"

// userModel is one userName: at most one user has it, a new one gets a new id.
func userModel() porcupine.Model {
	model := porcupine.NondeterministicModel{
		Init: func() []any { return []any{user{}} },
		Step: func(state, input, output any) []any {
			return stepUser(state.(user), input.(act), output.(result))
		},
		Equal: func(a, b any) bool { return a == b },
	}
	return model.ToModel()
}

func stepUser(u user, a act, r result) []any {
	switch a.verb {
	case creating:
		return stepCreate(u, a, r)
	case patchingOne:
		return stepPatch(u, a, r)
	case deletingOne:
		return stepDelete(u, a, r)
	case readingOne:
		return stepRead(u, r, u.id == a.id)
	default:
		return stepRead(u, r, u.id != "")
	}
}

func stepCreate(u user, a act, r result) []any {
	switch {
	case r.unknown && u.id == "":
		return []any{u, user{id: anyID, value: a.value}}
	case r.unknown:
		return []any{u}
	case r.status == http.StatusCreated && u.id == "":
		return []any{user{r.id, r.value, r.version}}
	case r.status == http.StatusConflict && u.id != "":
		return []any{u}
	default:
		return nil
	}
}

// stepPatch: a PATCH changes the user that its id names, if it still has that version.
func stepPatch(u user, a act, r result) []any {
	there := u.id == a.id || u.id == anyID
	current := a.expect == 0 || u.version == 0 || u.version == a.expect
	switch {
	case r.unknown && there && current:
		return []any{u, user{a.id, a.value, 0}}
	case r.unknown:
		return []any{u}
	case r.status == http.StatusOK && there && current && r.value == a.value && r.version > u.version:
		return []any{user{a.id, a.value, r.version}}
	case r.status == http.StatusPreconditionFailed && there && (u.version == 0 || !current):
		return []any{u}
	case r.status == http.StatusNotFound && u.id != a.id:
		return []any{u}
	default:
		return nil
	}
}

func stepDelete(u user, a act, r result) []any {
	there := u.id == a.id || u.id == anyID
	switch {
	case r.unknown && there:
		return []any{u, user{}}
	case r.unknown:
		return []any{u}
	case r.status == http.StatusNoContent && there:
		return []any{user{}}
	case r.status == http.StatusNotFound && u.id != a.id:
		return []any{u}
	default:
		return nil
	}
}

// stepRead: whoever reads learns all of it, also what nobody was told before.
func stepRead(u user, r result, there bool) []any {
	known := u.id == r.id && (u.version == r.version || u.version == 0) && u.value == r.value
	guessed := u.id == anyID && u.value == r.value
	switch {
	case r.unknown:
		return []any{u}
	case r.status == http.StatusOK && (there && known || guessed):
		return []any{user{r.id, r.value, r.version}}
	case r.status == http.StatusNotFound && (!there || u.id == anyID):
		return []any{u}
	default:
		return nil
	}
}

// memberModel is whether one user is a member of one group: a set of one.
func memberModel() porcupine.Model {
	model := porcupine.NondeterministicModel{
		Init: func() []any { return []any{false} },
		Step: func(state, input, output any) []any {
			return stepMember(state.(bool), input.(act), output.(result))
		},
	}
	return model.ToModel()
}

func stepMember(member bool, a act, r result) []any {
	wanted := a.verb == addingMember
	switch {
	case a.verb == readingMember && (r.unknown || r.status == http.StatusOK && r.member == member):
		return []any{member}
	case a.verb == readingMember:
		return nil
	case r.unknown:
		return []any{member, wanted}
	case r.status == http.StatusNoContent:
		return []any{wanted}
	default:
		return nil
	}
}

// quarrel is the clients at work.
type quarrel struct {
	t       *testing.T
	h       *history
	clients []*client
	ids     [linearSlots]atomic.Pointer[string] // the newest id that somebody was told of each name
	values  atomic.Int64
	groups  []string
	members []string
}

// quarreller is one client: what it was told last of each name itself is what it writes on.
type quarreller struct {
	*quarrel
	*client
	who  int
	rng  *rand.Rand
	last [linearSlots]result
}

// quarrelVerbs are what a client does to users, some of it more often.
var quarrelVerbs = []verb{creating, creating, patchingOne, patchingOne, patchingOne, patchingOne, deletingOne, readingOne, readingOne, findingOne}

// record lets the clients do n operations and returns what they saw.
func record(t *testing.T, n int, servers ...*server) *history {
	t.Helper()
	q := &quarrel{t: t, h: &history{began: time.Now(), counts: map[string]int{}}}
	for _, s := range servers {
		q.clients = append(q.clients, s.client())
	}
	for i := range linearMembers {
		q.members = append(q.members, wantOutcome(t, q.clients[0].createUser(map[string]any{"userName": fmt.Sprintf("member-%d", i)}), acknowledged).id())
	}
	for i := range linearGroups {
		q.groups = append(q.groups, wantOutcome(t, q.clients[0].createGroup(fmt.Sprintf("Group %d", i)), acknowledged).id())
	}
	var left atomic.Int64
	left.Store(int64(n))
	var work sync.WaitGroup
	for i := range linearClients {
		work.Go(func() {
			c := &quarreller{quarrel: q, client: q.clients[i%len(q.clients)], who: i, rng: rand.New(rand.NewPCG(1, uint64(i)))}
			for left.Add(-1) >= 0 {
				c.act()
			}
		})
	}
	work.Wait()
	for _, c := range q.clients {
		c.close()
	}
	return q.h
}

// act is one operation.
func (c *quarreller) act() {
	if c.rng.IntN(3) == 0 {
		c.actOnMember()
		return
	}
	slot := c.rng.IntN(linearSlots)
	a := act{key: fmt.Sprintf("user %d", slot), verb: quarrelVerbs[c.rng.IntN(len(quarrelVerbs))], value: fmt.Sprintf("value %d", c.values.Add(1))}
	switch id := c.ids[slot].Load(); {
	case id != nil:
		a.id = *id
	case a.verb != findingOne:
		a.verb = creating
	}
	if last := c.last[slot]; a.verb == patchingOne && last.id != "" && c.rng.IntN(2) == 0 {
		a.id, a.expect = last.id, last.version
	}
	call := c.now()
	r := c.send(slot, a)
	c.h.note(c.who, a, r, call, c.now())
	if r.id != "" {
		c.last[slot] = r
		c.ids[slot].Store(&r.id)
	}
}

func (q *quarrel) now() int64 { return int64(time.Since(q.h.began)) }

func nameOf(slot int) string { return fmt.Sprintf("slot-%d@contoso.example", slot) }

// send asks for it over HTTP and says what the model should know of the answer.
func (c *quarreller) send(slot int, a act) result {
	switch a.verb {
	case creating:
		return userResult(c.createUser(map[string]any{"userName": nameOf(slot), "title": a.value}))
	case patchingOne:
		return userResult(c.patchIf(a))
	case deletingOne:
		return userResult(c.delete("/Users/" + a.id))
	case readingOne:
		return userResult(c.get("/Users/" + a.id))
	default:
		return foundResult(c.filter("/Users", `userName eq "`+nameOf(slot)+`"`))
	}
}

func (c *quarreller) patchIf(a act) answer {
	body := text(map[string]any{"schemas": []string{patchSchema}, "Operations": []operation{{"replace", "title", a.value}}})
	req, err := http.NewRequest(http.MethodPatch, "http://"+c.address+c.base+"/Users/"+a.id, strings.NewReader(body))
	if err != nil {
		return answer{outcome: unsent, Err: err}
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/scim+json")
	if a.expect > 0 {
		req.Header.Set("If-Match", fmt.Sprintf(`W/"%d"`, a.expect))
	}
	return c.client.send(req)
}

// shown is a user as answers show it.
type shown struct {
	ID, Title string
	Meta      struct{ Version string }
}

func (s shown) result(status int) result {
	version, _ := strconv.Atoi(strings.Trim(s.Meta.Version, `W/"`)) // 0 where there is none
	return result{status: status, id: s.ID, value: s.Title, version: version}
}

func userResult(a answer) result {
	if a.outcome != acknowledged && a.outcome != refused {
		return result{unknown: true}
	}
	var u shown
	if a.outcome == acknowledged {
		_ = json.Unmarshal(a.Body, &u) // a DELETE has none
	}
	return u.result(a.Status)
}

// foundResult is a list of one or none as a read: no user is a 404.
func foundResult(a answer) result {
	if a.outcome != acknowledged {
		return userResult(a)
	}
	var page struct{ Resources []shown }
	switch err := json.Unmarshal(a.Body, &page); {
	case err != nil || len(page.Resources) > 1:
		return result{status: -1} // no model allows it
	case len(page.Resources) == 0:
		return result{status: http.StatusNotFound}
	default:
		return page.Resources[0].result(http.StatusOK)
	}
}

// actOnMember changes one membership, or reads a whole group, which is a read of each member's.
func (c *quarreller) actOnMember() {
	group, member := c.rng.IntN(linearGroups), c.rng.IntN(linearMembers)
	key := func(member int) string { return fmt.Sprintf("member %d of %d", member, group) }
	call := c.now()
	note := func(member int, v verb, r result) { c.h.note(c.who, act{key: key(member), verb: v}, r, call, c.now()) }
	switch c.rng.IntN(4) {
	case 0:
		note(member, addingMember, userResult(c.addMembers(c.groups[group], c.members[member])))
	case 1:
		note(member, removingMember, userResult(c.removeMembers(c.groups[group], c.members[member])))
	case 2:
		found := c.filter("/Groups", fmt.Sprintf(`id eq "%s" and members eq "%s"`, c.groups[group], c.members[member]))
		_, ids, _ := found.list()
		r := userResult(found)
		r.member = len(ids) == 1
		note(member, readingMember, r)
	default:
		whole := c.get("/Groups/" + c.groups[group])
		present := membersOf(whole)
		for i, id := range c.members {
			r := userResult(whole)
			r.member = present[id]
			note(i, readingMember, r)
		}
	}
}

func membersOf(a answer) map[string]bool {
	var group struct{ Members []struct{ Value string } }
	_ = json.Unmarshal(a.Body, &group) // none where it is no group: the status says so
	present := map[string]bool{}
	for _, m := range group.Members {
		present[m.Value] = true
	}
	return present
}

// note adds an operation. One without an answer may take effect at any later time.
func (h *history) note(who int, a act, r result, call, ended int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.unknown {
		h.unknown++
		ended = int64(1) << 62
	}
	h.counts[h.name(a, r)]++
	h.operations = append(h.operations, porcupine.Operation{ClientId: who, Input: a, Call: call, Output: r, Return: ended})
}

// name says what happened, for the report.
func (h *history) name(a act, r result) string {
	member := map[bool]string{true: "member", false: "no member"}
	switch {
	case r.unknown:
		return "unknown"
	case a.verb == creating && r.status == http.StatusCreated:
		return "created"
	case a.verb == creating && r.status == http.StatusConflict:
		return "create refused"
	case a.verb == patchingOne && r.status == http.StatusOK:
		return "patched"
	case r.status == http.StatusPreconditionFailed:
		return "overtaken"
	case a.verb == deletingOne && r.status == http.StatusNoContent:
		return "deleted"
	case a.verb >= addingMember && r.status/100 == 2:
		return member[a.verb == addingMember || r.member]
	case r.status == http.StatusOK:
		return "found"
	case r.status == http.StatusNotFound:
		return "not found"
	default:
		h.odd++
		return fmt.Sprintf("status %d", r.status)
	}
}

// TestLinearModelsFindFaults plants faults into small histories: each must be found, and the sound ones must pass.
func TestLinearModelsFindFaults(t *testing.T) {
	t.Parallel()
	const ok, created, noContent, missing, conflict, overtaken = 200, 201, 204, 404, 409, 412
	at := func(call, ended int64, verb verb, a act, r result) porcupine.Operation {
		a.verb = verb
		return porcupine.Operation{Input: a, Call: call, Output: r, Return: ended}
	}
	one := at(0, 1, creating, act{value: "a"}, result{status: created, id: "1", value: "a", version: 1})
	write := func(call, ended int64, value string, expect, version int) porcupine.Operation {
		return at(call, ended, patchingOne, act{id: "1", value: value, expect: expect}, result{status: ok, id: "1", value: value, version: version})
	}
	read := func(call, ended int64, value string, version int) porcupine.Operation {
		return at(call, ended, readingOne, act{id: "1"}, result{status: ok, id: "1", value: value, version: version})
	}
	refused := func(call, ended int64, verb verb, a act, status int) porcupine.Operation {
		return at(call, ended, verb, a, result{status: status})
	}
	lost := func(call int64, verb verb, a act) porcupine.Operation {
		return at(call, 1<<62, verb, a, result{unknown: true})
	}
	for _, tt := range []struct {
		name  string
		sound bool
		run   []porcupine.Operation
	}{
		{"reads in order", true, []porcupine.Operation{one, read(2, 3, "a", 1), write(4, 5, "b", 1, 2), read(6, 7, "b", 2)}},
		{"read beside a write", true, []porcupine.Operation{one, write(2, 8, "b", 0, 2), read(3, 4, "a", 1), read(5, 6, "b", 2)}},
		{"stale read", false, []porcupine.Operation{one, write(2, 3, "b", 0, 2), read(4, 5, "a", 1)}},
		{"reads that go back", false, []porcupine.Operation{one, write(2, 9, "b", 0, 2), read(3, 4, "b", 2), read(5, 6, "a", 1)}},
		{"lost update", false, []porcupine.Operation{one, write(2, 5, "b", 1, 2), write(3, 6, "c", 1, 3)}},
		{"one of two overtaken", true, []porcupine.Operation{
			one, write(2, 5, "b", 1, 2), refused(3, 6, patchingOne, act{id: "1", value: "c", expect: 1}, overtaken),
		}},
		{"overtaken by nobody", false, []porcupine.Operation{one, refused(2, 3, patchingOne, act{id: "1", value: "c", expect: 1}, overtaken)}},
		{"write without trace", false, []porcupine.Operation{one, write(2, 3, "b", 0, 2), write(4, 5, "c", 0, 3), read(6, 7, "b", 2)}},
		{"version given twice", false, []porcupine.Operation{one, write(2, 3, "b", 0, 2), write(4, 5, "c", 0, 2)}},
		{"two of one name", false, []porcupine.Operation{one, at(2, 3, creating, act{value: "b"}, result{status: created, id: "2", value: "b", version: 1})}},
		{"conflict with nobody", false, []porcupine.Operation{refused(0, 1, creating, act{value: "a"}, conflict)}},
		{"deleted and read", false, []porcupine.Operation{one, refused(2, 3, deletingOne, act{id: "1"}, noContent), read(4, 5, "a", 1)}},
		{"deleted twice", false, []porcupine.Operation{
			one, refused(2, 3, deletingOne, act{id: "1"}, noContent), refused(4, 5, deletingOne, act{id: "1"}, noContent),
		}},
		{"gone too early", false, []porcupine.Operation{one, refused(2, 3, findingOne, act{}, missing), read(4, 5, "a", 1)}},
		{"created again", true, []porcupine.Operation{one, refused(2, 3, deletingOne, act{id: "1"}, noContent), at(4, 5, creating, act{value: "b"}, result{status: created, id: "2", value: "b", version: 1}),
			refused(6, 7, readingOne, act{id: "1"}, missing), at(6, 7, findingOne, act{}, result{status: ok, id: "2", value: "b", version: 1})}},
		{"lost answer, done", true, []porcupine.Operation{one, lost(2, patchingOne, act{id: "1", value: "b"}), read(4, 5, "a", 1), read(6, 7, "b", 2)}},
		{"lost answer, not done", true, []porcupine.Operation{one, lost(2, patchingOne, act{id: "1", value: "b"}), read(4, 5, "a", 1)}},
		{"lost answer, undone", false, []porcupine.Operation{one, lost(2, patchingOne, act{id: "1", value: "b"}), read(4, 5, "b", 2), read(6, 7, "a", 1)}},
		{"lost creation", true, []porcupine.Operation{
			lost(0, creating, act{value: "a"}), refused(2, 3, creating, act{value: "b"}, conflict), read(4, 5, "a", 1),
		}},
		{"error of the server's", false, []porcupine.Operation{one, refused(2, 3, readingOne, act{id: "1"}, 500)}},
	} {
		if got := porcupine.CheckOperations(userModel(), tt.run); got != tt.sound {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.sound)
		}
	}
	member := func(call, ended int64, verb verb, is bool) porcupine.Operation {
		status := ok
		if verb != readingMember {
			status = noContent
		}
		return at(call, ended, verb, act{}, result{status: status, member: is})
	}
	for _, tt := range []struct {
		name  string
		sound bool
		run   []porcupine.Operation
	}{
		{"added, removed", true, []porcupine.Operation{
			member(0, 1, addingMember, false), member(2, 3, readingMember, true), member(4, 5, removingMember, false), member(6, 7, readingMember, false),
		}},
		{"added beside a read", true, []porcupine.Operation{
			member(0, 9, addingMember, false), member(2, 3, readingMember, false), member(4, 5, readingMember, true),
		}},
		{"added and not there", false, []porcupine.Operation{member(0, 1, addingMember, false), member(2, 3, readingMember, false)}},
		{"there and back", false, []porcupine.Operation{
			member(0, 9, addingMember, false), member(2, 3, readingMember, true), member(4, 5, readingMember, false),
		}},
		{"never added", false, []porcupine.Operation{member(2, 3, readingMember, true)}},
	} {
		if got := porcupine.CheckOperations(memberModel(), tt.run); got != tt.sound {
			t.Errorf("membership, %s: %v, want %v", tt.name, got, tt.sound)
		}
	}
}
