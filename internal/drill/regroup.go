package drill

import (
	"context"
	"slices"
	"strings"
)

// changeTeam is one group's part in an incremental cycle. Every group takes in its arrivals; one in three is changed in every way;
// one in twenty-five (none of fewer than three) is deleted and made anew.
func (d *drill) changeTeam(ctx context.Context, t *team) {
	if t.state != linked {
		return
	}
	i := slices.Index(d.company.teams, t)
	d.arrive(ctx, t)
	switch {
	case i%3 == 0:
		d.regroup(ctx, t)
	case i%25 == 2:
		d.remake(ctx, t)
	}
}

// arrive adds joiners, and again those who were deleted and created: where the server kept them it is an add of a present member.
func (d *drill) arrive(ctx context.Context, t *team) {
	var ids, leavers []string
	for p := range t.members {
		switch {
		case p.state == deleted:
			leavers = append(leavers, p.id)
		case p.state == linked && (p.rehired || slices.Contains(t.arrivals, p)):
			ids = append(ids, p.id)
		}
	}
	slices.Sort(ids) // in the map's order two runs of one seed would differ
	slices.Sort(leavers)
	if len(ids) > 0 {
		d.patchAs(ctx, groups, t.id, d.opt.Dialect.addMembers(ids), memberAddPresent)
	}
	if len(leavers) > 0 { // the directory takes leavers out of their groups; the server has done so already
		d.departed(ctx, t, leavers)
		d.patchAs(ctx, groups, t.id, d.opt.Dialect.removeMembers(leavers), memberRemoveAbsent)
	}
}

// departed names each leaver who is still listed.
func (d *drill) departed(ctx context.Context, t *team, leavers []string) {
	listed, a, ok := d.memberIDs(ctx, t)
	for _, id := range leavers {
		if ok && slices.Contains(listed, id) {
			d.report(a, deleteStillMember, "the deleted user not to be a member of group "+t.id, id)
		}
	}
}

// regroup changes a group in every way that Entra can, one request at a time, and reads the members after each.
func (d *drill) regroup(ctx context.Context, t *team) {
	steps := []func(context.Context, *team) bool{
		d.checkBefore, d.renameTeam, d.rekeyTeam, d.refuseTwin, d.removeSome, d.addPresent, d.removeAbsent, d.replaceAll,
	}
	for _, step := range steps {
		if t.state != linked || !step(ctx, t) {
			return // what follows would be judged by a wrong start
		}
	}
}

func (d *drill) checkBefore(ctx context.Context, t *team) bool {
	return d.checkTeam(ctx, t, memberLost, memberExtra)
}

func (d *drill) renameTeam(ctx context.Context, t *team) bool {
	old := t.name
	t.name = "New \"" + old + "\""
	if !d.setTeam(ctx, t, change{path: "displayName", value: t.name}) {
		return false
	}
	d.none(ctx, groups, equals("displayName", old), renameOldFound)
	d.one(ctx, groups, equals("displayName", t.name), t.id, searchMissed)
	return true
}

// rekeyTeam replaces the externalId, as a restarted job with another mapping does. The groups of the drill are found by it afterwards.
func (d *drill) rekeyTeam(ctx context.Context, t *team) bool {
	t.objectID = "eeeeeeee" + t.objectID[8:]
	if !d.setTeam(ctx, t, change{path: "externalId", value: t.objectID}) {
		return false
	}
	d.one(ctx, groups, equals("externalId", t.objectID), t.id, searchMissed)
	return true
}

// setTeam changes an attribute and expects it changed and the members untouched.
func (d *drill) setTeam(ctx context.Context, t *team, c change) bool {
	if _, ok := d.patch(ctx, groups, t.id, d.opt.Dialect.changes(c)); !ok {
		return false
	}
	a, ok := d.get(ctx, groups, t.id, readGone)
	if !ok {
		return false
	}
	ds := t.differences(a.json)
	for i, diff := range ds {
		if diff.path == c.path && diff.fault == echoChanged {
			ds[i].fault = patchNotApplied
		}
	}
	d.named(a, ds)
	return d.checkTeam(ctx, t, groupMembersTouched, groupMembersTouched) && len(ds) == 0
}

func (d *drill) refuseTwin(ctx context.Context, t *team) bool {
	twin := createGroup(t)
	twin.ExternalID = "cccccccc" + t.objectID[8:]
	d.refused(ctx, groups, twin, t.id)
	return true
}

// removeSome takes away a tenth of the members, at least one, but never all.
func (d *drill) removeSome(ctx context.Context, t *team) bool {
	present := t.present()
	if len(present) < 3 {
		return true
	}
	leaving := present[:max(len(present)/10, 1)]
	for _, p := range leaving {
		delete(t.members, p)
	}
	t.outsiders = append(t.outsiders, leaving...)
	_, ok := d.patch(ctx, groups, t.id, d.opt.Dialect.removeMembers(idsOf(leaving)))
	return ok && d.checkTeam(ctx, t, memberLost, memberExtra)
}

// addPresent adds a member who is there together with one who is not.
func (d *drill) addPresent(ctx context.Context, t *team) bool {
	var adding []*person
	if present := t.present(); len(present) > 0 {
		adding = present[:1:1]
	}
	if p := t.outsider(); p != nil {
		adding = append(adding, p)
		t.members[p] = true
	}
	if len(adding) == 0 {
		return true
	}
	_, ok := d.patchAs(ctx, groups, t.id, d.opt.Dialect.addMembers(idsOf(adding)), memberAddPresent)
	if !ok || !d.checkTeam(ctx, t, memberLost, memberExtra) {
		return false
	}
	d.reference(ctx, groups, t.id, "members", adding[0].id)
	return true
}

func (d *drill) removeAbsent(ctx context.Context, t *team) bool {
	p := t.outsider()
	if p == nil {
		return true
	}
	_, ok := d.patchAs(ctx, groups, t.id, d.opt.Dialect.removeMembers([]string{p.id}), memberRemoveAbsent)
	return ok && d.checkTeam(ctx, t, memberLost, memberExtra)
}

// replaceAll writes the whole set with one member exchanged for another; small groups only, as nobody replaces large ones.
func (d *drill) replaceAll(ctx context.Context, t *team) bool {
	present := t.present()
	if len(present) < 2 || len(present) > 500 {
		return true
	}
	delete(t.members, present[0])
	if p := t.outsider(); p != nil && p != present[0] {
		t.members[p] = true
	}
	_, ok := d.patch(ctx, groups, t.id, d.opt.Dialect.replaceMembers(t.ids()))
	return ok && d.checkTeam(ctx, t, memberReplace, memberReplace)
}

// remake deletes the group, expects every trace gone, and creates another of the same name.
func (d *drill) remake(ctx context.Context, t *team) {
	filters := []string{equals("displayName", t.name), equals("externalId", t.objectID), equals("id", t.id)}
	if !d.remove(ctx, groups, t.id, d.opt.Dialect.changes(change{path: "displayName", value: t.name}), filters...) {
		t.state = failed
		return
	}
	t.objectID = "bbbbbbbb" + t.objectID[8:]
	if d.createTeam(ctx, t, deleteNameTaken); t.state == linked {
		d.fill(ctx, t, []int{50})
	}
}

// present are the members whom the server knows, in order of their ids.
func (t *team) present() []*person {
	var ps []*person
	for p := range t.members {
		if p.state == linked {
			ps = append(ps, p)
		}
	}
	slices.SortFunc(ps, func(a, b *person) int { return strings.Compare(a.id, b.id) })
	return ps
}

// outsider is somebody known to the server who is not a member, or nil.
func (t *team) outsider() *person {
	for _, p := range t.outsiders {
		if p.state == linked && !t.members[p] {
			return p
		}
	}
	return nil
}

func idsOf(ps []*person) []string {
	ids := make([]string, len(ps))
	for i, p := range ps {
		ids[i] = p.id
	}
	return ids
}
