package scim

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// FormatFilter prints f in one canonical spelling, which ParseFilter reads back as an equal
// filter: names as the schema spells them, values folded, "not" before a comparison as ne.
func FormatFilter(f Filter) string {
	var b strings.Builder
	printFilter(&b, f)
	return b.String()
}

func printFilter(b *strings.Builder, f Filter) {
	switch f := f.(type) {
	case *Logical:
		printLogical(b, f)
	case *Not:
		printNot(b, f)
	case *Present:
		printPath(b, f.Path)
		b.WriteString(" pr")
	case *ValuePath:
		path := f.Path
		path.Filter = f.Term
		printPath(b, path)
	case *Compare:
		printCompare(b, f, f.Op)
	}
}

// printLogical encloses an "or" within an "and", which would bind closer.
func printLogical(b *strings.Builder, f *Logical) {
	for i, t := range f.Terms {
		if i > 0 {
			b.WriteString(" " + conjunction(f.Or) + " ")
		}
		if inner, ok := t.(*Logical); ok && inner.Or != f.Or && !f.Or {
			printEnclosed(b, '(', t, ')')
		} else {
			printFilter(b, t)
		}
	}
}

func printNot(b *strings.Builder, f *Not) {
	present, isPresent := f.Term.(*Present)
	compare, isCompare := f.Term.(*Compare)
	switch {
	case isPresent:
		printPath(b, present.Path)
		b.WriteString(" eq null")
	case isCompare && compare.Op == Eq:
		printCompare(b, compare, opNe)
	default:
		b.WriteString("not ")
		printEnclosed(b, '(', f.Term, ')')
	}
}

func printCompare(b *strings.Builder, f *Compare, op Op) {
	printPath(b, f.Path)
	b.WriteString(" " + string(op) + " ")
	b.WriteString(f.Value.String())
}

func printEnclosed(b *strings.Builder, opening byte, f Filter, closing byte) {
	b.WriteByte(opening)
	printFilter(b, f)
	b.WriteByte(closing)
}

func printPath(b *strings.Builder, p Path) {
	b.WriteString(p.URN)
	if p.URN != "" && p.Attr != nil {
		b.WriteByte(':')
	}
	if p.Attr != nil {
		b.WriteString(p.Attr.Name)
	}
	if p.Filter != nil {
		printEnclosed(b, '[', p.Filter, ']')
	}
	if p.Sub != nil {
		b.WriteByte('.')
		b.WriteString(p.Sub.Name)
	}
}

// String prints the value as it stands in a filter.
func (v Value) String() string {
	switch v.Kind {
	case Boolean:
		return strconv.FormatBool(v.Bool)
	case Decimal:
		return strconv.FormatFloat(v.Number, 'g', -1, 64)
	case DateTime:
		return strconv.Quote(time.UnixMicro(v.Micros).UTC().Format(instantFormat))
	default:
		return quoteJSON(v.Text)
	}
}

// quoteJSON is s as a JSON string, with no more escapes than JSON asks for.
func quoteJSON(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return `""` // no string fails to encode
	}
	return strings.TrimSuffix(b.String(), "\n")
}
