package transfer

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"meibo/provisioning/sheet"
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

// csvWriter writes the rows of an export.
type csvWriter struct {
	w      io.Writer
	layout *layout
	buffer []byte
	record []string
}

// NewCSVWriter writes rows of these types as CSV in UTF-8 with a byte order mark, for spreadsheets: RFC 4180, and safe
// cells. Each row says everything: see Reader for those that do not.
func NewCSVWriter(w io.Writer, types ...scim.ResourceType) (Writer, error) {
	l, faults := newLayout(exportTitles(types))
	if len(faults) > 0 {
		return nil, faults[0]
	}
	c := &csvWriter{w: w, layout: l, record: make([]string, len(l.titles))}
	_, err := w.Write(sheet.Append([]byte(sheet.Begin), l.titles))
	return c, err
}

func (c *csvWriter) Write(r Row) error {
	l := c.layout
	clear(c.record)
	c.record[l.kind] = string(r.Type)
	for i, f := range l.fields {
		c.record[i] = f.write(&r)
	}
	c.record[l.rest] = c.attributes(&r)
	c.buffer = sheet.Append(c.buffer[:0], c.record)
	if err := c.flush(0); err != nil {
		return err
	}
	for _, m := range r.Members {
		clear(c.record)
		c.record[l.kind], c.record[l.group], c.record[l.view] = memberType, r.ID, viewOf(m)
		c.record[l.at("id")], c.record[l.at("displayName")] = m.Value, m.Display
		c.buffer = sheet.Append(c.buffer, c.record)
		if err := c.flush(64 << 10); err != nil {
			return err
		}
	}
	return c.flush(0)
}

// flush hands over what is written where that is more than so many bytes.
func (c *csvWriter) flush(above int) error {
	if len(c.buffer) <= above {
		return nil
	}
	_, err := c.w.Write(c.buffer)
	c.buffer = c.buffer[:0]
	return err
}

// attributes fills the columns of the row's attributes and returns the cell for the rest.
func (c *csvWriter) attributes(r *Row) string {
	rest := scim.Attributes{}
	shown := map[string]int{} // attributes of each extension that have a column
	for _, s := range c.layout.subjects[r.Type] {
		v := s.of(r.Attributes)
		if v == nil {
			continue
		}
		if s.cells(v, c.record) {
			shown[cmp.Or(s.urn, s.name)]++
		}
	}
	for name, v := range r.Attributes {
		extension, isObject := v.(map[string]any)
		switch {
		case scim.Standard(r.Type).Extension(name) == nil:
			if shown[name] == 0 {
				rest[name] = v
			}
		case !isObject || shown[name] < len(extension) || len(extension) == 0:
			// Rare: an attribute of the extension that no column holds. The object as a whole is then the rest's.
			rest[name] = v
			c.clear(r.Type, name)
		}
	}
	return objectCell(rest)
}

// clear empties the columns of an extension.
func (c *csvWriter) clear(t scim.ResourceType, urn string) {
	for _, s := range c.layout.subjects[t] {
		if s.urn != urn {
			continue
		}
		for _, part := range s.parts {
			c.record[part.index] = ""
		}
		if s.whole != nil {
			c.record[s.whole.index] = ""
		}
	}
}

// at is the index of a column that every export has.
func (l *layout) at(title string) int { return slices.Index(l.titles, title) }

func (c *csvWriter) Close() error { return nil }

// csvReader reads the rows of a file that somebody may have written.
type csvReader struct {
	in     *records
	layout *layout
	ahead  *record
}

// NewCSVReader reads CSV: what NewCSVWriter wrote, or any file whose first record has titles of columns that are
// documented for imports. The error is a *Fault, or several joined, about the titles.
func NewCSVReader(r io.Reader) (Reader, error) {
	in := newRecords(r)
	head, err := in.next()
	if errors.Is(err, io.EOF) {
		return nil, &Fault{Line: 1, Detail: "the file is empty; its first line has the titles of the columns", Fatal: true}
	}
	if err != nil {
		return nil, err
	}
	for i := range head.cells {
		head.cells[i] = strings.TrimSpace(sheet.Unsafe(head.cells[i]))
	}
	l, faults := newLayout(head.cells)
	if len(faults) > 0 {
		all := make([]error, len(faults))
		for i, f := range faults {
			all[i] = f
		}
		return nil, errors.Join(all...)
	}
	return &csvReader{in: in, layout: l}, nil
}

func (c *csvReader) Next() (Row, error) {
	rec, err := c.take()
	if err != nil {
		return Row{}, err
	}
	row := c.row(rec)
	if row.Type != scim.Group || c.layout.kind < 0 || c.layout.group < 0 {
		return row, nil
	}
	row.Has |= HasMembers
	for {
		rec, err := c.take()
		if errors.Is(err, io.EOF) {
			return row, nil
		}
		if err != nil {
			return row, err
		}
		if len(rec.cells) != len(c.layout.titles) || rec.cells[c.layout.kind] != memberType {
			c.ahead = &rec
			return row, nil
		}
		c.member(&row, rec)
	}
}

// take is the record that was read ahead, or the next one.
func (c *csvReader) take() (record, error) {
	if c.ahead != nil {
		rec := *c.ahead
		c.ahead = nil
		return rec, nil
	}
	rec, err := c.in.next()
	for i, cell := range rec.cells {
		rec.cells[i] = sheet.Unsafe(cell)
	}
	return rec, err
}

// row reads a record that is no Member row.
func (c *csvReader) row(rec record) Row {
	l := c.layout
	row := Row{Line: rec.line, Type: l.only}
	fail := func(column, detail string) { row.Faults = append(row.Faults, row.fault(column, detail)) }
	if len(rec.cells) != len(l.titles) {
		fail("", fmt.Sprintf("the record has %d cells, and there are %d titles; give each column a cell, empty where it has no value", len(rec.cells), len(l.titles)))
		return row
	}
	if l.kind >= 0 {
		switch row.Type = scim.ResourceType(rec.cells[l.kind]); row.Type {
		case scim.User, scim.Group:
		case memberType:
			fail(typeTitle, "a Member row follows the row of its group, or another Member row of it")
			return row
		default:
			fail(typeTitle, "expected User, Group or Member")
			return row
		}
	}
	for _, i := range sortedKeys(l.fields) {
		f := l.fields[i]
		if (f.has == HasState || f.has == HasRole || f.has == HasVisible || f.has == HasProtected) && rec.cells[i] == "" {
			continue // nothing is said of it
		}
		if row.Has |= f.has; rec.cells[i] == "" {
			continue
		}
		if err := f.read(&row, rec.cells[i]); err != nil {
			fail(f.title, err.Error())
		}
	}
	if row.ID == "" {
		row.Has &^= HasID
	}
	c.readAttributes(&row, rec)
	return row
}

// readAttributes reads the cells of the attributes.
func (c *csvReader) readAttributes(row *Row, rec record) {
	l := c.layout
	if row.Type == scim.Group {
		for _, i := range sortedKeys(l.onlyUsers) {
			if rec.cells[i] != "" {
				row.Faults = append(row.Faults, row.fault(l.titles[i], "groups have no such attribute; empty the cell"))
			}
		}
	}
	row.Attributes = scim.Attributes{}
	for _, s := range l.subjects[row.Type] {
		e := edit{s, s.pick(rec.cells)}
		row.edits = append(row.edits, e)
		if v, fault := s.value(nil, e.cells, true); fault != nil {
			row.Faults = append(row.Faults, row.fault(fault.Column, fault.Detail))
		} else {
			put(row.Attributes, s.urn, s.name, v)
		}
	}
	if l.rest < 0 {
		return
	}
	rest, err := readObject(rec.cells[l.rest])
	if err != nil {
		row.Faults = append(row.Faults, row.fault(restTitle, err.Error()))
	}
	for name, v := range rest {
		if _, twice := row.Attributes[name]; twice {
			row.Faults = append(row.Faults, row.fault(restTitle, "an attribute in it is given in another column, too; give it once"))
		}
		row.Attributes[name] = v
	}
	row.Has |= HasAttributes
	row.edits = nil
}

// member adds a Member row to its group.
func (c *csvReader) member(group *Row, rec record) {
	l := c.layout
	cell := func(i int) string {
		if i < 0 {
			return ""
		}
		return rec.cells[i]
	}
	id, of := cell(l.at("id")), rec.cells[l.group]
	m, err := membership(id, cell(l.at("displayName")), cell(l.view))
	fault := func(column, detail string) {
		group.Faults = append(group.Faults, &Fault{Line: rec.line, Column: column, Detail: detail})
	}
	switch {
	case id == "":
		fault("id", "a Member row has the id of the member")
	case of != "" && of != group.ID:
		fault(groupTitle, "a Member row follows the row of its group; this one names another")
	case err != nil:
		fault(viewTitle, err.Error())
	default:
		group.Members = append(group.Members, m)
	}
}

// sortedKeys has the indices of columns in their order, so that faults come in it.
func sortedKeys[V any](m map[int]V) []int {
	keys := make([]int, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
