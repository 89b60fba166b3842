package drill

// Preset names the rules that the connection was given, which decide what a scenario expects.
type Preset string

// The presets of meibo. The zero Preset is the default: suspend on every cause.
const (
	Mirror          Preset = "mirror"
	SuspendOrDelete Preset = "suspend-or-delete"
	Guarded         Preset = "guarded"
	HandPicked      Preset = "hand-picked"
)

// States of an account in the host application's view.
const (
	active    = "active"
	suspended = "suspended"
	held      = "held"
	removed   = "removed"
)

// rules say what becomes of an account that leaves.
type rules struct {
	disabled, deleted string    // its state
	tolerance         tolerance // zero: none
	frozen            bool      // the host application keeps to the first userName
	purges            bool      // there is no grace time: who was removed may come back as somebody new, and without memberships
}

// tolerance puts off the departure that would reach a share of the active users, at most a count and at least a floor.
type tolerance struct{ share, count, floor int }

// presets are the rules of each preset. They follow from what the presets promise, not from the server's code.
var presets = map[Preset]rules{
	"":              {disabled: suspended, deleted: suspended, tolerance: tolerance{20, 500, 25}},
	Mirror:          {disabled: removed, deleted: removed, tolerance: tolerance{20, 500, 25}, purges: true},
	SuspendOrDelete: {disabled: suspended, deleted: removed, tolerance: tolerance{20, 500, 25}},
	Guarded:         {disabled: removed, deleted: removed, tolerance: tolerance{10, 100, 5}, frozen: true},
	HandPicked:      {disabled: held, deleted: held},
}

// lets is how many of the active users may leave before the next one is put off.
func (r rules) lets(activeUsers int) int {
	t := r.tolerance
	if t.share == 0 {
		return activeUsers
	}
	return max(min(activeUsers*t.share/100, t.count), t.floor) - 1
}

// lot is what a scenario knows of an account beside what the client asserts.
type lot struct {
	bornInactive bool   // created with active false: suspended under any rules
	admin        bool   // protected
	state        string // of a leaver of whom a person decided; "" for what the rules say
	renamed      bool   // another took over the userName
	firstName    string // the userName of the creation
	purged       bool   // it was removed without a grace time: nothing may be left of it
}

// sight is what the host application must see of a person, the groups left out; UserName is "" where any will do.
func (r rules) sight(p *person) Account {
	a := Account{State: active, Role: "ordinary", UserName: p.attrs["userName"]}
	switch {
	case p.lot.admin:
		a.Role = "admin"
	case p.state == linked && p.active:
	case p.lot.state != "":
		a.State = p.lot.state
	case p.state == deleted && !p.lot.bornInactive:
		a.State = r.deleted
	case p.state == deleted: // suspended already: who is held does not become active again
		a.State = suspended
		if r.deleted == removed {
			a.State = removed
		}
	case p.lot.bornInactive:
		a.State = suspended
	default:
		a.State = r.disabled
	}
	if r.frozen {
		a.UserName = p.lot.firstName
	}
	if p.lot.renamed || p.lot.purged {
		a.UserName = ""
	}
	return a
}
