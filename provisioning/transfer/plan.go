package transfer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

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
		if row.Type != scim.User && row.Type != scim.Group {
			row.Type = "" // its faults say so, and are not to be passed over
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

// demand notes why the plan takes a second person.
func (im *importer) demand(connection, why string) {
	if im.plan.Demand == "" && why != "" {
		im.plan.Demand, im.plan.demanding = why, connection
	}
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
