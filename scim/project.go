package scim

import (
	"slices"
	"strings"
)

// Projection is the choice of attributes that an answer shows (RFC 7644 §3.9). The zero value
// shows all that is there. It is immutable and may be shared.
type Projection struct {
	d      *Definition
	named  *selection
	except bool // named is left out, not asked for
	hides  bool // the definition has attributes that are not returned by default
}

// selection is a tree of attribute names in lower case.
type selection struct {
	whole bool
	below map[string]*selection
}

// ParseProjection reads the query parameters attributes and excludedAttributes: names separated by
// commas, in any case, of attributes, sub-attributes and whole extensions, qualified by a URN or
// not. A value filter after a name, as some clients send it, is read over: the name counts. Names
// that the definition does not know are ignored. Giving both parameters is an *Error of type
// InvalidValue.
func ParseProjection(d *Definition, attributes, excluded string) (Projection, error) {
	p := Projection{d: d, hides: d.hidesSome()}
	asked, left := splitNames(attributes), splitNames(excluded)
	switch {
	case len(asked) > 0 && len(left) > 0:
		return Projection{}, &Error{Type: InvalidValue, Path: "excludedAttributes", Detail: "attributes and excludedAttributes exclude each other; send one of them"}
	case len(asked) > 0:
		p.named = d.selectNames(asked)
	case len(left) > 0:
		p.named, p.except = d.selectNames(left), true
	}
	return p, nil
}

// splitNames splits a list at its commas and drops the value filters. Commas and brackets inside a
// filter's strings separate nothing.
func splitNames(list string) []string {
	var names []string
	var name strings.Builder
	depth, quoted := 0, false
	for i := 0; i < len(list); i++ {
		c := list[i]
		switch {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[':
			depth++
		case c == ']':
			depth = max(depth-1, 0)
		case depth > 0:
		case c == ',':
			names = appendTrimmed(names, &name)
		default:
			name.WriteByte(c)
		}
	}
	return appendTrimmed(names, &name)
}

func appendTrimmed(names []string, name *strings.Builder) []string {
	trimmed := strings.TrimSpace(name.String())
	name.Reset()
	if trimmed == "" {
		return names
	}
	return append(names, trimmed)
}

func (d *Definition) selectNames(names []string) *selection {
	root := &selection{}
	for _, name := range names {
		d.selectName(root, name)
	}
	return root
}

func (d *Definition) selectName(root *selection, name string) {
	if !hasURNPrefix(name) {
		head, sub, _ := strings.Cut(name, ".")
		root.add(d.home(head), head, sub)
		return
	}
	if d.IsCore(name) {
		for _, a := range d.Core.Attributes {
			root.add("", a.Name, "")
		}
		return
	}
	root.add("", name, "") // a whole extension, registered or not
	colon := strings.LastIndexByte(name, ':')
	urn := name[:colon]
	if d.IsCore(urn) {
		urn = ""
	}
	attr, sub, _ := strings.Cut(name[colon+1:], ".")
	root.add(urn, attr, sub)
}

// home is the URN of the extension that a bare name belongs to; "" for the core schema.
func (d *Definition) home(name string) string {
	if d.Attribute(name) == nil {
		for _, s := range d.Extensions {
			if d.ExtensionAttribute(s.ID, name) != nil {
				return s.ID
			}
		}
	}
	return ""
}

// add selects urn:attr.sub, where urn and sub may be empty.
func (s *selection) add(urn, attr, sub string) {
	for _, name := range [...]string{urn, attr, sub} {
		if name == "" {
			continue
		}
		name = foldName(name)
		if s.below[name] == nil {
			if s.below == nil {
				s.below = map[string]*selection{}
			}
			s.below[name] = &selection{}
		}
		s = s.below[name]
	}
	s.whole = true
}

// All reports whether the request restricts nothing.
func (p Projection) All() bool { return p.named == nil }

// Includes reports whether the answer shows the top-level attribute, or some part of it, of that
// name: an attribute such as "members" or the URN of an extension.
func (p Projection) Includes(name string) bool {
	if p.d == nil {
		return true
	}
	return p.shows(p.d.Attribute(name), p.named.at(name))
}

// at is the node of a name; nil if it is not selected.
func (s *selection) at(name string) *selection {
	if s == nil {
		return nil
	}
	return s.below[foldName(name)]
}

// shows decides over an attribute or extension; a is nil where no schema describes it, node where
// the request does not name it.
func (p Projection) shows(a *Attribute, node *selection) bool {
	rule := Default
	if a != nil {
		rule = a.Returned
	}
	switch {
	case rule == Always:
		return true
	case rule == Never:
		return false
	case p.except || p.named == nil:
		return rule != OnRequest && (node == nil || !node.whole)
	default:
		return node != nil
	}
}

// Apply returns the attributes that an answer shows. a may be a rendered resource, with schemas,
// id, meta, groups and members beside the attributes. It is not changed.
func (p Projection) Apply(a Attributes) Attributes {
	if p.d == nil || p.named == nil && !p.hides {
		return a
	}
	out := make(Attributes, len(a))
	for key, v := range a {
		attr, node := p.d.Attribute(key), p.named.at(key)
		if !p.shows(attr, node) {
			continue
		}
		sub := subAttributes(attr)
		if s := p.d.Extension(key); s != nil {
			sub = p.d.ext[foldName(key)].attrs
		}
		if v := p.value(v, node, sub); v != nil {
			out[key] = v
		}
	}
	return out
}

// hidesSome reports whether the definition has attributes that are not returned by default.
func (d *Definition) hidesSome() bool {
	hides := func(s *Schema) bool { return slices.ContainsFunc(s.Attributes, hidden) }
	return hides(d.Core) || slices.ContainsFunc(d.Extensions, hides)
}

func hidden(a *Attribute) bool {
	return a.Returned == Never || a.Returned == OnRequest || slices.ContainsFunc(a.SubAttributes, hidden)
}

func subAttributes(a *Attribute) map[string]*Attribute {
	if a == nil {
		return nil
	}
	return a.sub
}

// value projects the sub-attributes of a value that is shown; nil if nothing of it is left.
func (p Projection) value(v any, node *selection, sub map[string]*Attribute) any {
	if !p.hides && (node == nil || node.whole) {
		return v
	}
	switch v := v.(type) {
	case map[string]any:
		return p.object(v, node, sub)
	case []any:
		out := make([]any, 0, len(v))
		for _, element := range v {
			if element := p.value(element, node, sub); element != nil {
				out = append(out, element)
			}
		}
		if len(out) == 0 && len(v) > 0 {
			return nil
		}
		return out
	default:
		return v
	}
}

func (p Projection) object(object map[string]any, node *selection, sub map[string]*Attribute) any {
	if node != nil && node.whole {
		node = nil // asked for as a whole: what it names below adds nothing
	}
	out := make(map[string]any, len(object))
	for key, v := range object {
		attr := sub[foldName(key)]
		if !p.showsBelow(attr, node, key) {
			continue
		}
		if v := p.value(v, node.at(key), subAttributes(attr)); v != nil {
			out[key] = v
		}
	}
	if len(out) == 0 && len(object) > 0 {
		return nil
	}
	return out
}

// showsBelow is shows for a sub-attribute of something shown: if the request names nothing below
// it, all of it is meant.
func (p Projection) showsBelow(a *Attribute, node *selection, key string) bool {
	if node == nil || len(node.below) == 0 {
		return a == nil || a.Returned != Never && a.Returned != OnRequest
	}
	return p.shows(a, node.at(key))
}
