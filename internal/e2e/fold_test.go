package e2e

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"meibo/provisioning"
	"meibo/scim"
)

// This file reads the journal as somebody would who has nothing but its description (the comments
// of provisioning.Entry and AttributeChange): no code of the product that makes entries is used.

// fold computes the state of every resource from a tenant's entries. Its problems say where an
// entry does not follow from those before it, or holds more than a difference.
func fold(entries []provisioning.Entry) (states map[string]state, problems []string) {
	byResource := map[string][]provisioning.Entry{}
	for _, e := range entries {
		switch {
		case e.Action == provisioning.ActionOther: // about the tenant itself
		case e.Version == 0:
			if len(e.Diff) > 0 || !e.Members.IsZero() || e.Outcome == provisioning.Success {
				problems = append(problems, fmt.Sprintf("entry %s: outcome %s, %d differences, but no version", e.ID, e.Outcome, len(e.Diff)))
			}
		default:
			byResource[e.ResourceID] = append(byResource[e.ResourceID], e)
		}
	}
	states = map[string]state{}
	for id, own := range byResource {
		f := folding{document: map[string]any{}, row: map[string]any{}, open: map[string]membership{}}
		slices.SortStableFunc(own, func(a, b provisioning.Entry) int { return cmp.Compare(a.Version, b.Version) })
		for i := range own {
			f.apply(&own[i])
		}
		states[id] = f.state(&own[0], &own[len(own)-1])
		for _, p := range f.problems {
			problems = append(problems, "resource "+id+": "+p)
		}
	}
	slices.Sort(problems)
	return states, problems
}

// folding is one resource on its way through its entries.
type folding struct {
	version  int64
	document map[string]any
	row      map[string]any // by path, what is no part of the document
	open     map[string]membership
	ended    []membership
	problems []string
}

func (f *folding) problem(e *provisioning.Entry, format string, args ...any) {
	f.problems = append(f.problems, fmt.Sprintf("entry %s, version %d: ", e.ID, e.Version)+fmt.Sprintf(format, args...))
}

func (f *folding) apply(e *provisioning.Entry) {
	if f.version++; e.Version != f.version {
		f.problem(e, "version %d was to be next", f.version)
	}
	if (e.Action == provisioning.ActionCreate) != (f.version == 1) {
		f.problem(e, "the action is %s", e.Action)
	}
	if e.Outcome != provisioning.Success && e.Outcome != provisioning.Warning {
		f.problem(e, "the outcome is %s", e.Outcome)
	}
	if len(e.Diff) == 0 && e.Members.IsZero() {
		f.problem(e, "holds no difference")
	}
	seen := map[string]bool{}
	for _, c := range e.Diff {
		if seen[c.Path] {
			f.problem(e, "%s is there twice", c.Path)
		}
		seen[c.Path] = true
		f.assign(e, c)
	}
	f.leave(e)
	f.join(e)
}

// assign follows the difference of one attribute.
func (f *folding) assign(e *provisioning.Entry, c provisioning.AttributeChange) {
	if reflect.DeepEqual(c.Old, c.New) {
		f.problem(e, "%s is no difference: %v", c.Path, c.New)
	}
	object, name := f.place(c.Path)
	if !reflect.DeepEqual(object[name], c.Old) {
		f.problem(e, "%s was %v, but the entry says %v", c.Path, object[name], c.Old)
	}
	object[name] = c.New
	if c.New == nil {
		delete(object, name)
	}
	f.keep(c.Path, object)
}

// place finds what a path assigns to. A path with a colon is that of an extension's attribute, one
// that ends in a colon that of an extension as a whole.
func (f *folding) place(path string) (object map[string]any, name string) {
	urn, name, isExtension := cutLast(path, ":")
	switch {
	case strings.HasPrefix(path, "meibo."):
		return f.row, path
	case !isExtension:
		return f.document, path
	case name == "":
		return f.document, urn
	}
	object, _ = f.document[urn].(map[string]any)
	if object == nil {
		return map[string]any{}, name
	}
	return maps.Clone(object), name // it may be that of an entry
}

// keep puts an extension back that an attribute was assigned in.
func (f *folding) keep(path string, object map[string]any) {
	urn, name, isExtension := cutLast(path, ":")
	switch {
	case !isExtension || name == "":
	case len(object) == 0:
		delete(f.document, urn)
	default:
		f.document[urn] = object
	}
}

func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}

func (f *folding) leave(e *provisioning.Entry) {
	for _, id := range e.Members.Remove {
		m, ok := f.open[id]
		if !ok {
			f.problem(e, "removes %s, who is no member", id)
			continue
		}
		m.To, m.ToEntry = e.At.UnixMicro(), e.ID
		f.ended = append(f.ended, m)
		delete(f.open, id)
	}
}

func (f *folding) join(e *provisioning.Entry) {
	for _, m := range e.Members.Add {
		if _, ok := f.open[m.Value]; ok || slices.Contains(e.Members.Remove, m.Value) {
			f.problem(e, "adds %s, who is a member", m.Value)
			continue
		}
		f.open[m.Value] = membership{Member: m.Value, Display: m.Display, From: e.At.UnixMicro(), FromEntry: e.ID}
	}
}

// state is what the resource has come to between its first and its last entry.
func (f *folding) state(first, last *provisioning.Entry) state {
	s := state{Type: string(first.ResourceType), Connection: first.Connection, Version: f.version,
		Created: first.At.UnixMicro(), Modified: last.At.UnixMicro(), Document: f.document}
	s.Visible, _ = f.row[provisioning.PathVisible].(bool)
	s.State, _ = f.row[provisioning.PathState].(string)
	s.Document["schemas"] = schemasOf(s.Type, s.Document)
	s.Names, s.Effective = f.names(first.ResourceType), f.effective()
	s.Members = f.ended
	for _, m := range f.open {
		s.Members = append(s.Members, m)
	}
	slices.SortFunc(s.Members, func(a, b membership) int {
		return cmp.Or(strings.Compare(a.Member, b.Member), cmp.Compare(a.From, b.From), strings.Compare(a.FromEntry, b.FromEntry))
	})
	return s
}

// names are the folded names that a resource is looked up by.
func (f *folding) names(t scim.ResourceType) [2]string {
	if t == scim.Group {
		return [2]string{scim.FoldFull.Apply(fmt.Sprint(f.document["displayName"])), ""}
	}
	asserted := scim.FoldFull.Apply(fmt.Sprint(f.document["userName"]))
	if own, ok := f.row[provisioning.PathEffectiveUserName].(string); ok {
		return [2]string{asserted, own}
	}
	return [2]string{asserted, asserted}
}

// effective is the document that the host application sees where its userName is not the asserted one.
func (f *folding) effective() map[string]any {
	name, ok := f.row[provisioning.PathEffectiveUserName]
	if !ok {
		return nil
	}
	effective := maps.Clone(f.document)
	effective["userName"] = name
	return effective
}

// schemasOf is the attribute schemas of a document: its type's, then those of its extensions, the
// registered one first.
func schemasOf(kind string, document map[string]any) []any {
	var extensions []string
	for key := range document {
		if strings.Contains(key, ":") {
			extensions = append(extensions, key)
		}
	}
	slices.Sort(extensions)
	if i := slices.Index(extensions, scim.EnterpriseUserSchema); i > 0 {
		extensions = slices.Insert(slices.Delete(extensions, i, i+1), 0, scim.EnterpriseUserSchema)
	}
	list := []any{"urn:ietf:params:scim:schemas:core:2.0:" + kind}
	for _, urn := range extensions {
		list = append(list, urn)
	}
	return list
}
