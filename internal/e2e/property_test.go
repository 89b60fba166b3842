package e2e

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"meibo/internal/testkit"
	"meibo/internal/witness"
	"meibo/provisioning"
	"meibo/provisioning/transfer"
	"meibo/scim"
	"meibo/store"
)

var sequences = flag.Int("sequences", 0, "how many sequences of writes TestProtectedStay makes up; 0: what the form says")

// TestProtectedStay makes up sequences of everything that clients, persons, settings and time do to a tenant. After each
// step, nobody who was protected before it is suspended, deleted, emptied or purged, no push has lifted a
// protection, nobody who was purged is a member of a group, and the journal folds to what is stored, version by version.
func TestProtectedStay(t *testing.T) {
	n := cmp.Or(*sequences, size(15, 30, 1000))
	setChecks(t, n)
	d := newDirectory(t)
	seen := map[string]int{}
	rapid.Check(t, func(t *rapid.T) {
		y, done := d.year(t)
		defer done()
		for range 4 {
			y.must(y.create(y.origin()))
		}
		for range rapid.IntRange(10, 60).Draw(t, "steps") {
			y.step(seen)
		}
	})
	t.Logf("%v", seen)
	if n < 300 {
		return // too few to count on it
	}
	for _, want := range []string{"kept", "held", "ignored", "suspended", "removed", "purged", "restored", "tolerance", "adopted", "byPerson", "roleKept", "undone",
		"impact", "impactAnswered"} {
		if seen[want] == 0 {
			t.Errorf("no entry has the reason %s", want)
		}
	}
}

// setChecks says how many cases rapid makes up in a test that runs alone.
func setChecks(t *testing.T, n int) {
	t.Helper()
	for name, value := range map[string]string{"rapid.checks": fmt.Sprint(n), "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
}

// TestProtectedStayIsNoticed: what a person may do, and a push may not, breaks the property.
func TestProtectedStayIsNoticed(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	rapid.Check(t, func(t *rapid.T) {
		t.Helper()
		y, done := d.year(t)
		defer done()
		created, err := y.service.Create(y.ctx, y.origin(), scim.User, provisioning.Body{Attributes: scim.Attributes{"userName": "boss"}})
		if err != nil {
			t.Fatal(err)
		}
		yes, no := true, false
		for _, a := range []provisioning.Act{{Protected: &yes}, {Protected: &no}, {State: provisioning.Suspended}} {
			if a.State != "" {
				y.look()
				x := y.stored[created.Resource.ID]
				x.Protected = true // as it was
				y.stored[created.Resource.ID] = x
			}
			if _, err := y.service.Act(y.ctx, y.origin(), scim.User, created.Resource.ID, a); err != nil {
				t.Fatal(err)
			}
		}
		if harm := y.harm(false); len(harm) == 0 {
			t.Error("nothing was noticed")
		}
	})
}

// directory is where sequences get their databases.
type directory struct {
	fresh func() (databaseURL string, done func() error) // migrated, and empty
}

// newDirectory makes SQLite files.
func newDirectory(t *testing.T) *directory {
	t.Helper()
	return directoryIn(t, databases[0])
}

// directoryIn makes databases of a kind. A file goes with its sequence, as there may be a thousand.
func directoryIn(t *testing.T, db database) *directory {
	t.Helper()
	return &directory{func() (string, func() error) {
		databaseURL := db.fresh(t)
		path, isFile := strings.CutPrefix(databaseURL, "sqlite:")
		return databaseURL, func() error {
			if isFile {
				return os.Remove(path)
			}
			return nil
		}
	}}
}

// year is one sequence, in a database of its own.
type year struct {
	*rapid.T
	ctx     context.Context
	service *provisioning.Service
	store   *store.Store
	rows    *witness.Database
	clock   *testkit.Clock
	journal *witness.Journal
	entries int
	stored  map[string]witness.State
	rules   map[int64]provisioning.Settings // in force, by connection
	users   []string                        // ids that there are or were
	groups  []string
	export  []byte // of some time ago
	changes []provisioning.Entry
	cut     time.Time // of the last purge
	host    func(provisioning.ImpactQuery) (map[string]int64, error)
}

// year begins a sequence that ends with done.
func (d *directory) year(t *rapid.T) (y *year, done func()) {
	databaseURL, remove := d.fresh()
	y = &year{T: t, ctx: context.Background(), journal: witness.NewJournal(), rules: map[int64]provisioning.Settings{},
		clock: testkit.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))}
	st, err := store.Open(y.ctx, store.Options{URL: databaseURL})
	y.must(err)
	y.store = st
	y.rows, err = witness.Open(databaseURL)
	y.must(err)
	done = func() {
		if err := errors.Join(y.rows.Close(), st.Close(), remove()); err != nil {
			t.Error(err)
		}
	}
	y.service = provisioning.New(provisioning.Options{Store: st, Now: y.clock.Now,
		Impact: func(_ context.Context, q provisioning.ImpactQuery) (map[string]int64, error) { return y.host(q) }})
	administrator := provisioning.Origin{Tenant: acme, Actor: "ann"}
	_, err = y.service.CreateTenant(y.ctx, administrator)
	y.must(err)
	_, err = y.service.CreateConnection(y.ctx, administrator, "other")
	y.must(err)
	y.settle("")
	y.look()
	return y, done
}

// acme is the tenant of each year.
const acme = "acme"

func (y *year) must(err error) {
	y.Helper()
	if err != nil {
		y.Fatal(err)
	}
}

// origin is one of the connections, as it is now.
func (y *year) originOf(name string) provisioning.Origin {
	c, err := y.service.Connection(y.ctx, acme, name)
	y.must(err)
	return provisioning.Origin{Tenant: acme, Connection: c, Actor: provisioning.TokenActor("7f3c"), Correlation: "c"}
}

func (y *year) origin() provisioning.Origin { return y.originOf(provisioning.DefaultConnection) }

// step makes up a write, does it, and looks what came of it.
func (y *year) step(seen map[string]int) {
	y.clock.Advance(time.Duration(y.number("minutes", 0, 90))*time.Minute + time.Microsecond)
	what := y.one("step", "push", "push", "push", "push", "push", "push", "push", "person", "person", "settings", "time", "file", "undo", "host", "host")
	var err error
	switch what {
	case "push":
		err = y.push()
	case "person":
		err = y.person()
	case "file":
		err = y.file()
	case "undo":
		err = y.undo()
	case "host":
		err = y.ask()
	case "settings":
		y.settle(y.one("connection", provisioning.DefaultConnection, "other"))
	default:
		err = y.time()
	}
	if err != nil && provisioning.KindOf(err) == provisioning.Internal {
		y.Fatalf("%s: %v", what, err)
	}
	if harm := y.harm(what == "push" || what == "time" || what == "host"); len(harm) > 0 {
		y.Fatalf("%s: %s", what, strings.Join(harm, "\n"))
	}
	for _, problem := range y.fold(seen) {
		y.Fatalf("%s: %s", what, problem)
	}
}

func (y *year) number(label string, from, to int) int {
	return rapid.IntRange(from, to).Draw(y.T, label)
}

func (y *year) one(label string, from ...string) string {
	return rapid.SampledFrom(from).Draw(y.T, label)
}

func (y *year) some(label string) bool { return rapid.Bool().Draw(y.T, label) }

// known is an id that there is or was.
func (y *year) known(label string, ids []string) string {
	if len(ids) == 0 || y.number("unknown", 0, 15) == 0 {
		return "0198c0de-0000-7000-8000-000000000000"
	}
	return y.one(label, ids...)
}

// group is the id of one: mostly of one that has members, in one view at least, since there is more to happen to it.
func (y *year) group() string {
	var peopled []string
	for _, id := range y.groups {
		if x := y.stored[id]; x.Visible && len(lasting(x)) > 0 {
			peopled = append(peopled, id)
		}
	}
	if len(peopled) == 0 || y.number("any group", 0, 3) == 0 {
		return y.known("group", y.groups)
	}
	return y.one("group", peopled...)
}

var names = []string{"ada@a.example", "bob@a.example", "dan@a.example", "boss@a.example", "cleo@b.example", "BOSS@a.example"}

func (y *year) user() scim.Attributes {
	a := scim.Attributes{"userName": y.one("userName", names...), "title": y.one("title", "staff", "staff", "guest")}
	if active := y.one("active", "", "true", "true", "false"); active != "" {
		a["active"] = active == "true"
	}
	if y.some("key") {
		a["externalId"] = fmt.Sprintf("6f1e0c2a-5b7d-4e1b-9c3f-00000000000%d", y.number("externalId", 0, 3))
	}
	if role := y.one("roles", "", "", "Admin", "Clerk"); role != "" {
		a["roles"] = []any{map[string]any{"value": role}}
	}
	if y.some("mail") {
		a["emails"] = []any{map[string]any{"value": y.one("email", names...)}}
	}
	return a
}

func (y *year) members() []scim.Member {
	var list []scim.Member
	for _, id := range y.users {
		if y.some("member") {
			list = append(list, scim.Member{Value: id})
		}
	}
	return list
}

// push is a request of a client.
func (y *year) push() error {
	o := y.originOf(y.one("connection", provisioning.DefaultConnection, provisioning.DefaultConnection, provisioning.DefaultConnection, "other"))
	o.Request = provisioning.RequestInfo{Method: "PATCH", Path: "/"}
	user, group := y.known("user", y.users), y.group()
	users := func(ops ...scim.Operation) error {
		_, err := y.service.Patch(y.ctx, o, scim.User, user, ops, scim.PatchOptions{}, nil, provisioning.References{Groups: true})
		return err
	}
	groups := func(ops ...scim.Operation) error {
		_, err := y.service.Patch(y.ctx, o, scim.Group, group, ops, scim.PatchOptions{}, nil, provisioning.References{})
		return err
	}
	replace := func(path string, v any) scim.Operation { return scim.Operation{Op: "replace", Path: path, Value: v} }
	switch y.one("request", "create", "create", "create", "active", "active", "active", "rename", "title", "roles", "replace", "delete", "delete",
		"create group", "join", "leave", "members", "empty", "replace group", "rename group", "delete group") {
	case "create":
		return y.create(o)
	case "active":
		return users(replace("active", y.some("active")))
	case "rename":
		ops := []scim.Operation{replace("userName", y.one("userName", names...))}
		if y.some("and disable") {
			ops = append(ops, replace("active", false))
		}
		return users(ops...)
	case "title":
		return users(replace("title", y.one("title", "staff", "guest")))
	case "roles":
		return users(replace("roles", []any{map[string]any{"value": y.one("role", "Admin", "Clerk", "none")}}))
	case "replace":
		_, err := y.service.Replace(y.ctx, o, scim.User, user, provisioning.Body{Attributes: y.user()}, nil, provisioning.References{Groups: true})
		return err
	case "delete":
		return y.service.Delete(y.ctx, o, scim.User, user, nil)
	case "create group":
		done, err := y.service.Create(y.ctx, o, scim.Group, provisioning.Body{Attributes: scim.Attributes{"displayName": y.groupName()},
			Members: y.members(), HasMembers: true})
		return y.made(&y.groups, done, err)
	case "join":
		return groups(scim.Operation{Op: "add", Path: "members", Value: values(y.members())})
	case "leave":
		return groups(scim.Operation{Op: "remove", Path: "members", Value: values(y.members())})
	case "members":
		return groups(replace("members", values(y.members())))
	case "empty":
		return groups(scim.Operation{Op: "remove", Path: "members"})
	case "replace group":
		_, err := y.service.Replace(y.ctx, o, scim.Group, group, provisioning.Body{Attributes: scim.Attributes{"displayName": y.groupName()},
			Members: y.members(), HasMembers: y.some("members")}, nil, provisioning.References{})
		return err
	case "rename group":
		return groups(replace("displayName", y.groupName()))
	default:
		return y.service.Delete(y.ctx, o, scim.Group, group, nil)
	}
}

func (y *year) create(o provisioning.Origin) error {
	done, err := y.service.Create(y.ctx, o, scim.User, provisioning.Body{Attributes: y.user()})
	if err = y.made(&y.users, done, err); provisioning.KindOf(err) == provisioning.Conflict {
		return nil
	}
	return err
}

func (y *year) groupName() string { return y.one("displayName", "staff", "board", "guests") }

func values(members []scim.Member) []any {
	list := make([]any, len(members))
	for i, m := range members {
		list[i] = map[string]any{"value": m.Value}
	}
	return list
}

// made remembers an id.
func (y *year) made(ids *[]string, done provisioning.Result, err error) error {
	if err == nil && !slices.Contains(*ids, done.Resource.ID) {
		*ids = append(*ids, done.Resource.ID)
	}
	return err
}

// person is what an administrator does.
func (y *year) person() error {
	user, group := y.known("user", y.users), y.group()
	o := provisioning.Origin{Tenant: acme, Actor: "ann", Correlation: "c"}
	act := func(a provisioning.Act) error {
		if y.number("about a group", 0, 3) == 0 {
			a.Role, a.Overrides = nil, nil
			_, err := y.service.Act(y.ctx, o, scim.Group, group, a)
			return err
		}
		a.Empty = false
		_, err := y.service.Act(y.ctx, o, scim.User, user, a)
		return err
	}
	protected := y.number("protect", 0, 2) > 0
	switch y.one("act", "state", "role", "protect", "protect", "override", "empty", "matter", "matter", "matter", "allow") {
	case "state":
		return act(provisioning.Act{State: provisioning.State(y.one("state", "active", "suspended", "removed")), Grace: provisioning.Period(time.Hour)})
	case "role":
		role := y.one("role", "", "ordinary", "admin", "clerk")
		_, err := y.service.Act(y.ctx, o, scim.User, user, provisioning.Act{Role: &role})
		return err
	case "protect":
		return act(provisioning.Act{Protected: &protected})
	case "override":
		_, err := y.service.Act(y.ctx, o, scim.User, user, provisioning.Act{Overrides: map[string]any{
			y.one("path", "title", "userName"): y.one("value", "staff", "boss@a.example", "x")}})
		return err
	case "empty":
		_, err := y.service.Act(y.ctx, o, scim.Group, group, provisioning.Act{Empty: true})
		return err
	case "matter":
		return y.resolve(o)
	default:
		_, err := y.service.Allow(y.ctx, o, provisioning.DefaultConnection, provisioning.BudgetKind(y.one("kind", "users", "groups")), provisioning.Allowance{
			Left: y.number("left", 1, 3), Until: y.clock.Now().Add(24 * time.Hour), Reject: y.number("reject", 0, 3) == 0})
		return err
	}
}

// resolve closes an open matter.
func (y *year) resolve(o provisioning.Origin) error {
	var open []provisioning.Matter
	y.must(y.service.Matters(y.ctx, acme, provisioning.MatterQuery{Status: provisioning.MatterOpen}, func(m provisioning.Matter) error {
		open = append(open, m)
		return nil
	}))
	if len(open) == 0 {
		return nil
	}
	m := open[y.number("matter", 0, len(open)-1)]
	choice := provisioning.Resolution{Status: provisioning.MatterStatus(y.one("choice", "allowed", "allowed", "rejected"))}
	if m.Kind == provisioning.MatterAdoption {
		choice = provisioning.Resolution{Status: provisioning.MatterStatus(y.one("choice", "linked", "created", "ignored")), Candidate: m.Candidates[0]}
	}
	_, err := y.service.Resolve(y.ctx, o, m.ID, choice)
	return err
}

// settle puts settings in force that are made up; "" looks at those there are.
func (y *year) settle(connection string) {
	if connection != "" {
		s := provisioning.DefaultSettings()
		users := func(label string) provisioning.DeletionPolicy {
			return provisioning.DeletionPolicy(y.one(label, "suspend", "delete", "hold", "ignore"))
		}
		groups := func(label string) provisioning.DeletionPolicy {
			return provisioning.DeletionPolicy(y.one(label, "delete", "removeMembers", "hold", "ignore"))
		}
		s.Deletion.Users = provisioning.UserDeletion{Deactivated: users("deactivated"), Deleted: users("deleted"), Scope: users("scope")}
		s.Deletion.Groups = provisioning.GroupDeletion{Deleted: groups("group deleted"), Scope: groups("group scope")}
		s.Deletion.Grace, s.Deletion.Purge = provisioning.Period(time.Duration(y.number("grace", 0, 2))*time.Hour), provisioning.PurgeMode(y.one("purge", "auto", "auto", "ask"))
		if y.some("ageing") {
			s.Deletion.Ageing = provisioning.AgeingSettings{After: provisioning.Period(24 * time.Hour), Do: provisioning.DeletionPolicy(y.one("age", "delete", "hold"))}
		}
		if y.some("scoped") {
			s.Scope.Users.Filter, s.Scope.Groups.Filter = `title eq "staff"`, `displayName ne "guests"`
		}
		if y.some("listed") {
			s.Guard.Users, s.Guard.Groups = []string{"boss@a.example"}, []string{"board"}
		}
		s.Guard.Mode = provisioning.GuardMode(y.one("guard", "accept", "accept", "refuse"))
		s.Tolerance.Mode = provisioning.ToleranceMode(y.one("tolerance", "delay", "withhold", "off"))
		s.Tolerance.Users, s.Tolerance.Groups = provisioning.Tolerance{Share: 50, Floor: 2}, provisioning.Tolerance{Share: 50, Floor: 2}
		s.Tolerance.Members = provisioning.Tolerance{Share: 60, From: 2}
		s.Matching.Adoption, s.Matching.VerifiedDomains = provisioning.Adoption(y.one("adoption", "adopt", "ask", "refuse")), []string{"a.example", "b.example"}
		if y.number("impact", 0, 2) > 0 {
			s.Matters.Impact.URL = "https://app.example/impact"
		}
		s.Mapping.UserName.Frozen = y.number("frozen", 0, 3) == 0
		s.Roles.Names = []string{"clerk"}
		if y.some("roles") {
			s.Roles.AppRoles = []provisioning.RoleMapping{{When: "Admin", Role: "admin"}, {When: "Clerk", Role: "clerk"}}
		}
		if y.some("guarded") {
			s.Roles.Guarded = []string{"clerk"}
		}
		_, _, err := y.service.ApplySettings(y.ctx, provisioning.Origin{Tenant: acme, Actor: "ann"}, connection, provisioning.SettingsDraft{Settings: s, Expect: provisioning.AnyVersion})
		if own := new(provisioning.Error); !errors.As(err, &own) { // a tolerance may refuse what would take away too much
			y.must(err)
		}
	}
	all, err := y.service.Connections(y.ctx, acme)
	y.must(err)
	for _, c := range all {
		v, err := y.service.Settings(y.ctx, acme, c.Name)
		y.must(err)
		y.rules[c.ID] = v.Settings
	}
}

// time passes: graces end, the suspended age, and what settings changed is decided anew.
func (y *year) time() error {
	if y.some("hours") {
		y.clock.Advance(time.Duration(y.number("hours", 1, 30)) * time.Hour)
	}
	if y.some("anew") {
		for id, x := range y.stored {
			t := scim.ResourceType(x.Type)
			for _, name := range []string{provisioning.DefaultConnection, "other"} {
				if err := y.service.Anew(y.ctx, y.originOf(name), t, id); provisioning.KindOf(err) == provisioning.Internal && err != nil {
					return err
				}
			}
		}
	}
	if _, err := y.service.Sweep(y.ctx); provisioning.KindOf(err) == provisioning.Internal && err != nil {
		return err
	}
	return y.jobs()
}

// ask has the host application asked about those whose deletion waits for its answer. Some become protected while it thinks.
func (y *year) ask() error {
	answers, meanwhile := y.number("answers", 0, 4) > 0, y.one("meanwhile", "", "", "protected", "admin")
	var failed error
	y.host = func(q provisioning.ImpactQuery) (map[string]int64, error) {
		a, admin, yes := provisioning.Act{}, provisioning.RoleAdmin, true
		switch {
		case meanwhile == "protected":
			a.Protected = &yes
		case meanwhile == "admin" && q.Resource.Type == scim.User:
			a.Role = &admin
		}
		if a.Protected != nil || a.Role != nil {
			_, err := y.service.Act(y.ctx, provisioning.Origin{Tenant: acme, Actor: "ann", Correlation: "c"}, q.Resource.Type, q.Resource.ID, a)
			stored, unread := y.rows.Stored(y.ctx, acme)
			if failed = errors.Join(failed, err, unread); unread == nil {
				y.stored = stored // from now on it is to stay
			}
		}
		if !answers {
			return nil, errors.New("no answer")
		}
		return map[string]int64{"visits": 3}, nil
	}
	_, err := y.service.AskImpact(y.ctx)
	if !answers {
		err = nil
	}
	return errors.Join(failed, err)
}

// jobs does what waits.
func (y *year) jobs() error {
	for {
		if had, err := y.service.RunJob(y.ctx); err != nil || !had {
			return err
		}
	}
}

// file takes an export, or brings an earlier one back, with some of its lines left out.
func (y *year) file() error {
	if y.export == nil || y.number("export", 0, 3) == 0 {
		var out bytes.Buffer
		_, err := transfer.Export(y.ctx, y.service, acme, &out, transfer.ExportOptions{Types: []scim.ResourceType{scim.User, scim.Group}, Format: transfer.NDJSON})
		y.export = out.Bytes()
		return err
	}
	var lines []byte
	for line := range bytes.Lines(y.export) {
		if y.number("left out", 0, 5) > 0 {
			lines = append(lines, line...)
		}
	}
	o := transfer.ImportOptions{Service: y.service, Origin: provisioning.Origin{Tenant: acme, Actor: "ann", Correlation: "c"},
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(lines)), nil }}
	if owner := y.one("owner", "of the rows", "", provisioning.DefaultConnection, "other"); owner != "of the rows" {
		o.Owner = &owner
		o.DeleteMissing = owner != "" && y.some("delete missing")
	}
	plan, err := transfer.NewPlan(y.ctx, o)
	if fault := new(transfer.Fault); errors.As(err, &fault) {
		return nil // nothing is left in the file
	}
	if err != nil {
		return err
	}
	_, err = transfer.Apply(y.ctx, o, plan)
	return err
}

// undo takes back one change, or all of a connection from some change on.
func (y *year) undo() error {
	if len(y.changes) == 0 {
		return nil
	}
	e := y.changes[y.number("change", 0, len(y.changes)-1)]
	q := provisioning.UndoQuery{Entry: e.ID}
	if y.some("all since") {
		q = provisioning.UndoQuery{Connection: y.one("connection", provisioning.DefaultConnection, "other"), From: e.At}
	}
	if _, err := y.service.Undo(y.ctx, provisioning.Origin{Tenant: acme, Actor: "ann", Correlation: "c"}, q); err != nil {
		return err
	}
	return y.jobs()
}

// look reads what is stored.
func (y *year) look() {
	stored, err := y.rows.Stored(y.ctx, acme)
	y.must(err)
	y.stored = stored
}

// harm looks again, and says what has come upon those who were protected. A push, or time, lifts no protection either.
func (y *year) harm(lifts bool) (harm []string) {
	before := y.stored
	y.look()
	for id, was := range before {
		is := y.stored[id]
		because := y.protected(id, was)
		if because == "" {
			continue
		}
		complain := func(what string) {
			harm = append(harm, fmt.Sprintf("%s %s (%s) was %s:\nbefore %+v\nafter  %+v", was.Type, id, because, what, was, is))
		}
		in := func(s witness.State) bool { return s.State == "active" || s.State == "held" }
		switch {
		case in(was) && !in(is):
			complain("made " + is.State)
		case was.State == "suspended" && is.State == "removed":
			complain("removed")
		case was.PurgeAt == 0 && is.PurgeAt != 0:
			complain("given a time to be purged")
		case len(was.Document) > 1 && len(is.Document) <= 1:
			complain("purged")
		case open(was) > 0 && open(is) == 0:
			complain("emptied")
		case lifts && y.protected(id, is) == "":
			complain("made unprotected")
		}
	}
	slices.Sort(harm)
	return harm
}

func open(s witness.State) (n int) {
	for _, m := range s.Members {
		if m.To == 0 && m.Effective {
			n++
		}
	}
	return n
}

// protected says why a resource is, "" where it is not.
func (y *year) protected(id string, x witness.State) string {
	if x.Protected {
		return "by a person"
	}
	rules, owned := y.rules[x.Connection]
	if x.Role == "admin" || owned && slices.Contains(rules.Roles.Guarded, x.Role) {
		return "role " + x.Role
	}
	listed := rules.Guard.Users
	if x.Type == string(scim.Group) {
		listed = rules.Guard.Groups
	}
	if owned && (slices.Contains(listed, id) || slices.Contains(listed, x.Names[0]) || slices.Contains(listed, x.Names[1])) {
		return "by the settings"
	}
	return ""
}

// fold goes on with the journal, and compares each version with what follows from it. seen counts reasons.
func (y *year) fold(seen map[string]int) (problems []string) {
	var fresh []provisioning.Entry
	total := 0
	y.must(y.service.Entries(y.ctx, acme, provisioning.EntryQuery{}, func(e provisioning.Entry) error {
		total++
		fresh = append(fresh, e)
		return nil
	}))
	fresh = fresh[:total-y.entries]
	y.entries = total
	slices.Reverse(fresh)
	for _, e := range fresh {
		if seen[e.Reason.Code]++; e.Version > 0 {
			y.changes = append(y.changes, e)
		}
	}
	miscounts, err := y.rows.Miscounts(y.ctx, acme)
	y.must(err)
	problems = append(y.journal.Add(fresh), miscounts...)
	stored := y.stored
	if !y.cut.IsZero() {
		told := y.journal.States()
		stored = maps.Clone(stored)
		maps.DeleteFunc(stored, func(id string, s witness.State) bool {
			_, is := told[id]
			return !is && s.IsGone()
		})
	}
	return slices.Concat(problems, y.nobodies(), witness.Differences(stored, y.journal.States()))
}

// nobodies are those who were purged, and are members all the same. What is left of a group that was purged has no say.
func (y *year) nobodies() (problems []string) {
	for id, g := range y.stored {
		for _, m := range g.Members {
			if m.To == 0 && !g.IsGone() && y.stored[m.Member].IsGone() {
				problems = append(problems, fmt.Sprintf("%s, who was purged, is a member of %s: %+v", m.Member, id, m))
			}
		}
	}
	slices.Sort(problems)
	return problems
}
