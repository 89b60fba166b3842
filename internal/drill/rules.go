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
	disabled, deleted string // its state
	tolerance         bool   // the departure that would reach a fifth is put off
}

// presets are the rules of each preset. They follow from what the presets promise, not from the server's code.
var presets = map[Preset]rules{
	"":              {disabled: suspended, deleted: suspended, tolerance: true},
	Mirror:          {disabled: removed, deleted: removed},
	SuspendOrDelete: {disabled: suspended, deleted: removed, tolerance: true},
	Guarded:         {disabled: removed, deleted: removed, tolerance: true},
	HandPicked:      {disabled: held, deleted: held},
}

const (
	toleranceShare = 20 // per cent of the active users
	toleranceCount = 500
	toleranceFloor = 25
)

// lets is how many of the active users may leave before the next one is put off.
func (r rules) lets(activeUsers int) int {
	if !r.tolerance {
		return activeUsers
	}
	return max(min(activeUsers*toleranceShare/100, toleranceCount), toleranceFloor) - 1
}

// lot is what a scenario knows of an account beside what the client asserts.
type lot struct {
	bornInactive bool   // created with active false: suspended under any rules
	admin        bool   // protected
	state        string // of a leaver of whom a person decided; "" for what the rules say
	renamed      bool   // another took over the userName
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
	if p.lot.renamed {
		a.UserName = ""
	}
	return a
}
