package transfer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"sync"

	"meibo/provisioning"
	"meibo/scim"
)

// ImportOptions say what a file is to be to a directory.
type ImportOptions struct {
	Service *provisioning.Service
	Origin  provisioning.Origin           // of every change; its connection does not count
	Open    func() (io.ReadCloser, error) // the file, from its beginning; it does not change
	// Owner is the name of the connection whose resources the rows are, whatever they say, "" for nobody's; nil leaves
	// it to the rows.
	Owner *string
	// DeleteMissing deletes what Owner has, of the types that the file has rows of, and the file has not.
	DeleteMissing bool
	// NewIDs gives the resources of the file ids of their own, the same whenever it is imported into the tenant: for a
	// copy beside the original in one database.
	NewIDs bool
	// Planned hears of each row: users in the order of the file, then groups, then what is missing. May be nil.
	Planned func(Planned) error
	// Progress hears after each row how many of how many are dealt with; of is 0 while nobody knows. May be nil.
	Progress func(phase string, done, of int)
}

// Verb is what a plan does to a resource.
type Verb string

// The verbs.
const (
	Add     Verb = "Add"
	Update  Verb = "Update"
	Delete  Verb = "Delete"
	Skip    Verb = "Skip"    // it is so already
	Invalid Verb = "Invalid" // see the faults
)

// Planned is what would become of one row.
type Planned struct {
	Verb       Verb
	Line       int // 0 for what is missing from the file
	Type       scim.ResourceType
	ID         string // "" of a new resource that the file gives none
	Name       string
	Connection string // of the owner
	Diff       []provisioning.AttributeChange
	Members    provisioning.MemberDelta
	Warning    provisioning.Reason // what is withheld, and why; its Code is "" for nothing
	Faults     []*Fault
}

// Plan is what an import would do, and to which state of the directory.
type Plan struct {
	// Digest names the plan: each row's verb, the version of its resource and the difference. Equal digests mean the
	// same file, read the same way, and the same directory as far as the file speaks of it.
	Digest   string
	Rows     int
	Count    map[Verb]int
	Faults   []*Fault // the first maxFaults; Planned hears of all
	Verdicts []Verdict
	// Demand is why the plan takes a second person who orders the same import; "" where one may.
	Demand string

	demanding string            // the connection whose settings do; "" for nobody's
	agreed    bool              // two persons want it
	steps     []step            // by row
	gone      []missing         // from the file
	renamed   map[string]string // ids of the file whose resource is found by its name, and the real one
	marks     map[key]mark      // by id
}

// maxFaults is how many faults a plan keeps: a file of mistakes alone is no reason to run out of memory.
const maxFaults = 10_000

// Verdict is what a tolerance says of a plan: whether the same, sent by a client, would be stopped.
type Verdict struct {
	Connection string
	Group      string // displayName, of a removal of members
	provisioning.Verdict
}

// Stopped reports whether a tolerance stops the plan.
func (p *Plan) Stopped() bool {
	return slices.ContainsFunc(p.Verdicts, func(v Verdict) bool { return v.Stopped })
}

// step is what is kept of a row until it is applied.
type step struct {
	verb    Verb
	version int64 // of the resource as it was planned on; 0 for none
}

// key stands for a text that is looked up: a map of a hundred thousand of these takes a few megabytes.
type key [sha256.Size / 2]byte

func keyOf(text string) key {
	sum := sha256.Sum256([]byte(text))
	return key(sum[:len(key{})])
}

// mark is what is known of an id. There is one for each row, so it is small.
type mark struct {
	line  int32 // of its row; 0 for none
	group bool  // the row is a group's
	added bool  // the plan makes it
}

// missing is a resource that is to be deleted because the file does not have it.
type missing struct {
	t       scim.ResourceType
	id      string
	version int64
	owner   provisioning.Connection
}

// importer is one reading of a file.
type importer struct {
	ImportOptions
	connections map[string]provisioning.Connection
	names       map[int64]string
	plan        *Plan
	digest      hash.Hash
	seen        map[key]int32 // by name, the line that had it first
	types       map[scim.ResourceType]bool
	copies      map[key]bool       // with NewIDs: ids that become others
	leaving     map[string]*[2]int // users and groups that leave, by connection
}

// NewPlan reads a file and says what it would do; nothing is written. Mistakes of the file are the plan's faults, all of
// them. The error is a *Fault for a file that cannot be read to its end, or what the directory answers.
func NewPlan(ctx context.Context, o ImportOptions) (*Plan, error) {
	im, err := newImporter(ctx, o)
	if err != nil {
		return nil, err
	}
	for _, t := range []scim.ResourceType{scim.User, scim.Group} {
		if err := im.planAll(ctx, t); err != nil {
			return nil, err
		}
	}
	if o.DeleteMissing {
		if err := im.planMissing(ctx); err != nil {
			return nil, err
		}
	}
	if err := im.judge(ctx); err != nil {
		return nil, err
	}
	slices.SortStableFunc(im.plan.Faults, func(a, b *Fault) int { return cmp.Compare(a.Line, b.Line) })
	im.plan.Digest = hex.EncodeToString(im.digest.Sum(nil)[:16])
	return im.plan, nil
}

func newImporter(ctx context.Context, o ImportOptions) (im *importer, err error) {
	im = &importer{ImportOptions: o, connections: map[string]provisioning.Connection{}, names: map[int64]string{0: ""}, digest: sha256.New(),
		plan:  &Plan{Count: map[Verb]int{}, renamed: map[string]string{}, marks: map[key]mark{}},
		seen:  map[key]int32{},
		types: map[scim.ResourceType]bool{}, leaving: map[string]*[2]int{}}
	if o.NewIDs {
		if im.copies, err = readIDs(o.Open); err != nil {
			return nil, err
		}
	}
	if im.Planned == nil {
		im.Planned = func(Planned) error { return nil }
	}
	if im.Progress == nil {
		im.Progress = func(string, int, int) {}
	}
	all, err := o.Service.Connections(ctx, im.Origin.Tenant)
	if err != nil {
		return nil, err
	}
	im.connections[""] = provisioning.Connection{Settings: provisioning.DefaultConnectionSettings()}
	for _, c := range all {
		im.connections[c.Name], im.names[c.ID] = c, c.Name
	}
	if o.Owner != nil {
		if _, known := im.connections[*o.Owner]; !known {
			return nil, &provisioning.Error{Kind: provisioning.NotFound, Attribute: "connection",
				Detail: fmt.Sprintf("there is no connection %q; create it first, or choose one of %s", *o.Owner, strings.Join(im.connectionNames(), ", "))}
		}
	} else if o.DeleteMissing {
		return nil, &provisioning.Error{Kind: provisioning.Invalid, Attribute: "connection",
			Detail: "whose resources are to be deleted when they are missing? Name the connection"}
	}
	return im, nil
}

func (im *importer) connectionNames() []string {
	var names []string
	for name := range im.connections {
		if name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// chunk is how many rows are decided on at a time.
const chunk = 32

// planAll plans the rows of a type. Users come first, so that groups can list those that the file makes.
func (im *importer) planAll(ctx context.Context, t scim.ResourceType) error {
	first := t == scim.User
	rows := make([]*planning, 0, chunk)
	flush := func() error {
		err := im.planChunk(ctx, rows)
		rows = rows[:0]
		return err
	}
	n := 0
	err := im.eachRow(func(i int, row Row) error {
		if n = i + 1; first {
			im.plan.steps = append(im.plan.steps, step{})
			im.mark(&row)
		}
		if row.Type != t && (row.Type != "" || !first) {
			return nil
		}
		if rows = append(rows, im.read(i, row)); len(rows) == chunk {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	im.plan.Rows = n
	return flush()
}

// eachRow calls fn with each row of the file, under its new ids where those are wanted.
func (im *importer) eachRow(fn func(int, Row) error) error {
	return eachRow(im.Open, func(i int, row Row) error {
		if im.copies != nil {
			row.copied(im.copies, im.Origin.Tenant)
		}
		return fn(i, row)
	})
}

// eachRow calls fn with each row of a file and its index.
func eachRow(open func() (io.ReadCloser, error), fn func(int, Row) error) (err error) {
	f, err := open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	r, err := NewReader(f)
	for i := 0; err == nil; i++ {
		var row Row
		if row, err = r.Next(); err == nil {
			err = fn(i, row)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

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

// demand notes why the plan takes a second person.
func (im *importer) demand(connection, why string) {
	if im.plan.Demand == "" && why != "" {
		im.plan.Demand, im.plan.demanding = why, connection
	}
}

// weigh counts who leaves, for the tolerance of whoever owned them.
func (im *importer) weigh(c *provisioning.Change, removal *provisioning.Verdict) {
	if c.Before == nil {
		return
	}
	owner := im.names[c.Before.Connection]
	if isIn(c.Before.State) && !isIn(c.After.State) {
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

// isIn reports whether the host application lets an account in, or has the group.
func isIn(s provisioning.State) bool { return s == provisioning.Active || s == provisioning.Held }

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

// judgeAlone has a plan that a tolerance stops take a second person where the settings demand one.
func (im *importer) judgeAlone(ctx context.Context) error {
	for _, v := range im.plan.Verdicts {
		if !v.Stopped {
			continue
		}
		two, err := im.Service.DemandsTwo(ctx, im.Origin.Tenant, v.Connection)
		if err != nil {
			return err
		}
		if two {
			im.demand(v.Connection, "tolerance")
		}
	}
	return nil
}
