package transfer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// maxLine bounds a line of NDJSON: a group of a hundred thousand members takes about ten megabytes.
const maxLine = 64 << 20

type ndjsonWriter struct {
	w      io.Writer
	buffer []byte
}

// NewNDJSONWriter writes rows as JSON, one object a line. attributes is the document as a SCIM client reads it, without
// what the server derives.
func NewNDJSONWriter(w io.Writer) Writer { return &ndjsonWriter{w: w} }

func (n *ndjsonWriter) Write(r Row) error {
	b := append(n.buffer[:0], `{"type":`...)
	b = scim.AppendString(b, string(r.Type))
	text := func(name, value string) {
		b = append(b, ',', '"')
		b = append(append(b, name...), '"', ':')
		b = scim.AppendString(b, value)
	}
	raw := func(name string, value []byte) {
		b = append(b, ',', '"')
		b = append(append(b, name...), '"', ':')
		b = append(b, value...)
	}
	text("id", r.ID)
	text("connection", r.Connection)
	text("state", string(r.State))
	raw("visible", scim.AppendValue(nil, r.Visible))
	if r.Says(HasRole) {
		text("role", r.Role)
	}
	raw("protected", scim.AppendValue(nil, r.Protected))
	raw("purgeAt", appendTime(nil, r.PurgeAt))
	raw("leftAt", appendTime(nil, r.LeftAt))
	raw("attributes", scim.Standard(r.Type).Encode(r.Attributes))
	raw("effective", appendOverlay(nil, r.Effective))
	raw("overrides", appendOverlay(nil, r.Overrides))
	if len(r.Guessed) > 0 {
		text("guessed", strings.Join(r.Guessed, " "))
	}
	if r.Type == scim.Group {
		raw("members", appendMembers(nil, r.Members))
	}
	n.buffer = append(b, '}', '\n')
	_, err := n.w.Write(n.buffer)
	return err
}

func (n *ndjsonWriter) Close() error { return nil }

// appendTime writes an instant; null for none.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	return scim.AppendString(b, formatTime(t))
}

// appendOverlay writes an object whose values may be null; null for none.
func appendOverlay(b []byte, object map[string]any) []byte {
	if len(object) == 0 {
		return append(b, "null"...)
	}
	b = append(b, '{')
	for i, name := range sortedNames(object) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(scim.AppendString(b, name), ':')
		b = scim.AppendValue(b, object[name])
	}
	return append(b, '}')
}

func appendMembers(b []byte, members []provisioning.Membership) []byte {
	b = append(b, '[')
	for i, m := range members {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"value":`...)
		b = scim.AppendString(b, m.Value)
		if m.Display != "" {
			b = append(b, `,"display":`...)
			b = scim.AppendString(b, m.Display)
		}
		if view := viewOf(m); view != "" {
			b = append(b, `,"view":`...)
			b = scim.AppendString(b, view)
		}
		b = append(b, '}')
	}
	return append(b, ']')
}

func sortedNames(object map[string]any) []string {
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

type ndjsonReader struct {
	in   *bufio.Reader
	line int
}

// NewNDJSONReader reads what NewNDJSONWriter wrote. A key that is missing says nothing.
func NewNDJSONReader(r io.Reader) Reader { return &ndjsonReader{in: bufio.NewReaderSize(r, 64<<10)} }

func (n *ndjsonReader) Next() (Row, error) {
	for {
		text, err := n.readLine()
		if err != nil {
			return Row{}, err
		}
		if n.line == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff"))
		}
		if len(bytes.TrimSpace(text)) > 0 {
			return n.row(text), nil
		}
	}
}

// readLine reads up to a line feed or the end.
func (n *ndjsonReader) readLine() ([]byte, error) {
	n.line++
	var line []byte
	for {
		part, err := n.in.ReadSlice('\n')
		if line = append(line, part...); len(line) > maxLine {
			return nil, &Fault{Line: n.line, Detail: fmt.Sprintf("the line takes more than %d bytes; write one object on each line", maxLine), Fatal: true}
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return line, nil
		default:
			return line, err
		}
	}
}

func (n *ndjsonReader) row(text []byte) Row {
	row := Row{Line: n.line}
	fail := func(key, detail string) { row.Faults = append(row.Faults, row.fault(key, detail)) }
	v, err := parseJSON(string(text))
	if err != nil {
		fail("", err.Error())
		return row
	}
	object, ok := v.(map[string]any)
	if !ok {
		fail("", "expected a JSON object")
		return row
	}
	switch t, _ := object["type"].(string); t {
	case string(scim.User), string(scim.Group):
		row.Type = scim.ResourceType(t)
	default:
		fail("type", "expected User or Group")
		return row
	}
	for _, name := range sortedNames(object) {
		member, known := keys[name]
		if !known {
			fail(name, "there is no such key; remove it, or put an attribute into attributes")
			continue
		}
		if err := member.read(&row, object[name]); err != nil {
			fail(name, err.Error())
		}
		row.Has |= member.has
	}
	return row
}

// member is one of the keys of a line.
type member struct {
	has  Field
	read func(*Row, any) error
}

var keys = map[string]member{
	"type":       {0, func(*Row, any) error { return nil }},
	"id":         {HasID, func(r *Row, v any) error { return into(&r.ID, v) }},
	"connection": {HasConnection, func(r *Row, v any) error { return into(&r.Connection, v) }},
	"state": {HasState, func(r *Row, v any) error {
		var text string
		if err := into(&text, v); err != nil {
			return err
		}
		var err error
		r.State, err = parseState(text)
		return err
	}},
	"visible":   {HasVisible, func(r *Row, v any) error { return into(&r.Visible, v) }},
	"role":      {HasRole, func(r *Row, v any) error { return into(&r.Role, v) }},
	"protected": {HasProtected, func(r *Row, v any) error { return into(&r.Protected, v) }},
	"purgeAt":   {HasPurgeAt, func(r *Row, v any) error { return intoTime(&r.PurgeAt, v) }},
	"leftAt":    {HasLeftAt, func(r *Row, v any) error { return intoTime(&r.LeftAt, v) }},
	"attributes": {HasAttributes, func(r *Row, v any) error {
		var object map[string]any
		if err := into(&object, v); err != nil {
			return err
		}
		delete(object, "schemas")
		r.Attributes = object
		return nil
	}},
	"effective": {HasEffective, func(r *Row, v any) error { return intoObject(&r.Effective, v) }},
	"guessed":   {0, func(*Row, any) error { return nil }}, // it follows from the settings
	"overrides": {HasOverrides, func(r *Row, v any) error { return intoObject(&r.Overrides, v) }},
	"members":   {HasMembers, func(r *Row, v any) error { return intoMembers(&r.Members, v) }},
}

// into assigns a JSON value that has to be of the type of what to points at.
func into[T string | bool | map[string]any](to *T, v any) error {
	value, ok := v.(T)
	if !ok {
		return errors.New("expected " + expected(any(value)))
	}
	*to = value
	return nil
}

func expected(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case bool:
		return "true or false"
	default:
		return "an object"
	}
}

// intoObject is into for an object that may be null.
func intoObject(to *map[string]any, v any) error {
	if v == nil {
		return nil
	}
	return into(to, v)
}

func intoTime(to *time.Time, v any) error {
	if v == nil {
		return nil
	}
	var text string
	if err := into(&text, v); err != nil {
		return err
	}
	var err error
	*to, err = parseTime(text)
	return err
}

func intoMembers(to *[]provisioning.Membership, v any) error {
	list, ok := v.([]any)
	if !ok {
		return errors.New(`expected an array of objects like {"value": "id of the member"}`)
	}
	for i, element := range list {
		object, _ := element.(map[string]any)
		value, _ := object["value"].(string)
		if value == "" {
			return fmt.Errorf(`element %d: expected an object like {"value": "id of the member"}`, i+1)
		}
		display, _ := object["display"].(string)
		view, _ := object["view"].(string)
		m, err := membership(value, display, view)
		if err != nil {
			return fmt.Errorf("element %d: view: %w", i+1, err)
		}
		*to = append(*to, m)
	}
	return nil
}
