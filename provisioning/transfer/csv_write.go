package transfer

import (
	"cmp"
	"io"

	"meibo/provisioning/sheet"
	"meibo/scim"
)

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

func (c *csvWriter) Close() error { return nil }
