package provisioning

import (
	"fmt"
	"slices"
	"strings"

	"meibo/scim"
)

// memberDelta is what a member change really does, given what is known of each id (semantics §4).
// Adding a present member and removing an absent one change nothing. An id that was issued and is
// gone is left out with a warning; one never issued is refused or kept, as the connection says.
// In bothViews is what a person wants, who decides on what is effective as well.
func memberDelta(f Facts, want scim.MemberChange, unknown UnknownMembers, bothViews bool) (MemberDelta, Reason, error) {
	facts := make(map[string]MemberFact, len(f.Members))
	for _, m := range f.Members {
		facts[m.ID] = m
	}
	stands := standings(f, want)

	var delta MemberDelta
	var gone, never []string
	for _, m := range want.Add {
		fact := facts[m.Value]
		switch {
		case len(m.Value) > maxKeyBytes:
			return MemberDelta{}, Reason{}, tooLong("members.value")
		case !fact.Issued && unknown == RefuseUnknownMembers && !stands[m.Value].asserted: // a listed one may have become another owner's
			never = append(never, m.Value)
		case fact.Issued && !fact.Visible:
			gone = append(gone, m.Value)
		case stands[m.Value].asserted:
			if bothViews && !stands[m.Value].effective {
				delta.EffectiveAdd = append(delta.EffectiveAdd, m)
			}
		case stands[m.Value].effective:
			delta.AssertedAdd = append(delta.AssertedAdd, m)
		default:
			delta.Add = append(delta.Add, m)
		}
	}
	if len(never) > 0 {
		return MemberDelta{}, Reason{}, unknownMembersError(never)
	}
	for _, id := range leaving(f, want) {
		switch stand := stands[id]; {
		case !stand.asserted:
			if bothViews && stand.effective {
				delta.EffectiveRemove = append(delta.EffectiveRemove, id)
			}
		case stand.effective:
			delta.Remove = append(delta.Remove, id)
		default:
			delta.AssertedRemove = append(delta.AssertedRemove, id)
		}
	}
	if len(gone) > 0 {
		return delta, Reason{Code: ReasonMemberGone, Args: map[string]string{"members": few(gone)}}, nil
	}
	return delta, Reason{}, nil
}

// standing says in which views somebody is a member.
type standing struct{ asserted, effective bool }

// standings are those of the ids that matter, as far as the facts reach.
func standings(f Facts, want scim.MemberChange) map[string]standing {
	out := make(map[string]standing, len(f.Members)+len(f.Open))
	for _, m := range f.Members {
		out[m.ID] = standing{m.Member, m.Effective}
	}
	if want.Replace {
		for _, m := range f.Open {
			out[m.Value] = standing{m.Asserted, m.Effective}
		}
	}
	return out
}

// leaving are the ids that the client does not want listed any longer, in the order in which they are known.
func leaving(f Facts, want scim.MemberChange) []string {
	if !want.Replace {
		return want.Remove
	}
	stay := make(map[string]bool, len(want.Add))
	for _, m := range want.Add {
		stay[m.Value] = true
	}
	var out []string
	for _, m := range f.Open {
		if !stay[m.Value] {
			out = append(out, m.Value)
		}
	}
	return out
}

// namedAgain are those whom a change adds and the client lists already.
func namedAgain(f Facts, want scim.MemberChange) (ids []string) {
	stands := standings(f, want)
	for _, m := range want.Add {
		if stands[m.Value].asserted {
			ids = append(ids, m.Value)
		}
	}
	return ids
}

// assertedMembers are those that the client lists.
func assertedMembers(open []Membership) []scim.Member {
	out := make([]scim.Member, 0, len(open))
	for _, m := range open {
		if m.Asserted {
			out = append(out, m.Member)
		}
	}
	return out
}

// effectiveMembers are the ids of those that the host application sees.
func effectiveMembers(open []Membership) []string {
	ids := make([]string, 0, len(open))
	for _, m := range open {
		if m.Effective {
			ids = append(ids, m.Value)
		}
	}
	return ids
}

// leaving ends effective memberships of a group by a person's word. What its owner lists is its own, as long as it
// sees the group.
func (a *Act) leaving(x *Resource, open []Membership) MemberDelta {
	switch {
	case !a.Empty:
		kept := slices.DeleteFunc(slices.Clone(open), func(m Membership) bool { return m.Asserted || !slices.Contains(a.Leave, m.Value) })
		return MemberDelta{EffectiveRemove: effectiveMembers(kept)}
	case x.Visible:
		return MemberDelta{EffectiveRemove: effectiveMembers(open)}
	default:
		return MemberDelta{Remove: effectiveMembers(open)}
	}
}

func unknownMembersError(ids []string) *Error {
	return &Error{Kind: Invalid, Type: string(scim.InvalidValue), Attribute: "members",
		Detail: "members: no resource was ever issued with id " + few(ids) + "; create the member first and use the id from its answer"}
}

// few names the first few ids: enough to find the fault, short enough for a log.
func few(ids []string) string {
	shown := make([]string, min(len(ids), 5))
	for i := range shown {
		shown[i] = fmt.Sprintf("%.64q", ids[i])
	}
	text := strings.Join(shown, ", ")
	if n := len(ids) - len(shown); n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// namedMembers are the ids that a change names, each once: those whose facts decide needs.
func namedMembers(c scim.MemberChange) []string {
	ids := make([]string, 0, len(c.Add)+len(c.Remove))
	for _, m := range c.Add {
		ids = append(ids, m.Value)
	}
	return append(ids, c.Remove...)
}
