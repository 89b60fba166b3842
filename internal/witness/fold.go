package witness

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

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
	stored = maps.Clone(stored)
	for id, s := range stored {
		if f := folded[id]; f.Since > 0 {
			s = s.from(f.Since)
			stored[id] = s
		}
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

// from is the state without what a journal cannot tell that begins at an instant.
func (s State) from(at int64) State {
	s.Since = at
	var kept []Membership
	for _, m := range s.Members {
		if m.To != 0 && m.To <= at {
			continue
		}
		if m.From <= at {
			m.From, m.FromEntry = 0, ""
		}
		kept = append(kept, m)
	}
	s.Members = kept
	return s
}

// IsGone reports whether it was purged: a journal may have forgotten it.
func (s State) IsGone() bool {
	return s.State == string(provisioning.Removed) && !s.Visible && len(s.Document) <= 1
}

// Journal is a fold that goes on as entries come in. Not safe for concurrent use.
type Journal struct {
	resources map[string]*folding
	erased    map[string]bool
}

// NewJournal returns a Journal without entries.
func NewJournal() *Journal {
	return &Journal{resources: map[string]*folding{}, erased: map[string]bool{}}
}

// Add goes on with entries, which have all versions of a resource up to the last of them, in any
// order. Its problems are as those of Fold.
func (j *Journal) Add(entries []provisioning.Entry) (problems []string) {
	byResource := map[string][]*provisioning.Entry{}
	for i := range entries {
		switch e := &entries[i]; {
		case e.Reason.Code == provisioning.ReasonErased: // nothing is left to fold
			j.erased[e.ResourceID] = true
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
		if j.erased[id] {
			delete(j.resources, id)
			continue
		}
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
	left     int64
	since    int64 // of the baseline; 0 without one
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
	if e.Reason.Code == provisioning.ReasonBaseline {
		f.begin(e)
		return
	}
	f.modified = e.At.UnixMicro()
	if f.version++; e.Version != f.version {
		f.problem(e, "version %d was to be next", f.version)
	}
	adopted := f.version > 1 && slices.ContainsFunc(e.Diff, func(c provisioning.AttributeChange) bool { return c.Path == provisioning.PathOwner })
	if (e.Action == provisioning.ActionCreate && !adopted) != (f.version == 1) {
		f.problem(e, "the action is %s, reason %v", e.Action, e.Reason)
	}
	ignored := e.Outcome == provisioning.Skipped && e.Reason.Code == provisioning.ReasonIgnored
	if e.Outcome != provisioning.Success && e.Outcome != provisioning.Warning && !ignored {
		f.problem(e, "the outcome is %s, the action %s, reason %v, differences %+v", e.Outcome, e.Action, e.Reason, e.Diff)
	}
	if len(e.Diff) == 0 && e.Members.IsZero() {
		f.problem(e, "holds no difference")
	}
	wasIn := f.isIn()
	seen := map[string]bool{}
	for _, c := range e.Diff {
		if seen[c.Path] {
			f.problem(e, "%s is there twice", c.Path)
		}
		seen[c.Path] = true
		f.assign(e, c)
	}
	f.departs(e)
	f.stay(e, wasIn)
	f.leave(e)
	f.join(e)
}

// begin follows one entry of a baseline, which has all that the resource had come to as a difference from nothing: its
// entries have one version, and one of them says when the resource was made, changed and left. Since when its members were in it
// is not told.
func (f *folding) begin(e *provisioning.Entry) {
	if f.version != e.Version {
		*f = *newFolding(e)
		f.version, f.since = e.Version, e.At.UnixMicro()
	}
	for _, c := range e.Diff {
		f.assign(e, c)
	}
	f.departs(e)
	f.join(e)
	for id, m := range f.open {
		m.From, m.FromEntry = 0, ""
		f.open[id] = m
	}
	for name, to := range map[string]*int64{"created": &f.created, "modified": &f.modified, "left": &f.left} {
		if at, err := time.Parse(time.RFC3339Nano, e.Reason.Args[name]); err == nil {
			*to = at.UnixMicro()
		}
	}
}

// isIn reports whether the host application lets it in.
func (f *folding) isIn() bool {
	state, _ := f.row[provisioning.PathState].(string)
	return state == string(provisioning.Active) || state == string(provisioning.Held)
}

// stay follows since when it is out: an entry that moves its state or its end says so.
func (f *folding) stay(e *provisioning.Entry, wasIn bool) {
	moved := slices.ContainsFunc(e.Diff, func(c provisioning.AttributeChange) bool {
		return c.Path == provisioning.PathState || c.Path == provisioning.PathPurgeAt
	})
	switch {
	case f.isIn(), e.Reason.Code == provisioning.ReasonPurged:
		f.left = 0
	case moved && (wasIn || f.left == 0):
		f.left = e.At.UnixMicro()
	}
	for _, c := range e.Diff {
		if c.Path != provisioning.PathLeftAt {
			continue
		}
		text, _ := c.New.(string)
		at, err := time.Parse(time.RFC3339Nano, text)
		if state := f.row[provisioning.PathState]; err != nil || state != string(provisioning.Suspended) {
			f.problem(e, "%s: %q of who is %v: %v", c.Path, text, state, err)
		}
		f.left = at.UnixMicro()
	}
}

// assign follows the difference of one attribute.
func (f *folding) assign(e *provisioning.Entry, c provisioning.AttributeChange) {
	if c.Path == provisioning.PathLeftAt {
		return // see stay
	}
	if reflect.DeepEqual(c.Old, c.New) {
		f.problem(e, "%s is no difference: %v", c.Path, c.New)
	}
	object, name := f.place(c.Path)
	if c.Path == provisioning.PathOwner {
		object = map[string]any{c.Path: json.Number(fmt.Sprint(f.owner))}
	}
	if !reflect.DeepEqual(object[name], c.Old) {
		f.problem(e, "%s was %v, but the entry says %v", c.Path, object[name], c.Old)
	}
	if !fits(c.Path, c.New) {
		f.problem(e, "%s cannot be %v", c.Path, c.New)
	}
	object[name] = c.New
	if c.New == nil {
		delete(object, name)
	}
	if !strings.HasPrefix(c.Path, "meibo.") {
		keepIn(f.document, c.Path, object)
	}
	if owner, ok := c.New.(json.Number); ok && c.Path == provisioning.PathOwner {
		f.owner, _ = owner.Int64()
		delete(f.row, c.Path)
	}
}

// departs notes where the effective view is said to depart from the asserted one and does not.
func (f *folding) departs(e *provisioning.Entry) {
	for key, v := range f.row {
		path, ok := strings.CutPrefix(key, provisioning.PathEffective)
		if !ok {
			continue
		}
		object, name := placeIn(f.document, path)
		if none, _ := v.(map[string]any); none != nil && len(none) == 0 {
			v = nil
		}
		if reflect.DeepEqual(object[name], v) {
			f.problem(e, "%s is as asserted", path)
		}
	}
}

// fits reports whether a path that is no attribute's can have the value; nil stands for unassigned.
func fits(path string, v any) (ok bool) {
	switch path {
	case provisioning.PathVisible:
		_, ok = v.(bool)
	case provisioning.PathState:
		_, ok = v.(string)
	case provisioning.PathOwner:
		_, ok = v.(json.Number)
	case provisioning.PathProtected:
		_, ok = v.(bool)
		ok = ok || v == nil
	case provisioning.PathRole:
		_, ok = v.(string)
		ok = ok || v == nil
	case provisioning.PathPurgeAt:
		at, _ := v.(string)
		_, err := time.Parse(time.RFC3339Nano, at)
		ok = err == nil || v == nil
	default:
		ok = true
	}
	return ok
}

// place finds what a path assigns to. A path with a colon is that of an extension's attribute, one
// that ends in a colon that of an extension as a whole.
func (f *folding) place(path string) (object map[string]any, name string) {
	switch {
	case strings.HasPrefix(path, "meibo."):
		return f.row, path
	default:
		return placeIn(f.document, path)
	}
}

// placeIn finds what a path of a document assigns to.
func placeIn(document map[string]any, path string) (object map[string]any, name string) {
	urn, name, isExtension := cutLast(path, ":")
	switch {
	case !isExtension:
		return document, path
	case name == "":
		return document, urn
	}
	object, _ = document[urn].(map[string]any)
	if object == nil {
		return map[string]any{}, name
	}
	return maps.Clone(object), name // it may be that of an entry
}

// keepIn puts an extension back that an attribute was assigned in.
func keepIn(document map[string]any, path string, object map[string]any) {
	urn, name, isExtension := cutLast(path, ":")
	switch {
	case !isExtension || name == "":
	case len(object) == 0:
		delete(document, urn)
	default:
		document[urn] = object
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
		if m, ok := f.open[id]; ok && m.Effective {
			f.end(e, m)
		} else {
			f.problem(e, "removes %s, who is no member", id)
		}
	}
	for _, id := range e.Members.AssertedRemove {
		switch m, ok := f.open[id]; {
		case !ok || !m.Asserted:
			f.problem(e, "lists %s no longer, who was not listed", id)
		case m.Effective:
			m.Asserted = false
			f.open[id] = m
		default:
			f.end(e, m)
		}
	}
	for _, id := range e.Members.EffectiveRemove {
		switch m, ok := f.open[id]; {
		case !ok || !m.Effective:
			f.problem(e, "takes %s away, who was no effective member", id)
		case m.Asserted:
			m.Effective = false
			f.open[id] = m
		default:
			f.end(e, m)
		}
	}
}

// end closes a membership.
func (f *folding) end(e *provisioning.Entry, m Membership) {
	m.To, m.ToEntry = e.At.UnixMicro(), e.ID
	f.ended = append(f.ended, m)
	delete(f.open, m.Member)
}

func (f *folding) join(e *provisioning.Entry) {
	named := map[string]bool{}
	for _, id := range slices.Concat(e.Members.Remove, e.Members.AssertedRemove, e.Members.EffectiveRemove) {
		named[id] = true
	}
	start := func(m scim.Member) (Membership, bool) {
		old, ok := f.open[m.Value]
		if named[m.Value] {
			f.problem(e, "names %s twice among the members", m.Value)
		}
		named[m.Value] = true
		if !ok {
			old = Membership{Member: m.Value, Display: m.Display, From: e.At.UnixMicro(), FromEntry: e.ID}
		}
		return old, ok
	}
	for _, m := range e.Members.Add {
		joined, member := start(m)
		if member {
			f.problem(e, "adds %s, who is a member", m.Value)
		}
		joined.Asserted, joined.Effective = true, true
		f.open[m.Value] = joined
	}
	for _, m := range e.Members.AssertedAdd {
		joined, _ := start(m)
		if joined.Asserted {
			f.problem(e, "lists %s, who is listed already", m.Value)
		}
		joined.Asserted, joined.Display = true, m.Display
		f.open[m.Value] = joined
	}
	for _, m := range e.Members.EffectiveAdd {
		joined, _ := start(m)
		if joined.Effective {
			f.problem(e, "gives %s, who is an effective member already", m.Value)
		}
		joined.Effective = true
		f.open[m.Value] = joined
	}
}

// state is what the resource has come to, in a copy.
func (f *folding) state() State {
	s := State{Type: string(f.kind), Connection: f.owner, Version: f.version,
		Created: f.created, Modified: f.modified, LeftAt: f.left, Since: f.since, Document: maps.Clone(f.document)}
	for _, m := range f.open {
		if m.Effective {
			s.Open++
		}
	}
	s.Visible, _ = f.row[provisioning.PathVisible].(bool)
	s.State, _ = f.row[provisioning.PathState].(string)
	s.Role, _ = f.row[provisioning.PathRole].(string)
	s.Protected, _ = f.row[provisioning.PathProtected].(bool)
	if at, ok := f.row[provisioning.PathPurgeAt].(string); ok {
		purge, _ := time.Parse(time.RFC3339Nano, at)
		s.PurgeAt = purge.UnixMicro()
	}
	for key, v := range f.row {
		if path, ok := strings.CutPrefix(key, provisioning.PathOverride); ok {
			if s.Overrides == nil {
				s.Overrides = map[string]any{}
			}
			s.Overrides[path] = v
		}
	}
	s.Document["schemas"] = schemasOf(s.Type, s.Document)
	s.Effective = f.effective(s.Document)
	s.Names = f.names(s.Effective)
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
func (f *folding) names(effective map[string]any) [2]string {
	if f.kind == scim.Group {
		return [2]string{folded(f.document["displayName"]), ""}
	}
	asserted := folded(f.document["userName"])
	if effective != nil {
		return [2]string{asserted, folded(effective["userName"])}
	}
	return [2]string{asserted, asserted}
}

func folded(name any) string {
	text, _ := name.(string)
	return scim.FoldFull.Apply(text)
}

// effective is a document as the host application sees it; nil where it departs in nothing.
func (f *folding) effective(document map[string]any) map[string]any {
	var effective map[string]any
	for _, key := range slices.Sorted(maps.Keys(f.row)) {
		path, ok := strings.CutPrefix(key, provisioning.PathEffective)
		if !ok {
			continue
		}
		if effective == nil {
			effective = maps.Clone(document)
		}
		object, name := placeIn(effective, path)
		if urn, _, isExtension := cutLast(path, ":"); isExtension && name != urn {
			object = maps.Clone(object) // it is the document's as well
		}
		object[name] = f.row[key]
		if none, _ := f.row[key].(map[string]any); none != nil && len(none) == 0 {
			delete(object, name)
		}
		keepIn(effective, path, object)
	}
	if effective != nil {
		delete(effective, "schemas")
		effective["schemas"] = schemasOf(string(f.kind), effective)
	}
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
