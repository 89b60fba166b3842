package provisioning

import (
	"fmt"
	"strings"

	"meibo/scim"
)

// memberDelta is what a member change really does, given what is known of each id (semantics §4).
// Adding a present member and removing an absent one change nothing. An id that was issued and is
// gone is left out with a warning; one never issued is refused or kept, as the connection says.
func memberDelta(f Facts, want scim.MemberChange, unknown UnknownMembers) (MemberDelta, Reason, error) {
	facts := make(map[string]MemberFact, len(f.Members))
	for _, m := range f.Members {
		facts[m.ID] = m
	}
	open := openMembers(f, want)

	var delta MemberDelta
	var gone, never []string
	for _, m := range want.Add {
		fact := facts[m.Value]
		switch {
		case len(m.Value) > maxKeyBytes:
			return MemberDelta{}, Reason{}, tooLong("members.value")
		case !fact.Issued && unknown == RefuseUnknownMembers:
			never = append(never, m.Value)
		case fact.Issued && !fact.Visible:
			gone = append(gone, m.Value)
		case !open[m.Value]:
			delta.Add = append(delta.Add, m)
		}
	}
	if len(never) > 0 {
		return MemberDelta{}, Reason{}, unknownMembersError(never)
	}
	delta.Remove = leaving(f, want, open)
	if len(gone) > 0 {
		return delta, Reason{Code: ReasonMemberGone, Args: map[string]string{"members": few(gone)}}, nil
	}
	return delta, Reason{}, nil
}

// openMembers are the ids with an open membership, as far as the facts reach.
func openMembers(f Facts, want scim.MemberChange) map[string]bool {
	open := make(map[string]bool, len(f.Members)+len(f.Open))
	if want.Replace {
		for _, m := range f.Open {
			open[m.Value] = true
		}
		return open
	}
	for _, m := range f.Members {
		open[m.ID] = m.Member
	}
	return open
}

// leaving are the open memberships that end, in the order in which they are known.
func leaving(f Facts, want scim.MemberChange, open map[string]bool) []string {
	if !want.Replace {
		var out []string
		for _, id := range want.Remove {
			if open[id] {
				out = append(out, id)
			}
		}
		return out
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
