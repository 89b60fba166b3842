package drill

import (
	"context"
	"maps"
	"slices"
)

// episode is something that happens to a person in the directory between two cycles.
type episode struct {
	name   string
	parts  int                // one person in so many lives it, at least one
	fits   func(*person) bool // who can
	happen func(*drill, context.Context, *person)
	heir   bool // needs somebody who takes over the userName
}

// episodes are the rows of an incremental cycle. Each person lives at most one of them in a cycle.
// Those who leave stay below a tenth of the company, which no sensible deletion tolerance stops.
var episodes = []episode{
	{"deleted and created again", 80, isLeaf, (*drill).rehire, false},
	{"deleted, userName given to another", 80, isLeaf, (*drill).recycleName, true},
	{"deleted", 100, isLeaf, (*drill).leave, false},
	{"disabled", 50, isMember, (*drill).disable, false},
	{"soft-deleted and restored", 50, isMember, (*drill).softDelete, false},
	{"disabled and enabled", 50, isMember, (*drill).disableAndEnable, false},
	{"enabled", 50, isDisabled, (*drill).enable, false},
	{"renamed", 20, isFit, (*drill).rename, false},
	{"another manager", 20, hasManager, (*drill).changeManager, false},
	{"another role", 20, hasRole, (*drill).changeRole, false},
	{"provisioned on demand", 50, isFit, (*drill).onDemand, false},
	{"namesake refused", 50, isFit, (*drill).namesake, false},
	{"searched for", 20, isFit, (*drill).lookUp, false},
	{"moved", 10, isFit, (*drill).move, false},
}

func isFit(p *person) bool      { return p.state == linked && p.active }
func isLeaf(p *person) bool     { return isFit(p) && p.reports == 0 }
func isMember(p *person) bool   { return isFit(p) && len(p.teams) > 0 }
func isDisabled(p *person) bool { return p.state == linked && !p.active }
func hasManager(p *person) bool { return isFit(p) && p.manager != nil }
func hasRole(p *person) bool    { return isFit(p) && p.attrs[primaryRole] != "" }

// incrementalCycle plays one round of changes: joiners, then what happens to those who are there, then the groups.
func (d *drill) incrementalCycle(ctx context.Context, cycle int) {
	if ctx.Err() != nil {
		return
	}
	joiners := d.joiners(cycle)
	plans := d.plan(joiners)
	each(ctx, d, "incremental cycle: joiners", joiners, func(ctx context.Context, p *person) {
		d.provision(ctx, p)
		d.writeManager(ctx, p, true, p.number)
	})
	each(ctx, d, "incremental cycle: changes", plans, func(ctx context.Context, pl plan) { pl.happen(d, ctx, pl.person) })
	each(ctx, d, "incremental cycle: groups", d.company.teams, d.changeTeam)
}

// plan is one person's part in a cycle.
type plan struct {
	*person
	episode
}

// joiners are the people who come in the cycle.
func (d *drill) joiners(cycle int) []*person {
	n := len(d.company.hires) / d.opt.Cycles
	return d.company.hires[cycle*n : (cycle+1)*n]
}

// plan draws who lives what, and everything that touches more than one person, before the workers start.
func (d *drill) plan(joiners []*person) []plan {
	d.planTeams(joiners)
	var plans []plan
	taken := map[*person]bool{}
	for _, ep := range episodes {
		left := share(d.opt.Users, ep.parts)
		for _, p := range shuffled(d.rng, d.company.people) {
			if left == 0 {
				break
			}
			if taken[p] || !ep.fits(p) {
				continue
			}
			taken[p] = true
			left--
			d.prepare(p, ep)
			plans = append(plans, plan{p, ep})
		}
	}
	return plans
}

// prepare draws the other person of an episode. Managers come from those who have reports: they are never deleted in this cycle.
func (d *drill) prepare(p *person, ep episode) {
	if ep.heir {
		p.heir = d.company.newPerson(d.rng, p.number)
		p.heir.attrs["userName"] = p.attrs["userName"]
		p.heir.active = true
		d.company.heirs = append(d.company.heirs, p.heir)
	}
	p.nextManager = p.manager
	for range 50 {
		if m := pick(d.rng, d.company.people); m != p && m != p.manager && m.reports > 0 && m.id != "" {
			p.nextManager = m
			break
		}
	}
}

// planTeams notes each person's memberships, and who will be added to which group.
func (d *drill) planTeams(joiners []*person) {
	for _, p := range d.everybody() {
		p.teams, p.rehired = nil, false
	}
	for _, t := range d.company.teams {
		t.arrivals, t.outsiders = nil, nil
		for p := range t.members {
			p.teams = append(p.teams, t)
		}
		for range 40 {
			p := pick(d.rng, d.company.people)
			if !t.members[p] && isFit(p) && len(t.outsiders) < 3 && !slices.Contains(t.outsiders, p) {
				t.outsiders = append(t.outsiders, p)
			}
		}
	}
	if len(d.company.teams) == 0 {
		return
	}
	for _, p := range joiners {
		t := pick(d.rng, d.company.teams)
		t.members[p] = true
		t.arrivals = append(t.arrivals, p)
	}
}

// apply sends changes as one PATCH and reads them back. The directory has them from then on, whatever the server did.
func (d *drill) apply(ctx context.Context, p *person, cs ...change) bool {
	before, wasActive := maps.Clone(p.attrs), p.active
	for i, c := range cs {
		if active, isBool := c.value.(bool); isBool {
			p.active = active
			continue
		}
		text, _ := c.value.(string)
		cs[i].add = before[c.path] == ""
		p.attrs[c.path] = text
	}
	return d.sendChange(ctx, p, d.opt.Dialect.changes(cs...), before, wasActive)
}

// sendChange sends a PATCH whose outcome the directory already holds, and compares the answer and a GET with it.
func (d *drill) sendChange(ctx context.Context, p *person, body any, before map[string]string, wasActive bool) bool {
	a, ok := d.patch(ctx, users, p.id, body)
	if !ok {
		p.state = failed
		return false
	}
	if a.json != nil { // 200; a partial body is allowed, and the GET below sees what is missing
		d.named(a, slices.DeleteFunc(p.differences(a.json), func(diff difference) bool { return diff.got == nil }))
	}
	gone := readGone
	if !p.active {
		gone = disableHidden
	}
	got, ok := d.get(ctx, users, p.id, gone)
	if !ok {
		p.state = failed
		return false
	}
	ds := p.differences(got.json)
	for i, diff := range ds {
		old, had := before[diff.path]
		switch {
		case diff.path == "active" && diff.got == wasActive:
			ds[i].fault = patchNotApplied
		case p.attrs[diff.path] != old && (diff.got == old || (!had && diff.got == nil)):
			ds[i].fault = patchNotApplied
		}
	}
	d.named(got, ds)
	return len(ds) == 0
}
