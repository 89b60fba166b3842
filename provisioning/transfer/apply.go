package transfer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"meibo/provisioning"
	"meibo/scim"
)

// workers is how many rows are on their way to the database at once: one commit takes in what waits for it.
const workers = 16

// Stopped is an import that ended before its end. What was applied stays; importing the same file again skips it and
// goes on.
type Stopped struct {
	Applied int
	Line    int // of the row that could not be applied; 0 for one that is missing from the file
	Err     error
}

func (s *Stopped) Error() string {
	return fmt.Sprintf("the import stopped at line %d after %d changes: %v. What was applied stays; import the file again, and it goes on from there",
		s.Line, s.Applied, s.Err)
}

func (s *Stopped) Unwrap() error { return s.Err }

// errMoved says that a resource is not any more what the plan was made on.
var errMoved = &provisioning.Error{Kind: provisioning.Precondition,
	Detail: "the resource was changed by somebody else since the plan was made"}

// Apply does what a plan of the same options says and returns how many changes it made. Forbidden where a second person
// has to order the same. Each row is a unit of work of its
// own, and one whose resource has changed since stops the import: *Stopped. Rows with faults are left out.
func Apply(ctx context.Context, o ImportOptions, plan *Plan) (int, error) {
	im, err := newImporter(ctx, o)
	if err != nil {
		return 0, err
	}
	im.plan = plan
	if err := im.agree(ctx); err != nil {
		return 0, err
	}
	total := len(plan.gone)
	for _, s := range plan.steps {
		if s.applies() {
			total++
		}
	}
	a := &applier{importer: im, total: total, later: map[int]int64{}}
	all := func(int) bool { return true }
	waiting := func(i int) bool { _, waits := a.later[i]; return waits }
	for _, pass := range []func() error{
		func() error { return a.rows(ctx, scim.User, all, a.first) },
		func() error { return a.rows(ctx, scim.Group, all, a.first) },
		func() error { return a.rows(ctx, scim.Group, waiting, a.second) },
		func() error { return a.missing(ctx) },
	} {
		if err := pass(); err != nil {
			return int(a.applied.Load()), err
		}
	}
	return int(a.applied.Load()), nil
}

// agree refuses a plan that takes a second person until somebody else orders the same.
func (im *importer) agree(ctx context.Context) error {
	p := im.plan
	if p.Demand == "" || p.agreed {
		return nil
	}
	err := im.Service.Agree(ctx, im.Origin, provisioning.Order{What: "import", Connection: p.demanding, Because: p.Demand, Content: p.Digest})
	p.agreed = err == nil
	return err
}

// intent is what Apply takes for a wanted resource.
func (a *applier) intent(o provisioning.Origin, w provisioning.Wanted) provisioning.Intent {
	in := a.Service.Intent(o, w)
	in.Alone = !a.plan.agreed
	return in
}

func (s step) applies() bool { return s.verb == Add || s.verb == Update || s.verb == Delete }

type applier struct {
	*importer
	total   int
	applied atomic.Int64

	mu    sync.Mutex
	later map[int]int64 // groups, by row, that list groups which came after them; with the version that they have
}

// rows applies the rows of a type that are picked, several at a time. Their order among themselves does not matter.
func (a *applier) rows(ctx context.Context, t scim.ResourceType, pick func(int) bool, apply func(context.Context, int, *Row) error) error {
	p := newPool(ctx, a)
	err := a.eachRow(func(i int, row Row) error {
		if row.Type == t && i < len(a.plan.steps) && a.plan.steps[i].applies() && pick(i) {
			return p.do(row.Line, func(ctx context.Context) error { return apply(ctx, i, &row) })
		}
		return nil
	})
	return p.wait(err)
}

// first applies a row, but for the groups that the plan makes among a group's members: they may come after it. A group
// that is there already waits until its list can be complete.
func (a *applier) first(ctx context.Context, i int, row *Row) error {
	s, w := a.plan.steps[i], a.wanted(row, a.plan)
	later := false
	if w.Members != nil {
		now := slices.DeleteFunc(slices.Clone(*w.Members), func(m provisioning.Membership) bool {
			known := a.plan.marks[keyOf(m.Value)]
			return known.added && known.group
		})
		later = len(now) < len(*w.Members)
		w.Members = &now
	}
	if later && s.version > 0 {
		a.postpone(i, s.version)
		return nil
	}
	res, err := a.one(ctx, row, w, s.version)
	if err != nil {
		return err
	}
	a.applied.Add(1)
	if later {
		a.postpone(i, res.Resource.Version)
	}
	return nil
}

// postpone leaves the rest of a row, whose resource has a version by now, to the second pass.
func (a *applier) postpone(i int, version int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.later[i] = version
}

// second gives a group all of its members.
func (a *applier) second(ctx context.Context, i int, row *Row) error {
	_, err := a.one(ctx, row, a.wanted(row, a.plan), a.later[i])
	if err == nil && a.plan.steps[i].version > 0 {
		a.applied.Add(1)
	}
	return err
}

func (a *applier) one(ctx context.Context, row *Row, w provisioning.Wanted, version int64) (provisioning.Result, error) {
	owner, err := a.owner(ctx, row)
	if err != nil {
		return provisioning.Result{}, err
	}
	w.Check = unmoved(version)
	o := a.Origin
	o.Connection = owner
	return a.Service.Apply(ctx, o, a.intent(o, w))
}

// unmoved refuses a resource that has another version than the plan was made on.
func unmoved(version int64) func(*provisioning.Resource) error {
	return func(x *provisioning.Resource) error {
		if x == nil && version == 0 || x != nil && x.Version == version {
			return nil
		}
		return errMoved
	}
}

// missing deletes what the file does not have.
func (a *applier) missing(ctx context.Context) error {
	p := newPool(ctx, a)
	for _, m := range a.plan.gone {
		err := p.do(0, func(ctx context.Context) error {
			o := a.Origin
			o.Connection = m.owner
			_, err := a.Service.Apply(ctx, o, a.intent(o, provisioning.Wanted{Type: m.t, ID: m.id, Gone: true, Check: unmoved(m.version)}))
			if err == nil {
				a.applied.Add(1)
			}
			return err
		})
		if err != nil {
			return p.wait(err)
		}
	}
	return p.wait(nil)
}

// pool runs work for an applier until the first failure.
type pool struct {
	a      *applier
	ctx    context.Context
	cancel context.CancelCauseFunc
	slots  chan struct{}
	wg     sync.WaitGroup
}

func newPool(ctx context.Context, a *applier) *pool {
	p := &pool{a: a, slots: make(chan struct{}, workers)}
	p.ctx, p.cancel = context.WithCancelCause(ctx)
	return p
}

// do runs work once there is a slot, or returns why nothing more is to be done.
func (p *pool) do(line int, work func(context.Context) error) error {
	select {
	case p.slots <- struct{}{}:
	case <-p.ctx.Done():
	}
	if err := context.Cause(p.ctx); err != nil {
		return err
	}
	p.wg.Go(func() {
		defer func() { <-p.slots }()
		if err := work(p.ctx); err != nil {
			p.cancel(&Stopped{Line: line, Err: err})
		}
	})
	p.a.Progress("apply", int(p.a.applied.Load()), p.a.total)
	return nil
}

// wait waits for all work and returns the first failure.
func (p *pool) wait(err error) error {
	p.wg.Wait()
	if cause := context.Cause(p.ctx); cause != nil {
		err = cause
	}
	p.cancel(nil)
	if stopped, ok := errors.AsType[*Stopped](err); ok {
		stopped.Applied = int(p.a.applied.Load())
	}
	return err
}
