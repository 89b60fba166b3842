package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"meibo/provisioning"
	"meibo/scim"
)

// planning is one row while it is planned.
type planning struct {
	index     int
	row       Row
	owner     provisioning.Connection
	planned   Planned
	previewed provisioning.Previewed
	err       error
}

// read checks what can be said of a row before the directory is asked.
func (im *importer) read(i int, row Row) *planning {
	p := &planning{index: i, row: row, planned: Planned{Line: row.Line, Type: row.Type, ID: row.ID, Name: row.Name(), Faults: row.Faults}}
	if len(row.Faults) > 0 {
		return p
	}
	im.types[row.Type] = true
	if line := int(im.plan.marks[keyOf(row.ID)].line); row.ID != "" && line != row.Line {
		p.repeats("id", line)
	}
	if row.ID == "" && row.Name() == "" {
		p.fault("", "the row has neither an id nor a name; say which resource it speaks of")
	}
	if name := row.Name(); name != "" && (!row.Says(HasVisible) || row.Visible) {
		k := keyOf(string(row.Type) + "\x00" + im.ownerName(&row) + "\x00" + scim.FoldFull.Apply(name))
		if line, twice := im.seen[k]; twice {
			p.repeats(nameTitle(row.Type), int(line))
		} else {
			im.seen[k] = int32(row.Line)
		}
	}
	return p
}

// mark notes the id of a row.
func (im *importer) mark(row *Row) {
	k := keyOf(row.ID)
	if _, twice := im.plan.marks[k]; !twice && row.ID != "" {
		im.plan.marks[k] = mark{line: int32(row.Line), group: row.Type == scim.Group}
	}
}

func nameTitle(t scim.ResourceType) string {
	if t == scim.Group {
		return "displayName"
	}
	return "userName"
}

func (im *importer) ownerName(row *Row) string {
	if im.Owner != nil {
		return *im.Owner
	}
	return row.Connection
}

// repeats faults a row that has what another one has already.
func (p *planning) repeats(column string, line int) {
	p.fault(column, fmt.Sprintf("line %d has it already; one row speaks of one resource", line))
}

func (p *planning) fault(column, detail string) {
	p.planned.Faults = append(p.planned.Faults, p.row.fault(column, detail))
}

// planChunk decides on some rows at once and takes the outcome in their order.
func (im *importer) planChunk(ctx context.Context, rows []*planning) error {
	var wait sync.WaitGroup
	for _, p := range rows {
		if len(p.planned.Faults) == 0 {
			wait.Go(func() { im.preview(ctx, p) })
		}
	}
	wait.Wait()
	for _, p := range rows {
		if err := im.take(p); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// preview asks the directory what would become of a row. It changes nothing but p.
func (im *importer) preview(ctx context.Context, p *planning) {
	if p.owner, p.err = im.owner(ctx, &p.row); p.err != nil {
		return
	}
	w := im.wanted(&p.row, im.plan)
	w.Promised = func(id string) bool {
		m := im.plan.marks[keyOf(id)]
		return m.added || m.group
	}
	o := im.Origin
	o.Connection = p.owner
	p.previewed, p.err = im.Service.Preview(ctx, o, im.Service.Intent(o, w))
}

// owner is the connection that a row makes the owner of its resource.
func (im *importer) owner(ctx context.Context, row *Row) (provisioning.Connection, error) {
	name := im.ownerName(row)
	if im.Owner == nil && !row.Says(HasConnection) {
		x, err := im.Service.Account(ctx, im.Origin.Tenant, row.Type, row.ID)
		if row.ID == "" || provisioning.KindOf(err) == provisioning.NotFound && err != nil {
			return provisioning.Connection{}, row.fault("connection", "the file does not say whose resource this is; add the column, or name the connection for all rows")
		}
		if err != nil {
			return provisioning.Connection{}, err
		}
		name = im.names[x.Connection]
	}
	c, known := im.connections[name]
	if !known {
		return c, row.fault("connection", fmt.Sprintf("there is no connection of that name; create it first, or choose one of %s", strings.Join(im.connectionNames(), ", ")))
	}
	return c, nil
}

// wanted is what a row asks for.
func (im *importer) wanted(row *Row, plan *Plan) provisioning.Wanted {
	w := provisioning.Wanted{Type: row.Type, ID: row.ID, Name: row.Name(), Assert: row.Over}
	if row.Says(HasState) {
		w.State = row.State
	}
	if row.Says(HasVisible) {
		w.Visible = &row.Visible
	}
	if row.Says(HasRole) {
		w.Role = &row.Role
	}
	if row.Says(HasProtected) {
		w.Protected = &row.Protected
	}
	if row.Says(HasPurgeAt) {
		w.PurgeAt = &row.PurgeAt
	}
	if row.Says(HasLeftAt) {
		w.LeftAt = &row.LeftAt
	}
	if row.Says(HasOverrides) {
		w.Overrides = &row.Overrides
	}
	if row.Says(HasEffective) {
		w.Effective = row.EffectiveOf
	}
	if row.Says(HasMembers) {
		members := make([]provisioning.Membership, len(row.Members))
		for i, m := range row.Members {
			members[i] = m
			if id, ok := plan.renamed[m.Value]; ok {
				members[i].Value = id
			}
		}
		w.Members = &members
	}
	return w
}

// take puts the outcome of a row into the plan.
func (im *importer) take(p *planning) error {
	if err := p.faulted(); err != nil {
		return err
	}
	out := &p.planned
	if len(out.Faults) > 0 {
		out.Verb = Invalid
	} else {
		im.took(p)
	}
	im.plan.Count[out.Verb]++
	im.plan.Faults = append(im.plan.Faults, out.Faults[:min(len(out.Faults), maxFaults-len(im.plan.Faults))]...)
	s := step{verb: out.Verb}
	if b := p.previewed.Change.Before; b != nil {
		s.version = b.Version
	}
	im.plan.steps[p.index] = s
	im.note(out, s.version, p.row.Says(HasPurgeAt))
	im.Progress("read", im.done(), len(im.plan.steps))
	return im.Planned(*out)
}

// done is how many rows have an outcome.
func (im *importer) done() (n int) {
	for _, c := range im.plan.Count {
		n += c
	}
	return n
}

// faulted makes a refusal of the directory a fault of the row. Any other error is returned.
func (p *planning) faulted() error {
	if p.err == nil {
		return nil
	}
	if f, ok := errors.AsType[*Fault](p.err); ok {
		p.planned.Faults = append(p.planned.Faults, f)
		return nil
	}
	refusal, ok := errors.AsType[*provisioning.Error](p.err)
	if !ok || refusal.Kind != provisioning.Invalid && refusal.Kind != provisioning.Conflict {
		return p.err
	}
	p.fault(refusal.Attribute, strings.TrimPrefix(refusal.Detail, refusal.Attribute+": "))
	return nil
}

// took notes what a sound row does.
func (im *importer) took(p *planning) {
	c, out := &p.previewed.Change, &p.planned
	out.Connection, out.Diff, out.Members, out.Warning = p.owner.Name, c.Diff, c.Members, c.Warning
	if out.Name == "" {
		out.Name = c.Name
	}
	out.Verb = verbOf(c)
	switch {
	case out.Verb == Add && p.row.ID != "":
		k := keyOf(p.row.ID)
		m := im.plan.marks[k]
		m.added = true
		im.plan.marks[k] = m
	case out.Verb != Add:
		out.ID = c.After.ID
		k := keyOf(out.ID)
		m := im.plan.marks[k]
		im.plan.marks[k] = m // the file speaks of it
		if p.row.ID != "" && p.row.ID != out.ID {
			im.plan.renamed[strings.Clone(p.row.ID)] = out.ID // the row's may share the memory of its whole line
		}
	}
	im.demand(p.owner.Name, p.previewed.Demand)
	im.weigh(c, p.previewed.Removal)
}

func verbOf(c *provisioning.Change) Verb {
	switch c.Action {
	case provisioning.ChangeCreate:
		return Add
	case provisioning.ChangeSkip:
		return Skip
	case provisioning.ChangeDelete:
		return Delete
	default:
		return Update
	}
}

// note adds a row to the digest. When something may be purged follows from the hour, unless the file says it.
func (im *importer) note(p *Planned, version int64, saysPurgeAt bool) {
	diff := p.Diff
	if !saysPurgeAt {
		diff = slices.DeleteFunc(slices.Clone(diff), func(c provisioning.AttributeChange) bool { return c.Path == provisioning.PathPurgeAt })
	}
	line, err := json.Marshal([]any{p.Verb, p.Type, p.ID, p.Name, p.Connection, version, diff, p.Members, p.Warning})
	if err != nil { // values come from JSON
		line = []byte(err.Error())
	}
	im.digest.Write(append(line, '\n'))
}
