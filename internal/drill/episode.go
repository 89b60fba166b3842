package drill

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// move changes several attributes at once and then a single one, as two cycles' worth of edits.
func (d *drill) move(ctx context.Context, p *person) {
	mail := "moved." + d.company.mail(p.attrs["userName"], p.number)
	ok := d.apply(ctx, p,
		change{path: workMail, value: mail}, // an Add where there was none: the element has to be made
		change{path: "title", value: " Principal  " + p.attrs["title"]},
		change{path: "displayName", value: p.attrs["displayName"] + " (moved)"},
		change{path: "name.familyName", value: "Neu-" + p.attrs["name.familyName"]},
		change{path: "name.formatted", value: p.attrs["name.givenName"] + " Neu-" + p.attrs["name.familyName"]},
		change{path: workAddress("streetAddress"), value: "2 \"New\" Street\nAnnex"},
		change{path: phone("work"), value: "0000-" + p.attrs[phone("work")]},
		change{path: phone("fax"), value: "fax " + p.objectID},
		change{path: enterprise("department"), value: "R&D / " + p.attrs[enterprise("department")]},
		change{path: enterprise("employeeNumber"), value: "0" + p.attrs[enterprise("employeeNumber")]},
	)
	if ok && d.apply(ctx, p, change{path: "preferredLanguage", value: "sv-SE"}) {
		d.one(ctx, users, equals(workMail, mail), p.id, searchMissed)
	}
}

// onDemand is one user provisioned by hand from the portal, where the flag has no effect: the default dialect whatever the job's own.
func (d *drill) onDemand(ctx context.Context, p *person) {
	if !d.one(ctx, users, equals("userName", p.attrs["userName"]), p.id, searchMissed) {
		return
	}
	before := maps.Clone(p.attrs)
	p.attrs["title"], p.attrs[phone("mobile")] = "On demand", "+1 (555) 0100"
	d.sendChange(ctx, p, Default.changes(
		change{path: "title", value: p.attrs["title"]},
		change{path: phone("mobile"), value: p.attrs[phone("mobile")]},
		change{path: "active", value: true},
	), before, p.active)
}

// rename gives a new userName; one in four only changes its case, which must not collide with itself.
func (d *drill) rename(ctx context.Context, p *person) {
	old := p.attrs["userName"]
	fresh := "renamed." + old
	if p.number%4 == 0 {
		fresh = strings.ToUpper(old)
	}
	if !d.apply(ctx, p, change{path: "userName", value: fresh}) {
		return
	}
	d.one(ctx, users, equals("userName", fresh), p.id, searchMissed)
	if p.number%4 != 0 {
		d.none(ctx, users, equals("userName", old), renameOldFound)
	}
}

// changeManager replaces the reference, clears it, and sets it again.
func (d *drill) changeManager(ctx context.Context, p *person) {
	for i, m := range []*person{p.nextManager, nil, p.nextManager} {
		before := managerID(p)
		p.manager = m
		d.writeManager(ctx, p, i == 2, p.number+i)
		if !d.checkManager(ctx, p, before) {
			return
		}
	}
	d.reference(ctx, users, p.id, "manager", managerID(p))
}

func (d *drill) checkManager(ctx context.Context, p *person, before string) bool {
	a, ok := d.get(ctx, users, p.id, readGone)
	if !ok {
		return false
	}
	ds := p.managerDifference(a.json)
	for i, diff := range ds {
		if before != "" && diff.got == before && diff.fault != echoManagerString {
			ds[i].fault = patchNotApplied
		}
	}
	d.named(a, ds)
	return len(ds) == 0
}

// reference is Entra's old check of a reference: two comparisons joined by and, only the id asked for. The order of the two is not fixed.
func (d *drill) reference(ctx context.Context, e endpoint, id, attr, target string) {
	terms := []string{equals("id", id), equals(attr, target)}
	if len(id)%2 == 1 {
		slices.Reverse(terms)
	}
	p, a, ok := d.search(ctx, e, strings.Join(terms, " and "), "attributes=id")
	if ok && (len(p.resources) != 1 || p.resources[0]["id"] != id) {
		d.report(a, searchReference, "the object "+id, describe(a))
	}
}

// changeRole writes an app role assignment in one of the three forms that Entra's mapping functions send.
func (d *drill) changeRole(ctx context.Context, p *person) {
	switch p.number % 3 {
	case 0:
		d.apply(ctx, p, change{path: primaryRole, value: "Auditor " + p.attrs[primaryRole]})
	case 1:
		d.addRole(ctx, p)
	default:
		first := roleBody{Primary: true, Type: assignedRole, Display: "Owner", Value: "owner"}
		second := roleBody{Type: assignedRole, Display: "Guest \"plus\"", Value: "guest+"}
		before := maps.Clone(p.attrs)
		p.attrs[primaryRole] = first.Value
		if d.sendChange(ctx, p, d.opt.Dialect.assertRoles([]roleBody{first, second}), before, p.active) {
			d.checkRoles(ctx, p, 2, second.Value)
		}
	}
}

// addRole adds one more role. Without the flag Entra sends JSON text as its value; servers keep the text or unpack it.
func (d *drill) addRole(ctx context.Context, p *person) {
	p.added++
	value := fmt.Sprintf("25.%d", p.added)
	body, text, err := d.opt.Dialect.addRoleText(p.objectID, value, "Role1234")
	if err != nil {
		d.stop(err)
		return
	}
	if d.opt.Dialect == Flag {
		body = patch(operation{"add", "roles", []roleBody{{Type: assignedRole, Display: "Role1234", Value: value}}})
	}
	if d.sendChange(ctx, p, body, p.attrs, p.active) {
		d.checkRoles(ctx, p, 0, text, value)
	}
}

// checkRoles expects a role with any of the values, among so many if count is not 0.
func (d *drill) checkRoles(ctx context.Context, p *person, count int, values ...string) {
	a, ok := d.get(ctx, users, p.id, readGone)
	if !ok {
		return
	}
	list, _ := a.json["roles"].([]any)
	found := slices.ContainsFunc(values, func(v string) bool { return element(a.json["roles"], "value", v) != nil })
	if !found || (count != 0 && len(list) != count) {
		d.report(a, roleNotStored, fmt.Sprintf("a role %q, roles in all (0: any number): %d", values, count), fmt.Sprint(list))
	}
}

// namesake tries to create a second user of the same name, spelt in another case where that is safe.
func (d *drill) namesake(ctx context.Context, p *person) {
	twin := createUser(p)
	twin.Active = true
	twin.ExternalID = "dddddddd" + p.objectID[8:]
	if isASCII(twin.UserName) && p.number%2 == 0 {
		twin.UserName = strings.ToUpper(twin.UserName)
	}
	d.refused(ctx, users, twin, p.id)
}

// refused expects 409 uniqueness. What was created instead is deleted again, so that only one fault is seen.
func (d *drill) refused(ctx context.Context, e endpoint, body any, known string) {
	a, ok := d.send(ctx, request{kind: e.kind("duplicate"), method: http.MethodPost, path: e.path(""), body: body})
	switch {
	case !ok:
	case a.status < 300:
		d.report(a, duplicateAccepted, "409 uniqueness", describe(a))
		if id, _ := a.json["id"].(string); id != "" && id != known {
			d.send(ctx, request{kind: e.kind("delete"), method: http.MethodDelete, path: e.path(id)})
		}
	case a.status != http.StatusConflict:
		d.report(a, duplicateStatus, "409 uniqueness", describe(a))
	case a.json["scimType"] != "uniqueness":
		d.report(a, duplicateScimType, `scimType "uniqueness"`, describe(a))
	}
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7e })
}

// lookUp searches by everything that can be a matching attribute, in the right case and in another.
func (d *drill) lookUp(ctx context.Context, p *person) {
	userName, externalID := p.attrs["userName"], p.attrs["externalId"]
	d.one(ctx, users, equals("userName", userName), p.id, searchMissed)
	d.one(ctx, users, equals("externalId", externalID), p.id, searchMissed)
	d.one(ctx, users, equals("id", p.id), p.id, searchMissed)
	if mail := p.attrs[workMail]; mail != "" {
		d.one(ctx, users, equals(workMail, mail), p.id, searchMissed)
	}
	if isASCII(userName) {
		d.one(ctx, users, equals("userName", strings.ToUpper(userName)), p.id, searchUserNameCase)
		d.one(ctx, users, equals("USERNAME", strings.ToLower(userName)), p.id, searchUserNameCase)
	}
	d.none(ctx, users, equals("externalId", strings.ToUpper(externalID)), searchExternalIDCase)
}

// disable blocks the user. Nothing else may change: found by id and by filter, name still taken, memberships kept.
func (d *drill) disable(ctx context.Context, p *person) {
	if d.setActive(ctx, p, false) {
		d.one(ctx, users, equals("userName", p.attrs["userName"]), p.id, disableHidden)
		if !d.rules.purges {
			d.keepsMemberships(ctx, p, disableMembersLost)
		}
		d.namesake(ctx, p)
	}
}

func (d *drill) enable(ctx context.Context, p *person) {
	if d.setActive(ctx, p, true) {
		d.keepsMemberships(ctx, p, restoreMembersLost)
	}
}

func (d *drill) disableAndEnable(ctx context.Context, p *person) {
	d.disable(ctx, p)
	d.enable(ctx, p)
}

func (d *drill) setActive(ctx context.Context, p *person, active bool) bool {
	if p.state != linked {
		return false
	}
	was := p.active
	p.active = active
	return d.sendChange(ctx, p, d.opt.Dialect.setActive(active, p.number), p.attrs, was)
}

// softDelete is what a deletion in Entra looks like for 30 days: disabled under a tombstone name, and back under the old one when restored.
func (d *drill) softDelete(ctx context.Context, p *person) {
	name := p.attrs["userName"]
	tombstone := strings.ReplaceAll(p.objectID, "-", "") + name
	if !d.apply(ctx, p, change{path: "userName", value: tombstone}, change{path: "active", value: false}) {
		return
	}
	d.one(ctx, users, equals("userName", tombstone), p.id, disableHidden)
	d.keepsMemberships(ctx, p, disableMembersLost)
	if d.apply(ctx, p, change{path: "active", value: true}, change{path: "userName", value: name}) {
		d.one(ctx, users, equals("userName", name), p.id, searchMissed)
		d.keepsMemberships(ctx, p, restoreMembersLost)
	}
}

// keepsMemberships reads one of the person's groups and expects the person in it.
func (d *drill) keepsMemberships(ctx context.Context, p *person, lost fault) {
	i := slices.IndexFunc(p.teams, func(t *team) bool { return t.state == linked })
	if i < 0 {
		return
	}
	t := p.teams[i]
	got, a, ok := d.memberIDs(ctx, t)
	if ok && !slices.Contains(got, p.id) {
		d.report(a, lost, fmt.Sprintf("user %s in group %s", p.id, t.id), "not among its members")
	}
}

// leave deletes the user for good and expects every trace of it gone.
func (d *drill) leave(ctx context.Context, p *person) {
	if !d.remove(ctx, users, p.id, d.opt.Dialect.setActive(true, p.number),
		equals("userName", p.attrs["userName"]), equals("externalId", p.attrs["externalId"]), equals("id", p.id)) {
		p.state = failed
		return
	}
	p.state = deleted
}

// remove deletes an object and expects 404 by id, also for a PATCH and a second DELETE, and no match for the filters.
func (d *drill) remove(ctx context.Context, e endpoint, id string, update any, filters ...string) bool {
	del := request{kind: e.kind("delete"), method: http.MethodDelete, path: e.path(id)}
	a, ok := d.send(ctx, del)
	if !ok {
		return false
	}
	if a.status != http.StatusNoContent {
		d.report(a, deleteStatus, "204", describe(a))
		return false
	}
	d.absent(ctx, request{kind: e.kind("get"), method: http.MethodGet, path: e.path(id)}, deleteReadable)
	for _, filter := range filters {
		d.none(ctx, e, filter, deleteFound)
	}
	d.absent(ctx, request{kind: e.kind("patch"), method: http.MethodPatch, path: e.path(id), body: update}, deleteReadable)
	d.absent(ctx, del, deleteRepeated)
	return true
}

// absent expects 404; f names any other answer.
func (d *drill) absent(ctx context.Context, q request, f fault) {
	if a, ok := d.send(ctx, q); ok && a.status != http.StatusNotFound {
		d.report(a, f, "404", describe(a))
	}
}

// rehire deletes the user and creates it again with the same externalId, as an assignment taken away and given back does.
func (d *drill) rehire(ctx context.Context, p *person) {
	old := p.id
	if d.leave(ctx, p); p.state != deleted {
		return
	}
	if d.create(ctx, p, deleteNameTaken); p.state != linked {
		return
	}
	if p.id != old {
		p.former = old
		d.report(nil, restoreOtherID, "the id "+old+" for the externalId "+p.objectID, p.id)
	}
	p.rehired = true
	d.writeManager(ctx, p, true, p.number)
}

// recycleName deletes the user and gives the userName to somebody new, who must be a new object.
func (d *drill) recycleName(ctx context.Context, p *person) {
	if d.leave(ctx, p); p.state != deleted || p.heir == nil {
		return
	}
	if d.create(ctx, p.heir, deleteNameTaken); p.heir.state != linked {
		return
	}
	if p.heir.id == p.id {
		d.report(nil, deleteIDReused, "another id than the leaver's "+p.id, p.heir.id)
	}
}
