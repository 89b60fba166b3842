package store

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"meibo/provisioning"
	"meibo/scim"
)

// step is one statement of a commit.
type step struct {
	name   string            // of what it writes
	missed error             // what touching no row means: errOvertaken where another writer came first; nil for nothing
	kind   scim.ResourceType // whose key it may take
	statement
}

var errCommittedTwice = errors.New("store: a second Commit in one unit of work")

// Commit implements provisioning.Tx. On PostgreSQL what fits into one statement is sent as one,
// without a transaction.
func (x tx) Commit(b provisioning.Batch) error {
	if x.committed {
		return errCommittedTwice
	}
	x.committed = true
	x.endSnapshot()
	x.failure = x.commit(b)
	return x.failure
}

func (x *session) commit(b provisioning.Batch) error {
	if large(b) {
		x.patient = true
	}
	if x.presumed != nil && !presumable(b) {
		x.overtaken = true
		return errOvertaken
	}
	steps, err := x.steps(b)
	if err != nil {
		return err
	}
	besides, err := x.besides(b)
	if err != nil {
		return err
	}
	steps = append(steps, besides...)
	if x.transaction || len(b.Admin)+len(b.Erase) == 0 && len(steps) == 1 {
		return x.execute(b, steps)
	}
	return x.inTransaction(func() error { return x.execute(b, steps) })
}

// large reports whether a batch may keep the database busy for seconds.
func large(b provisioning.Batch) bool {
	n := 0
	for i := range b.Changes {
		d := &b.Changes[i].Members
		n += len(d.Add) + len(d.Remove) + len(d.AssertedAdd) + len(d.AssertedRemove) + len(d.EffectiveAdd) + len(d.EffectiveRemove)
	}
	return n >= much || len(b.Admin)+len(b.Erase) > 0
}

// presumable reports whether a batch is the create whose candidates were presumed to be none. What is removed from the
// beginning has no effective userName, whose key would tell of another's.
func presumable(b provisioning.Batch) bool {
	return len(b.Admin) == 0 && len(b.Changes) == 1 && len(b.Entries) == 1 && b.Changes[0].Action == provisioning.ChangeCreate &&
		b.Changes[0].After.State != provisioning.Removed
}

func (x *session) execute(b provisioning.Batch, steps []step) error {
	for _, a := range b.Admin {
		if err := x.administer(a); err != nil {
			return err
		}
	}
	for i := range steps {
		n, err := x.exec(steps[i].name, steps[i].String(), steps[i].args...)
		if err != nil {
			return nameKey(err, steps[i].kind)
		}
		if n == 0 && steps[i].missed != nil {
			return x.fail(steps[i].missed)
		}
	}
	return x.erase(b.Erase)
}

// nameKey names the attribute of a key that is taken.
func nameKey(err error, kind scim.ResourceType) error {
	if err == errKeyTaken {
		return nameTaken(kind)
	}
	return err
}

// steps is the plan of a commit's changes and entries, in the order of the changes: an earlier one gives up what a later
// one takes.
func (x *session) steps(b provisioning.Batch) ([]step, error) {
	var steps []step
	entries := b.Entries
	for _, c := range b.Changes {
		if c.Action == provisioning.ChangeSkip {
			continue
		}
		w := write{dialect: x.dialect, tenant: x.tenant, change: &c, entry: entryOf(b.Entries, c.After.ID), presumed: x.presumed}
		if x.postgres {
			// The entries ride on the statement of a change that is alone.
			if len(b.Changes) == 1 && len(entries) == 1 {
				w.riders, entries = entries, nil
			}
			s, err := w.postgres()
			if err != nil {
				return nil, err
			}
			steps = append(steps, s)
			continue
		}
		steps = append(steps, w.sqlite()...)
	}
	for i := range entries {
		s := step{name: "entry", statement: statement{dialect: x.dialect}}
		if x.postgres { // where the follower must be told
			s.add("with e as (")
		}
		s.add("insert into entry (", entryColumns, ") select ")
		if err := s.entryValues(x.tenant, &entries[i]); err != nil {
			return nil, err
		}
		if x.postgres {
			s.add(") insert into pending (entry) values (", s.arg(entries[i].ID), ")")
		}
		steps = append(steps, s)
	}
	return steps, nil
}

// besides is the plan of the rest. Budgets come last: many writers claim the same one, and it is locked until the end.
func (x *session) besides(b provisioning.Batch) (steps []step, err error) {
	add := func(s step, failed error) {
		err = firstError(err, failed)
		if len(s.sql) > 0 { // it does something
			steps = append(steps, s)
		}
	}
	for _, c := range b.Matters {
		add(x.matterStep(c))
	}
	for _, c := range b.Jobs {
		add(x.jobStep(c), nil)
	}
	steps = append(steps, x.captureSteps(b)...)
	for _, c := range b.Journal {
		of, failed := x.journalSteps(c)
		steps, err = append(steps, of...), firstError(err, failed)
	}
	for i := range b.Budgets {
		add(x.budgetStep(&b.Budgets[i]))
	}
	return steps, err
}

// entryOf is the id of the entry about a resource, for the membership rows that it opens or closes.
func entryOf(entries []provisioning.Entry, resource string) string {
	for i := range entries {
		if entries[i].ResourceID == resource {
			return entries[i].ID
		}
	}
	return ""
}

// write is one change on its way into the database.
type write struct {
	dialect
	tenant string
	change *provisioning.Change
	entry  string               // id, for membership rows
	riders []provisioning.Entry // PostgreSQL: entries of the same statement
	// PostgreSQL: what must find nothing, or the statement does nothing; nil for no such demand.
	presumed *provisioning.CandidateQuery
}

// column is one column of resource with its value, in the type that PostgreSQL wants.
type column struct {
	name   string
	value  any
	pgType string
}

// ordinary are the columns that any update writes; no index holds one.
func (w *write) ordinary() []column {
	r := &w.change.After
	return []column{
		{"state", string(r.State), "text"}, {"role", r.Role, "text"}, {"protected", r.Protected, "boolean"},
		{"version", r.Version, "bigint"}, {"modified", w.time(r.Modified), "timestamptz"},
		{"asserted", r.Asserted, "json"}, {"effective", r.Effective, "json"}, {"rule_version", r.RuleVersion, "bigint"},
		{"display", r.Index.Display, "text"}, {"manager", r.Index.Manager, "text"},
	}
}

// whereabouts are the columns of ownership, names and keys.
func (w *write) whereabouts() []column {
	r := &w.change.After
	k := keysOf(w.tenant, r)
	return []column{
		{"connection", r.Connection, "bigint"}, {"visible", r.Visible, "boolean"},
		{"name", r.Index.Name, "text"}, {"effective_name", k.effectiveName, "text"}, {"external_id", r.Index.ExternalID, "text"},
		{"key", k.key, "text"}, {"eff_key", k.effKey, "text"}, {"ext_key", k.extKey, "text"}, {"lane", k.lane, "bigint"},
	}
}

// seldom are those columns that the change writes of the ones that few changes do.
func (w *write) seldom() (columns []column) {
	before, after := w.change.Before, &w.change.After
	if before == nil {
		before = &provisioning.Resource{} // as their defaults are
	}
	if !bytes.Equal(before.Overrides, after.Overrides) {
		columns = append(columns, column{"overrides", after.Overrides, "json"})
	}
	if !bytes.Equal(before.Removals, after.Removals) {
		columns = append(columns, column{"removals", after.Removals, "json"})
	}
	if !before.LeftAt.Equal(after.LeftAt) {
		columns = append(columns, column{"left_at", w.time(after.LeftAt), "timestamptz"})
	}
	if !before.PurgeAt.Equal(after.PurgeAt) {
		columns = append(columns, column{"purge_at", w.time(after.PurgeAt), "timestamptz"})
	}
	if key := stableKey(after); key != stableKey(before) {
		columns = append(columns, column{"stable_key", key, "text"})
	}
	return columns
}

// grown is how many effective memberships more a group has.
func (w *write) grown() int { return w.change.Members.Grown() }

// oneView is what a change does to one view of memberships, by the columns of that view and of the other.
type oneView struct {
	column, other string
	add           []scim.Member
	remove        []string
}

// views are the changes to memberships that concern one view alone. They are few: most changes have none.
func (w *write) views() (out []oneView) {
	d := &w.change.Members
	for _, v := range []oneView{{"asserted", "effective", d.AssertedAdd, d.AssertedRemove}, {"effective", "asserted", d.EffectiveAdd, d.EffectiveRemove}} {
		if len(v.add)+len(v.remove) > 0 {
			out = append(out, v)
		}
	}
	return out
}

// joins opens memberships in a view for the rows of a table x(id, display); the columns are those of its rows. Where the
// other view has the membership already, it goes on: with the client's display, if the client has it from now on.
func (v oneView) joins(s *statement, group, x, at, entry string) {
	s.add("insert into member (grp, member, display, valid_from, from_entry, ", v.column, ", ", v.other, ") select ", group,
		", x.id, nullif(x.display, ''), ", at, ", ", entry, ", ", s.true(), ", ", s.false(), " from ", x,
		" where true on conflict (grp, member) where valid_to is null do update set ", v.column, " = ", s.true())
	if v.column == "asserted" {
		s.add(", display = excluded.display")
	}
}

// leaves ends the view of the memberships that a condition selects, and with it those that the other view does not have.
func (v oneView) leaves(s *statement, at, entry string) {
	s.add("update member as m set ", v.column, " = not m.", v.other, ", valid_to = case when m.", v.other, " then m.valid_to else ", at,
		" end, to_entry = case when m.", v.other, " then m.to_entry else ", entry, " end")
}

// identity are the columns that are written once.
func (w *write) identity() []column {
	r := &w.change.After
	return []column{{"id", r.ID, "text"}, {"tenant", w.tenant, "text"}, {"type", string(r.Type), "text"}, {"created", w.time(r.Created), "timestamptz"}}
}

// moved reports whether a column of whereabouts may change: whether anything does that they follow from.
func (w *write) moved() bool {
	before, after := w.change.Before, &w.change.After
	return before.Index.Name != after.Index.Name || before.Index.EffectiveName != after.Index.EffectiveName ||
		before.Index.ExternalID != after.Index.ExternalID || before.Connection != after.Connection || before.Visible != after.Visible ||
		(before.State == provisioning.Removed) != (after.State == provisioning.Removed)
}

// emailsChanged reports whether the rows of the e-mail addresses must be written.
func (w *write) emailsChanged() bool {
	before, after := w.change.Before, &w.change.After
	if before == nil {
		return len(after.Index.Emails) > 0
	}
	return !slices.Equal(before.Index.Emails, after.Index.Emails)
}

// lanes are where the resource is counted, before and after; nil for nowhere. Where it did not move
// both are nil.
func (w *write) lanes() (before, after any) {
	if w.change.Before != nil {
		if !w.moved() {
			return nil, nil
		}
		before = keysOf(w.tenant, w.change.Before).lane
	}
	return before, keysOf(w.tenant, &w.change.After).lane
}

// delta is a row for the table tally; block is an expression over the resource.
type delta struct {
	lane  any
	block string
	n     int
}

// deltas are what the change does to the tallies.
func (w *write) deltas() (all []delta) {
	add := func(lane any, block string, n int) {
		if lane != nil && n != 0 {
			all = append(all, delta{lane, block, n})
		}
	}
	if before, after := w.lanes(); before != after {
		add(before, "seq >> 10", -1)
		add(after, "seq >> 10", 1)
	}
	beforeLane, before := offsetOf(w.change.Before)
	afterLane, after := offsetOf(&w.change.After)
	if beforeLane == afterLane {
		before, after = 0, after-before
	}
	add(beforeLane, "0", -before)
	add(afterLane, "0", after)
	return all
}

// value is the placeholder of a column's value. A group's key depends on whether names are unique
// on its connection, which PostgreSQL must be kept from changing meanwhile.
func (w *write) value(s *statement, c column) string {
	if c.pgType == "json" {
		return s.json(c.value.([]byte))
	}
	if c.name != "key" || c.value == nil || w.change.After.Type != scim.Group {
		return s.typed(c.value, c.pgType)
	}
	share := ""
	if s.postgres {
		share = " for share"
	}
	return "(select case when c.unique_group_names then " + s.typed(c.value, "text") + " else " +
		s.typed(c.value.(string)+keySuffix(w.change.After.ID), "text") + " end from connection c where c.id = " +
		s.arg(w.change.After.Connection) + share + ")"
}

// insert writes the statement that inserts the resource.
func (w *write) insert(s *statement) {
	var names, values []string
	columns := slices.Concat(w.identity(), w.whereabouts(), w.ordinary(), w.seldom())
	if n := w.grown(); n > 0 {
		columns = append(columns, column{"member_count", n, "bigint"})
	}
	for _, c := range columns {
		names = append(names, c.name)
		values = append(values, w.value(s, c))
	}
	s.add("insert into resource (", strings.Join(names, ", "), ") select ", strings.Join(values, ", "))
	if w.presumed != nil {
		w.presumption(s)
	}
}

// presumption makes the insert do nothing where a candidate is found. Names are unique keys;
// externalId and addresses are not.
func (w *write) presumption(s *statement) {
	and := " where "
	if id := w.presumed.ExternalID; id != "" {
		s.add(and, "not exists (select 1 from resource x where x.ext_key = ", s.arg(scopedKey(w.presumed.Scope, id)),
			" and x.tenant = ", s.arg(w.tenant), ")")
		and = " and "
	}
	if value := w.presumed.Stable; value != "" {
		s.add(and, "not exists (select 1 from resource x where x.stable_key = ", s.arg(scopedKey(w.presumed.Scope, value)),
			" and x.tenant = ", s.arg(w.tenant), ")")
		and = " and "
	}
	if len(w.presumed.Emails) > 0 {
		s.add(and, "not exists (", s.byEmail(w.tenant, *w.presumed), ")")
	}
	s.add(" on conflict do nothing")
}

// update writes the statement that updates the resource as it was read.
func (w *write) update(s *statement) {
	columns := append(w.ordinary(), w.seldom()...)
	if w.moved() {
		columns = append(columns, w.whereabouts()...)
	}
	var set []string
	for _, c := range columns {
		set = append(set, c.name+" = "+w.value(s, c))
	}
	if n := w.grown(); n != 0 {
		set = append(set, "member_count = member_count + "+s.typed(n, "bigint"))
	}
	s.add("update resource set ", strings.Join(set, ", "), " where id = ", s.arg(w.change.After.ID),
		" and tenant = ", s.arg(w.tenant), " and version = ", s.arg(w.change.Before.Version))
}

// valueColumns are the rows of resource_value column by column, each a list.
type valueColumns struct {
	ord                            []int32
	key, value, kind, display, bit []string
}

func (w *write) emailColumns() (c valueColumns) {
	r := &w.change.After
	for i, e := range r.Index.Emails {
		primary := "0"
		if e.Primary {
			primary = "1"
		}
		c.ord = append(c.ord, int32(i))
		c.key = append(c.key, valueKey(w.tenant, emails, e.Value))
		c.value = append(c.value, e.Value)
		c.kind = append(c.kind, e.Type)
		c.display = append(c.display, e.Display)
		c.bit = append(c.bit, primary)
	}
	return c
}
