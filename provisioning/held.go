package provisioning

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"meibo/scim"
)

// place is where something is held of persons, beside their rows.
type place struct {
	name string // in an export
	// show hands out what is held there of a person, and erase takes it away. Both walk the same: see placeOf.
	show  func(ctx context.Context, s *subject, item func(any)) error
	erase func(ctx context.Context, e *eraser) error
}

// placeOf is a place whose things one function finds, some at a time, for who hands them out and for who erases them.
func placeOf[T any](name string, find func(*subject, context.Context, func([]T) error) error, show func(*subject, T) any, erase func(*eraser, context.Context, []T) error) place {
	return place{name,
		func(ctx context.Context, s *subject, item func(any)) error {
			return find(s, ctx, func(some []T) error {
				for _, x := range some {
					item(show(s, x))
				}
				return nil
			})
		},
		func(ctx context.Context, e *eraser) error {
			return find(&e.subject, ctx, func(some []T) error { return erase(e, ctx, some) })
		}}
}

// places are all of them: what is handed out is what is erased. A new table that holds anything of a person gets a row here. The
// entries come last: they tell the names by which whoever goes on with an erasure finds the rest.
var places = []place{
	placeOf("groups", (*subject).groups, func(_ *subject, group string) any { return group }, (*eraser).groups),
	placeOf("matters", (*subject).matters, (*subject).showMatter, (*eraser).matters),
	placeOf("jobs", (*subject).jobs, (*subject).showJob, (*eraser).jobs),
	placeOf("settings", (*subject).settings, (*subject).showSettings, (*eraser).settings),
	placeOf("captures", (*subject).captures, (*subject).showCapture, (*eraser).captures),
	placeOf("entries", (*subject).entries, (*subject).showEntry, (*eraser).entries),
}

const (
	// heldStride is how many things are looked at in one read.
	heldStride = 100
	// captureLooks is the same of captured requests, which may be large.
	captureLooks = 64
)

// subject is a user of whom something is held.
type subject struct {
	*Service
	tenant, id string
	names      map[string]bool    // that the user was ever called by, as they were and folded
	holders    map[string][]spell // of such a name, folded: who had it, one after the other
	words      map[string]bool    // folded: names, addresses and numbers by which a request may have told of the user
}

// subject finds out by what a user is known, and who else was called so: userNames are given to others once they are free.
func (s *Service) subject(ctx context.Context, tenant string, x *Resource) (subject, error) {
	p := subject{Service: s, tenant: tenant, id: x.ID, names: map[string]bool{}, holders: map[string][]spell{}, words: map[string]bool{x.ID: true}}
	p.call(x.Index.Name, x.Index.EffectiveName)
	for _, document := range [][]byte{x.Asserted, x.Effective, x.Overrides} {
		var attributes map[string]any
		if len(document) > 0 && json.Unmarshal(document, &attributes) == nil {
			p.known("", attributes)
		}
	}
	err := s.Entries(ctx, tenant, EntryQuery{Resource: x.ID}, func(e Entry) error {
		p.call(e.ResourceName)
		for _, c := range e.Diff {
			for _, v := range []any{c.Old, c.New} {
				if name, _ := v.(string); namesUser(c.Path) {
					p.call(name)
				}
				p.known(strings.TrimPrefix(c.Path, PathEffective), v)
			}
		}
		return nil
	})
	if err == nil {
		err = p.displays(ctx)
	}
	for name := range p.names {
		folded := scim.FoldFull.Apply(name)
		if _, known := p.holders[folded]; !known && err == nil {
			err = p.view(ctx, func(r Reader) (err error) {
				p.holders[folded], err = holdersOf(r, folded)
				return err
			})
		}
	}
	return p, err
}

// displays notes by what names groups listed the user: a group's answer may have that alone.
func (s *subject) displays(ctx context.Context) error {
	return s.groups(ctx, func(groups []string) error {
		for _, group := range groups {
			err := s.Entries(ctx, s.tenant, EntryQuery{Resource: group, Member: s.id}, func(e Entry) error {
				if _, about := e.Split(); about[s.id].Display != "" {
					s.words[scim.FoldFull.Apply(about[s.id].Display)] = true
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// spell is a time in which the journal has one user under a name.
type spell struct {
	user        string
	first, last time.Time
}

// holdersOf tells who had a userName, one after the other. An account keeps being called so when somebody else has got the name;
// what becomes of it then, such as its removal, is no spell of its own unless it gets the name back.
func holdersOf(r Reader, folded string) (spells []spell, err error) {
	type mention struct {
		user  string
		at    time.Time
		gives bool
	}
	var all []mention // newest first
	err = r.Entries(EntryQuery{Name: folded}, func(entry Entry) error {
		if entry.ResourceType == scim.User && uuid.Validate(entry.ResourceID) == nil {
			gives := slices.ContainsFunc(entry.Diff, func(c AttributeChange) bool { return namesUser(c.Path) && foldedText(c.New) == folded })
			all = append(all, mention{entry.ResourceID, entry.At, gives})
		}
		return nil
	})
	seen := map[string]bool{}
	for _, m := range slices.Backward(all) {
		switch n := len(spells); {
		case n > 0 && spells[n-1].user == m.user:
			spells[n-1].last = m.at
		case m.gives || !seen[m.user]:
			spells = append(spells, spell{m.user, m.at, m.at})
		}
		seen[m.user] = true
	}
	return spells, err
}

// namesUser reports whether a path of a difference is that of a userName.
func namesUser(path string) bool { return path == "userName" || path == PathEffective+"userName" }

func foldedText(v any) string {
	text, _ := v.(string)
	return scim.FoldFull.Apply(text)
}

// called reports whether a name that was sent at some time, and led to nobody, was the user's then: of all who had it, whom the
// journal has nearest to that time under it.
func (s *subject) called(name string, at time.Time) bool {
	folded := scim.FoldFull.Apply(name)
	if !s.names[name] && !s.names[folded] {
		return false
	}
	away := func(x spell) time.Duration { return max(x.first.Sub(at), at.Sub(x.last), 0) }
	spells := s.holders[folded]
	return len(spells) == 0 || slices.MinFunc(spells, func(a, b spell) int { return cmp.Compare(away(a), away(b)) }).user == s.id
}

func (s *subject) call(names ...string) {
	for _, name := range names {
		if name != "" {
			folded := scim.FoldFull.Apply(name)
			s.names[name], s.names[folded], s.words[folded] = true, true, true
		}
	}
}

// knownBy are the attributes by whose values a person is told from others, by the last part of their names.
var knownBy = map[string]bool{"userName": true, "externalId": true, "displayName": true, "formatted": true, "emails": true, "phoneNumbers": true, "ims": true,
	"photos": true, "profileUrl": true, "employeeNumber": true}

// known notes what the value of an attribute tells of the user.
func (s *subject) known(path string, v any) {
	switch v := v.(type) {
	case string:
		if name := path[strings.LastIndexAny(path, ":.")+1:]; knownBy[name] && v != "" {
			s.words[scim.FoldFull.Apply(v)] = true
		}
	case []any:
		for _, element := range v {
			if object, ok := element.(map[string]any); ok {
				element = object["value"]
			}
			s.known(path, element)
		}
	case map[string]any:
		for name, inner := range v {
			s.known(name, inner)
		}
	}
}

func (s *subject) view(ctx context.Context, fn func(Reader) error) error {
	return s.store.View(ctx, s.tenant, fn)
}

// groups are the groups in which the user is, or was as far as memberships that ended are kept.
func (s *subject) groups(ctx context.Context, fn func([]string) error) error {
	var groups []string
	seen := map[string]bool{}
	err := s.view(ctx, func(r Reader) error {
		return r.GroupsOf(s.id, time.Time{}, time.Time{}, func(group string) error {
			if !seen[group] {
				seen[group] = true
				groups = append(groups, group)
			}
			return nil
		})
	})
	if err != nil || len(groups) == 0 {
		return err
	}
	return fn(groups)
}

// matters are those that are or were asked about the user, and that name the user beside others.
func (s *subject) matters(ctx context.Context, fn func([]Matter) error) error {
	q := MatterQuery{Limit: heldStride}
	for {
		var mine []Matter
		n, last := 0, ""
		err := s.view(ctx, func(r Reader) error {
			return r.Matters(q, func(m Matter) error {
				n, last = n+1, m.ID
				if s.isAsked(&m) || slices.Contains(m.Members, s.id) {
					mine = append(mine, m)
				}
				return nil
			})
		})
		if err == nil && len(mine) > 0 {
			err = fn(mine)
		}
		if err != nil || n < q.Limit {
			return err
		}
		q.Before = last
	}
}

// isAsked reports whether a matter is about the user: by id, and one that is about nobody yet by the accounts that may be meant, or
// by the name that the client sent when nobody else had it.
func (s *subject) isAsked(m *Matter) bool {
	switch {
	case m.Resource != "":
		return m.Resource == s.id
	case m.Kind != MatterAdoption:
		return false
	default:
		return slices.Contains(m.Candidates, s.id) || s.called(m.Name, m.Opened)
	}
}

// jobs are those whose results name the user.
func (s *subject) jobs(ctx context.Context, fn func([]Job) error) error {
	for before := ""; ; {
		all, err := View(ctx, s.store, s.tenant, func(r Reader) ([]Job, error) { return r.Jobs("", before, heldStride) })
		if err != nil || len(all) == 0 {
			return err
		}
		before = all[len(all)-1].ID
		more := len(all) == heldStride
		mine := slices.DeleteFunc(all, func(j Job) bool { return !bytes.Contains(j.Result, []byte(s.id)) })
		if len(mine) > 0 {
			err = fn(mine)
		}
		if err != nil || !more {
			return err
		}
	}
}

// settings are the versions of settings that name the user.
func (s *subject) settings(ctx context.Context, fn func([]NamedIn) error) error {
	var found []NamedIn
	err := s.view(ctx, func(r Reader) error {
		all, err := r.Connections()
		for _, c := range all {
			if err != nil {
				break
			}
			err = s.settingsOf(r, c, &found)
		}
		return err
	})
	if err != nil || len(found) == 0 {
		return err
	}
	return fn(found)
}

func (s *subject) settingsOf(r Reader, c Connection, found *[]NamedIn) error {
	versions, err := r.SettingsHistory(c.ID)
	for _, v := range versions {
		if err != nil {
			break
		}
		var text []byte
		text, err = json.Marshal(v.Settings)
		if s.isNamedIn(string(text) + v.Source + v.Comment) {
			*found = append(*found, NamedIn{c.Name, v.Version, v.Version == c.SettingsVersion})
		}
	}
	return err
}

func (s *subject) isNamedIn(text string) bool {
	text = scim.FoldFull.Apply(text)
	for name := range s.names {
		if strings.Contains(text, scim.FoldFull.Apply(name)) {
			return true
		}
	}
	return strings.Contains(text, s.id)
}

// heldCapture is a captured request that tells of the user, or that nobody can say of whether it does: opened is nil then.
type heldCapture struct {
	Capture
	opened *OpenedCapture
}

// captures are those that tell of the user, with entries or without. They are sealed, and so all are opened.
func (s *subject) captures(ctx context.Context, fn func([]heldCapture) error) error {
	for q := (CaptureQuery{Limit: captureLooks}); ; {
		page, err := View(ctx, s.store, s.tenant, func(r Reader) (CapturePage, error) { return r.Captures(q) })
		if err != nil {
			return err
		}
		var mine []heldCapture
		for _, c := range page.Captures {
			if opened, err := s.open(s.tenant, c); err != nil {
				mine = append(mine, heldCapture{c, nil})
			} else if s.isIn(&opened, c.At) {
				mine = append(mine, heldCapture{c, &opened})
			}
		}
		if len(mine) > 0 {
			err = fn(mine)
		}
		if q.Before = page.Next; err != nil || q.Before == "" {
			return err
		}
	}
}

// isIn reports whether a captured request of some time, or its answer, tells of the user.
func (s *subject) isIn(c *OpenedCapture, at time.Time) bool {
	path, query, _ := strings.Cut(c.Target, "?")
	if plain, err := url.PathUnescape(path); err == nil {
		path = plain
	}
	if plain, err := url.QueryUnescape(query); err == nil {
		query = plain
	}
	for _, text := range append([]string{path, query}, c.Texts...) {
		if s.toldIn(text, at) {
			return true
		}
	}
	return false
}

// literals are the strings of a JSON text, and of a filter.
var literals = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// toldIn reports whether one of the words by which the user is known stands in a text of some time, and is no part of a longer
// word; a name only where it was the user's then. Whether it means the user nobody can tell: a capture too many that goes harms nobody.
func (s *subject) toldIn(text string, at time.Time) bool {
	if strings.Contains(text, `\`) {
		text = literals.ReplaceAllStringFunc(text, func(literal string) string {
			var plain string
			if json.Unmarshal([]byte(literal), &plain) != nil {
				return literal
			}
			return `"` + plain + `"`
		})
	}
	text = scim.FoldFull.Apply(text)
	for word := range s.words {
		if hasWord(text, word) && (!s.names[word] || s.called(word, at)) {
			return true
		}
	}
	return false
}

// hasWord reports whether a word stands in a text with no letter or digit on either side, nor behind a sign that joins the parts
// of names and addresses.
func hasWord(text, word string) bool {
	for from := 0; ; {
		at := strings.Index(text[from:], word)
		if at < 0 {
			return false
		}
		begin := from + at
		before, _ := utf8.DecodeLastRuneInString(strings.TrimRight(text[:begin], joining))
		after, _ := utf8.DecodeRuneInString(strings.TrimLeft(text[begin+len(word):], joining))
		if !joins(before) && !joins(after) {
			return true
		}
		_, first := utf8.DecodeRuneInString(text[begin:])
		from = begin + first
	}
}

// joining are signs within names and addresses.
const joining = ".-_@"

func joins(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// entries are what groups say of the member, what was asked for under the user's names and is about nobody, and what is about
// the user: that last of all.
func (s *subject) entries(ctx context.Context, fn func([]Entry) error) error {
	var queries []EntryQuery
	for _, name := range slices.Sorted(maps.Keys(s.names)) {
		queries = append(queries, EntryQuery{Name: name}, EntryQuery{Resource: name})
	}
	err := s.groups(ctx, func(groups []string) error {
		for _, group := range groups {
			queries = append(queries, EntryQuery{Resource: group, Member: s.id})
		}
		return nil
	})
	seen := map[string]bool{} // in what was asked for: a name is asked for in several ways
	for _, q := range append(queries, EntryQuery{Resource: s.id}) {
		if err == nil {
			err = s.entriesOf(ctx, q, seen, fn)
		}
	}
	return err
}

func (s *subject) entriesOf(ctx context.Context, q EntryQuery, seen map[string]bool, fn func([]Entry) error) error {
	for q.Limit = heldStride; ; {
		page, err := View(ctx, s.store, s.tenant, func(r Reader) (EntryPage, error) { return r.EntryPage(q) })
		if err != nil {
			return err
		}
		mine := slices.DeleteFunc(page.Entries, func(e Entry) bool {
			again := seen[e.ID]
			seen[e.ID] = true
			return again || !s.isOf(&e)
		})
		if len(mine) > 0 {
			err = fn(mine)
		}
		if q.Before = page.Next; err != nil || q.Before.IsZero() {
			return err
		}
	}
}

// isOf reports whether an entry that was found by the user's id, or by a name of the user's, is the user's: that of another who
// has the name by now is not.
func (s *subject) isOf(e *Entry) bool {
	return e.ResourceID == s.id || hasMember(e.Members, s.id) || isNobodys(e) && (s.called(e.ResourceName, e.At) || s.called(e.ResourceID, e.At))
}

// isNobodys reports whether an entry is about what is no user or group.
func isNobodys(e *Entry) bool { return uuid.Validate(e.ResourceID) != nil }

// hasMember reports whether a difference of members has one.
func hasMember(d MemberDelta, id string) bool {
	for _, list := range [][]scim.Member{d.Add, d.AssertedAdd, d.EffectiveAdd} {
		if slices.ContainsFunc(list, func(m scim.Member) bool { return m.Value == id }) {
			return true
		}
	}
	return slices.Contains(d.Remove, id) || slices.Contains(d.AssertedRemove, id) || slices.Contains(d.EffectiveRemove, id)
}
