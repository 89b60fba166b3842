package provisioning

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"meibo/scim"
)

// Erased is what an erasure came to.
type Erased struct {
	Name     string // that the user was called by; "" where it was purged before
	Entries  int    // of the journal, that lost values
	Matters  int
	Jobs     int
	Captures int // requests that may be kept with their answers, and are not any more
	// Settings are versions of settings that name the user. They stay as they are: see to them by hand.
	Settings []NamedIn
}

// NamedIn is a version of a connection's settings.
type NamedIn struct {
	Connection string
	Version    int64
	InForce    bool
}

// Erase takes all values of a user from everything that is kept: row, journal, open and closed matters, jobs, captured
// requests, the display names that groups list. Ids, times, actions and outcomes stay, and an entry says who asked for it.
// Who is not removed is, with remove; guards hold. It may be repeated, and goes on where it was interrupted. Precondition for
// who is not removed, NotFound, Invalid "mutability" for who is protected.
func (s *Service) Erase(ctx context.Context, o Origin, id string, remove bool) (Erased, error) {
	x, err := s.Account(ctx, o.Tenant, scim.User, id)
	if err != nil {
		return Erased{}, err
	}
	if x.State != Removed {
		if !remove {
			return Erased{}, &Error{Kind: Precondition, Detail: "the user is not removed, and somebody may still use the account: remove it first, or say that it is to be removed with it"}
		}
		if _, err := s.Act(ctx, o, scim.User, id, Act{State: Removed}); err != nil {
			return Erased{}, err
		}
	}
	e := eraser{Service: s, origin: o, id: id, names: map[string]bool{}, holders: map[string][]spell{}, correlations: map[string]bool{}}
	e.out.Name = x.Index.Name
	if err := e.gather(ctx); err != nil {
		return e.out, err
	}
	if _, err := s.Act(ctx, o, scim.User, id, Act{Purge: true, Erase: true}); err != nil {
		return e.out, err
	}
	// The user's own entries come last of all: they tell the names by which whoever goes on finds the rest.
	for _, do := range []func(context.Context) error{e.matters, e.jobs, e.displays, e.settings, e.entries} {
		if err := do(ctx); err != nil {
			return e.out, err
		}
	}
	if err := e.note(ctx); err != nil {
		return e.out, err
	}
	return e.out, s.store.Wipe(ctx)
}

// eraser erases one user.
type eraser struct {
	*Service
	origin       Origin
	id           string
	names        map[string]bool    // that the user was ever called by
	holders      map[string][]spell // of such a name, folded: who had it, one after the other
	correlations map[string]bool    // of requests about the user
	out          Erased
}

func (e *eraser) view(ctx context.Context, fn func(Reader) error) error {
	return e.store.View(ctx, e.origin.Tenant, fn)
}

// gather finds out what the user was ever called by, and who else was: userNames are given to others once they are free.
func (e *eraser) gather(ctx context.Context) error {
	return e.view(ctx, func(r Reader) error {
		if err := e.gatherNames(r); err != nil {
			return err
		}
		for name := range e.names {
			folded := scim.FoldFull.Apply(name)
			if _, known := e.holders[folded]; known {
				continue
			}
			var err error
			if e.holders[folded], err = holdersOf(r, folded); err != nil {
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
func (e *eraser) called(name string, at time.Time) bool {
	folded := scim.FoldFull.Apply(name)
	if !e.names[name] && !e.names[folded] {
		return false
	}
	away := func(s spell) time.Duration { return max(s.first.Sub(at), at.Sub(s.last), 0) }
	spells := e.holders[folded]
	return len(spells) == 0 || slices.MinFunc(spells, func(a, b spell) int { return cmp.Compare(away(a), away(b)) }).user == e.id
}

// gatherNames reads the row and the journal for what the user was ever called by.
func (e *eraser) gatherNames(r Reader) error {
	x, err := r.Account(scim.User, e.id, References{})
	if err != nil {
		return err
	}
	e.call(x.Index.Name, x.Index.EffectiveName)
	return r.Entries(EntryQuery{Resource: e.id}, func(entry Entry) error {
		e.call(entry.ResourceName)
		for _, c := range entry.Diff {
			if namesUser(c.Path) {
				for _, v := range []any{c.Old, c.New} {
					name, _ := v.(string)
					e.call(name)
				}
			}
		}
		return nil
	})
}

func (e *eraser) call(names ...string) {
	for _, name := range names {
		if name != "" {
			e.names[name], e.names[scim.FoldFull.Apply(name)] = true, true
		}
	}
}

// entries takes the user's values from the journal: from what was asked for under the user's names and is about nobody, from
// what groups say of the member, and from what is about the user.
func (e *eraser) entries(ctx context.Context) error {
	var queries []EntryQuery
	for _, name := range slices.Sorted(maps.Keys(e.names)) {
		queries = append(queries, EntryQuery{Name: name}, EntryQuery{Resource: name})
	}
	err := e.view(ctx, func(r Reader) error {
		seen := map[string]bool{}
		return r.GroupsOf(e.id, time.Time{}, time.Time{}, func(group string) error {
			if !seen[group] {
				seen[group] = true
				queries = append(queries, EntryQuery{Resource: group, Member: e.id})
			}
			return nil
		})
	})
	for _, q := range append(queries, EntryQuery{Resource: e.id}) {
		if err == nil {
			err = e.scrub(ctx, q)
		}
	}
	return err
}

// scrub erases in the entries that a query finds, and the captures of their requests with them.
func (e *eraser) scrub(ctx context.Context, q EntryQuery) error {
	for q.Limit = retainStride; ; {
		page, err := View(ctx, e.store, e.origin.Tenant, func(r Reader) (EntryPage, error) { return r.EntryPage(q) })
		if err != nil {
			return err
		}
		var b Batch
		for _, entry := range page.Entries {
			of := e.of(entry)
			if len(of) > 0 {
				b.Erase = append(b.Erase, Erasure{Entry: entry.ID, Of: of})
			}
			if len(of) > 0 || entry.ResourceID == e.id {
				b.DropCaptures = append(b.DropCaptures, entry.Correlation)
				e.correlations[entry.Correlation] = true
			}
		}
		if len(b.DropCaptures) > 0 {
			if err := e.commit(ctx, b); err != nil {
				return err
			}
			e.out.Entries, e.out.Captures = e.out.Entries+len(b.Erase), len(e.correlations)
		}
		if q.Before = page.Next; q.Before.IsZero() {
			return nil
		}
	}
}

// of says whose parts of an entry are the user's: the user's own, and nobody's under a name that was the user's then.
func (e *eraser) of(entry Entry) (ids []string) {
	_, about := entry.Split()
	if _, has := about[e.id]; has {
		ids = append(ids, e.id)
	}
	nobody := entry.ResourceID == "" || uuid.Validate(entry.ResourceID) != nil
	if _, has := about[""]; has && nobody && (e.called(entry.ResourceName, entry.At) || e.called(entry.ResourceID, entry.At)) {
		ids = append(ids, "")
	}
	return ids
}

func (e *eraser) commit(ctx context.Context, b Batch) error {
	return e.store.Update(ctx, e.origin.Tenant, func(tx Tx) error { return tx.Commit(b) })
}

// concerned reports whether a matter is about the user: by id, and one that is about nobody yet by the accounts that may be meant, or
// by the name that the client sent when nobody else had it.
func (e *eraser) concerned(m Matter) bool {
	switch {
	case m.Resource != "":
		return m.Resource == e.id
	case m.Kind != MatterAdoption:
		return false
	default:
		return slices.Contains(m.Candidates, e.id) || e.called(m.Name, m.Opened)
	}
}

// matters empties what was or is asked about the user.
func (e *eraser) matters(ctx context.Context) error {
	var changes []MatterChange
	seen := map[string]bool{}
	note := func(m Matter) error {
		if !e.concerned(m) || seen[m.ID] || m.Name == "" && m.Asserted == nil && len(m.Reason.Args) == 0 {
			return nil
		}
		seen[m.ID] = true
		bare := m
		bare.Name, bare.Asserted, bare.Key, bare.Reason.Args = "", nil, string(m.Kind)+":"+m.ID, nil
		if bare.Status == MatterOpen {
			bare.Status, bare.ClosedAt, bare.ClosedBy = MatterObsolete, e.Now(), e.origin.Actor
		}
		changes = append(changes, MatterChange{Erase: &bare})
		return nil
	}
	err := e.view(ctx, func(r Reader) error {
		if err := r.Matters(MatterQuery{Resource: e.id}, note); err != nil {
			return err
		}
		return r.Matters(MatterQuery{}, note)
	})
	for part := range slices.Chunk(changes, retainStride) {
		if err == nil {
			err = e.commit(ctx, Batch{Matters: part})
		}
	}
	e.out.Matters = len(changes)
	return err
}

// jobs takes the user's name from the results of jobs.
func (e *eraser) jobs(ctx context.Context) error {
	var changes []JobChange
	err := e.view(ctx, func(r Reader) error {
		all, err := r.Jobs("", "", 0)
		for _, j := range all {
			if !bytes.Contains(j.Result, []byte(e.id)) {
				continue
			}
			result, changed := nameless(j.Result, e.id)
			if j.Result = result; changed {
				changes = append(changes, JobChange{Erase: &j})
			}
		}
		return err
	})
	if err == nil && len(changes) > 0 {
		err = e.commit(ctx, Batch{Jobs: changes})
	}
	e.out.Jobs = len(changes)
	return err
}

// nameless is a document in which the objects with an id have no name any more.
func nameless(document []byte, id string) (out []byte, changed bool) {
	var v any
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	if decoder.Decode(&v) != nil {
		return document, false
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if name, named := v["name"].(string); named && name != "" && v["id"] == id {
				v["name"], changed = "", true
			}
			for _, inner := range v {
				walk(inner)
			}
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(v)
	out, err := json.Marshal(v)
	return out, changed && err == nil
}

// displays takes the names that clients gave to the user as a member.
func (e *eraser) displays(ctx context.Context) error {
	return e.commit(ctx, Batch{Journal: []JournalChange{{Nameless: e.id}}})
}

// settings looks for versions of settings that name the user.
func (e *eraser) settings(ctx context.Context) error {
	return e.view(ctx, func(r Reader) error {
		all, err := r.Connections()
		if err != nil {
			return err
		}
		for _, c := range all {
			versions, err := r.SettingsHistory(c.ID)
			if err != nil {
				return err
			}
			for _, v := range versions {
				text, err := json.Marshal(v.Settings)
				if err != nil {
					return err
				}
				if e.isNamedIn(string(text) + v.Source + v.Comment) {
					e.out.Settings = append(e.out.Settings, NamedIn{c.Name, v.Version, v.Version == c.SettingsVersion})
				}
			}
		}
		return nil
	})
}

func (e *eraser) isNamedIn(text string) bool {
	text = scim.FoldFull.Apply(text)
	for name := range e.names {
		if strings.Contains(text, scim.FoldFull.Apply(name)) {
			return true
		}
	}
	return strings.Contains(text, e.id)
}

// note journals the erasure.
func (e *eraser) note(ctx context.Context) error {
	entry := originEntry(e.origin)
	entry.ID, entry.At, entry.Request = e.newID(), e.Now(), e.request(e.origin, nil)
	entry.Action, entry.Outcome, entry.ResourceID, entry.ResourceType = ActionOther, Success, e.id, scim.User
	entry.Reason = Reason{Code: ReasonErased}
	err := e.commit(ctx, Batch{Entries: []Entry{entry}})
	if err == nil {
		e.decided(e.origin.Tenant, entry)
	}
	return err
}
