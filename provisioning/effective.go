package provisioning

import (
	"encoding/json"
	"maps"
	"strings"

	"meibo/provisioning/mapping"
	"meibo/scim"
)

// effective derives what the host application sees of a resource whose owner asserts d.Asserted; nil where
// that is what is asserted. was is what it saw before, decoded; nil for as asserted, or for a new resource.
func (r *Rules) effective(m meant, d Desired, was scim.Attributes) (scim.Attributes, error) {
	out, err := r.derive(m, d, was)
	return out.attributes, err
}

// derived is what the host application is to see of a resource.
type derived struct {
	attributes scim.Attributes // nil where that is what is asserted
	settled    []string        // overrides of an undo that are settled: the rules have come to the same
	guesses    []string        // targets of the mapping whose value is a proposal
}

// derive is effective, with what else is known of it.
func (r *Rules) derive(m meant, d Desired, was scim.Attributes) (out derived, err error) {
	if d.Restore != nil {
		if kept, decided := d.Restore.effective(m, d, was); decided {
			return derived{attributes: kept}, nil
		}
	}
	all, err := overridesOf(m.current)
	if err != nil {
		return derived{}, err
	}
	overrides, undone := splitOverrides(all)
	if was == nil {
		was = m.asserted
	}
	table := r.mapping[d.Type]
	if table == nil && len(overrides) > 0 {
		table = unmapped[d.Type]
	}
	mapped := mapping.Result{Effective: d.Asserted}
	if table != nil {
		// Of what was purged nothing is left that could stay.
		created := m.current == nil || len(was) == 0
		mapped, err = table.Map(mapping.Input{Asserted: d.Asserted, Current: was, Created: created, Overrides: overrides, Now: d.Now})
		if err != nil {
			return derived{}, unmappable(err)
		}
	}
	out.attributes = mapped.Effective
	if d.Type == scim.User {
		name := r.userName(out.attributes, m, d, was, overrides)
		if name != nameOf(scim.User, out.attributes) {
			out.attributes = withAttribute(out.attributes, "userName", name)
		} else if table == nil && len(undone) == 0 {
			return derived{}, nil
		}
	}
	if len(undone) > 0 {
		out.attributes, out.settled = underUndone(d.Type, out.attributes, undone)
	}
	for _, target := range mapped.Guesses {
		is := table.Value(target, out.attributes)
		if scim.Equal(is, table.Value(target, mapped.Effective)) && !scim.Equal(is, table.Value(target, d.Asserted)) {
			out.guesses = append(out.guesses, target)
		}
	}
	if sameAttributes(out.attributes, d.Asserted) {
		out.attributes = nil
	}
	return out, nil
}

// unmapped apply overrides alone.
var unmapped = func() map[scim.ResourceType]*mapping.Table {
	out := map[scim.ResourceType]*mapping.Table{}
	for _, t := range []scim.ResourceType{scim.User, scim.Group} {
		table, err := Settings{}.compileMapping(t)
		if err != nil {
			panic(err) // no rows are sound
		}
		out[t] = table
	}
	return out
}()

// userName is the effective userName: the whole of it or its local part, the one of the creation where it is
// frozen, and the present one for who is on the way out: see keepsEffectiveName.
func (r *Rules) userName(out scim.Attributes, m meant, d Desired, was scim.Attributes, overrides map[string]any) string {
	name := nameOf(scim.User, out)
	if _, set := overrides["userName"]; set {
		return name
	}
	if r.Settings.Mapping.UserName.Mode == LocalUserName {
		name, _, _ = strings.Cut(name, "@")
	}
	switch current := m.current; {
	case current == nil, m.linked, len(was) == 0:
	case r.Settings.Mapping.UserName.Frozen, keepsEffectiveName(current, d, scim.FoldFull.Apply(nameOf(scim.User, d.Asserted))):
		return nameOf(scim.User, was)
	}
	return name
}

// effectiveName is the folded effective userName that an assertion comes to, before its facts are known.
func (r *Rules) effectiveName(m meant, d Desired) (string, error) {
	was, err := effectiveOf(m.current)
	if err != nil {
		return "", err
	}
	a, err := r.effective(m, d, was)
	if a == nil {
		a = d.Asserted
	}
	return scim.FoldFull.Apply(nameOf(scim.User, a)), err
}

// overridesOf are what a person set of a resource, by path.
func overridesOf(r *Resource) (map[string]any, error) {
	if r == nil || len(r.Overrides) == 0 {
		return nil, nil
	}
	var out map[string]any
	decoder := json.NewDecoder(strings.NewReader(string(r.Overrides)))
	decoder.UseNumber()
	return out, decoder.Decode(&out)
}

// overrideRole is the path by which a person's choice of a role is kept among the overrides.
const overrideRole = "role"

func sameAttributes(a, b scim.Attributes) bool {
	return len(a) == len(b) && len(diff(a, b)) == 0
}

// effectiveOf decodes what the host application sees of a stored resource; nil for as asserted.
func effectiveOf(r *Resource) (scim.Attributes, error) {
	if r == nil || r.Effective == nil {
		return nil, nil
	}
	return decoded(r.Type, r.Effective)
}

// overlay is what departs from the asserted attributes, by path: an empty object stands for an
// attribute that is asserted and effectively unassigned. Nil effective attributes depart in nothing.
func overlay(asserted, effective scim.Attributes) map[string]any {
	if effective == nil {
		return nil
	}
	out := map[string]any{}
	for _, c := range diff(asserted, effective) {
		if c.New == nil {
			c.New = map[string]any{}
		}
		out[PathEffective+c.Path] = c.New
	}
	return out
}

// view is a document with what the host application sees of it.
type view struct{ asserted, effective scim.Attributes }

// effectiveDiff lists how what departs from the asserted attributes changes.
func effectiveDiff(before, after view) []AttributeChange {
	if before.effective == nil && after.effective == nil {
		return nil
	}
	was, is := overlay(before.asserted, before.effective), overlay(after.asserted, after.effective)
	var out []AttributeChange
	for _, path := range unionKeys(was, is) {
		out = appendChange(out, path, was[path], is[path])
	}
	return out
}

func withAttribute(a scim.Attributes, name string, v any) scim.Attributes {
	out := maps.Clone(a)
	out[name] = v
	return out
}
