package transfer

import (
	"cmp"
	"context"

	"meibo/provisioning"
	"meibo/scim"
)

// missing is a resource that is to be deleted because the file does not have it.
type missing struct {
	t       scim.ResourceType
	id      string
	version int64
	owner   provisioning.Connection
}

// planMissing plans the deletion of what the file does not have.
func (im *importer) planMissing(ctx context.Context) error {
	if im.plan.Count[Invalid] > 0 {
		return nil // the rows with mistakes may be those that seem to be missing
	}
	owner := im.connections[*im.Owner]
	for _, t := range []scim.ResourceType{scim.User, scim.Group} {
		if !im.types[t] {
			continue
		}
		for after := ""; ; {
			var found []provisioning.Resource
			err := im.Service.Accounts(ctx, im.Origin.Tenant, provisioning.AccountQuery{Type: t, Connection: owner.ID, After: after, Limit: page},
				func(x provisioning.Resource) error {
					found = append(found, x)
					return nil
				})
			if err != nil {
				return err
			}
			for i := range found {
				if err := im.planGone(ctx, owner, &found[i]); err != nil {
					return err
				}
			}
			if len(found) < page {
				break
			}
			after = found[len(found)-1].ID
		}
	}
	return nil
}

func (im *importer) planGone(ctx context.Context, owner provisioning.Connection, x *provisioning.Resource) error {
	if _, speaks := im.plan.marks[keyOf(x.ID)]; speaks || owner.ID != 0 && !x.Visible {
		return nil
	}
	o := im.Origin
	o.Connection = owner
	previewed, err := im.Service.Preview(ctx, o, im.Service.Intent(o, provisioning.Wanted{Type: x.Type, ID: x.ID, Gone: true}))
	p := &planning{row: Row{Type: x.Type}, planned: Planned{Type: x.Type, ID: x.ID, Name: cmp.Or(x.Index.Display, x.Index.Name)}, err: err, previewed: previewed}
	if err := p.faulted(); err != nil {
		return err
	}
	out := &p.planned
	out.Connection = owner.Name
	if len(out.Faults) > 0 { // a guard keeps it
		out.Verb, out.Warning = Skip, provisioning.Reason{Code: provisioning.ReasonKept, Args: map[string]string{"because": out.Faults[0].Detail}}
		out.Faults = nil
	} else {
		c := &previewed.Change
		out.Verb, out.Name, out.Diff, out.Members, out.Warning = Delete, cmp.Or(c.Name, out.Name), c.Diff, c.Members, c.Warning
		im.plan.gone = append(im.plan.gone, missing{x.Type, x.ID, x.Version, owner})
		im.demand(owner.Name, previewed.Demand)
		im.weigh(c, previewed.Removal)
	}
	im.plan.Count[out.Verb]++
	im.note(out, x.Version, false)
	return im.Planned(*out)
}
