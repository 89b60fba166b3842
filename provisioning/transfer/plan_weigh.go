package transfer

import (
	"context"
	"slices"

	"meibo/provisioning"
	"meibo/scim"
)

// weigh counts who leaves, for the tolerance of whoever owned them.
func (im *importer) weigh(c *provisioning.Change, removal *provisioning.Verdict) {
	if c.Before == nil {
		return
	}
	owner := im.names[c.Before.Connection]
	if c.Leaves() {
		if im.leaving[owner] == nil {
			im.leaving[owner] = new([2]int)
		}
		if c.Before.Type == scim.User {
			im.leaving[owner][0]++
		} else {
			im.leaving[owner][1]++
		}
	}
	if removal != nil {
		im.plan.Verdicts = append(im.plan.Verdicts, Verdict{Connection: owner, Group: c.Name, Verdict: *removal})
	}
}

// judge has each connection's tolerance weigh the plan.
func (im *importer) judge(ctx context.Context) error {
	var names []string
	for name := range im.leaving {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		n := im.leaving[name]
		verdicts, err := im.Service.Judge(ctx, im.Origin.Tenant, im.connections[name], n[0], n[1])
		if err != nil {
			return err
		}
		for _, v := range verdicts {
			if v.Leaving > 0 {
				im.plan.Verdicts = append(im.plan.Verdicts, Verdict{Connection: name, Verdict: v})
			}
		}
	}
	return im.judgeAlone(ctx)
}
