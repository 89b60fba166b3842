package drill

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// leaversReturn disables some and deletes others, and lets all of them come back: as the accounts that they were, with their
// memberships.
func (d *drill) leaversReturn(ctx context.Context) {
	d.planTeams(nil)
	leavers := d.some(8, isLeafMember)
	each(ctx, d, "leavers", leavers, func(ctx context.Context, p *person) {
		if p.number%2 == 0 {
			d.leave(ctx, p)
		} else {
			d.disable(ctx, p)
		}
		d.gone(p)
	})
	d.rollCall(ctx)
	each(ctx, d, "returns", leavers, d.comeBack)
}

// comeBack is an account's return: enabled, or created again with the same externalId after a search that finds nothing.
func (d *drill) comeBack(ctx context.Context, p *person) {
	if p.state != deleted {
		if d.setActive(ctx, p, true) {
			d.back(ctx, p)
			d.keepsMemberships(ctx, p, restoreMembersLost)
		}
		return
	}
	old := p.id
	if id, ok := d.match(ctx, users, "userName", p.attrs["userName"]); !ok || id != "" {
		p.state = failed // named: a deleted user was found
		return
	}
	if d.create(ctx, p, deleteNameTaken); p.state != linked {
		return
	}
	if p.id != old {
		p.former = old
		if !p.lot.purged {
			d.report(nil, restoreOtherID, "the id "+old+" for the externalId "+p.objectID, p.id)
		}
	}
	d.writeManager(ctx, p, true, p.number)
	d.back(ctx, p)
	d.keepsMemberships(ctx, p, restoreMembersLost)
}

// recycleNames deletes some and gives their userNames to new people, who must inherit nothing. The name of somebody who is
// merely disabled stays taken.
func (d *drill) recycleNames(ctx context.Context) {
	d.planTeams(nil)
	leavers := d.some(8, isLeafMember)
	for _, p := range leavers {
		d.prepare(p, episode{heir: true})
	}
	each(ctx, d, "leavers", leavers, func(ctx context.Context, p *person) {
		if p.number%3 == 0 {
			d.disable(ctx, p) // with a namesake who is refused
		} else {
			d.leave(ctx, p)
		}
		d.gone(p)
	})
	d.rollCall(ctx)
	each(ctx, d, "heirs of their userNames", leavers, d.inherit)
}

// inherit creates the heir of a leaver's userName.
func (d *drill) inherit(ctx context.Context, p *person) {
	if p.state != deleted {
		return
	}
	p.heir.lot.firstName = p.heir.attrs["userName"]
	if d.create(ctx, p.heir, deleteNameTaken); p.heir.state != linked {
		return
	}
	p.lot.renamed = true
	if p.heir.id == p.id {
		d.report(nil, deleteIDReused, "another id than the leaver's "+p.id, p.heir.id)
	}
	d.one(ctx, users, equals("userName", p.heir.attrs["userName"]), p.heir.id, searchWrong)
	a, ok := d.get(ctx, users, p.heir.id, readGone)
	if ok && a.json["groups"] != nil {
		d.report(a, inherited, "no memberships", fmt.Sprint(a.json["groups"]))
	}
}

// renameSome gives new userNames, as they are and in another case, and swaps those of two people, who remain who they are.
func (d *drill) renameSome(ctx context.Context) {
	d.planTeams(nil)
	renamed := d.some(4, isFit)
	half := len(renamed) / 2
	each(ctx, d, "renames", renamed[:half], func(ctx context.Context, p *person) {
		d.rename(ctx, p)
		d.keepsMemberships(ctx, p, memberLost)
	})
	d.rollCall(ctx)
	var couples [][2]*person
	for i := half; i+1 < len(renamed); i += 2 {
		couples = append(couples, [2]*person{renamed[i], renamed[i+1]})
	}
	each(ctx, d, "swaps", couples, d.swapNames)
}

// swapNames exchanges two userNames by way of a third.
func (d *drill) swapNames(ctx context.Context, couple [2]*person) {
	a, b := couple[0], couple[1]
	nameOfA, nameOfB := a.attrs["userName"], b.attrs["userName"]
	if !d.apply(ctx, a, change{path: "userName", value: "meanwhile." + nameOfA}) ||
		!d.apply(ctx, b, change{path: "userName", value: nameOfA}) || !d.apply(ctx, a, change{path: "userName", value: nameOfB}) {
		return
	}
	for _, p := range couple {
		d.one(ctx, users, equals("userName", p.attrs["userName"]), p.id, searchWrong)
	}
}

// disableAdmins disables and deletes administrators. The client sees what it asked for; the host application sees nothing of it.
func (d *drill) disableAdmins(ctx context.Context) {
	d.planTeams(nil)
	admins := d.some(12, isLeafMember)
	appointed := d.asPerson(ctx, "make somebody an administrator", func(ctx context.Context, who Person) error {
		for _, p := range admins {
			if err := who.MakeAdmin(ctx, p.id); err != nil {
				return err
			}
			p.lot.admin = true
		}
		return nil
	})
	if !appointed {
		return
	}
	d.rollCall(ctx)
	each(ctx, d, "administrators disabled and deleted", admins, func(ctx context.Context, p *person) {
		if p.number%3 > 0 {
			d.disable(ctx, p)
		}
		if p.number%3 < 2 {
			d.leave(ctx, p)
		}
	})
	d.rollCall(ctx)
	each(ctx, d, "administrators back", admins, func(ctx context.Context, p *person) {
		p.active = true // as the directory has them again
		if p.state == deleted {
			d.comeBack(ctx, p)
			return
		}
		p.active = false
		d.enable(ctx, p)
	})
}

// restart plays the initial cycle once more, after a day on which some left, some were disabled and some renamed: Entra searches
// for everybody and finds everything as it must be.
func (d *drill) restart(ctx context.Context) {
	d.planTeams(nil)
	day := d.some(6, isLeafMember)
	each(ctx, d, "a day's changes", day, func(ctx context.Context, p *person) {
		switch p.number % 3 {
		case 0:
			d.leave(ctx, p)
			d.gone(p)
		case 1:
			d.disable(ctx, p)
			d.gone(p)
		default:
			d.rename(ctx, p)
		}
	})
	d.rollCall(ctx)
	known := slices.DeleteFunc(d.everybody(), func(p *person) bool { return p.state != linked })
	each(ctx, d, "restart: users", known, func(ctx context.Context, p *person) {
		d.findAgain(ctx, users, "userName", p.attrs["userName"], p.id, func(res resource) []difference {
			return append(p.differences(res), p.managerDifference(res)...)
		})
	})
	teams := slices.DeleteFunc(slices.Clone(d.company.teams), func(t *team) bool { return t.state != linked })
	each(ctx, d, "restart: groups", teams, func(ctx context.Context, t *team) {
		d.findAgain(ctx, groups, "displayName", t.name, t.id, t.differences)
	})
}

// findAgain searches for a known object by its matching attribute and compares it. Nothing is written: what Entra would write is named.
func (d *drill) findAgain(ctx context.Context, e endpoint, path, value, id string, differ func(resource) []difference) {
	found, ok := d.match(ctx, e, path, value)
	if !ok {
		return
	}
	if found != id {
		d.report(nil, restartCreate, "the object "+id, orElse(found, "no match"))
		return
	}
	a, ok := d.get(ctx, e, id, readGone)
	if !ok {
		return
	}
	if ds := differ(a.json); len(ds) > 0 {
		d.report(a, restartPatch, "nothing to send", strings.Join(pathsOf(ds), ", "))
	}
}

func pathsOf(ds []difference) []string {
	set := map[string]bool{}
	for _, diff := range ds {
		set[diff.path] = true
	}
	return slices.Sorted(maps.Keys(set))
}
