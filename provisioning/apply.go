package provisioning

import (
	"context"
	"errors"
	"time"

	"meibo/scim"
)

// Intent is one write as its adapter understood it.
type Intent struct {
	Action JournalAction     // what is asked for, should nothing come of it
	Type   scim.ResourceType // of the resource
	ID     string            // of the resource as the client named it; "" for a create
	Name   string            // userName or displayName as far as it is known
	// Want says what is desired, given what is stored. It may run several times.
	Want func(Reader) (Facts, Desired, error)
}

// Result is what a write left behind.
type Result struct {
	Resource Resource
	Action   Action
}

// writeTimeout bounds a unit of work.
const writeTimeout = 30 * time.Second

// refusalTimeout bounds the second one, of a refusal, and unlikelyTimeout that of one that has the
// database's own failure as its reason.
const (
	refusalTimeout  = 5 * time.Second
	unlikelyTimeout = time.Second
)

// Apply executes an intent: it decides and commits in one unit of work, and journals what came of
// it. A refusal is journalled by a second unit of work, since the first was rolled back. There is
// no second way to change a resource. Errors are those of Want, decide and Store.Update.
func (s *Service) Apply(ctx context.Context, o Origin, in Intent) (Result, error) {
	stamps := s.stamps()
	// A client that leaves does not take its request back: half the answers to "did it happen?" would
	// be wrong.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	done, err := Update(ctx, s.store, o.Tenant, func(tx Tx) (applied, error) {
		facts, desired, err := in.Want(tx)
		if err != nil {
			return applied{}, err
		}
		desired.Type, desired.Connection, desired.Now = in.Type, o.Connection.ID, stamps.now
		changes, err := decide(facts, desired, rulesOf(o.Connection))
		if err != nil {
			return applied{}, err
		}
		asked, b := changes[len(changes)-1], s.batch(o, in, changes, stamps)
		return applied{Result{Resource: asked.After, Action: asked.Action}, b.Entries}, tx.Commit(b)
	})
	if err != nil {
		return Result{}, s.Refuse(ctx, o, in, err)
	}
	s.decided(done.entries...)
	return done.Result, nil
}

// applied is what the last run of a unit of work came to.
type applied struct {
	Result
	entries []Entry
}

// batch is the unit of work of some changes: each with its entry, the last one's with the request.
func (s *Service) batch(o Origin, in Intent, changes []Change, stamps *stamps) Batch {
	var b Batch
	for i, c := range changes {
		e := changeEntry(o, in, c)
		stamps.put(&e, i)
		if i == len(changes)-1 {
			e.Request = s.request(o, nil)
		}
		if c.Action != ChangeSkip {
			b.Changes = append(b.Changes, c)
		}
		b.Entries = append(b.Entries, e)
	}
	return b
}

// Refuse journals a write that was not done, and returns the error to answer: err itself, or
// Unavailable where even the refusal could not be recorded. Adapters call it for requests of
// authenticated callers that they could not read; Apply calls it for all others.
func (s *Service) Refuse(ctx context.Context, o Origin, in Intent, err error) error {
	err = normalised(err)
	e := failureEntry(o, in, err)
	e.ID, e.At, e.Request = s.newID(), s.Now(), s.request(o, err)
	// The client may be gone; what it tried is journalled all the same.
	timeout := refusalTimeout
	if KindOf(err) == Unavailable {
		timeout = unlikelyTimeout
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	failed := s.store.Update(ctx, o.Tenant, func(tx Tx) error {
		return tx.Commit(Batch{Entries: []Entry{e}})
	})
	if failed == nil {
		s.decided(e)
		return err
	}
	if KindOf(err) == Unavailable {
		return err
	}
	return errors.Join(&Error{Kind: Unavailable, Detail: "the journal cannot be written now; repeat the request later", Err: failed}, err)
}

func (s *Service) request(o Origin, err error) *RequestInfo {
	if o.Request.Method == "" {
		return nil
	}
	r := o.Request
	if !o.Started.IsZero() {
		r.Duration = max(0, s.now().Sub(o.Started))
	}
	if o.Status != nil {
		r.Status = o.Status(err)
	}
	return &r
}

// normalised gives the core's error for one of package scim and for a time-out; any other comes
// back as it is.
func normalised(err error) error {
	var e *scim.Error
	var own *Error
	switch {
	case errors.As(err, &own):
		return err
	case errors.As(err, &e):
		return &Error{Kind: Invalid, Type: string(e.Type), Attribute: e.Path, Detail: e.Message(), Err: err}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return &Error{Kind: Unavailable, Detail: "the database took too long; repeat the request later", Err: err}
	default:
		return err
	}
}
