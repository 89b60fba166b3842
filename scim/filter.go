package scim

// Filter is a parsed filter (RFC 7644 §3.4.2.2), resolved against a Definition: every name has
// become an *Attribute and every value has the attribute's type. It is one of *Logical, *Not,
// *Compare, *Present and *ValuePath.
//
// Logic is two-valued: a comparison with an unassigned attribute is false, except ne, which is
// the negation of eq everywhere. A comparison with a multi-valued attribute holds if it holds for
// one element. "eq null" is Not{Present}. The empty string is no value, in a filter as in a
// resource.
//
// ParseFilter makes one from text, FormatFilter prints one, and Match says what it means.
type Filter interface{ isFilter() }

// Logical joins two or more filters with "and" or "or".
type Logical struct {
	Or    bool
	Terms []Filter
}

// Not negates a filter.
type Not struct{ Term Filter }

// Present is "path pr": the attribute has a non-empty value; a complex one, anywhere within it.
type Present struct{ Path Path }

// ValuePath is "attr[filter]": one element of the multi-valued attribute satisfies the filter. The
// paths inside name sub-attributes: their Attr is a sub-attribute of Attr, their URN is "" and
// their Sub is nil. Below a URN that no schema describes a single complex value is its own element.
type ValuePath struct {
	Path Path // its Filter is nil; see Term
	Term Filter
}

// Compare is "path op value". Where Path.Filter is set ("emails[type eq "work"].value eq …"), one
// and the same element satisfies filter and comparison.
type Compare struct {
	Path  Path
	Op    Op
	Value Value
}

// Op is a comparison operator of RFC 7644 §3.4.2.2 in lower case.
type Op string

// The comparison operators; Present stands for "pr". ne does not occur in a parsed filter: it is Not{eq}.
const (
	Eq Op = "eq"
	Co Op = "co"
	Sw Op = "sw"
	Ew Op = "ew"
	Gt Op = "gt"
	Ge Op = "ge"
	Lt Op = "lt"
	Le Op = "le"
)

// Value is the right side of a comparison in the attribute's type: Text, already folded by the
// attribute's Folding, for strings, references, binaries and untyped; Bool; Number; Micros since
// 1970 for a dateTime, truncated to microseconds as all stored times are.
type Value struct {
	Kind   Type // String (also reference, binary, untyped), Boolean, Decimal (also integer) or DateTime
	Text   string
	Bool   bool
	Number float64
	Micros int64
}

func (*Logical) isFilter()   {}
func (*Not) isFilter()       {}
func (*Present) isFilter()   {}
func (*ValuePath) isFilter() {}
func (*Compare) isFilter()   {}
