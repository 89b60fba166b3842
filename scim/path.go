package scim

import "strings"

// Path is an attribute path (RFC 7644 §3.10, PATH of §3.5.2) resolved against a Definition.
//
//	userName                                  Attr
//	name.familyName                           Attr, Sub
//	emails[type eq "work"]                    Attr, Filter
//	emails[type eq "work"].value              Attr, Filter, Sub
//	urn:…:enterprise:2.0:User:manager.value   URN, Attr, Sub
//	urn:…:enterprise:2.0:User                 URN
//
// Below a URN that no schema describes Attr and Sub are untyped attributes made for the occasion;
// as nothing gives them another spelling, URN and names are taken as they were written.
type Path struct {
	URN    string     // of an extension in its registered spelling; "" for the core schema
	Attr   *Attribute // nil where the path names a whole extension
	Filter Filter     // of a value path; nil without one
	Sub    *Attribute // nil without one
}

// ParsePath reads the path of a PATCH operation (RFC 7644 §3.5.2) and resolves its names against
// d without regard to case. A name without URN that the core schema lacks is that of the first
// extension that has it. A path that cannot be read, or names an attribute that d lacks, is an
// *Error of type InvalidPath; its own Path is the name that d lacks, and "" for any other fault.
// The limits of ParseFilter hold here, too.
func ParsePath(d *Definition, text string) (Path, error) {
	p := parser{d: d, text: text, kind: InvalidPath}
	if err := p.checkText(); err != nil {
		return Path{}, err
	}
	p.skipBlanks()
	path, err := p.path()
	if err != nil {
		return Path{}, err
	}
	if p.skipBlanks(); !p.atEnd() {
		return Path{}, p.expected("the end of the path")
	}
	return path, nil
}

// String prints the path in its canonical spelling, which ParsePath reads back as an equal path.
// A path inside a value path prints relative to it.
func (p Path) String() string {
	var b strings.Builder
	printPath(&b, p)
	return b.String()
}

// target is the attribute whose values the path selects; nil for a whole extension.
func (p Path) target() *Attribute {
	if p.Sub != nil {
		return p.Sub
	}
	return p.Attr
}

// path reads an attribute path with its value filter and the sub-attribute after that.
func (p *parser) path() (Path, error) {
	start := p.pos
	token := p.token()
	if token == "" {
		return Path{}, p.expected("an attribute name")
	}
	path, err := p.resolve(start, token)
	if err != nil || p.peek() != '[' {
		return path, err
	}
	if err := p.checkValuePath(start, path); err != nil {
		return Path{}, err
	}
	if path.Filter, err = p.valueFilter(path.Attr); err != nil {
		return Path{}, err
	}
	return p.subAfterFilter(path)
}

// checkValuePath refuses "[" after anything that has no elements to choose from.
func (p *parser) checkValuePath(start int, path Path) error {
	switch {
	case p.element != nil:
		return p.fail(p.pos, "a value path cannot hold another one")
	case path.Attr == nil || path.Sub != nil:
		return p.fail(p.pos, "a filter in brackets follows the name of a multi-valued attribute, as in emails[type eq \"work\"]")
	case path.Attr.Type == Untyped, path.Attr.Type == Complex && path.Attr.MultiValued:
		return nil
	default:
		return p.fail(start, "only a multi-valued complex attribute takes a filter in brackets, and %s is none", path.Attr)
	}
}

// valueFilter reads "[filter]" over the sub-attributes of a.
func (p *parser) valueFilter(a *Attribute) (Filter, error) {
	p.element = a
	f, err := p.enclosed(']')
	p.element = nil
	return f, err
}

func (p *parser) subAfterFilter(path Path) (Path, error) {
	if p.peek() != '.' {
		return path, nil
	}
	p.pos++
	start := p.pos
	sub, err := p.subAttribute(start, path.Attr, p.token())
	path.Sub = sub
	return path, err
}

// resolve finds the attribute that a token names, which started at byte start.
func (p *parser) resolve(start int, token string) (Path, error) {
	if p.element != nil {
		return p.resolveInElement(start, token)
	}
	if !strings.Contains(token, ":") {
		return p.resolveName(start, token)
	}
	if urn, rest, ok := p.registered(token); ok {
		return p.resolveBelow(start+len(token)-len(rest), urn, rest)
	}
	return p.resolveUntyped(start, token)
}

// resolveInElement resolves a name inside brackets. Some clients repeat the attribute there, as
// in members[members.value eq "…"].
func (p *parser) resolveInElement(start int, token string) (Path, error) {
	name := token
	if parent, sub, ok := strings.Cut(token, "."); ok && equalName(parent, p.element.Name) {
		start, name = start+len(parent)+1, sub
	}
	sub, err := p.subAttribute(start, p.element, name)
	return Path{Attr: sub}, err
}

// resolveName resolves "attr" or "attr.sub" without a URN.
func (p *parser) resolveName(start int, token string) (Path, error) {
	name, sub, dotted := strings.Cut(token, ".")
	path := p.find(name)
	if path.Attr == nil {
		return Path{}, p.unknown(start, name, string(p.d.Type))
	}
	return p.withSub(start+len(name)+1, path, sub, dotted)
}

// find looks a bare name up in the core schema, then in the extensions in their order.
func (p *parser) find(name string) Path {
	if a := p.d.Attribute(name); a != nil {
		return Path{Attr: a}
	}
	for _, e := range p.d.Extensions {
		if a := p.d.ExtensionAttribute(e.ID, name); a != nil {
			return Path{URN: e.ID, Attr: a}
		}
	}
	return Path{}
}

// registered splits a token after the longest schema URN that d knows, and the separator after
// that. The dots of a URN, as in "2.0", separate nothing. urn is in its registered spelling.
func (p *parser) registered(token string) (urn, rest string, ok bool) {
	match := func(id string) {
		if len(id) > len(urn) && hasURN(token, id) {
			urn, ok = id, true
		}
	}
	match(p.d.Core.ID)
	for _, e := range p.d.Extensions {
		match(e.ID)
	}
	return urn, token[min(len(urn)+1, len(token)):], ok
}

// hasURN reports whether token is urn, or an attribute below it. Before an attribute Entra's
// oldest jobs put a dot in the place of the colon.
func hasURN(token, urn string) bool {
	if len(token) < len(urn) || !equalName(token[:len(urn)], urn) {
		return false
	}
	return len(token) == len(urn) || token[len(urn)] == ':' || token[len(urn)] == '.'
}

// resolveBelow resolves "attr", "attr.sub" or "" below a registered URN.
func (p *parser) resolveBelow(start int, urn, rest string) (Path, error) {
	core := p.d.IsCore(urn)
	if rest == "" {
		if core {
			return Path{}, p.fail(start, "expected \":\" and an attribute name after the schema's URN")
		}
		return Path{URN: urn}, nil
	}
	name, sub, dotted := strings.Cut(rest, ".")
	path := Path{Attr: p.d.Attribute(name)}
	if !core {
		path = Path{URN: urn, Attr: p.d.ExtensionAttribute(urn, name)}
	}
	if path.Attr == nil {
		return Path{}, p.unknown(start, name, urn)
	}
	return p.withSub(start+len(name)+1, path, sub, dotted)
}

// resolveUntyped makes attributes below a URN that no schema describes; the last colon ends it.
func (p *parser) resolveUntyped(start int, token string) (Path, error) {
	colon := strings.LastIndexByte(token, ':')
	urn := token[:colon]
	if !isURN(urn) {
		return Path{}, p.fail(start, "expected an attribute name or a URN that starts with \"urn:\"")
	}
	name, sub, dotted := strings.Cut(token[colon+1:], ".")
	if !isAttributeName(name) {
		return Path{}, p.fail(start+colon+1, "expected an attribute name after the URN")
	}
	path := Path{URN: urn, Attr: untyped(urn, name, nil)}
	return p.withSub(start+colon+1+len(name)+1, path, sub, dotted)
}

func untyped(urn, name string, parent *Attribute) *Attribute {
	return &Attribute{Name: name, Folding: FoldASCII, Mutability: ReadWrite, Returned: Default, urn: urn, parent: parent}
}

// withSub adds the sub-attribute to a path that has a dot.
func (p *parser) withSub(start int, path Path, sub string, dotted bool) (Path, error) {
	if !dotted {
		return path, nil
	}
	var err error
	path.Sub, err = p.subAttribute(start, path.Attr, sub)
	return path, err
}

func (p *parser) subAttribute(start int, a *Attribute, name string) (*Attribute, error) {
	switch {
	case !isAttributeName(name):
		return nil, p.fail(start, "expected the name of one sub-attribute of %s", a)
	case a.Type == Untyped:
		return untyped(a.urn, name, a), nil
	case a.Type != Complex:
		return nil, p.unknown(start, name, a.String())
	}
	if sub := a.Sub(name); sub != nil {
		return sub, nil
	}
	return nil, p.unknown(start, name, a.String())
}

// isAttributeName reports whether s is an ATTRNAME of RFC 7643 §2.1, or "$" with one as in $ref.
func isAttributeName(s string) bool {
	s = strings.TrimPrefix(s, "$")
	if s == "" || !isLetter(s[0]) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && !isDigit(c) && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// isURN reports whether s has the form urn:nid:nss of RFC 8141, as far as it can matter here.
func isURN(s string) bool {
	if len(s) < len("urn:") || !equalName(s[:len("urn:")], "urn:") {
		return false
	}
	nid, nss, _ := strings.Cut(s[len("urn:"):], ":")
	return nid != "" && nss != "" && strings.Trim(s, urnCharacters) == ""
}

const urnCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'*+,;=:@/%"

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }

// equalName compares two attribute names or URNs without ASCII case.
func equalName(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lowerByte(a[i]) != lowerByte(b[i]) {
			return false
		}
	}
	return true
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
