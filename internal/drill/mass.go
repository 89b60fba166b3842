package drill

import (
	"context"
	"fmt"
	"net/http"
	"sync"
)

// massDisable disables five in six users in one cycle. The server lets go as many as the tolerance has room for and puts off the rest,
// each with a 503 of its own; nothing of these is lost or done by halves, and everything else goes on. When a person lets them go,
// the client's retries come to their end, and the allowance with them.
func (d *drill) massDisable(ctx context.Context) {
	put, last := d.stampede(ctx)
	allowed := d.asPerson(ctx, "let those go who wait", func(ctx context.Context, who Person) error { return who.Allow(ctx, len(put)) })
	if !allowed {
		return
	}
	d.decided(ctx, put)
	if d.rules.disabled == held {
		for _, p := range d.company.people {
			if !p.active {
				p.lot.state = suspended
			}
		}
	}
	if d.rules.tolerance != (tolerance{}) && len(put) > 0 && last != nil {
		if d.askToLeave(ctx, []*person{last}); !last.active {
			d.report(nil, toleranceExceeded, "no departure beyond the allowance", "one more user left")
		}
	}
}

// massDisableRejected is the same until a person says that they stay: the retries end, and the accounts remain.
func (d *drill) massDisableRejected(ctx context.Context) {
	put, _ := d.stampede(ctx)
	rejected := d.asPerson(ctx, "reject the departures that wait", func(ctx context.Context, who Person) error { return who.Reject(ctx) })
	if !rejected {
		return
	}
	waited := put
	if d.rules.disabled == held {
		waited = d.company.people
	}
	for _, p := range waited {
		p.lot.state = active
	}
	d.decided(ctx, put)
	for _, p := range put {
		p.lot.purged = false
	}
}

// stampede is the mass departure until a person decides: put are those who wait, last is somebody who stays.
func (d *drill) stampede(ctx context.Context) (put []*person, last *person) {
	crowd := shuffled(d.rng, d.company.people)
	leavers, rest := crowd[:len(crowd)*5/6], crowd[len(crowd)*5/6:]
	room := d.rules.lets(len(crowd))
	put = d.askToLeave(ctx, leavers)
	if ctx.Err() != nil {
		return nil, nil
	}
	went := len(leavers) - len(put)
	if want := min(room, len(leavers)); went > want {
		d.report(nil, toleranceExceeded, fmt.Sprintf("%d of %d users to leave", want, len(crowd)), fmt.Sprintf("%d left", went))
	} else if went < want {
		d.report(nil, toleranceEarly, fmt.Sprintf("%d of %d users to leave", want, len(crowd)), fmt.Sprintf("%d left", went))
	}
	d.goesOn(ctx, put)
	d.rollCall(ctx)
	if again := d.askToLeave(ctx, put); len(again) < len(put) {
		d.report(nil, toleranceExceeded, fmt.Sprintf("all %d to be put off again", len(put)), fmt.Sprintf("%d left", len(put)-len(again)))
	}
	d.rollCall(ctx)
	if len(rest) > 0 {
		last = rest[0]
	}
	return put, last
}

// decided repeats the departures that a person decided of: the client is told that they are done.
func (d *drill) decided(ctx context.Context, put []*person) {
	if again := d.askToLeave(ctx, put); len(again) > 0 {
		d.report(nil, delayEndless, fmt.Sprintf("%d departures to be answered with success", len(put)), fmt.Sprintf("%d put off again", len(again)))
	}
}

// askToLeave disables people and tells which of them were put off. Those who were not are inactive from then on.
func (d *drill) askToLeave(ctx context.Context, leavers []*person) (put []*person) {
	var mu sync.Mutex
	each(ctx, d, "mass disable", leavers, func(ctx context.Context, p *person) {
		if p.state != linked || !p.active {
			return
		}
		a, ok := d.send(ctx, request{kind: "user.disable", method: http.MethodPatch, path: users.path(p.id),
			body: d.opt.Dialect.setActive(false, p.number), delayable: true})
		switch {
		case !ok:
			p.state = failed
		case a.delayed():
			d.untouched(ctx, p)
			mu.Lock()
			defer mu.Unlock()
			put = append(put, p)
		case a.status != http.StatusOK && a.status != http.StatusNoContent:
			d.report(a, patchStatus, "200, 204 or 503", describe(a))
			p.state = failed
		default:
			p.active = false
			d.gone(p)
		}
	})
	return put
}

// untouched reads somebody whose departure was put off: nothing of it shows.
func (d *drill) untouched(ctx context.Context, p *person) {
	a, ok := d.get(ctx, users, p.id, readGone)
	if !ok {
		return
	}
	for _, diff := range p.differences(a.json) {
		d.report(a, delayApplied, fmt.Sprintf("%s = %#v", diff.path, diff.want), fmt.Sprintf("%#v", diff.got))
	}
}

// goesOn makes requests of other kinds while departures are put off: a create, an update of somebody who waits, a membership.
func (d *drill) goesOn(ctx context.Context, put []*person) {
	if ctx.Err() != nil || len(put) == 0 {
		return
	}
	joiner := d.company.hires[0]
	if d.provision(ctx, joiner); joiner.state != linked {
		d.report(nil, delayStopsOthers, "a user to be created", "it was not")
	}
	d.writeManager(ctx, joiner, true, joiner.number)
	p := put[0]
	p.attrs["title"] = "Still here"
	d.mustGoOn(ctx, users, p.id, d.opt.Dialect.changes(change{path: "title", value: p.attrs["title"]}))
	for _, t := range d.company.teams {
		if t.state == linked && !t.members[p] {
			t.members[p] = true
			d.mustGoOn(ctx, groups, t.id, d.opt.Dialect.addMembers([]string{p.id}))
			break
		}
	}
}

// mustGoOn sends a PATCH that no tolerance may put off.
func (d *drill) mustGoOn(ctx context.Context, e endpoint, id string, body any) {
	a, ok := d.send(ctx, request{kind: e.kind("patch"), method: http.MethodPatch, path: e.path(id), body: body, delayable: true})
	if ok && a.status >= 300 {
		d.report(a, delayStopsOthers, "200 or 204", describe(a))
	}
}
