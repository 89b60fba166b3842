package scim

// ParseFilter reads a filter (RFC 7644 §3.4.2.2) and resolves its names against d: names and
// operators in any case, a name without URN that the core schema lacks as that of the first
// extension that has it. Beyond the grammar it takes values without quotes, up to the next blank
// or bracket, and a boolean in quotes, as provisioning clients write them.
//
// A multi-valued complex attribute, or a reference like manager, that is compared itself stands
// for its "value" sub-attribute. An empty string is no value: eq "" and eq null alike ask for an
// unassigned attribute. Nested "and" and "or" of one kind come back as one Logical.
//
// Whatever cannot be read, names an attribute that d lacks or that must not be searched, or does
// not fit an attribute's type is an *Error of type InvalidFilter, as is a text of more than 8 KiB,
// of more than 64 terms or nested deeper than 32.
func ParseFilter(d *Definition, text string) (Filter, error) {
	p := parser{d: d, text: text, kind: InvalidFilter}
	if err := p.checkText(); err != nil {
		return nil, err
	}
	f, err := p.logical(true)
	if err != nil {
		return nil, err
	}
	if p.skipBlanks(); !p.atEnd() {
		return nil, p.expected(`"and", "or" or the end of the filter`)
	}
	return f, nil
}

// logical reads operands joined with "or", or those joined with "and", which binds closer.
func (p *parser) logical(or bool) (Filter, error) {
	first, err := p.operand(or)
	if err != nil || !p.keyword(conjunction(or)) {
		return first, err
	}
	terms := appendTerm(nil, or, first)
	for {
		next, err := p.operand(or)
		if err != nil {
			return nil, err
		}
		terms = appendTerm(terms, or, next)
		if !p.keyword(conjunction(or)) {
			return &Logical{Or: or, Terms: terms}, nil
		}
	}
}

func (p *parser) operand(or bool) (Filter, error) {
	if or {
		return p.logical(false)
	}
	return p.term()
}

func conjunction(or bool) string {
	if or {
		return "or"
	}
	return "and"
}

// appendTerm appends f, or its terms if f joins them with the same word.
func appendTerm(terms []Filter, or bool, f Filter) []Filter {
	if l, ok := f.(*Logical); ok && l.Or == or {
		return append(terms, l.Terms...)
	}
	return append(terms, f)
}

// term reads a group, a negated group, a value path or a comparison.
func (p *parser) term() (Filter, error) {
	p.skipBlanks()
	if p.peek() == '(' {
		return p.enclosed(')')
	}
	if p.negation() {
		f, err := p.enclosed(')')
		return negate(f, err)
	}
	return p.expression()
}

// negation reads "not" if a group follows; otherwise the word is an attribute's name.
func (p *parser) negation() bool {
	start := p.pos
	if p.keyword("not") {
		if p.skipBlanks(); p.peek() == '(' {
			return true
		}
	}
	p.pos = start
	return false
}

func negate(f Filter, err error) (Filter, error) {
	if err != nil {
		return nil, err
	}
	return &Not{Term: f}, nil
}

// enclosed reads a filter in parentheses or brackets; the next byte opens them.
func (p *parser) enclosed(closing byte) (Filter, error) {
	if p.depth++; p.depth > maxFilterDepth {
		return nil, p.fail(p.pos, "nested deeper than %d", maxFilterDepth)
	}
	p.pos++
	f, err := p.logical(true)
	if err != nil {
		return nil, err
	}
	if p.skipBlanks(); p.peek() != closing {
		return nil, p.expected(`"and", "or" or "` + string(closing) + `"`)
	}
	p.pos++
	p.depth--
	return f, nil
}

// expression reads a value path, a comparison or "attr pr".
func (p *parser) expression() (Filter, error) {
	start := p.pos
	if p.terms++; p.terms > maxFilterTerms {
		return nil, p.fail(start, "more than %d terms", maxFilterTerms)
	}
	path, err := p.path()
	if err != nil {
		return nil, err
	}
	if err := p.checkSearchable(start, path); err != nil {
		return nil, err
	}
	if path.Filter != nil && path.Sub == nil {
		f := path.Filter
		path.Filter = nil
		return &ValuePath{Path: path, Term: f}, nil
	}
	return p.comparison(start, path)
}

// checkSearchable refuses what no answer may reveal, not even by being found (RFC 7643 §7,
// returned "never"), and a whole extension.
func (p *parser) checkSearchable(start int, path Path) error {
	if path.Attr == nil {
		return p.fail(start, "expected \":\" and an attribute name after the schema's URN")
	}
	for _, a := range [...]*Attribute{path.Attr, path.target()} {
		if a.Returned == Never || a.Mutability == WriteOnly {
			return p.fail(start, "%s cannot be searched", a)
		}
	}
	return nil
}

func (p *parser) comparison(start int, path Path) (Filter, error) {
	op, err := p.operator()
	if err != nil {
		return nil, err
	}
	if op == opPr {
		return &Present{Path: path}, nil
	}
	v, err := p.literal()
	if err != nil {
		return nil, err
	}
	if op != opNe {
		return p.compare(start, path, op, v)
	}
	f, err := p.compare(start, path, Eq, v)
	return negate(f, err)
}
