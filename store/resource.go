package store

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"meibo/provisioning"
	"meibo/scim"
)

// selection says which columns of a resource a statement reads.
type selection struct {
	brief   bool // as ResourceQuery.Brief
	account bool // References are those that the host application sees, and not the client
	provisioning.References
	emails     bool // Index.Emails, which only a write compares
	allMembers bool
	facts      string // placeholder of the member ids to report on; "" for none
}

// managerDisplay is a subselect with the displayName of the manager of the user r, if a client can
// see it. Here as below, "lane + 0" is a look at the row, which no index serves: it says at once
// that a resource is visible, of which type and whose.
const managerDisplay = `(select d.display from resource d where d.id = r.manager and d.tenant = r.tenant and d.lane + 0 = r.lane)`

// accountManager is managerDisplay as the host application sees it: of any manager who was not removed.
const accountManager = `(select d.display from resource d where d.id = r.manager and d.tenant = r.tenant and d.state <> 'removed')`

// The groups g of the user r that a client sees in the memberships m, and those that the host application sees.
const (
	listedGroup  = "g.id = m.grp and g.lane + 0 = r.lane + 1"
	accountGroup = "g.id = m.grp and g.tenant = r.tenant and g.state <> 'removed'"
)

// groupList is a subselect with the groups of the user r of which one of those conditions holds: a flat JSON array of
// their ids and names in turns, in no order. PostgreSQL sets an aggregate up for each execution, at
// half the cost of the whole look-up; an array it does not.
func (d dialect) groupList(condition, view string) string {
	name := "(select " + d.quoted("g.display") + " from resource g where " + condition + ")"
	pair := `'"' || m.grp || '",' || ` + name
	of := " from member as m where " + d.openMember("m") + " = r.id and m." + view
	if d.postgres {
		return "'[' || array_to_string(array(select " + pair + of + "), ',') || ']'"
	}
	return "(select '[' || coalesce(group_concat(" + pair + "), '') || ']'" + of + ")"
}

// columnTexts keeps the select lists that were asked for: there are few, and making one anew costs
// as much as looking a row up.
var columnTexts sync.Map // of struct{dialect; selection} to string

// columns is the select list of a resource r of one connection; resourceRow scans it.
func (d dialect) columns(s selection) string {
	key := struct {
		dialect
		selection
	}{d, s}
	if text, ok := columnTexts.Load(key); ok {
		return text.(string)
	}
	text := strings.Join(d.columnList(s), ", ")
	columnTexts.Store(key, text)
	return text
}

// columnList are the columns of a selection, in the order of resourceRow.dest.
func (d dialect) columnList(s selection) []string {
	list := []string{"r.id, r.type, r.version, r.created, r.modified, r.asserted, r.manager"}
	if !s.brief {
		list = append(list, "r.connection, r.visible, r.state, r.role, r.protected, r.effective, r.rule_version, "+
			"r.name, r.effective_name, r.external_id, r.display, r.overrides, r.member_count, r.removals, r.left_at, r.purge_at, r.stable_key")
	}
	manager, group, view := managerDisplay, listedGroup, "asserted"
	if s.account {
		manager, group, view = accountManager, accountGroup, "effective"
	}
	if s.Manager {
		list = append(list, manager)
	}
	if s.Groups {
		list = append(list, d.groupList(group, view))
	}
	if s.emails {
		list = append(list, "(select "+d.tuples("v.value, v.type, v.display, "+d.bit("v.is_primary"), "v.ord")+`
			from resource_value v where v.resource = r.id and v.attr = 'emails')`)
	}
	if s.facts != "" {
		list = append(list, d.memberFacts(s.facts))
	}
	if s.allMembers {
		list = append(list, "(select "+d.tuples("m.member, m.display, (select i.type from resource i where i.id = m.member and i.tenant = r.tenant), "+
			d.bit("m.asserted")+", "+d.bit("m.effective"),
			"m.valid_from, m.member")+" from member m where m.grp = r.id and m.valid_to is null)")
	}
	return list
}

// openMember is what the index member_of holds: the member, while the membership m is open.
func (d dialect) openMember(m string) string {
	open := "case when " + m + ".valid_to is null then " + m + ".member end"
	if d.postgres {
		return open
	}
	return "cast(" + open + " as text)" // SQLite compares no text with an index of unknown type
}

// groupsOf are the groups g of the user r that a client sees, with from and where.
func (d dialect) groupsOf(m, g string) string {
	return "member as " + m + " " + d.probe("id, display, visible", "resource", "g0", "g0.id = "+m+".grp and g0.connection = r.connection", g) +
		" where " + d.openMember(m) + " = r.id and " + m + ".asserted and " + g + ".visible"
}

// memberFacts is a subselect with MemberFacts of the group r.
func (d dialect) memberFacts(ids string) string {
	return `(select ` + d.tuples("x.id, "+strings.Join(d.factColumns(), ", "), "x.ord") + ` from ` +
		d.factTables(ids, "r.tenant", "r.connection", "r.id") + `)`
}

// factColumns are those of MemberFact after its ID.
func (d dialect) factColumns() []string {
	return []string{d.bit("i.id is not null"), d.bit("coalesce(i.visible, " + d.false() + ")"), d.bit("coalesce(o.asserted, " + d.false() + ")"),
		d.bit("coalesce(o.effective, " + d.false() + ")"), d.bit("i.state = 'removed' and not i.visible and i.name = ''"), "o.display"}
}

// factTables looks up member ids x: the resource i that has the id, if the connection ever issued
// it, and the open membership o in the group. A resource without owner counts as issued and
// unseen: it was given up by one.
func (d dialect) factTables(ids, tenant, connection, group string) string {
	return d.elements(ids, "x") + " " +
		d.probe("i0.id, i0.visible, i0.state, i0.name", "resource", "i0", "i0.id = x.id and i0.tenant = "+tenant+" and i0.connection in ("+connection+", 0)", "i") + " " +
		d.probe("o0.asserted, o0.effective, o0.display", "member", "o0", "o0.grp = "+group+" and o0.member = x.id and o0.valid_to is null", "o")
}

// resourceRow scans columns.
type resourceRow struct {
	provisioning.Resource
	created, modified              instant
	leftAt, purgeAt                instant
	asserted, effective            document
	overrides, removals            document
	effectiveName, stableKey       sql.NullString
	groups, emails, facts, members document
}

// dest is where the columns of a selection go, after those that come before them.
func (r *resourceRow) dest(s selection, before ...any) []any {
	x := &r.Index
	list := append(before, &r.ID, &r.Type, &r.Version, &r.created, &r.modified, &r.asserted, &x.Manager)
	if !s.brief {
		list = append(list, &r.Connection, &r.Visible, &r.State, &r.Role, &r.Protected, &r.effective, &r.RuleVersion,
			&x.Name, &r.effectiveName, &x.ExternalID, &x.Display, &r.overrides, &r.MemberCount, &r.removals, &r.leftAt, &r.purgeAt, &r.stableKey)
	}
	for _, part := range []struct {
		selected bool
		dest     any
	}{{s.Manager, text{&r.Resource.Manager.Display}}, {s.Groups, &r.groups}, {s.emails, &r.emails}, {s.facts != "", &r.facts}, {s.allMembers, &r.members}} {
		if part.selected {
			list = append(list, part.dest)
		}
	}
	return list
}

// resource is the scanned row, finished.
func (r *resourceRow) resource() (provisioning.Resource, error) {
	r.Created, r.Modified = r.created.Time, r.modified.Time
	r.LeftAt, r.PurgeAt = r.leftAt.Time, r.purgeAt.Time
	r.Asserted, r.Effective, r.Overrides, r.Removals = r.asserted, r.effective, r.overrides, r.removals
	r.Index.Stable = valueOf(r.stableKey.String)
	r.Index.EffectiveName = r.Index.Name
	if r.effectiveName.Valid {
		r.Index.EffectiveName = r.effectiveName.String
	}
	r.Resource.Manager.ID = r.Index.Manager
	err := firstError(
		decodeGroups(r.groups, &r.Groups),
		decodeTuples(r.emails, func(e *provisioning.Email) []any {
			return []any{&e.Value, &e.Type, &e.Display, (*bit)(&e.Primary)}
		}, &r.Index.Emails),
		decodeTuples(r.facts, func(f *provisioning.MemberFact) []any {
			return []any{&f.ID, (*bit)(&f.Issued), (*bit)(&f.Visible), (*bit)(&f.Member), (*bit)(&f.Effective), (*bit)(&f.Gone), &f.Display}
		}, &r.MemberFacts),
		decodeTuples(r.members, func(m *provisioning.Membership) []any {
			return []any{&m.Value, &m.Display, &m.Type, (*bit)(&m.Asserted), (*bit)(&m.Effective)}
		}, &r.OpenMembers))
	return r.Resource, err
}

// bit is a bool that comes as 0 or 1.
type bit bool

func (b *bit) UnmarshalJSON(data []byte) error {
	*b = string(data) == "1"
	return nil
}

// decodeTuples reads what dialect.tuples made. Null columns leave their zero value.
func decodeTuples[T any](data []byte, fields func(*T) []any, out *[]T) error {
	if data == nil {
		return nil
	}
	var raw []json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	*out = make([]T, len(raw))
	for i := range raw {
		tuple := fields(&(*out)[i])
		if err := json.Unmarshal(raw[i], &tuple); err != nil {
			return err
		}
	}
	return nil
}

// decodeGroups reads what dialect.groupList made, by id.
func decodeGroups(data []byte, out *[]provisioning.Reference) error {
	if len(data) <= len("[]") {
		return nil
	}
	var flat []string
	if err := json.Unmarshal(data, &flat); err != nil {
		return err
	}
	for pair := range slices.Chunk(flat, 2) {
		*out = append(*out, provisioning.Reference{ID: pair[0], Display: pair[1]})
	}
	slices.SortFunc(*out, func(a, b provisioning.Reference) int { return strings.Compare(a.ID, b.ID) })
	return nil
}

// Resource implements provisioning.Reader.
func (x *session) Resource(q provisioning.ResourceQuery) (provisioning.Resource, error) {
	return x.resource(q, selection{brief: q.Brief, References: q.References, allMembers: q.AllMembers})
}

// Resource implements provisioning.Reader for a unit of work.
func (x tx) Resource(q provisioning.ResourceQuery) (provisioning.Resource, error) {
	if storable(q.ID) {
		if err := x.lock("id = $2", q.ID); err != nil {
			return provisioning.Resource{}, err
		}
	}
	return x.resource(q, selection{References: q.References, allMembers: q.AllMembers, emails: q.Scope.Type == scim.User})
}

func (x *session) resource(q provisioning.ResourceQuery, s selection) (provisioning.Resource, error) {
	if !storable(q.ID) {
		return provisioning.Resource{}, notFound("the " + string(q.Scope.Type))
	}
	args := []any{q.ID, x.tenant, laneOf(q.Scope)}
	if len(q.MemberFacts) > 0 {
		s.facts = "$4"
		args = append(args, x.list(q.MemberFacts))
	}
	var r resourceRow
	found, err := x.row("select "+x.columns(s)+" from resource r where r.id = $1 and r.tenant = $2 and r.lane + 0 = $3", args, r.dest(s)...)
	switch {
	case err != nil:
		return provisioning.Resource{}, err
	case !found:
		return provisioning.Resource{}, notFound("the " + string(q.Scope.Type))
	default:
		return r.resource()
	}
}

// MemberFacts implements provisioning.Reader.
func (x *session) MemberFacts(connection int64, group string, ids []string) ([]provisioning.MemberFact, error) {
	facts := make([]provisioning.MemberFact, 0, len(ids))
	query := "select x.id, " + strings.Join(x.factColumns(), ", ") + " from " +
		x.factTables("$1", x.cast("$2", "text"), x.cast("$3", "bigint"), x.cast("$4", "text")) + " order by x.ord"
	err := x.query(query, []any{x.list(ids), x.tenant, connection, group}, func(rows *sql.Rows) error {
		var f provisioning.MemberFact
		err := rows.Scan(&f.ID, &f.Issued, &f.Visible, &f.Member, &f.Effective, &f.Gone, text{&f.Display})
		facts = append(facts, f)
		return err
	})
	return facts, err
}

// lock takes row locks on the tenant's resources that condition finds, whose arguments begin with $2, in the order of their ids so that
// two units of work do not wait for each other. It comes as a statement of its own: the one that
// reads after it sees what it waited for.
func (x *session) lock(condition string, args ...any) error {
	if !x.locking {
		return nil
	}
	return x.query("select id from resource where tenant = $1 and "+condition+" order by id for update", append([]any{x.tenant}, args...),
		func(*sql.Rows) error { return nil })
}

// Candidates implements provisioning.Reader.
func (x *session) Candidates(q provisioning.CandidateQuery) (provisioning.Candidates, error) {
	return x.candidates(q, selection{})
}

// Candidates implements provisioning.Reader for a unit of work.
func (x tx) Candidates(q provisioning.CandidateQuery) (provisioning.Candidates, error) {
	if q.Presume && x.presume {
		x.presumed = &q
		return provisioning.Candidates{}, nil
	}
	err := x.lock("(key = $2 or eff_key = $3 or ext_key = $4)", scopedKey(q.Scope, q.Name),
		effectiveKey(x.tenant, effectiveOf(q)), scopedKey(q.Scope, q.ExternalID))
	if err == nil && q.Stable != "" {
		err = x.lock("stable_key = $2", scopedKey(q.Scope, q.Stable))
	}
	if err == nil && len(q.Emails) > 0 {
		err = x.lock("id = any(array(select v.resource from resource_value v where v.key = any($2)))", emailKeys(x.tenant, q.Emails))
	}
	if err != nil {
		return provisioning.Candidates{}, err
	}
	return x.candidates(q, selection{emails: q.Scope.Type == scim.User})
}

// effectiveOf is the effective userName that a query asks for; "" for none.
func effectiveOf(q provisioning.CandidateQuery) string {
	if q.Scope.Type != scim.User {
		return ""
	}
	return cmp.Or(q.Effective, q.Name)
}

func emailKeys(tenant string, values []string) []string {
	keys := make([]string, len(values))
	for i, v := range values {
		keys[i] = valueKey(tenant, emails, v)
	}
	return keys
}

// byEmail selects the ids of the users that are Candidates.Mail, one as often as it has one of the addresses.
func (s *statement) byEmail(tenant string, q provisioning.CandidateQuery) string {
	keys := s.arg(s.list(emailKeys(tenant, q.Emails)))
	of := "json_each(" + keys + ") as k cross join resource_value as v on v.key = cast(k.value as text) cross join resource as x on x.id = v.resource"
	if s.postgres { // one look-up each, see probe
		of = "unnest(" + keys + "::text[]) as k(key) cross join lateral (select v.resource from resource_value v where v.key = k.key offset 0) as v " +
			"cross join lateral (select * from resource where id = v.resource limit 1) as x"
	}
	return "select x.id from " + of + " where x.tenant = " + s.arg(tenant) + " and x.connection <> " + s.arg(q.Scope.Connection) + " and x.state <> 'removed'"
}

func (x *session) candidates(q provisioning.CandidateQuery, s selection) (provisioning.Candidates, error) {
	var c provisioning.Candidates
	stmt := statement{dialect: x.dialect}
	columns := x.columns(s)
	partFrom := func(kind, from string) {
		if len(stmt.sql) > 0 {
			stmt.add(" union all ")
		}
		stmt.add("select * from (select '", kind, "' as kind, ", columns, " from ", from, ") as ", kind)
	}
	part := func(kind, condition string) { partFrom(kind, "resource r where "+condition) }
	if q.Name != "" {
		// The name again, since a key with a suffix could read like a longer name.
		part("visible", "r.key = "+stmt.arg(scopedKey(q.Scope, q.Name))+" and r.name = "+stmt.arg(q.Name)+" and r.tenant = "+stmt.arg(x.tenant))
	}
	if name := effectiveOf(q); name != "" {
		part("effective", "r.eff_key = "+stmt.arg(effectiveKey(x.tenant, name)))
	}
	if q.ExternalID != "" {
		part("stable", "r.ext_key = "+stmt.arg(scopedKey(q.Scope, q.ExternalID))+" and r.tenant = "+stmt.arg(x.tenant)+" order by r.seq limit 2")
	}
	if q.Stable != "" {
		part("named", "r.stable_key = "+stmt.arg(scopedKey(q.Scope, q.Stable))+" and r.tenant = "+stmt.arg(x.tenant)+" order by r.seq limit 2")
	}
	if q.Scope.Type == scim.User && len(q.Emails) > 0 {
		partFrom("mail", "(select distinct id from ("+stmt.byEmail(x.tenant, q)+") as ids order by id limit 3) as found "+x.byID("found.id"))
	}
	if len(stmt.sql) == 0 {
		return c, nil
	}
	err := x.query(stmt.String(), stmt.args, func(rows *sql.Rows) error {
		var kind string
		var row resourceRow
		if err := rows.Scan(row.dest(s, &kind)...); err != nil {
			return err
		}
		r, err := row.resource()
		switch kind {
		case "visible":
			c.Visible = &r
		case "effective":
			c.Effective = &r
		case "mail":
			c.Mail = append(c.Mail, r)
		default:
			c.Stable = append(c.Stable, r)
		}
		return err
	})
	return c, err
}
