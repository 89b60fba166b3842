package store

import (
	"meibo/provisioning"
	"meibo/scim"
)

// filter writes a parsed filter as a condition on a resource r.
type filter struct {
	*statement
	scope provisioning.Scope
}

// where is f as a condition, and whether an index serves it.
func (f *filter) where(t scim.Filter) (condition string, indexed bool) {
	c, ok := t.(*scim.Compare)
	if !ok || c.Op != scim.Eq || c.Path.Filter != nil {
		return "false", false
	}
	switch c.Path.Attr.String() {
	case "id":
		return "r.id = " + f.arg(c.Value.Text), true
	case "externalId":
		return "r.ext_key = " + f.arg(scopedKey(f.scope, c.Value.Text)), true
	}
	key := scopedKey(f.scope, c.Value.Text)
	return "r.key >= " + f.arg(key) + " and r.key < " + f.arg(keyEnd(key)) + " and r.name = " + f.arg(c.Value.Text), true
}
