package provisioning

import (
	"context"
	"errors"
	"hash/maphash"
	"strings"

	"github.com/google/uuid"

	"meibo/provisioning/mapping"
	"meibo/scim"
)

// MappingTrial is what a draft's mapping would do to the users that a connection has.
type MappingTrial struct {
	Users   int        `json:"users"`   // looked at: those whom the connection's client sees
	Changed int        `json:"changed"` // whose effective attributes would differ
	Refused int        `json:"refused"` // who would stay as they are: a row has no value for them, or somebody has their userName
	Rows    []RowTrial `json:"rows"`    // the mapping's in their order; then other attributes that differ
}

// RowTrial counts what one row would do.
type RowTrial struct {
	Target     string `json:"target"`
	Changes    int    `json:"changes"`
	Collisions int    `json:"collisions"` // another account has that userName
	Empty      int    `json:"empty"`      // nothing is assigned, and nothing need be
	Required   int    `json:"required"`   // nothing is assigned where something has to be
	TooLong    int    `json:"tooLong"`
	Characters int    `json:"characters"` // not as the row demands
	Other      int    `json:"other"`      // an expression that fails, a value of the wrong type
	Guesses    int    `json:"guesses"`    // proposed by Kana or Romanize
}

// MappedUser is what a draft's mapping would do to one user.
type MappedUser struct {
	ID        string
	Name      string          // asserted userName, folded
	Effective scim.Attributes // what the host application would see; nil where that is as it is
	Findings  []MappingFinding
}

// MappingFinding is what is to be said of one attribute of a user.
type MappingFinding struct {
	Target string      `json:"target"`
	Kind   FindingKind `json:"kind"`
	Old    any         `json:"old,omitempty"`  // of FindingChange: as it is
	New    any         `json:"new,omitempty"`  // of FindingChange: as it would be; of FindingCollision the userName, folded
	With   string      `json:"with,omitempty"` // id of who has the userName, or gets it
	Detail string      `json:"detail,omitempty"`
	Remedy string      `json:"remedy,omitempty"`
}

// FindingKind is a kind of finding: one of these, or a mapping.FaultKind, with which the user would stay as it is.
type FindingKind string

const (
	FindingChange    FindingKind = "change"
	FindingCollision FindingKind = "collision"
	// FindingRoom is an account that its client no longer sees under its effective userName, and that gives it up to another
	// user. It may come after what else is found of the account, and stands alone.
	FindingRoom  FindingKind = "room"
	FindingUnset FindingKind = "unset" // it comes out empty, as it may
	FindingGuess FindingKind = "guess"
)

// TryMapping runs the mapping of a draft of settings over the stored users of a connection, in the order of their ids,
// and calls fn with each of whom there is something to be said. It comes to what the job does that follows such a
// version: who takes a userName first has it. Nothing is written; beside one user it keeps some 40 bytes for
// each account of the tenant. NotFound, Invalid for a draft that does not compile.
func (s *Service) TryMapping(ctx context.Context, tenant, connection string, draft Settings, fn func(MappedUser) error) (MappingTrial, error) {
	c, err := s.Connection(ctx, tenant, connection)
	if err != nil {
		return MappingTrial{}, err
	}
	rules, err := NewRules(c.SettingsVersion+1, draft)
	if err != nil {
		return MappingTrial{}, &Error{Kind: Invalid, Detail: err.Error(), Err: err}
	}
	t := newTrial(rules, c.ID)
	everybody := AccountQuery{Type: scim.User, Connection: -1}
	if err := s.eachAccount(ctx, tenant, everybody, t.takeName); err != nil {
		return MappingTrial{}, err
	}
	d := Desired{Type: scim.User, Connection: c.ID, Now: s.Now(), Anew: true}
	err = s.eachAccount(ctx, tenant, AccountQuery{Type: scim.User, Connection: c.ID, Removed: true}, func(x *Resource) error {
		if !x.Visible {
			return nil
		}
		user, err := t.try(x, d)
		if err == nil && len(user.Findings) > 0 {
			err = fn(user)
		}
		if err == nil && t.room.ID != "" {
			err, t.room = fn(t.room), MappedUser{}
		}
		return err
	})
	return t.MappingTrial, err
}

// trialPage is how many resources a trial reads at a time.
const trialPage = 1000

// eachAccount calls fn with all that a query selects, without a transaction that lasts as long.
func (s *Service) eachAccount(ctx context.Context, tenant string, q AccountQuery, fn func(*Resource) error) error {
	for q.Limit = trialPage; ; {
		var read []Resource
		err := s.Accounts(ctx, tenant, q, func(x Resource) error {
			read = append(read, x)
			return nil
		})
		if err != nil {
			return err
		}
		for i := range read {
			if err := fn(&read[i]); err != nil {
				return err
			}
		}
		if len(read) < q.Limit {
			return nil
		}
		q.After = read[len(read)-1].ID
	}
}

// trial is a TryMapping under way.
type trial struct {
	MappingTrial
	rules      *Rules
	table      *mapping.Table
	targets    []string // of the table
	connection int64
	rows       map[string]int // place in Rows by target
	seed       maphash.Seed
	held       map[uint64]holding   // by the hash of an effective userName; two names of ten million share one once in 300,000 trials
	room       MappedUser           // who makes room for the user at hand; zero for nobody
	moved      map[uuid.UUID]string // who would lose an effective userName to somebody: what would be left
}

// holding is who has an effective userName.
type holding struct {
	id     uuid.UUID
	yields bool // to a user of the connection
}

func newTrial(rules *Rules, connection int64) *trial {
	t := &trial{rules: rules, table: rules.mapping[scim.User], connection: connection, rows: map[string]int{}, seed: maphash.MakeSeed(),
		held: map[uint64]holding{}, moved: map[uuid.UUID]string{}}
	if t.table == nil {
		t.table = unmapped[scim.User]
	}
	t.targets = t.table.Targets()
	for _, target := range t.targets {
		t.row(target)
	}
	return t
}

// row are the counts of a target.
func (t *trial) row(target string) *RowTrial {
	i, known := t.rows[target]
	if !known {
		i = len(t.Rows)
		t.rows[target] = i
		t.Rows = append(t.Rows, RowTrial{Target: target})
	}
	return &t.Rows[i]
}

func (t *trial) hash(name string) uint64 { return maphash.String(t.seed, name) }

// takeName notes who has an effective userName.
func (t *trial) takeName(x *Resource) error {
	id, err := uuid.Parse(x.ID)
	if err == nil && x.Index.EffectiveName != "" {
		t.held[t.hash(x.Index.EffectiveName)] = holding{id, yields(x, t.connection)}
	}
	return err
}

// try runs the mapping over one user.
func (t *trial) try(x *Resource, d Desired) (MappedUser, error) {
	t.Users++
	user := MappedUser{ID: x.ID, Name: x.Index.Name}
	var err error
	if d.Asserted, err = decoded(scim.User, x.Asserted); err != nil {
		return user, err
	}
	was, err := t.before(x)
	if err != nil {
		return user, err
	}
	mapped, err := t.rules.derive(meant{current: x, asserted: d.Asserted, by: matchedByID}, d, was)
	if was == nil {
		was = d.Asserted
	}
	if mapped.attributes == nil {
		mapped.attributes = d.Asserted
	}
	if faults, ok := errors.AsType[mapping.Faults](err); ok {
		t.refuse(&user, faults)
		return user, nil
	} else if err != nil {
		return user, err
	}
	if collision := t.rename(x, scim.FoldFull.Apply(nameOf(scim.User, mapped.attributes))); collision != nil {
		t.Refused++
		t.row(collision.Target).Collisions++
		user.Findings = append(user.Findings, *collision)
		return user, nil
	}
	user.Effective = mapped.attributes
	t.compare(&user, was, mapped)
	return user, nil
}

// before is what the host application would see of a user by then; nil for as asserted.
func (t *trial) before(x *Resource) (scim.Attributes, error) {
	was, err := effectiveOf(x)
	if err != nil || len(t.moved) == 0 {
		return was, err
	}
	id, err := uuid.Parse(x.ID)
	if name, moved := t.moved[id]; moved && err == nil {
		if was == nil {
			if was, err = decoded(scim.User, x.Asserted); err != nil {
				return nil, err
			}
		}
		was = withAttribute(was, "userName", name)
		x.Index.EffectiveName = scim.FoldFull.Apply(name)
	}
	return was, err
}

// rename gives a user another effective userName, or says who has it. As in makeRoom, an account that its client no longer
// sees under that name makes room for it.
func (t *trial) rename(x *Resource, name string) *MappingFinding {
	if name == x.Index.EffectiveName {
		return nil
	}
	id, _ := uuid.Parse(x.ID) // takeName or the database would have said
	key := t.hash(name)
	holder, taken := t.held[key]
	if taken && holder.id != id && !holder.yields {
		return &MappingFinding{Target: "userName", Kind: FindingCollision, New: name, With: holder.id.String(),
			Detail: "another account has this userName", Remedy: "make it differ, or rename the other account"}
	}
	if taken && holder.id != id {
		left := name + "." + holder.id.String()
		t.moved[holder.id] = left
		t.held[t.hash(left)] = holding{id: holder.id}
		t.row("userName").Changes++
		t.room = MappedUser{ID: holder.id.String(), Name: name, Findings: []MappingFinding{{Target: "userName", Kind: FindingRoom, Old: name, New: left, With: x.ID}}}
	}
	if before := t.hash(x.Index.EffectiveName); t.held[before].id == id {
		delete(t.held, before)
	}
	if x.State != Removed {
		after := *x
		after.Index.EffectiveName = name
		t.held[key] = holding{id, yields(&after, t.connection)}
	}
	return nil
}

// refuse notes why a user has no effective attributes.
func (t *trial) refuse(user *MappedUser, faults mapping.Faults) {
	t.Refused++
	for _, f := range faults {
		row := t.row(f.Target)
		switch f.Kind {
		case mapping.Empty:
			row.Required++
		case mapping.TooLong:
			row.TooLong++
		case mapping.Characters:
			row.Characters++
		default:
			row.Other++
		}
		user.Findings = append(user.Findings, MappingFinding{Target: f.Target, Kind: FindingKind(f.Kind), Detail: f.Detail, Remedy: f.Remedy})
	}
}

// compare notes what would differ, row by row, and then what no row of the draft speaks of.
func (t *trial) compare(user *MappedUser, was scim.Attributes, mapped derived) {
	rest := diff(was, mapped.attributes)
	if len(rest) > 0 {
		t.Changed++
	}
	for i, target := range t.targets {
		row := &t.Rows[i]
		before, after := t.table.Value(target, was), t.table.Value(target, mapped.attributes)
		if after == nil {
			row.Empty++
			user.Findings = append(user.Findings, MappingFinding{Target: row.Target, Kind: FindingUnset})
		}
		if len(rest) > 0 && !scim.Equal(before, after) {
			row.Changes++
			user.Findings = append(user.Findings, MappingFinding{Target: row.Target, Kind: FindingChange, Old: before, New: after})
		}
	}
	for _, c := range rest {
		if !t.speaksOf(c.Path) {
			t.row(c.Path).Changes++
			user.Findings = append(user.Findings, MappingFinding{Target: c.Path, Kind: FindingChange, Old: c.Old, New: c.New})
		}
	}
	for _, target := range mapped.guesses {
		t.row(target).Guesses++
		user.Findings = append(user.Findings, MappingFinding{Target: target, Kind: FindingGuess, New: t.table.Value(target, mapped.attributes)})
	}
}

// speaksOf reports whether a row assigns an attribute, or a part of it.
func (t *trial) speaksOf(path string) bool {
	for _, target := range t.targets {
		if rest, below := strings.CutPrefix(target, path); below && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}
