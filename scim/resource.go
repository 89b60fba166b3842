package scim

// Attributes are the attributes of one resource under their canonical names, as its owner asserts
// them. A value is a string, a bool, a json.Number, a map[string]any (complex) or a []any
// (multi-valued). The attributes of an extension lie in a map[string]any under its URN. Null is
// not a value: an unassigned attribute has no key.
//
// The keys schemas, id, meta, groups, and a group's members are not part of it: they are derived,
// or kept as rows of their own. Functions of this package treat a value of this type as immutable
// and share unchanged parts between input and output.
type Attributes map[string]any

// Member is one element of a group's members (RFC 7643 §4.2).
type Member struct {
	Value   string // id of the member
	Display string // as the client sent it; "" if it sent none
	// Type is what the id is of, where a stored list tells; "" for an id never issued, and in changes.
	Type ResourceType `json:"-"`
}

// MemberChange is a change of a group's members as sets. With Replace, the group's members become
// exactly Add; without it Remove leaves and Add joins. No id is in both, and none twice.
type MemberChange struct {
	Replace bool
	Add     []Member
	Remove  []string
}

// IsZero reports whether the change asks for nothing.
func (c MemberChange) IsZero() bool { return !c.Replace && len(c.Add) == 0 && len(c.Remove) == 0 }
