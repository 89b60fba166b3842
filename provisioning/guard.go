package provisioning

import (
	"fmt"
	"time"

	"meibo/scim"
)

// guard keeps what is protected, whatever a policy says: the effect is withheld, or the whole request
// refused.
func (r *Rules) guard(d Desired, x *Resource, cause string, policy DeletionPolicy) (effect, error) {
	because := r.because(x)
	if r.Settings.Guard.Mode == GuardRefuse {
		return effect{}, keptByGuard(x, because)
	}
	e := stays(x)
	e.cause, e.action = cause, ChangeHold
	e.warning = Reason{Code: ReasonKept, Args: map[string]string{"cause": cause, "because": because, "policy": string(policy)}}
	e.open(r.matter(x, MatterKept, cause, e.warning, d.Now))
	return e, nil
}

// pin keeps the protection of who loses the name or the owner that it hangs on: a client that renames somebody, gives
// an account up or takes it over does not lift it, nor does a person who gives somebody another name.
func (r *Rules) pin(f Facts, before, after *Resource) {
	switch {
	case before == nil:
	case after.Connection == 0 && before.Connection != 0:
		after.Protected = after.Protected || (f.Kept[before.ID] || r.protects(before)) && !defaultRules.protects(after)
	case f.Kept[before.ID] && !r.protects(after), r.names(before) && !r.names(after):
		after.Protected = true
	}
}

// keptByGuard refuses what a guard keeps.
func keptByGuard(x *Resource, because string) *Error {
	return &Error{Kind: Invalid, Type: string(scim.Mutable),
		Detail: fmt.Sprintf("this %s is protected (%s): no connection may suspend, remove or empty it; an administrator of meibo has to lift the protection first", x.Type, because)}
}

// because says why a resource is protected.
func (r *Rules) because(x *Resource) string {
	switch {
	case r.guarded[x.Role]:
		return "role " + x.Role
	case x.Protected:
		return "protected by a person"
	default:
		return "protected by the settings"
	}
}

// matter is an open matter about a departure.
func (r *Rules) matter(x *Resource, kind MatterKind, cause string, reason Reason, now time.Time) *Matter {
	return &Matter{Connection: x.Connection, Kind: kind, Cause: cause, Resource: x.ID, Type: x.Type, Name: x.called(),
		Key: keyOfMatters(kind, cause) + x.ID, Reason: reason, Then: then(x.Type, cause, r.policy(x.Type, cause)), Opened: now}
}

// keyOfMatters is what the keys of the matters about departures for a cause begin with; the id of the resource ends them.
func keyOfMatters(kind MatterKind, cause string) string { return string(kind) + ":" + cause + ":" }

// called is what a stored resource is called by, for people: folded, since the document is not at hand.
func (x *Resource) called() string {
	if x.Type == scim.Group && x.Index.Display != "" {
		return x.Index.Display
	}
	return x.Index.Name
}

func (e *effect) open(m *Matter) { e.matters = append(e.matters, MatterChange{Open: m}) }

// welcome closes what was asked about the departure of somebody whom the client wants by now. What a person said against
// it is over, too: who leaves for good a year later is weighed anew, and not ignored because of an accident long ago.
func (e *effect) welcome(x *Resource, now time.Time, kinds ...MatterKind) {
	e.settle(x, now, kinds...)
	e.matters[len(e.matters)-1].Settle.Rejected = true
}

// settle closes what the client no longer asks for.
func (e *effect) settle(x *Resource, now time.Time, kinds ...MatterKind) {
	e.matters = append(e.matters, MatterChange{Settle: &MatterSettlement{Connection: x.Connection, Resource: x.ID, Kinds: kinds, At: now}})
}
