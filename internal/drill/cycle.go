package drill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// initialCycle provisions the company: users, then groups without members, then the references between them.
func (d *drill) initialCycle(ctx context.Context) {
	each(ctx, d, "initial cycle: users", d.company.people, d.provision)
	each(ctx, d, "initial cycle: groups", d.company.teams, d.provisionTeam)
	each(ctx, d, "initial cycle: managers", withManager(d.company.people), func(ctx context.Context, p *person) {
		d.writeManager(ctx, p, true, p.reports)
	})
	batches := d.batches()
	each(ctx, d, "initial cycle: members", d.company.teams, func(ctx context.Context, t *team) {
		d.fill(ctx, t, batches)
	})
}

// batches draws the sizes in which members are sent; Entra's own are not published.
func (d *drill) batches() []int {
	sizes := []int{1, 5, 20, 50, 100, 250, 1000}
	d.rng.Shuffle(len(sizes), func(i, j int) { sizes[i], sizes[j] = sizes[j], sizes[i] })
	return sizes
}

func withManager(people []*person) []*person {
	return slices.DeleteFunc(slices.Clone(people), func(p *person) bool { return p.manager == nil })
}

// provision is one user of an initial cycle: search by the matching attribute, then create, or link and mend.
func (d *drill) provision(ctx context.Context, p *person) {
	p.state = failed
	id, ok := d.match(ctx, users, "userName", p.attrs["userName"])
	if !ok {
		return
	}
	if id != "" {
		p.id, p.state = id, linked
		d.mend(ctx, p, false)
		return
	}
	d.create(ctx, p, createStatus)
}

// create posts a user and judges the answer; on success the person is linked. conflict names a 409.
func (d *drill) create(ctx context.Context, p *person, conflict fault) {
	p.state = failed
	a, ok := d.post(ctx, users, createUser(p), conflict)
	if !ok {
		return
	}
	p.id, _ = a.json["id"].(string)
	p.state = linked
	d.named(a, p.differences(a.json))
}

func (d *drill) provisionTeam(ctx context.Context, t *team) {
	t.state = failed
	id, ok := d.match(ctx, groups, "displayName", t.name)
	switch {
	case !ok:
	case id == "":
		d.createTeam(ctx, t, createStatus)
	default:
		t.id, t.state = id, linked
		d.mendTeam(ctx, t, false)
		t.foreign, _, _ = d.memberIDs(ctx, t)
	}
}

func (d *drill) createTeam(ctx context.Context, t *team, conflict fault) {
	t.state = failed
	a, ok := d.post(ctx, groups, createGroup(t), conflict)
	if !ok {
		return
	}
	t.id, _ = a.json["id"].(string)
	t.state = linked
	d.named(a, t.differences(a.json))
}

// post creates an object. ok is false unless it was created and has an id; conflict names a 409.
func (d *drill) post(ctx context.Context, e endpoint, body any, conflict fault) (*answer, bool) {
	a, ok := d.send(ctx, request{kind: e.kind("create"), method: http.MethodPost, path: e.path(""), body: body})
	if !ok {
		return a, false
	}
	if a.status != http.StatusCreated {
		f := createStatus
		if a.status == http.StatusConflict {
			f = conflict
		}
		d.report(a, f, "201 with the resource", describe(a))
		if a.status != http.StatusOK { // Entra tolerates 200
			return a, false
		}
	}
	id, _ := a.json["id"].(string)
	if id == "" {
		d.report(a, createNoID, "an id", describe(a))
		return a, false
	}
	d.judgeMeta(a, e, id)
	return a, true
}

// judgeMeta checks what a new resource says about itself.
func (d *drill) judgeMeta(a *answer, e endpoint, id string) {
	meta, _ := a.json["meta"].(map[string]any)
	created, _ := meta["created"].(string)
	modified, _ := meta["lastModified"].(string)
	if meta["resourceType"] != e.resourceType() || created == "" || modified == "" {
		d.report(a, createMeta, "meta with resourceType "+e.resourceType()+", created and lastModified", describe(a))
	}
	if schema := "urn:ietf:params:scim:schemas:core:2.0:" + e.resourceType(); !contains(a.json["schemas"], schema) {
		d.report(a, createSchemas, schema, describe(a))
	}
	header := a.header.Get("Location")
	if d.judgeLocation(a, e, id, header) && d.judgeLocation(a, e, id, location(a)) && header != location(a) {
		d.report(a, locationDiffers, location(a), header)
	}
}

// location is the meta.location of an answer.
func location(a *answer) string {
	meta, _ := a.json["meta"].(map[string]any)
	text, _ := meta["location"].(string)
	return text
}

// judgeLocation checks an address given by the server: there, absolute, and that of the resource (RFC 7643 section 3.1).
func (d *drill) judgeLocation(a *answer, e endpoint, id, given string) bool {
	u, err := url.Parse(given)
	switch {
	case given == "":
		d.report(a, locationMissing, "Location and meta.location", describe(a))
	case err != nil || !u.IsAbs() || u.Host == "":
		d.report(a, locationRelative, "an absolute URI", given)
	case !strings.HasSuffix(given, e.path(id)):
		d.report(a, locationDiffers, "an address that ends in "+e.path(id), given)
	default:
		return true
	}
	return false
}

// named reports differences found in an answer.
func (d *drill) named(a *answer, ds []difference) {
	for _, diff := range ds {
		d.report(a, diff.fault, fmt.Sprintf("%s = %#v", diff.path, diff.want), fmt.Sprintf("%#v", diff.got))
	}
}

// get reads a known object. ok is false, and the fault named, unless it is there with its id; gone names a 404.
func (d *drill) get(ctx context.Context, e endpoint, id string, gone fault) (*answer, bool) {
	query := ""
	if e == groups {
		query = "excludedAttributes=members"
	}
	a, ok := d.send(ctx, request{kind: e.kind("get"), method: http.MethodGet, path: e.path(id), query: query})
	if !ok {
		return a, false
	}
	switch {
	case a.status == http.StatusNotFound:
		d.report(a, gone, "200 with the resource", describe(a))
	case a.status != http.StatusOK:
		d.report(a, readStatus, "200 with the resource", describe(a))
	case a.json["id"] != id:
		d.report(a, idChanged, id, fmt.Sprint(a.json["id"]))
	default:
		d.judgeLocation(a, e, id, location(a))
		if e == groups {
			d.withoutMembers(a, a.json)
		}
		return a, true
	}
	return a, false
}

// patch sends a PATCH and accepts 200 and 204.
func (d *drill) patch(ctx context.Context, e endpoint, id string, body any) (*answer, bool) {
	return d.patchAs(ctx, e, id, body, patchStatus)
}

func (d *drill) patchAs(ctx context.Context, e endpoint, id string, body any, f fault) (*answer, bool) {
	a, ok := d.send(ctx, request{kind: e.kind("patch"), method: http.MethodPatch, path: e.path(id), body: body})
	if ok && a.status != http.StatusOK && a.status != http.StatusNoContent {
		d.report(a, f, "200 or 204", describe(a))
		return a, false
	}
	if ok && a.json["id"] != nil && a.json["id"] != id {
		d.report(a, idChanged, id, fmt.Sprint(a.json["id"]))
	}
	return a, ok
}

// writeManager sends the reference. Managers that could not be linked are left out, as Entra does.
func (d *drill) writeManager(ctx context.Context, p *person, add bool, variant int) {
	id := managerID(p)
	if p.state != linked || (p.manager != nil && id == "") {
		return
	}
	ref := d.address(request{path: users.path(id)})
	d.patch(ctx, users, p.id, d.opt.Dialect.setManager(id, ref, add, variant))
}

// fill writes the members of a new group in batches and takes away what was in it before the run.
func (d *drill) fill(ctx context.Context, t *team, batches []int) {
	if t.state != linked {
		return
	}
	want := t.ids()
	for i, n := 0, 0; n < len(want); i++ {
		size := min(batches[i%len(batches)], len(want)-n)
		if _, ok := d.patch(ctx, groups, t.id, d.opt.Dialect.addMembers(want[n:n+size])); !ok {
			t.state = failed
			return
		}
		n += size
	}
	strangers := slices.DeleteFunc(t.foreign, func(id string) bool { return slices.Contains(want, id) })
	if len(strangers) > 0 {
		d.patch(ctx, groups, t.id, d.opt.Dialect.removeMembers(strangers))
	}
}

// ids lists the members that the server knows, sorted.
func (t *team) ids() []string {
	var ids []string
	for p := range t.members {
		if p.state == linked {
			ids = append(ids, p.id)
		}
	}
	slices.Sort(ids)
	return ids
}

// steadyCycle is a cycle in which nothing changed: every known object is read and compared, and a PATCH is sent for what differs.
func (d *drill) steadyCycle(ctx context.Context) {
	known := slices.DeleteFunc(d.everybody(), func(p *person) bool { return p.state != linked })
	each(ctx, d, "steady cycle: users", known, func(ctx context.Context, p *person) { d.mend(ctx, p, true) })
	teams := slices.DeleteFunc(slices.Clone(d.company.teams), func(t *team) bool { return t.state != linked })
	each(ctx, d, "steady cycle: groups", teams, func(ctx context.Context, t *team) { d.mendTeam(ctx, t, true) })
}

func (d *drill) everybody() []*person {
	return slices.Concat(d.company.people, d.company.hires, d.company.heirs)
}

// mend reads a user and sends a PATCH for what differs. In a steady cycle that is an error; for an object found in the initial cycle it is not.
func (d *drill) mend(ctx context.Context, p *person, steady bool) {
	a, ok := d.get(ctx, users, p.id, readGone)
	if !ok {
		return
	}
	ds := p.differences(a.json)
	if steady {
		ds = append(ds, p.managerDifference(a.json)...)
	}
	var cs []change
	for _, diff := range ds {
		if diff.path == "active" {
			cs = append(cs, change{path: "active", value: p.active})
		} else if value, mapped := p.attrs[diff.path]; mapped {
			cs = append(cs, change{diff.path, value, diff.got == nil})
		} else {
			cs = append(cs, change{enterprise("manager"), managerID(p), false})
		}
	}
	d.mended(ctx, a, users, p.id, ds, cs, steady, len(p.attrs)+2)
}

func managerID(p *person) string {
	if p.manager == nil {
		return ""
	}
	return p.manager.id
}

func (d *drill) mendTeam(ctx context.Context, t *team, steady bool) {
	a, ok := d.get(ctx, groups, t.id, readGone)
	if !ok {
		return
	}
	ds := t.differences(a.json)
	var cs []change
	for _, diff := range ds {
		cs = append(cs, change{diff.path, diff.want, diff.got == nil})
	}
	d.mended(ctx, a, groups, t.id, ds, cs, steady, 2)
}

func (d *drill) mended(ctx context.Context, a *answer, e endpoint, id string, ds []difference, cs []change, steady bool, compared int) {
	if steady {
		d.named(a, ds)
		d.rep.compared(compared, min(len(cs), 1))
	}
	if len(cs) == 0 {
		return
	}
	answered, ok := d.patch(ctx, e, id, d.opt.Dialect.changes(cs...))
	if ok && steady {
		d.report(answered, patchNeeded, "nothing to send", fmt.Sprintf("a PATCH of %d attributes", len(cs)))
	}
}

// checkMembers reads every group whole and compares its members as a set.
func (d *drill) checkMembers(ctx context.Context) {
	each(ctx, d, "memberships", d.company.teams, func(ctx context.Context, t *team) {
		if t.state == linked {
			d.checkTeam(ctx, t, memberLost, memberExtra)
		}
	})
}

// checkTeam compares one group; lost and extra name what it finds. False means that the group is not as it should be.
func (d *drill) checkTeam(ctx context.Context, t *team, lost, extra fault) bool {
	got, a, ok := d.memberIDs(ctx, t)
	if !ok {
		return false
	}
	want := slices.DeleteFunc(t.ids(), t.purged)
	if len(got) == 0 && len(want) > 1 {
		lost = emptied(lost)
	}
	missing, surplus := subtract(want, got), subtract(got, want)
	if len(missing) > 0 {
		d.report(a, lost, fmt.Sprintf("%d members of group %s", len(want), t.id), fmt.Sprintf("%d of them missing, first %s", len(missing), missing[0]))
	}
	surplus = slices.DeleteFunc(surplus, func(id string) bool { return t.purged(id) || d.excused(a, t, id) })
	if len(surplus) > 0 {
		d.report(a, extra, fmt.Sprintf("%d members of group %s", len(want), t.id), fmt.Sprintf("%d more, first %s", len(surplus), surplus[0]))
	}
	return len(missing)+len(surplus) == 0
}

// excused says whether a surplus member is somebody whom the drill gave up on, or a leaver, which is a fault of another name.
func (d *drill) excused(a *answer, t *team, id string) bool {
	for p := range t.members {
		if p.former == id || (p.id == id && p.state == deleted) {
			d.report(a, deleteStillMember, "the deleted user not to be a member of group "+t.id, id)
			return true
		}
		if p.id == id {
			return p.state != linked
		}
	}
	return false
}

// purged says whether a member may have been purged: the group may list it or not.
func (t *team) purged(id string) bool {
	for p := range t.members {
		if p.id == id && p.lot.purged {
			return true
		}
	}
	return false
}

// emptied makes a plain loss the graver fault.
func emptied(lost fault) fault {
	if lost == memberLost {
		return memberGroupEmptied
	}
	return lost
}

// memberIDs reads a group with its members.
func (d *drill) memberIDs(ctx context.Context, t *team) (ids []string, a *answer, ok bool) {
	a, ok = d.send(ctx, request{kind: "group.members", method: http.MethodGet, path: groups.path(t.id)})
	if !ok {
		return nil, a, false
	}
	if a.status != http.StatusOK {
		d.report(a, readStatus, "200 with the group", describe(a))
		return nil, a, false
	}
	list, _ := a.json["members"].([]any)
	seen := map[string]bool{}
	for _, v := range list {
		m, _ := v.(map[string]any)
		id, _ := m["value"].(string)
		if seen[id] {
			d.report(a, memberDuplicate, "each member once", id)
			continue
		}
		seen[id] = true
		ids = append(ids, id)
	}
	return ids, a, true
}

// subtract lists what is in a and not in b.
func subtract(a, b []string) []string {
	in := make(map[string]bool, len(b))
	for _, s := range b {
		in[s] = true
	}
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return in[s] })
}

// shuffled is a copy in drawn order.
func shuffled[T any](rng *rand.Rand, list []T) []T {
	list = slices.Clone(list)
	rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}
