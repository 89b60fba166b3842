package transfer

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"meibo/provisioning/sheet"
	"meibo/scim"
)

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
