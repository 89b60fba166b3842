package store

import (
	"encoding/json"

	"meibo/scim"
)

// sqlite writes the change as statements of the writer's transaction.
func (w *write) sqlite() []step {
	resource := w.step("resource")
	if w.change.Before == nil {
		w.insert(&resource.statement)
	} else {
		resource.missed = errOvertaken
		w.update(&resource.statement)
	}
	steps := append([]step{resource}, w.sqliteTally()...)
	if w.emailsChanged() {
		steps = append(steps, w.sqliteValues()...)
	}
	return append(steps, w.sqliteMembers()...)
}

func (w *write) step(name string) step {
	return step{name: name, statement: statement{dialect: w.dialect}, kind: w.change.After.Type}
}

func (w *write) sqliteTally() (steps []step) {
	for _, d := range w.deltas() {
		s := w.step("tally")
		s.add("insert into tally (lane, block, delta) select ", s.arg(d.lane), ", ", d.block, ", ", s.arg(d.n),
			" from resource where id = ", s.arg(w.change.After.ID))
		steps = append(steps, s)
	}
	return steps
}

// valuesAtOnce bounds the rows that one statement inserts: SQLite looks for each argument of a statement among those
// before it, takes no more than 32,766 of them, and is compiled anew for each number of rows.
const valuesAtOnce = 16

func (w *write) sqliteValues() (steps []step) {
	id := w.change.After.ID
	if w.change.Before != nil {
		s := w.step("resource_value")
		s.add("delete from resource_value where resource = ", s.arg(id), " and attr = 'emails'")
		steps = append(steps, s)
	}
	c := w.emailColumns()
	for first := 0; first < len(c.ord); first += valuesAtOnce {
		s := w.step("resource_value")
		s.add("insert into resource_value (resource, attr, ord, key, value, type, display, is_primary) values ")
		for i := first; i < min(first+valuesAtOnce, len(c.ord)); i++ {
			if i > first {
				s.add(", ")
			}
			s.add("(", s.arg(id), ", 'emails', ", s.arg(c.ord[i]), ", ", s.arg(c.key[i]), ", ", s.arg(c.value[i]), ", ",
				s.arg(c.kind[i]), ", ", s.arg(c.display[i]), ", ", s.arg(c.bit[i] == "1"), ")")
		}
		steps = append(steps, s)
	}
	return steps
}

func (w *write) sqliteMembers() (steps []step) {
	d, r := w.change.Members, &w.change.After
	if len(d.Add) > 0 {
		list := pairsOf(d.Add)
		s := w.step("member")
		s.add("insert into member (grp, member, display, valid_from, from_entry) select ", s.arg(r.ID),
			", value ->> 0, nullif(value ->> 1, ''), ", s.arg(w.time(r.Modified)), ", ", s.arg(w.entry), " from json_each(", s.arg(list), ")")
		steps = append(steps, s)
	}
	if len(d.Remove) > 0 {
		s := w.step("member")
		s.add("update member set valid_to = ", s.arg(w.time(r.Modified)), ", to_entry = ", s.arg(w.entry),
			" where grp = ", s.arg(r.ID), " and member in (select value from json_each(", s.arg(w.list(d.Remove)),
			")) and valid_to is null")
		steps = append(steps, s)
	}
	for _, v := range w.views() {
		steps = append(steps, w.sqliteView(v)...)
	}
	return steps
}

// pairsOf are members as JSON pairs of id and display.
func pairsOf(members []scim.Member) string {
	pairs := make([][2]string, len(members))
	for i, m := range members {
		pairs[i] = [2]string{m.Value, m.Display}
	}
	list, _ := json.Marshal(pairs) // strings always marshal
	return string(list)
}

func (w *write) sqliteView(v oneView) (steps []step) {
	r := &w.change.After
	if len(v.add) > 0 {
		s := w.step("member")
		v.joins(&s.statement, s.arg(r.ID), "(select value ->> 0 as id, value ->> 1 as display from json_each("+s.arg(pairsOf(v.add))+")) as x",
			s.arg(w.time(r.Modified)), s.arg(w.entry))
		steps = append(steps, s)
	}
	if len(v.remove) > 0 {
		s := w.step("member")
		v.leaves(&s.statement, s.arg(w.time(r.Modified)), s.arg(w.entry))
		s.add(" where m.grp = ", s.arg(r.ID), " and m.member in (select value from json_each(", s.arg(w.list(v.remove)), ")) and m.valid_to is null")
		steps = append(steps, s)
	}
	return steps
}
