package transfer

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"meibo/scim"
)

// memberType is the type of the CSV rows that follow a group, one for each of its members: a cell would not hold many.
const memberType = "Member"

// field is a column that is no attribute, as a CSV file titles it.
type field struct {
	title string
	has   Field
	write func(*Row) string
	read  func(*Row, string) error
}

// fields has every one in the order in which a file is written; those of the back follow the attributes.
var (
	frontFields = []field{
		{"id", HasID, func(r *Row) string { return r.ID }, func(r *Row, s string) error { r.ID = s; return nil }},
		{"connection", HasConnection, func(r *Row) string { return r.Connection }, func(r *Row, s string) error { r.Connection = s; return nil }},
		{"state", HasState, func(r *Row) string { return string(r.State) }, func(r *Row, s string) (err error) { r.State, err = parseState(s); return err }},
		{"visible", HasVisible, func(r *Row) string { return strconv.FormatBool(r.Visible) }, func(r *Row, s string) error { return readBool(&r.Visible, s) }},
		{"role", HasRole, func(r *Row) string { return r.Role }, func(r *Row, s string) error { r.Role = s; return nil }},
		{"protected", HasProtected, func(r *Row) string { return strconv.FormatBool(r.Protected) }, func(r *Row, s string) error { return readBool(&r.Protected, s) }},
		{"purgeAt", HasPurgeAt, func(r *Row) string { return formatTime(r.PurgeAt) }, func(r *Row, s string) (err error) { r.PurgeAt, err = parseTime(s); return err }},
		{"leftAt", HasLeftAt, func(r *Row) string { return formatTime(r.LeftAt) }, func(r *Row, s string) (err error) { r.LeftAt, err = parseTime(s); return err }},
	}
	backFields = []field{
		{"effective", HasEffective, func(r *Row) string { return objectCell(r.Effective) }, func(r *Row, s string) (err error) { r.Effective, err = readObject(s); return err }},
		{"overrides", HasOverrides, func(r *Row) string { return objectCell(r.Overrides) }, func(r *Row, s string) (err error) { r.Overrides, err = readObject(s); return err }},
	}
)

// Titles of the columns that fields does not have.
const (
	typeTitle  = "type"
	restTitle  = "attributes" // a JSON object of the attributes that no other column holds
	groupTitle = "group"      // of a Member row: the group's id
	viewTitle  = "view"       // of a Member row: asserted or effective where not both hold
)

func readBool(to *bool, cell string) error {
	b, err := strconv.ParseBool(strings.ToLower(cell))
	if err != nil || len(cell) == 1 {
		return errors.New("expected true or false")
	}
	*to = b
	return nil
}

func objectCell(m map[string]any) string {
	if len(m) == 0 {
		return ""
	}
	return string(appendOverlay(nil, m))
}

func readObject(cell string) (map[string]any, error) {
	if cell == "" {
		return nil, nil
	}
	v, err := parseJSON(cell)
	if err != nil {
		return nil, err
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("expected a JSON object")
	}
	if len(object) == 0 {
		return nil, nil
	}
	return object, nil
}

// layout is what the titles of a CSV file mean.
type layout struct {
	titles    []string
	kind      int           // index of the type column; -1 without one
	rest      int           // of the column restTitle; -1
	group     int           // of the column groupTitle; -1
	view      int           // of the column viewTitle; -1
	fields    map[int]field // by index
	subjects  map[scim.ResourceType][]*subject
	onlyUsers map[int]bool      // columns that groups do not have
	only      scim.ResourceType // of all rows, without a type column
}

// newLayout reads titles. Its faults are on line 1, and all of them are returned.
func newLayout(titles []string) (*layout, []*Fault) {
	l := &layout{titles: titles, kind: -1, rest: -1, group: -1, view: -1, fields: map[int]field{}, onlyUsers: map[int]bool{},
		subjects: map[scim.ResourceType][]*subject{}}
	var faults []*Fault
	seen := map[string]bool{}
	for i, title := range titles {
		if seen[strings.ToLower(title)] {
			faults = append(faults, &Fault{Line: 1, Column: title, Detail: "the column is there twice; remove one", Fatal: true})
			continue
		}
		seen[strings.ToLower(title)] = true
		if err := l.add(i, title); err != nil {
			faults = append(faults, &Fault{Line: 1, Column: shortTitle(title), Detail: err.Error(), Fatal: true})
		}
	}
	if l.only = scim.User; seen["displayname"] && len(l.onlyUsers) == 0 {
		l.only = scim.Group
	}
	return l, faults
}

// shortTitle keeps a file that is no CSV from filling the terminal.
func shortTitle(title string) string {
	if r := []rune(title); len(r) > 60 {
		return strconv.Quote(string(r[:60]) + "…")
	}
	if title == "" || strings.ContainsFunc(title, func(r rune) bool { return r < ' ' }) {
		return strconv.Quote(title)
	}
	return title
}

func (l *layout) add(i int, title string) error {
	switch title {
	case typeTitle:
		l.kind = i
		return nil
	case restTitle:
		l.rest = i
		return nil
	case groupTitle:
		l.group = i
		return nil
	case viewTitle:
		l.view = i
		return nil
	}
	for _, f := range slices.Concat(frontFields, backFields) {
		if f.title == title {
			l.fields[i] = f
			return nil
		}
	}
	userErr := l.addAttribute(scim.User, i, title)
	groupErr := l.addAttribute(scim.Group, i, title)
	if groupErr != nil {
		l.onlyUsers[i] = true
	}
	if userErr != nil && groupErr != nil {
		return unknownTitle(title, userErr)
	}
	return nil
}

func unknownTitle(title string, err error) error {
	for separator, name := range map[string]string{";": "semicolons", "\t": "tabs"} {
		if strings.Contains(title, separator) {
			return fmt.Errorf("the columns are separated by %s; save the file with commas", name)
		}
	}
	if fault, ok := errors.AsType[*scim.Error](err); ok {
		return fmt.Errorf("%s; correct the title or remove the column", fault.Detail)
	}
	return err
}

func (l *layout) addAttribute(t scim.ResourceType, i int, title string) error {
	c, err := newColumn(scim.Standard(t), title, i)
	if err != nil {
		return err
	}
	a := c.target()
	switch {
	case a.Mutability == scim.ReadOnly, a.Returned == scim.Never, c.path.Attr.Name == "schemas", t == scim.Group && c.path.Attr.Name == "members":
		return fmt.Errorf("%s is nothing that a file can set; remove the column", title)
	}
	s := l.subject(t, c)
	if c.isJSON() && c.path.Sub == nil {
		s.whole = &c
	} else {
		s.parts = append(s.parts, c)
	}
	return nil
}

// subject finds or makes the subject that a column speaks of.
func (l *layout) subject(t scim.ResourceType, c column) *subject {
	for _, s := range l.subjects[t] {
		if s.urn == c.path.URN && s.name == c.path.Attr.Name {
			return s
		}
	}
	s := &subject{urn: c.path.URN, name: c.path.Attr.Name}
	l.subjects[t] = append(l.subjects[t], s)
	return s
}

// flattened are the elements of multi-valued attributes that have columns of their own in an export: what
// directories assert. Other elements go into the JSON column of the attribute.
var flattened = map[string][]string{
	"emails": {`emails[type eq "work"].value`, `emails[type eq "work"].primary`, `emails[type eq "home"].value`, `emails[type eq "other"].value`},
	"phoneNumbers": {`phoneNumbers[type eq "work"].value`, `phoneNumbers[type eq "mobile"].value`, `phoneNumbers[type eq "home"].value`,
		`phoneNumbers[type eq "fax"].value`, `phoneNumbers[type eq "pager"].value`},
	"addresses": {`addresses[type eq "work"].formatted`, `addresses[type eq "work"].streetAddress`, `addresses[type eq "work"].locality`,
		`addresses[type eq "work"].region`, `addresses[type eq "work"].postalCode`, `addresses[type eq "work"].country`},
}

// exportTitles are the columns of an export, which depend on the types alone: two exports can be compared by columns,
// and one is written in a single pass.
func exportTitles(types []scim.ResourceType) []string {
	titles := []string{typeTitle}
	for _, f := range frontFields {
		titles = append(titles, f.title)
	}
	titles = append(titles, "externalId")
	for _, t := range types {
		for _, s := range append([]*scim.Schema{scim.Standard(t).Core}, scim.Standard(t).Extensions...) {
			for _, a := range s.Attributes {
				titles = append(titles, attributeTitles(t, a)...)
			}
		}
	}
	titles = append(titles, restTitle)
	for _, f := range backFields {
		titles = append(titles, f.title)
	}
	if slices.Contains(types, scim.Group) {
		titles = append(titles, groupTitle, viewTitle)
	}
	var out []string
	for _, title := range titles {
		if !slices.Contains(out, title) { // displayName is an attribute of both types
			out = append(out, title)
		}
	}
	return out
}

func attributeTitles(t scim.ResourceType, a *scim.Attribute) []string {
	switch {
	case a.Mutability == scim.ReadOnly, a.Returned == scim.Never, t == scim.Group && a.Name == "members":
		return nil
	case a.MultiValued:
		return append(slices.Clone(flattened[a.Name]), a.String())
	case a.Type == scim.Complex:
		var titles []string
		for _, sub := range a.SubAttributes {
			if sub.Mutability != scim.ReadOnly {
				titles = append(titles, sub.String())
			}
		}
		return titles
	default:
		return []string{a.String()}
	}
}

// at is the index of a column that every export has.
func (l *layout) at(title string) int { return slices.Index(l.titles, title) }
