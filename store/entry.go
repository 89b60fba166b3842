package store

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"strings"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// entryMembers is MemberDelta as the journal keeps it.
type entryMembers struct {
	Add    []entryMember `json:"add,omitempty"`
	Remove []string      `json:"remove,omitempty"`

	AssertedAdd     []entryMember `json:"assertedAdd,omitempty"`
	AssertedRemove  []string      `json:"assertedRemove,omitempty"`
	EffectiveAdd    []entryMember `json:"effectiveAdd,omitempty"`
	EffectiveRemove []string      `json:"effectiveRemove,omitempty"`
}

type entryMember struct {
	Value   string `json:"value"`
	Display string `json:"display,omitempty"`
}

// entrySize is about what an entry holds besides its documents.
const entrySize = 1_000

const entryColumns = `id, tenant, at, connection, connection_name, actor, correlation, request, duration, action, outcome, ` +
	`resource, resource_type, resource_name, resource_folded, version, matched_by, diff, members, reason, error, settings_version`

// entryDocuments are the columns of an entry that are JSON; nil is null.
type entryDocuments struct{ request, diff, members, reason, error []byte }

func documentsOf(e *provisioning.Entry) (d entryDocuments, err error) {
	put := func(to *[]byte, present bool, v any) {
		if present && err == nil {
			*to, err = json.Marshal(v)
		}
	}
	put(&d.request, e.Request != nil, e.Request)
	put(&d.diff, len(e.Diff) > 0, e.Diff)
	put(&d.members, !e.Members.IsZero(), membersOf(e.Members))
	put(&d.reason, true, e.Reason)
	put(&d.error, e.Error != nil, e.Error)
	return d, err
}

func membersOf(d provisioning.MemberDelta) entryMembers {
	return entryMembers{Add: entryMembersOf(d.Add), Remove: d.Remove, AssertedAdd: entryMembersOf(d.AssertedAdd), AssertedRemove: d.AssertedRemove,
		EffectiveAdd: entryMembersOf(d.EffectiveAdd), EffectiveRemove: d.EffectiveRemove}
}

func entryMembersOf(members []scim.Member) (out []entryMember) {
	for _, m := range members {
		out = append(out, entryMember{Value: m.Value, Display: m.Display})
	}
	return out
}

// delta is entryMembers as the core has it.
func (m entryMembers) delta() provisioning.MemberDelta {
	members := func(list []entryMember) (out []scim.Member) {
		for _, e := range list {
			out = append(out, scim.Member{Value: e.Value, Display: e.Display})
		}
		return out
	}
	return provisioning.MemberDelta{Add: members(m.Add), Remove: m.Remove, AssertedAdd: members(m.AssertedAdd), AssertedRemove: m.AssertedRemove,
		EffectiveAdd: members(m.EffectiveAdd), EffectiveRemove: m.EffectiveRemove}
}

// entryValues writes the values of entryColumns, typed, as a select list.
func (s *statement) entryValues(tenant string, e *provisioning.Entry) error {
	d, err := documentsOf(e)
	if err != nil {
		return err
	}
	var duration any
	if e.Request != nil {
		duration = e.Request.Duration.Microseconds()
	}
	text := func(v any) string { return s.typed(v, "text") }
	for i, value := range []string{
		text(e.ID), text(tenant), s.typed(s.time(e.At), "timestamptz"), s.typed(e.Connection, "bigint"),
		text(e.ConnectionName), text(e.Actor), text(e.Correlation), s.json(d.request), s.typed(duration, "bigint"),
		text(string(e.Action)), text(string(e.Outcome)), text(e.ResourceID), text(string(e.ResourceType)),
		text(e.ResourceName), text(foldedName(e)), s.typed(e.Version, "bigint"), text(e.MatchedBy),
		s.json(d.diff), s.json(d.members), s.json(d.reason), s.json(d.error), s.typed(e.SettingsVersion, "bigint"),
	} {
		if i > 0 {
			s.add(", ")
		}
		s.add(value)
	}
	return nil
}

// foldedName is the name as it is compared, for its column; nil where that is the name itself.
func foldedName(e *provisioning.Entry) any {
	if f := scim.FoldFull.Apply(e.ResourceName); f != e.ResourceName {
		return f
	}
	return nil
}

// entryColumnsOf are entryColumns of an alias.
func entryColumnsOf(alias string) string {
	return alias + "." + strings.ReplaceAll(entryColumns, ", ", ", "+alias+".")
}

// scanEntry scans entryColumns, behind what comes before them.
func scanEntry(rows *sql.Rows, before ...any) (provisioning.Entry, error) {
	var r entryRow
	if err := rows.Scan(append(before, r.columns()...)...); err != nil {
		return r.e, err
	}
	return r.entry()
}

// entryRow is a row of entry as it is stored.
type entryRow struct {
	e                                       provisioning.Entry
	tenant                                  string
	at                                      instant
	folded                                  sql.NullString
	duration                                sql.NullInt64
	request, diff, members, reason, failure document
}

// columns are what entryColumns are scanned into.
func (r *entryRow) columns() []any {
	e := &r.e
	return []any{&e.ID, &r.tenant, &r.at, &e.Connection, &e.ConnectionName, &e.Actor, &e.Correlation, &r.request, &r.duration,
		&e.Action, &e.Outcome, &e.ResourceID, &e.ResourceType, &e.ResourceName, &r.folded, &e.Version, &e.MatchedBy,
		&r.diff, &r.members, &r.reason, &r.failure, &e.SettingsVersion}
}

// size is about how many bytes the row holds.
func (r *entryRow) size() int {
	return entrySize + len(r.request) + len(r.diff) + len(r.members) + len(r.reason) + len(r.failure)
}

// entry is what the row says.
func (r *entryRow) entry() (provisioning.Entry, error) {
	e := r.e
	e.At = r.at.Time
	var delta entryMembers
	err := firstError(decode(r.request, &e.Request), decode(r.diff, &e.Diff), decode(r.members, &delta),
		decode(r.reason, &e.Reason), decode(r.failure, &e.Error))
	if e.Request != nil {
		e.Request.Duration = time.Duration(r.duration.Int64) * time.Microsecond
	}
	e.Members = delta.delta()
	return e, err
}

// decode reads a JSON document, numbers as they are written; nil leaves v as it is.
func decode(data document, v any) error {
	if data == nil {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return decoder.Decode(v)
}
