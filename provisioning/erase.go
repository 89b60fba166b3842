package provisioning

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"time"

	"meibo/scim"
)

// Erased is what an erasure came to.
type Erased struct {
	Name     string // that the user was called by; "" where it was purged before
	Entries  int    // of the journal, that lost values
	Matters  int
	Jobs     int
	Captures int // captured requests that told of the user
	Unread   int // captured requests, of whomever they were, that were deleted since nothing here opens them
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
	e := eraser{origin: o, requests: map[string]bool{}}
	e.out.Name = x.Index.Name
	if e.subject, err = s.subject(ctx, o.Tenant, &x); err != nil {
		return e.out, err
	}
	if _, err := s.Act(ctx, o, scim.User, id, Act{Purge: true, Erase: true}); err != nil {
		return e.out, err
	}
	// What was captured before and waits to be written is not kept any more, whoever it is about: else it would come behind this.
	if err := e.commit(ctx, Batch{CapturesFrom: e.Now().Add(captureSkew)}); err != nil {
		return e.out, err
	}
	for _, place := range places {
		if err := place.erase(ctx, &e); err != nil {
			return e.out, err
		}
	}
	if err := e.note(ctx); err != nil {
		return e.out, err
	}
	return e.out, s.store.Wipe(ctx)
}

// captureSkew is by how much the clocks of servers may differ.
const captureSkew = 2 * time.Second

// eraser erases one user.
type eraser struct {
	subject
	origin   Origin
	requests map[string]bool // correlations of those whose captures went with their entries
	out      Erased
}

func (e *eraser) commit(ctx context.Context, b Batch) error {
	return e.store.Update(ctx, e.tenant, func(tx Tx) error { return tx.Commit(b) })
}

// groups takes the names that clients gave to the user as a member.
func (e *eraser) groups(ctx context.Context, _ []string) error {
	return e.commit(ctx, Batch{Journal: []JournalChange{{Nameless: e.id}}})
}

// matters empties what was or is asked about the user.
func (e *eraser) matters(ctx context.Context, some []Matter) error {
	var changes []MatterChange
	for _, m := range some {
		if !e.isAsked(&m) || m.Name == "" && m.Asserted == nil && len(m.Reason.Args) == 0 {
			continue
		}
		m.Name, m.Asserted, m.Key, m.Reason.Args = "", nil, string(m.Kind)+":"+m.ID, nil
		if m.Status == MatterOpen {
			m.Status, m.ClosedAt, m.ClosedBy = MatterObsolete, e.Now(), e.origin.Actor
		}
		changes = append(changes, MatterChange{Erase: &m})
	}
	for part := range slices.Chunk(changes, retainStride) {
		if err := e.commit(ctx, Batch{Matters: part}); err != nil {
			return err
		}
		e.out.Matters += len(part)
	}
	return nil
}

// jobs takes the user's name from the results of jobs.
func (e *eraser) jobs(ctx context.Context, some []Job) error {
	var changes []JobChange
	for _, j := range some {
		result, changed := nameless(j.Result, e.id)
		if j.Result = result; changed {
			changes = append(changes, JobChange{Erase: &j})
		}
	}
	for part := range slices.Chunk(changes, retainStride) {
		if err := e.commit(ctx, Batch{Jobs: part}); err != nil {
			return err
		}
		e.out.Jobs += len(part)
	}
	return nil
}

// settings tells which versions name the user.
func (e *eraser) settings(_ context.Context, some []NamedIn) error {
	e.out.Settings = append(e.out.Settings, some...)
	return nil
}

// captures deletes those that tell of the user, and those that nobody can say that of.
func (e *eraser) captures(ctx context.Context, some []heldCapture) error {
	var b Batch
	for _, c := range some {
		b.DropCaptures = append(b.DropCaptures, c.Correlation)
		if c.opened == nil {
			e.out.Unread++
		} else {
			e.out.Captures++
		}
	}
	return e.commit(ctx, b)
}

// entries takes the user's values from the journal, and the captures of the requests with them.
func (e *eraser) entries(ctx context.Context, some []Entry) error {
	for part := range slices.Chunk(some, retainStride) {
		var b Batch
		for _, entry := range part {
			of := e.of(entry)
			if len(of) > 0 {
				b.Erase = append(b.Erase, Erasure{Entry: entry.ID, Of: of})
			}
			if len(of) > 0 || entry.ResourceID == e.id {
				b.DropCaptures = append(b.DropCaptures, entry.Correlation)
			}
		}
		if len(b.DropCaptures) == 0 {
			continue
		}
		if err := e.countCaptures(ctx, b.DropCaptures); err != nil {
			return err
		}
		if err := e.commit(ctx, b); err != nil {
			return err
		}
		e.out.Entries += len(b.Erase)
	}
	return nil
}

// countCaptures counts the captures of requests that are there yet.
func (e *eraser) countCaptures(ctx context.Context, correlations []string) error {
	return e.view(ctx, func(r Reader) error {
		for _, correlation := range correlations {
			if e.requests[correlation] {
				continue
			}
			e.requests[correlation] = true
			switch _, err := r.Capture(correlation); {
			case err == nil:
				e.out.Captures++
			case KindOf(err) != NotFound:
				return err
			}
		}
		return nil
	})
}

// of says whose parts of an entry are the user's: the user's own, and nobody's under a name that was the user's then.
func (e *eraser) of(entry Entry) (ids []string) {
	_, about := entry.Split()
	if _, has := about[e.id]; has {
		ids = append(ids, e.id)
	}
	if _, has := about[""]; has && isNobodys(&entry) && e.isOf(&entry) {
		ids = append(ids, "")
	}
	return ids
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
