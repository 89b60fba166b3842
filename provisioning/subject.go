package provisioning

import (
	"context"
	"encoding/json"
	"io"
	"time"

	"meibo/scim"
)

// ExportSubject writes everything that is held about a user as one JSON object, piece by piece as it is read: the row with
// both documents and what persons chose, present and former groups, all entries about the user or naming the member, all
// matters. Values are as they are kept; captured requests are sealed, and named by the correlations of the entries. That it was
// asked for is journalled first. NotFound.
func (s *Service) ExportSubject(ctx context.Context, o Origin, id string, w io.Writer) error {
	tenant := o.Tenant
	x, err := s.Account(ctx, tenant, scim.User, id)
	if err != nil {
		return err
	}
	asked := originEntry(o)
	asked.ID, asked.At, asked.Request = s.newID(), s.Now(), s.request(o, nil)
	asked.Action, asked.Outcome, asked.ResourceID, asked.ResourceType = ActionOther, Success, id, scim.User
	asked.Reason = Reason{Code: ReasonExported}
	if err := s.store.Update(ctx, tenant, func(tx Tx) error { return tx.Commit(Batch{Entries: []Entry{asked}}) }); err != nil {
		return err
	}
	s.decided(tenant, asked)
	out := &jsonWriter{w: w}
	out.text("{")
	out.member("exportedAt", s.Now())
	out.member("tenant", tenant)
	out.member("user", subjectRow(x))
	groups, err := s.groupsEver(ctx, tenant, id)
	if err != nil {
		return err
	}
	out.member("groups", groups)
	out.list("entries", func(item func(any)) error {
		seen := map[string]bool{}
		queries := []EntryQuery{{Resource: id}}
		for _, g := range groups {
			queries = append(queries, EntryQuery{Resource: g, Member: id})
		}
		for _, q := range queries {
			if err := s.Entries(ctx, tenant, q, func(e Entry) error {
				if !seen[e.ID] {
					seen[e.ID] = true
					item(subjectEntry(e, id))
				}
				return out.err
			}); err != nil {
				return err
			}
		}
		return nil
	})
	out.list("matters", func(item func(any)) error {
		return s.Matters(ctx, tenant, MatterQuery{Resource: id}, func(m Matter) error {
			item(subjectMatter(m))
			return out.err
		})
	})
	out.text("}\n")
	return out.err
}

// groupsEver are the groups in which a user is, or was as far as memberships that ended are kept.
func (s *Service) groupsEver(ctx context.Context, tenant, id string) (groups []string, err error) {
	seen := map[string]bool{}
	groups = []string{}
	err = s.store.View(ctx, tenant, func(r Reader) error {
		return r.GroupsOf(id, time.Time{}, time.Time{}, func(group string) error {
			if !seen[group] {
				seen[group] = true
				groups = append(groups, group)
			}
			return nil
		})
	})
	return groups, err
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

// subjectEntry is an entry with what it says of the user: of a group's only that, since the rest is about others.
func subjectEntry(e Entry, id string) map[string]any {
	out := map[string]any{"id": e.ID, "at": e.At, "actor": e.Actor, "connection": e.ConnectionName, "correlationId": e.Correlation, "action": e.Action, "outcome": e.Outcome,
		"resource": e.ResourceID, "type": e.ResourceType, "version": e.Version, "reason": e.Reason}
	if e.ResourceID != id {
		member := map[string]any{}
		for view, list := range map[string][]scim.Member{"add": e.Members.Add, "assertedAdd": e.Members.AssertedAdd, "effectiveAdd": e.Members.EffectiveAdd} {
			for _, m := range list {
				if m.Value == id {
					member[view] = m.Display
				}
			}
		}
		for view, list := range map[string][]string{"remove": e.Members.Remove, "assertedRemove": e.Members.AssertedRemove, "effectiveRemove": e.Members.EffectiveRemove} {
			for _, m := range list {
				if m == id {
					member[view] = true
				}
			}
		}
		out["member"] = member
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

func subjectMatter(m Matter) map[string]any {
	return map[string]any{"id": m.ID, "kind": m.Kind, "cause": m.Cause, "name": m.Name, "reason": m.Reason, "opened": m.Opened, "seen": m.Seen, "times": m.Times,
		"status": m.Status, "closedBy": m.ClosedBy, "asserted": document(m.Asserted)}
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

// list writes a member that is a list, an item a line.
func (j *jsonWriter) list(name string, fill func(item func(any)) error) {
	j.name(name)
	j.text("[")
	first := true
	err := fill(func(v any) {
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
