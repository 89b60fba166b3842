package provisioning

import (
	"fmt"
	"slices"
	"strings"

	"meibo/scim"
)

// What found a resource.
const (
	matchedByID         = "id"
	matchedByExternalID = "externalId"
	matchedByUserName   = "userName"
	matchedByEmails     = "emails"
	matchedByPerson     = "person"
)

// meant is the resource that an assertion means.
type meant struct {
	current  *Resource       // nil: a new one is to be made
	asserted scim.Attributes // current's document, decoded
	by       string          // what found it; "" for a new one
	linked   bool            // it was not the connection's, and becomes so
	alike    []string        // ids of the connection's own that have the stable key too, and of which none could be taken
}

// match finds the resource that is meant: the one addressed; for a create the invisible account with an
// equal stable key; or an account of another owner that the connection may adopt (semantics §2).
func match(f Facts, d Desired, r *Rules) (meant, error) {
	if d.Link {
		return meant{current: f.Current, asserted: f.Asserted, by: matchedByPerson, linked: f.Current.Connection != d.Connection}, nameIsFree(f, f.Current.ID, d)
	}
	if f.Current != nil {
		return meant{current: f.Current, asserted: f.Asserted, by: matchedByID}, nameIsFree(f, f.Current.ID, d)
	}
	if err := nameIsFree(f, "", d); err != nil || d.Type != scim.User {
		return meant{}, err
	}
	switch stable := f.Candidates.Stable; {
	case len(stable) == 1 && !stable[0].Visible:
		return found(&stable[0], r.Settings.Matching.StableKey)
	case len(stable) == 0:
		return adopt(f, d, r)
	default:
		m := meant{}
		for _, x := range stable {
			m.alike = append(m.alike, x.ID)
		}
		return m, nil
	}
}

// found is a stored resource that was matched.
func found(x *Resource, by string) (meant, error) {
	asserted, err := decoded(x.Type, x.Asserted)
	return meant{current: x, asserted: asserted, by: by}, err
}

// nameIsFree refuses a name that a visible resource of the connection has.
func nameIsFree(f Facts, self string, d Desired) error {
	if v := f.Candidates.Visible; v != nil && v.ID != self {
		return Taken(nameAttribute(d.Type))
	}
	return nil
}

// adopt finds the account of another owner, or of none, that a create means, and whether the connection may
// have it. The first matching attribute that finds one decides.
func adopt(f Facts, d Desired, r *Rules) (meant, error) {
	others, by := strangers(f, d, r)
	if len(others) == 0 {
		return meant{}, nil
	}
	mode := r.Settings.Matching.Adoption
	if mode == AdoptionRefuse {
		return meant{}, Taken(by)
	}
	if x := &others[0]; mode == AdoptionAdopt && len(others) == 1 && !r.protects(x) && !f.Kept[x.ID] && r.verified(d.Asserted, by) {
		m, err := found(x, by)
		m.linked = true
		return m, err
	}
	return ask(f, d, others, by)
}

// strangers are the accounts of other owners that an assertion may mean, and what found them.
func strangers(f Facts, d Desired, r *Rules) ([]Resource, string) {
	for _, by := range r.Settings.Matching.Attributes {
		var out []Resource
		switch e := f.Candidates.Effective; {
		case by == matchedByEmails:
			out = f.Candidates.Mail
		case e != nil && e.Connection != d.Connection:
			out = []Resource{*e}
		}
		if len(out) > 0 {
			return out, by
		}
	}
	return nil, ""
}

// verified reports whether the value that found an account proves who is meant: all addresses that could
// have found it are of verified domains.
func (r *Rules) verified(a scim.Attributes, by string) bool {
	names := []string{nameOf(scim.User, a)}
	if by == matchedByEmails {
		names = addressesOf(a)
	}
	return !slices.ContainsFunc(names, func(name string) bool { return !r.domains[domainOf(name)] })
}

// addressesOf are the folded e-mail addresses of a document.
func addressesOf(a scim.Attributes) []string {
	emails := emailsOf(a)
	out := make([]string, 0, len(emails))
	for _, e := range emails {
		if e.Value != "" {
			out = append(out, e.Value)
		}
	}
	return out
}

// ask refuses a create until a person has said whose account it is.
func ask(f Facts, d Desired, others []Resource, by string) (meant, error) {
	name := nameOf(d.Type, d.Asserted)
	question := &Matter{Connection: d.Connection, Kind: MatterAdoption, Type: d.Type, Name: name, Key: adoptionKey(d),
		Reason:   Reason{Code: ReasonAdoption, Args: map[string]string{"by": by}},
		Asserted: scim.Standard(d.Type).Encode(d.Asserted)}
	for _, x := range others {
		question.Candidates = append(question.Candidates, x.ID)
	}
	if f.Departure == nil {
		return meant{}, &lacking{departure: &BudgetQuery{Connection: d.Connection, Kind: BudgetUsers, Key: question.Key}}
	}
	refusal := Taken(by)
	refusal.Detail = fmt.Sprintf("the %s may mean an account that this connection does not own (%s); an administrator has to link it, see the open matter %q",
		by, strings.Join(question.Candidates, ", "), question.Key)
	for _, past := range f.Departure.Matters {
		if past.Kind != MatterAdoption || past.Key != question.Key {
			continue
		}
		switch past.Status {
		case MatterIgnored:
			refusal.Detail = "an administrator chose that this account is not managed by this connection"
			return meant{}, refusal
		case MatterCreated:
			if by == matchedByEmails {
				return meant{}, nil // somebody else with the same address, and free to have an account
			}
			refusal.Detail = "an administrator chose that this is another person, who needs another userName"
			return meant{}, refusal
		}
	}
	refusal.Matter = question
	return meant{}, refusal
}

// adoptionKey names the question whose account a userName is.
func adoptionKey(d Desired) string {
	return string(MatterAdoption) + ":" + scim.FoldFull.Apply(nameOf(d.Type, d.Asserted))
}

// effectiveNameIsFree refuses an effective userName that is held by an account of the tenant which
// cannot make room for it, and says why where that does not follow from what was sent.
func (r *Rules) effectiveNameIsFree(f Facts, m meant, after *Resource) error {
	e := inTheWay(f, after)
	if e == nil || yields(e, after.Connection) {
		return nil
	}
	if e.Connection == after.Connection && !f.HasWaiting {
		return &lacking{waiting: e}
	}
	refusal := Taken(nameAttribute(after.Type))
	waits := slices.IndexFunc(f.Waiting, func(w Matter) bool { return w.Status == MatterOpen && w.Cause != CauseMembers && w.Cause != CauseRole })
	switch frozen := r.Settings.Mapping.UserName.Frozen && m.current != nil && after.Index.EffectiveName != after.Index.Name; {
	case waits >= 0:
		w := f.Waiting[waits]
		refusal.Detail = fmt.Sprintf("the account %s has this userName until a person has decided on its departure: see the open matter %s (%s, %s)", e.ID, w.ID, w.Kind, w.Cause)
	case frozen:
		refusal.Detail = fmt.Sprintf("the account %s keeps the userName that it was created with (mapping.userName.frozen), which the account %s has by now; give that one another userName",
			after.ID, e.ID)
	case e.Connection != after.Connection:
		refusal.Detail = fmt.Sprintf("the account %s of another owner has this userName; an administrator has to link it to this connection, or to give one of the two another userName", e.ID)
	case e.Index.Name != e.Index.EffectiveName:
		refusal.Detail = fmt.Sprintf("the account %s has this userName for the host application, though its client calls it otherwise (mapping.userName, an override, or the name that it left with); "+
			"give one of the two another userName", e.ID)
	}
	return refusal
}

// inTheWay is the account that holds the effective userName which another one is to have; nil for none.
func inTheWay(f Facts, after *Resource) *Resource {
	e := f.Candidates.Effective
	if e == nil || e.ID == after.ID || after.State == Removed || e.Index.EffectiveName != after.Index.EffectiveName {
		return nil
	}
	return e
}

// yields reports whether the holder of an effective userName makes room for it: only an account
// of the same connection that its client no longer sees, or no longer sees under that name.
func yields(holder *Resource, connection int64) bool {
	if holder.Connection != connection {
		return false
	}
	return !holder.Visible || holder.State == Suspended && holder.Index.Name != holder.Index.EffectiveName
}
