package transfer

import (
	"fmt"

	"meibo/provisioning"
)

// Permission is what whoever applies a plan has agreed to.
type Permission struct {
	Plan        string // digest of the plan that was looked at; "" for whatever it is
	SkipInvalid bool   // rows with mistakes are left out
	Allow       int    // so many may leave at once, whatever the tolerance is
}

// Permits refuses to apply a plan that is another one than was looked at (Precondition), has mistakes (Invalid) or takes
// more than a tolerance and the person allow (Conflict).
func (p *Plan) Permits(by Permission) error {
	if by.Plan != "" && by.Plan != p.Digest {
		return &provisioning.Error{Kind: provisioning.Precondition, Detail: fmt.Sprintf(
			"the file or the directory has changed since plan %s was made, and nothing was applied; what would be done now is plan %s: look at it first", by.Plan, p.Digest)}
	}
	if n := p.Count[Invalid]; n > 0 && !by.SkipInvalid {
		return &provisioning.Error{Kind: provisioning.Invalid, Detail: fmt.Sprintf(
			"%d rows have mistakes, and nothing was applied; correct them, or have invalid rows skipped", n)}
	}
	for _, v := range p.Verdicts {
		if v.Stopped && v.Leaving > by.Allow {
			return &provisioning.Error{Kind: provisioning.Conflict, Detail: fmt.Sprintf(
				"nothing was applied: %s. If that is meant, allow %d to leave", v, v.Leaving)}
		}
	}
	return nil
}

// String says for people what a tolerance has to say.
func (v Verdict) String() string {
	who := "without a connection"
	if v.Connection != "" {
		who = "of connection " + v.Connection
	}
	what := fmt.Sprintf("%d of %d %s %s would leave", v.Leaving, v.Of, v.Kind, who)
	if v.Group != "" {
		what = fmt.Sprintf("%d of %d members of group %q would leave", v.Leaving, v.Of, v.Group)
	}
	if v.Spent > 0 {
		what += fmt.Sprintf(", and %d have left already", v.Spent)
	}
	gone := v.Spent + v.Leaving
	percent := 100 * gone / max(v.Of, 1)
	switch {
	case !v.Stopped:
		return fmt.Sprintf("%s; the tolerance of %d is not reached", what, v.Limit)
	case v.Limit == v.Of*v.Share/100:
		return fmt.Sprintf("%s; a real run would be stopped: %d %% >= %d %%", what, percent, v.Share)
	default:
		return fmt.Sprintf("%s; a real run would be stopped: %d >= %d", what, gone, v.Limit)
	}
}
