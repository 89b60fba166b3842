package witness

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	gocmp "github.com/google/go-cmp/cmp"

	"meibo/provisioning"
	"meibo/scim"
)

// Fold computes the state of every resource from a tenant's entries. Its problems say where an
// entry does not follow from those before it, or holds more than a difference.
func Fold(entries []provisioning.Entry) (states map[string]State, problems []string) {
	j := NewJournal()
	problems = j.Add(entries)
	return j.States(), problems
}

// Disagreements are the ways in which a journal is not that of the stored state: changes without an
// entry, entries without their change, and entries that do not follow from each other.
func Disagreements(entries []provisioning.Entry, stored map[string]State) []string {
	folded, problems := Fold(entries)
	return append(problems, Differences(stored, folded)...)
}

// Differences compares stored with folded states, by id.
func Differences(stored, folded map[string]State) []string {
	differ := map[string]bool{}
	for id, s := range stored {
		if f, ok := folded[id]; !ok || !reflect.DeepEqual(s, f) {
			differ[id] = true
		}
	}
	for id := range folded {
		if _, ok := stored[id]; !ok {
			differ[id] = true
		}
	}
	var problems []string
	for _, id := range slices.Sorted(maps.Keys(differ)) {
		s, isStored := stored[id]
		f, isFolded := folded[id]
		switch {
		case !isFolded:
			problems = append(problems, "resource "+id+" is stored, but the journal has never heard of it")
		case !isStored:
			problems = append(problems, "resource "+id+" is in the journal, but is not stored")
		default:
			problems = append(problems, "resource "+id+" (-stored +folded):\n"+gocmp.Diff(s, f))
		}
	}
	return problems
}

// Journal is a fold that goes on as entries come in. Not safe for concurrent use.
type Journal struct{ resources map[string]*folding }

// NewJournal returns a Journal without entries.
func NewJournal() *Journal { return &Journal{resources: map[string]*folding{}} }

// Add goes on with entries, which have all versions of a resource up to the last of them, in any
// order. Its problems are as those of Fold.
func (j *Journal) Add(entries []provisioning.Entry) (problems []string) {
	byResource := map[string][]*provisioning.Entry{}
	for i := range entries {
		switch e := &entries[i]; {
		case e.Action == provisioning.ActionOther: // about the tenant itself
		case e.Version == 0:
			if len(e.Diff) > 0 || !e.Members.IsZero() || e.Outcome == provisioning.Success {
				problems = append(problems, fmt.Sprintf("entry %s: outcome %s, %d differences, but no version", e.ID, e.Outcome, len(e.Diff)))
			}
		default:
			byResource[e.ResourceID] = append(byResource[e.ResourceID], e)
		}
	}
	for id, own := range byResource {
		slices.SortStableFunc(own, func(a, b *provisioning.Entry) int { return cmp.Compare(a.Version, b.Version) })
		f := j.resources[id]
		if f == nil {
			f = newFolding(own[0])
			j.resources[id] = f
		}
		for _, e := range own {
			f.apply(e)
		}
		for _, p := range f.problems {
			problems = append(problems, "resource "+id+": "+p)
		}
		f.problems = nil
	}
	slices.Sort(problems)
	return problems
}

// States is what the resources have come to, by id: those named, or all.
func (j *Journal) States(ids ...string) map[string]State {
	states := map[string]State{}
	if len(ids) == 0 {
		ids = slices.Collect(maps.Keys(j.resources))
	}
	for _, id := range ids {
		if f := j.resources[id]; f != nil {
			states[id] = f.state()
		}
	}
	return states
}

// folding is one resource on its way through its entries.
type folding struct {
	kind     scim.ResourceType
	owner    int64
	created  int64
	modified int64
	version  int64
	document map[string]any
	row      map[string]any // by path, what is no part of the document
	open     map[string]Membership
	ended    []Membership
	problems []string
}

func newFolding(first *provisioning.Entry) *folding {
	return &folding{kind: first.ResourceType, owner: first.Connection, created: first.At.UnixMicro(),
		document: map[string]any{}, row: map[string]any{}, open: map[string]Membership{}}
}

func (f *folding) problem(e *provisioning.Entry, format string, args ...any) {
	f.problems = append(f.problems, fmt.Sprintf("entry %s, version %d: ", e.ID, e.Version)+fmt.Sprintf(format, args...))
}

func (f *folding) apply(e *provisioning.Entry) {
	f.modified = e.At.UnixMicro()
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
		f.open[m.Value] = Membership{Member: m.Value, Display: m.Display, From: e.At.UnixMicro(), FromEntry: e.ID}
	}
}

// state is what the resource has come to, in a copy.
func (f *folding) state() State {
	s := State{Type: string(f.kind), Connection: f.owner, Version: f.version,
		Created: f.created, Modified: f.modified, Document: maps.Clone(f.document)}
	s.Visible, _ = f.row[provisioning.PathVisible].(bool)
	s.State, _ = f.row[provisioning.PathState].(string)
	s.Document["schemas"] = schemasOf(s.Type, s.Document)
	s.Names, s.Effective = f.names(), f.effective(s.Document)
	s.Members = slices.Clone(f.ended)
	for _, m := range f.open {
		s.Members = append(s.Members, m)
	}
	slices.SortFunc(s.Members, func(a, b Membership) int {
		return cmp.Or(strings.Compare(a.Member, b.Member), cmp.Compare(a.From, b.From), strings.Compare(a.FromEntry, b.FromEntry))
	})
	return s
}

// names are the folded names that a resource is looked up by.
func (f *folding) names() [2]string {
	if f.kind == scim.Group {
		return [2]string{scim.FoldFull.Apply(fmt.Sprint(f.document["displayName"])), ""}
	}
	asserted := scim.FoldFull.Apply(fmt.Sprint(f.document["userName"]))
	if own, ok := f.row[provisioning.PathEffectiveUserName].(string); ok {
		return [2]string{asserted, own}
	}
	return [2]string{asserted, asserted}
}

// effective is a document as the host application sees it, where its userName is not the asserted one.
func (f *folding) effective(document map[string]any) map[string]any {
	name, ok := f.row[provisioning.PathEffectiveUserName]
	if !ok {
		return nil
	}
	effective := maps.Clone(document)
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
