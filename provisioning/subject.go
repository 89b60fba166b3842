package provisioning

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"

	"meibo/scim"
)

// ExportSubject writes everything that is held about a user as one JSON object, piece by piece as it is read: the row with
// both documents and what persons chose, and what an erasure would take, place by place. Values are as they are kept. That it was
// asked for is journalled first. NotFound.
func (s *Service) ExportSubject(ctx context.Context, o Origin, id string, w io.Writer) error {
	x, err := s.Account(ctx, o.Tenant, scim.User, id)
	if err != nil {
		return err
	}
	asked := originEntry(o)
	asked.ID, asked.At, asked.Request = s.newID(), s.Now(), s.request(o, nil)
	asked.Action, asked.Outcome, asked.ResourceID, asked.ResourceType = ActionOther, Success, id, scim.User
	asked.Reason = Reason{Code: ReasonExported}
	if err := s.store.Update(ctx, o.Tenant, func(tx Tx) error { return tx.Commit(Batch{Entries: []Entry{asked}}) }); err != nil {
		return err
	}
	s.decided(o.Tenant, asked)
	about, err := s.subject(ctx, o.Tenant, &x)
	if err != nil {
		return err
	}
	out := &jsonWriter{w: w}
	out.text("{")
	out.member("exportedAt", s.Now())
	out.member("tenant", o.Tenant)
	out.member("user", subjectRow(x))
	for _, place := range places {
		out.list(place.name, func(item func(any)) error { return place.show(ctx, &about, item) })
	}
	out.text("}\n")
	return out.err
}

func subjectRow(x Resource) map[string]any {
	row := map[string]any{"id": x.ID, "connection": x.Connection, "visible": x.Visible, "state": x.State, "role": x.RoleName(), "protected": x.Protected, "version": x.Version,
		"created": x.Created, "modified": x.Modified, "asserted": document(x.Asserted), "effective": document(x.Effective), "overrides": document(x.Overrides)}
	for name, at := range map[string]time.Time{"leftAt": x.LeftAt, "purgeAt": x.PurgeAt} {
		if !at.IsZero() {
			row[name] = at
		}
	}
	return row
}

// document is stored JSON as it is; null for none.
func document(data []byte) json.RawMessage {
	if len(data) == 0 {
		return json.RawMessage("null")
	}
	return data
}

// showEntry is an entry with what it says of the user: of a group's only that, since the rest is about others.
func (s *subject) showEntry(e Entry) any {
	out := map[string]any{"id": e.ID, "at": e.At, "actor": e.Actor, "connection": e.ConnectionName, "correlationId": e.Correlation, "action": e.Action, "outcome": e.Outcome,
		"resource": e.ResourceID, "type": e.ResourceType, "version": e.Version, "reason": e.Reason}
	if e.ResourceID != s.id && !isNobodys(&e) {
		out["member"] = s.memberIn(e.Members)
		return out
	}
	out["name"], out["changes"], out["matchedBy"] = e.ResourceName, e.Diff, e.MatchedBy
	if e.Request != nil {
		out["request"] = e.Request
	}
	if e.Error != nil {
		out["error"] = e.Error
	}
	return out
}

// memberIn is what a difference of members says of the user: display names of who joined, true for who left.
func (s *subject) memberIn(d MemberDelta) map[string]any {
	member := map[string]any{}
	for view, list := range map[string][]scim.Member{"add": d.Add, "assertedAdd": d.AssertedAdd, "effectiveAdd": d.EffectiveAdd} {
		for _, m := range list {
			if m.Value == s.id {
				member[view] = m.Display
			}
		}
	}
	for view, list := range map[string][]string{"remove": d.Remove, "assertedRemove": d.AssertedRemove, "effectiveRemove": d.EffectiveRemove} {
		if slices.Contains(list, s.id) {
			member[view] = true
		}
	}
	return member
}

func (s *subject) showMatter(m Matter) any {
	out := map[string]any{"id": m.ID, "kind": m.Kind, "cause": m.Cause, "opened": m.Opened, "seen": m.Seen, "times": m.Times, "status": m.Status, "closedBy": m.ClosedBy}
	if !s.isAsked(&m) { // about a group that the user is to leave
		out["member"] = true
		return out
	}
	out["name"], out["reason"], out["asserted"] = m.Name, m.Reason, document(m.Asserted)
	if m.Impact.Counts != nil {
		out["counts"] = m.Impact.Counts
	}
	return out
}

// showJob is a job with what its result says of the user.
func (s *subject) showJob(j Job) any {
	return map[string]any{"id": j.ID, "kind": j.Kind, "state": j.State, "created": j.Created, "about": s.objectsIn(string(j.Result), j.Created)}
}

func (s *subject) showSettings(v NamedIn) any {
	return map[string]any{"connection": v.Connection, "version": v.Version, "inForce": v.InForce}
}

// showCapture is a captured request with the objects of its bodies that are the user's: the rest may be about others. Nil for
// one that cannot be opened.
func (s *subject) showCapture(c heldCapture) any {
	if c.opened == nil {
		return nil
	}
	about := []any{}
	for _, text := range c.opened.Texts {
		about = append(about, s.objectsIn(text, c.At)...)
	}
	return map[string]any{"correlationId": c.Correlation, "at": c.At, "method": c.opened.Method, "target": c.opened.Target, "status": c.opened.Status, "about": about}
}

// objectsIn are the outermost objects of a JSON text that are the user's, by id or userName; all of it where it tells of the
// user and has none.
func (s *subject) objectsIn(text string, at time.Time) (found []any) {
	var whole any
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if decoder.Decode(&whole) != nil {
		whole = text
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			name, _ := v["userName"].(string)
			if v["id"] == s.id || v["value"] == s.id || s.called(name, at) {
				found = append(found, v)
				return
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	if walk(whole); len(found) == 0 && s.toldIn(text, at) {
		found = append(found, whole)
	}
	return found
}

// jsonWriter writes a JSON object member by member. After an error it writes nothing more.
type jsonWriter struct {
	w     io.Writer
	err   error
	begun bool
}

func (j *jsonWriter) text(s string) {
	if j.err == nil {
		_, j.err = io.WriteString(j.w, s)
	}
}

func (j *jsonWriter) value(v any) {
	if j.err != nil {
		return
	}
	data, err := json.Marshal(v)
	if j.err = err; err == nil {
		_, j.err = j.w.Write(data)
	}
}

func (j *jsonWriter) name(name string) {
	if j.begun {
		j.text(",\n")
	}
	j.begun = true
	j.value(name)
	j.text(": ")
}

func (j *jsonWriter) member(name string, v any) {
	j.name(name)
	j.value(v)
}

// list writes a member that is a list, an item a line; nil is none.
func (j *jsonWriter) list(name string, fill func(item func(any)) error) {
	j.name(name)
	j.text("[")
	first := true
	err := fill(func(v any) {
		if v == nil {
			return
		}
		if !first {
			j.text(",")
		}
		first = false
		j.text("\n ")
		j.value(v)
	})
	if j.err == nil {
		j.err = err
	}
	j.text("]")
}
