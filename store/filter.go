package store

import (
	"slices"
	"strconv"
	"strings"

	"meibo/provisioning"
	"meibo/scim"
)

// filter writes a parsed filter as a condition on a resource r of one scope. It selects what
// scim.Match selects of the resources as they are rendered, but for what only the renderer knows:
// URLs made of the server's address (meta.location, $ref) are there, and equal nothing.
//
// Every condition is true or false, never null, so that "not" may stand before it. Values are
// arguments; the names in the text are those of this schema. Names of attributes are arguments, too.
type filter struct {
	*statement
	tenant  string
	scope   provisioning.Scope
	aliases int
}

// service is how indexes find what a condition selects; the zero value says that none does.
type service struct {
	// direct says that the condition is itself an equality or a range of one indexed column of r.
	direct bool
	// single says that the column is unique: what is found is one resource or none.
	single bool
	// source writes a select of the ids that can satisfy the condition. It is called once or not at
	// all, since an argument that no text refers to is an error for PostgreSQL.
	source func() string
}

func (s service) found() bool { return s.source != nil }

// order is what a page is in the order of. What indexes find is sorted: SQLite, where seq is the row's number, would else rather
// read all rows in their order than sort what is in a range.
func (s service) order() string {
	if s.found() {
		return "+r.seq"
	}
	return "r.seq"
}

// where is t as a condition, and how indexes serve it.
func (x *filter) where(t scim.Filter) (condition string, served service) {
	return x.condition(t, root{x})
}

// condition writes t about the attributes of a resource or of one element.
func (x *filter) condition(t scim.Filter, in holder) (string, service) {
	switch t := t.(type) {
	case *scim.Logical:
		return x.logical(t, in)
	case *scim.Not:
		text, _ := x.condition(t.Term, in)
		return "not (" + text + ")", service{}
	case *scim.Present:
		return in.holds(t.Path, test{present: true})
	case *scim.ValuePath:
		path := t.Path
		path.Filter = t.Term
		return in.holds(path, test{any: true})
	case *scim.Compare:
		return in.holds(t.Path, test{Compare: t})
	default:
		return never, service{}
	}
}

func (x *filter) logical(t *scim.Logical, in holder) (string, service) {
	terms, served := make([]string, len(t.Terms)), make([]service, len(t.Terms))
	for i, term := range t.Terms {
		terms[i], served[i] = x.condition(term, in)
	}
	if t.Or {
		return "(" + strings.Join(terms, " or ") + ")", either(served)
	}
	return "(" + strings.Join(terms, " and ") + ")", best(served)
}

// best is how a conjunction is served: by whichever of its terms, but rather directly, and best by
// a unique column.
func best(served []service) (b service) {
	rank := func(s service) int {
		switch {
		case s.single:
			return 3
		case s.direct:
			return 2
		case s.found():
			return 1
		default:
			return 0
		}
	}
	for _, s := range served {
		if rank(s) > rank(b) {
			b = s
		}
	}
	return b
}

// either is how a disjunction is served: by all of its terms together.
func either(served []service) service {
	if slices.ContainsFunc(served, func(s service) bool { return !s.found() }) {
		return service{}
	}
	return service{source: func() string {
		sources := make([]string, len(served))
		for i, s := range served {
			sources[i] = s.source()
		}
		return strings.Join(sources, " union ")
	}}
}

// directly is the service of a condition on an indexed column of r.
func directly(condition string) service {
	return service{direct: true, source: func() string { return "select r.id from resource r where " + condition }}
}

// one is the service of an equality of a unique column of r.
func one(condition string) service {
	served := directly(condition)
	served.single = true
	return served
}

// Conditions that need no look at a row.
const (
	always = "(1 = 1)"
	never  = "(1 = 0)"
)

// test is what is asked of a value: a comparison, or that there is one.
type test struct {
	*scim.Compare
	present bool // it is assigned (scim.Present)
	any     bool // nothing: that its element was found is enough
}

// holder is what has attributes: a resource, or an element of a multi-valued attribute.
type holder interface {
	// holds writes the condition that one of the values of a path passes a test.
	holds(p scim.Path, t test) (string, service)
}

// alias is a new name for a row.
func (x *filter) alias(prefix string) string {
	x.aliases++
	return prefix + strconv.Itoa(x.aliases)
}

// root is the resource r.
type root struct{ *filter }

func (x root) holds(p scim.Path, t test) (string, service) {
	name := p.Attr.String()
	switch {
	case p.URN != "" && p.Attr.Type == scim.Untyped:
		return x.untyped(x.document(p.URN, p.Attr.Name), p, t), service{}
	case name == "emails" && (p.Filter != nil || p.Sub != nil):
		return x.emails(p, t)
	case name == "members":
		return x.references(p, t, x.membersTable)
	case name == "groups":
		return x.references(p, t, x.groupsTable)
	case name == managerAttribute && p.Sub != nil:
		return x.manager(p.Sub, t), service{}
	case name == "meta":
		return x.meta(p, t), service{}
	case p.URN == "":
		if text, served, ok := x.column(p, t); ok {
			return text, served
		}
	}
	return x.described(x.document(path(p)...), p, t), service{}
}

const managerAttribute = scim.EnterpriseUserSchema + ":manager"

func path(p scim.Path) []string {
	if p.URN != "" {
		return []string{p.URN, p.Attr.Name}
	}
	return []string{p.Attr.Name}
}

// column tests the attributes that have columns of their own.
func (x root) column(p scim.Path, t test) (text string, served service, ok bool) {
	user := x.scope.Type == scim.User
	switch name := p.Attr.Name; {
	case name == "id" && t.is(scim.Eq):
		text = x.text(operand{text: "r.id"}, p.Attr, t)
		served = one(text)
	case name == "id":
		text = x.text(operand{text: "r.id"}, p.Attr, t)
	case name == "externalId" && t.is(scim.Eq):
		// A resource without externalId has no such key; everything else has its keys in its scope.
		text = "(r.ext_key is not null and r.ext_key = " + x.arg(scopedKey(x.scope, t.Value.Text)) + ")"
		served = directly(text)
	case name == "externalId":
		text = x.text(operand{text: "r.external_id"}, p.Attr, t)
	case name == "userName" && user, name == "displayName" && !user:
		text, served = x.name(p.Attr, t)
	case name == "displayName":
		text = x.text(operand{text: "r.display"}, p.Attr, t)
	default:
		return "", service{}, false
	}
	return text, served, true
}

func (t test) is(op scim.Op) bool { return t.Compare != nil && t.Op == op }

// name tests the attribute that a resource is called by. Equality and prefixes are ranges of
// resource.key; since the key of a group can have a suffix, the name itself is tested as well.
func (x root) name(a *scim.Attribute, t test) (string, service) {
	if t.is(scim.Eq) && x.scope.Type == scim.User {
		text := "r.key = " + x.arg(scopedKey(x.scope, t.Value.Text))
		return text, one(text)
	}
	text := x.text(operand{text: "r.name", folded: true}, a, t)
	switch {
	case t.is(scim.Eq):
		key := scopedKey(x.scope, t.Value.Text)
		text = "(r.key >= " + x.arg(key) + " and r.key < " + x.arg(keyEnd(key)) + " and " + text + ")"
	case t.is(scim.Sw):
		text = "(" + x.prefixed("r.key", scopedKey(x.scope, t.Value.Text)) + " and " + text + ")"
	default:
		return text, service{}
	}
	return text, directly(text)
}

// meta tests the attributes that the server made (RFC 7643 §3.1).
func (x root) meta(p scim.Path, t test) string {
	if p.Sub == nil {
		return always
	}
	switch p.Sub.Name {
	case "created":
		return x.instant("r.created", t)
	case "lastModified":
		return x.instant("r.modified", t)
	case "resourceType":
		return x.text(operand{text: x.constant(string(x.scope.Type))}, p.Sub, t)
	case "version":
		return x.text(operand{text: `('W/"' || r.version || '"')`}, p.Sub, t)
	default:
		return x.unknown(t)
	}
}

// manager tests the sub-attributes of the manager, of which a client asserts the value alone.
func (x root) manager(sub *scim.Attribute, t test) string {
	switch {
	case sub.Name == "displayName":
		return x.text(operand{text: managerDisplay, nullable: true}, sub, t)
	case sub.Name == "value" || t.present: // the place is known where the manager is
		return x.text(operand{text: "r.manager"}, sub, t)
	default:
		return never
	}
}

// unknown tests a value that only the renderer knows.
func (x *filter) unknown(t test) string {
	if t.Compare == nil {
		return always
	}
	return never
}

// emails tests the rows of resource_value, whose values are folded as no database can fold them.
// What else an element has is read from the document.
func (x root) emails(p scim.Path, t test) (string, service) {
	v := x.alias("v")
	of := v + ".resource = r.id and " + v + ".attr = 'emails'"
	if value := wanted(p, t); value != "" {
		// What found the resource is looked at again, and not what another index has of it: one page
		// less that may be cold.
		of = v + ".key = " + x.arg(valueKey(x.tenant, emails, value)) + " and " + v + ".resource || '' = r.id"
	}
	exists := "exists (select 1 from resource_value as " + v + " where " + of + x.element(p, t, emailElement{x.filter, v}) + ")"
	return exists, x.byValue(p, t, func(value string) string {
		return "select v.resource as id from resource_value v where v.key = " + x.arg(valueKey(x.tenant, emails, value))
	})
}

// byValue is the service of an index that finds resources by the value of an element.
func (x root) byValue(p scim.Path, t test, source func(value string) string) service {
	value := wanted(p, t)
	if value == "" {
		return service{}
	}
	return service{source: func() string { return source(value) }}
}

// element writes what is asked of one element, each term with " and " before it.
func (x *filter) element(p scim.Path, t test, in holder) (terms string) {
	if p.Filter != nil {
		text, _ := x.condition(p.Filter, in)
		terms = " and " + text
	}
	if !t.any {
		text, _ := in.holds(scim.Path{Attr: target(p)}, t)
		terms += " and " + text
	}
	return terms
}

// target is the sub-attribute that a path ends in; an element stands for its value.
func target(p scim.Path) *scim.Attribute {
	if p.Sub != nil {
		return p.Sub
	}
	if value := p.Attr.Sub("value"); value != nil {
		return value
	}
	return p.Attr
}

// wanted is the "value" that an element must equal to pass; "" if it need not equal one.
func wanted(p scim.Path, t test) string {
	if t.is(scim.Eq) && target(p).Name == "value" {
		return t.Value.Text
	}
	terms := []scim.Filter{p.Filter}
	if and, ok := p.Filter.(*scim.Logical); ok && !and.Or {
		terms = and.Terms
	}
	for _, term := range terms {
		if c, ok := term.(*scim.Compare); ok && c.Op == scim.Eq && c.Path.Attr.Name == "value" {
			return c.Value.Text
		}
	}
	return ""
}

// emailElement is a row of resource_value.
type emailElement struct {
	*filter
	row string
}

func (x emailElement) holds(p scim.Path, t test) (string, service) {
	if p.Attr.Name == "value" {
		return x.text(operand{text: x.row + ".value", folded: true}, p.Attr, t), service{}
	}
	return x.simple(x.json("r.asserted").elementAt("emails", x.row+".ord").field(p.Attr.Name), p.Attr, t), service{}
}

// referenceTable is how the members of a group, or the groups of a user, are joined to r.
type referenceTable struct {
	from    string             // from and where, as far as a client sees the rows
	columns map[string]operand // by sub-attribute; what is missing only the renderer knows
	source  string             // of the ids of r, by a value that follows
}

func (x root) membersTable(m, i string) referenceTable {
	return referenceTable{
		from: "member as " + m + " " + x.issued(m+".member", "r", i) + " where " + m + ".grp = r.id and " + m + ".valid_to is null and " + m + ".asserted and " + seen(i),
		columns: map[string]operand{
			"value":   {text: m + ".member"},
			"display": {text: m + ".display", nullable: true},
			"type":    {text: i + ".type", nullable: true},
		},
		source: "select m.grp as id from member m where " + x.openMember("m") + " = ",
	}
}

func (x root) groupsTable(m, g string) referenceTable {
	return referenceTable{
		from: x.groupsOf(m, g),
		columns: map[string]operand{
			"value":   {text: m + ".grp"},
			"display": {text: g + ".display"},
			"type":    {text: "'direct'"},
		},
		source: "select m.member as id from member m where m.valid_to is null and m.grp = ",
	}
}

func (x root) references(p scim.Path, t test, table func(m, other string) referenceTable) (string, service) {
	rows := table(x.alias("m"), x.alias("i"))
	if p.Filter == nil && p.Sub == nil && t.present {
		t = test{any: true}
	}
	exists := "exists (select 1 from " + rows.from + x.element(p, t, referenceElement{x.filter, rows.columns}) + ")"
	return exists, x.byValue(p, t, func(value string) string { return rows.source + x.arg(value) })
}

// referenceElement is a row of a referenceTable.
type referenceElement struct {
	*filter
	columns map[string]operand
}

func (x referenceElement) holds(p scim.Path, t test) (string, service) {
	o, ok := x.columns[p.Attr.Name]
	if !ok {
		return x.unknown(t), service{}
	}
	return x.text(o, p.Attr, t), service{}
}

// described tests an attribute of the document that a schema describes.
func (x *filter) described(n node, p scim.Path, t test) string {
	a := p.Attr
	switch {
	case p.Filter == nil && p.Sub == nil && t.present && (a.MultiValued || a.Type == scim.Complex):
		return n.assigned()
	case !a.MultiValued && p.Sub != nil:
		return x.simple(n.field(p.Sub.Name), p.Sub, t)
	case !a.MultiValued:
		return x.simple(n, a, t)
	}
	from, e := n.each(x.alias("e"))
	terms := ""
	if a.Type == scim.Complex {
		terms = x.element(p, t, describedElement{x, e})
	} else {
		terms = " and " + x.simple(e, a, t)
	}
	return "exists (select 1 from " + from + " where " + always + terms + ")"
}

// describedElement is an element of a complex multi-valued attribute in the document.
type describedElement struct {
	*filter
	node node
}

func (x describedElement) holds(p scim.Path, t test) (string, service) {
	return x.described(x.node.field(p.Attr.Name), p, t), service{}
}

// untyped tests what lies below a URN that no schema describes: values of any shape, in lists or
// alone, under the names as they were sent.
func (x *filter) untyped(n node, p scim.Path, t test) string {
	from, e := n.eachOrOnly(x.alias("u"))
	terms := ""
	if p.Filter != nil {
		text, _ := x.condition(p.Filter, undescribedElement{x, e})
		terms = " and " + e.isObject() + " and " + text
	}
	switch {
	case t.any:
	case p.Sub != nil:
		terms += " and " + x.untyped(e.field(p.Sub.Name), scim.Path{Attr: p.Sub}, t)
	case t.present:
		terms += " and " + e.assigned()
	default:
		terms += " and " + x.text(operand{text: e.scalar(), nullable: true}, p.Attr, t)
	}
	return "exists (select 1 from " + from + " where " + always + terms + ")"
}

// undescribedElement is one of those values, if it is an object.
type undescribedElement struct {
	*filter
	node node
}

func (x undescribedElement) holds(p scim.Path, t test) (string, service) {
	return x.untyped(x.node.field(p.Attr.Name), p, t), service{}
}

// successor is the least string greater than all that begin with prefix; ok is false if there is
// none. Bytes order UTF-8 as code points do, so the last one that can grow does.
func successor(prefix string) (next string, ok bool) {
	runes := []rune(prefix)
	for i := range slices.Backward(runes) {
		switch r := runes[i]; {
		case r == 0xD7FF: // surrogates are no characters
			runes[i] = 0xE000
		case r < 0x10FFFF:
			runes[i]++
		default:
			continue
		}
		return string(runes[:i+1]), true
	}
	return "", false
}
