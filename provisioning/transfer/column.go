package transfer

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"meibo/scim"
)

// column is one column of attributes in a CSV file. Its title is a path of RFC 7644 §3.5.2.
type column struct {
	title string
	index int // of the cell in a record
	path  scim.Path
	match any // what the path's filter demands of its element's sub-attribute: a string or a bool; nil without one
}

// newColumn reads a title. A filter is one comparison with eq, as in emails[type eq "work"].value: nothing else says
// what an element has to be made like.
func newColumn(d *scim.Definition, title string, index int) (column, error) {
	p, err := scim.ParsePath(d, title)
	if err != nil {
		return column{}, err
	}
	c := column{title: title, index: index, path: p}
	if p.Attr == nil {
		return column{}, errors.New("the title names a whole schema; name one of its attributes")
	}
	if p.Filter == nil {
		if p.Sub != nil && p.Attr.MultiValued {
			return column{}, fmt.Errorf("%s has many values; say which, as in %s[type eq \"work\"].%s", p.Attr.Name, p.Attr.Name, p.Sub.Name)
		}
		return c, nil
	}
	compare, ok := p.Filter.(*scim.Compare)
	if !ok || compare.Op != scim.Eq || p.Sub == nil || p.Attr.Type == scim.Untyped {
		return column{}, fmt.Errorf("a column of one element is titled like emails[type eq \"work\"].value")
	}
	if c.match = any(compare.Value.Text); compare.Value.Kind == scim.Boolean {
		c.match = compare.Value.Bool
	}
	return c, nil
}

// target is the attribute whose value is in the cells.
func (c column) target() *scim.Attribute {
	if c.path.Sub != nil {
		return c.path.Sub
	}
	return c.path.Attr
}

// isJSON reports whether cells hold JSON: those of attributes that are no single simple value.
func (c column) isJSON() bool {
	return c.path.Filter == nil && (c.target().MultiValued || c.target().Type == scim.Complex)
}

// value reads a cell; nil for an empty one.
func (c column) value(cell string) (any, error) {
	if cell == "" {
		return nil, nil
	}
	if c.isJSON() {
		return parseJSON(cell)
	}
	switch c.target().Type {
	case scim.Boolean:
		if b, err := strconv.ParseBool(strings.ToLower(cell)); err == nil && len(cell) > 1 {
			return b, nil
		}
		return nil, errors.New("expected true or false")
	case scim.Integer, scim.Decimal:
		v, err := parseJSON(cell)
		if _, ok := v.(json.Number); !ok || err != nil {
			return nil, errors.New("expected a number")
		}
		return v, nil
	default:
		return cell, nil
	}
}

// cell writes a value as value reads it back; "" for one that has no such text, nil included.
func (c column) cell(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		if c.isJSON() {
			return string(scim.AppendValue(nil, v))
		}
		return v
	default:
		return string(scim.AppendValue(nil, v))
	}
}

func parseJSON(text string) (any, error) {
	v, err := scim.ParseStored([]byte(text))
	if fault, ok := errors.AsType[*scim.Error](err); ok {
		return nil, errors.New(fault.Message())
	}
	return v, err
}

// subject is an attribute with all columns that speak of it.
type subject struct {
	urn, name string // name of the attribute; urn of its extension, "" in the core schema
	whole     *column
	parts     []column
}

// of is the subject's value in a document.
func (s *subject) of(a scim.Attributes) any {
	if s.urn == "" {
		return a[s.name]
	}
	extension, _ := a[s.urn].(map[string]any)
	return extension[s.name]
}

// cells flattens a value into the subject's columns of record; false where they cannot hold it exactly.
func (s *subject) cells(v any, record []string) bool {
	for _, c := range s.parts {
		record[c.index] = c.cell(c.get(v))
	}
	if back, fault := s.value(nil, s.pick(record), true); fault == nil && scim.Equal(back, v) {
		return true
	}
	for _, c := range s.parts {
		record[c.index] = ""
	}
	if s.whole == nil {
		return false
	}
	record[s.whole.index] = s.whole.cell(v)
	return true
}

// pick are the cells of the subject in a record: the parts', and last the whole's.
func (s *subject) pick(record []string) []string {
	cells := make([]string, 0, len(s.parts)+1)
	for _, c := range s.parts {
		cells = append(cells, record[c.index])
	}
	if s.whole != nil {
		cells = append(cells, record[s.whole.index])
	}
	return cells
}

// value is what the cells make of the attribute: afresh, or on top of what it is. Its fault has no line.
func (s *subject) value(before any, cells []string, afresh bool) (any, *Fault) {
	if afresh {
		before = nil
	}
	filled := slices.ContainsFunc(cells[:len(s.parts)], func(cell string) bool { return cell != "" })
	if s.whole != nil {
		switch last := cells[len(s.parts)]; {
		case last != "" && filled:
			return nil, &Fault{Column: s.whole.title, Detail: fmt.Sprintf("the attribute is given here and in column %s, too; empty one of them", s.parts[0].title)}
		case last != "":
			v, err := s.whole.value(last)
			return v, faultIn(s.whole.title, err)
		}
	}
	for i, c := range s.parts {
		v, err := c.value(cells[i])
		if err != nil {
			return nil, faultIn(c.title, err)
		}
		before = c.set(before, v)
	}
	return before, nil
}

func faultIn(column string, err error) *Fault {
	if err == nil {
		return nil
	}
	return &Fault{Column: column, Detail: err.Error()}
}

// get is the part of an attribute's value that the column shows; nil where there is none.
func (c column) get(v any) any {
	if c.path.Sub == nil {
		return v
	}
	if c.match == nil {
		object, _ := v.(map[string]any)
		return object[c.path.Sub.Name]
	}
	list, _ := v.([]any)
	if i := c.find(list); i >= 0 {
		return list[i].(map[string]any)[c.path.Sub.Name]
	}
	return nil
}

// set is an attribute's value with the part that the column shows replaced; nil takes it away.
func (c column) set(whole, part any) any {
	if c.path.Sub == nil {
		return part
	}
	if c.match == nil {
		object, _ := whole.(map[string]any)
		return orNothing(with(object, c.path.Sub.Name, part))
	}
	list, _ := whole.([]any)
	list = slices.Clone(list)
	i := c.find(list)
	if i < 0 {
		if part == nil {
			return whole
		}
		i, list = len(list), append(list, map[string]any{c.selector().Name: c.match})
	}
	element := with(list[i].(map[string]any), c.path.Sub.Name, part)
	if len(element) == 0 || len(element) == 1 && element[c.selector().Name] != nil {
		list = slices.Delete(list, i, i+1)
	} else {
		list[i] = element
	}
	if len(list) == 0 {
		return nil
	}
	return list
}

// find is the index of the element that the column speaks of; -1 for none.
func (c column) find(list []any) int {
	return slices.IndexFunc(list, func(v any) bool {
		element, _ := v.(map[string]any)
		switch have := element[c.selector().Name].(type) {
		case string:
			return c.match == c.selector().Folding.Apply(have)
		case bool:
			return c.match == have
		default:
			return false
		}
	})
}

// selector is the sub-attribute that the title's filter compares.
func (c column) selector() *scim.Attribute { return c.path.Filter.(*scim.Compare).Path.Attr }

func with(object map[string]any, name string, v any) map[string]any {
	out := maps.Clone(object)
	if out == nil {
		out = map[string]any{}
	}
	if v == nil {
		delete(out, name)
	} else {
		out[name] = v
	}
	return out
}

func orNothing(object map[string]any) any {
	if len(object) == 0 {
		return nil
	}
	return object
}

// edit is what a row says of one attribute.
type edit struct {
	*subject
	cells []string
}

// apply makes the edit on a document. Where the file has the column of the whole attribute, its columns state the
// attribute; otherwise they change the parts that they name.
func (e edit) apply(a scim.Attributes) *Fault {
	v, fault := e.value(e.of(a), e.cells, e.whole != nil)
	if fault != nil {
		return fault
	}
	put(a, e.urn, e.name, v)
	return nil
}

// put assigns an attribute, or takes it away. The extension's object is replaced, never changed.
func put(a scim.Attributes, urn, name string, v any) {
	if urn == "" {
		if v == nil {
			delete(a, name)
		} else {
			a[name] = v
		}
		return
	}
	before, _ := a[urn].(map[string]any)
	if before == nil && v == nil {
		return
	}
	if after := with(before, name, v); len(after) > 0 {
		a[urn] = after
	} else {
		delete(a, urn)
	}
}
