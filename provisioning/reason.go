package provisioning

// Codes of the reasons in the journal. A departure's code is the state it left the account in
// ("suspended", "removed"), with its cause as an argument. Any change that writes proposals of Kana or Romanize has the
// argument guessed: the targets, with blanks between.
const (
	ReasonCreated      = "created"
	ReasonAsserted     = "asserted"         // the client asserts it, and nothing stands against it
	ReasonUnchanged    = "unchanged"        // it is so already
	ReasonRestored     = "restored"         // an equal stable key brought an earlier account back
	ReasonNameRecycled = "userNameRecycled" // another account took over the userName; args: by
	ReasonMemberGone   = "memberGone"       // members that no longer exist were left out; args: members
	ReasonNotFound     = "notFound"
	ReasonRefused      = "refused"      // see the entry's error
	ReasonAdopted      = "adopted"      // an account of another owner, or of none, became the connection's; args: by
	ReasonAdoption     = "adoption"     // whose account it is was asked; args: by
	ReasonHeld         = "held"         // by policy, until a person has spoken; args: cause, policy
	ReasonKept         = "kept"         // by a guard; args: cause, because
	ReasonIgnored      = "ignored"      // by policy, or by a person's word; args: cause
	ReasonTolerance    = "tolerance"    // one more would have reached it; args: cause, counted, spent, of, limit
	ReasonRoleKept     = "roleKept"     // a push may not give or take this role; args: asked, role
	ReasonByPerson     = "byPerson"     // somebody chose it; args: what
	ReasonUndone       = "undone"       // what an earlier change did to the effective state was taken back; args: entry, entries
	ReasonSecondPerson = "secondPerson" // somebody else has to ask for the same; args: what, and what it says
	ReasonPurged       = "purged"       // the grace time was over, or a person said so
	ReasonMemberPurged = "memberPurged" // a member of the group was purged; args: by
	ReasonMemberBack   = "memberBack"   // a member that a purge had taken from the group is back; args: by
	ReasonLastMember   = "lastMember"   // a purge waits, since a protected group would have no member left; args: cause, group
	ReasonExpired      = "expired"      // all that the entry said was kept for as long as the journal is
	ReasonExported     = "exported"     // everything that is held about a person was asked for
	ReasonErased       = "erased"       // all that was kept of a person's values
	ReasonBaseline     = "baseline"     // all that the journal says of the time before it; see Baseline

	ReasonImpact   = "impact"         // a deletion waits until the host application has said what hangs on it; args: cause, policy
	ReasonAnswered = "impactAnswered" // the host application said so; args: counts, and what follows from it
)

// Codes of the reasons of entries about open matters.
const (
	reasonMatterProposed    = "matterProposed"
	reasonMatterResolved    = "matterResolved"
	reasonMatterExpired     = "matterExpired"
	reasonDeparturesAllowed = "departuresAllowed"
)

// Causes of a departure that a SCIM connection can have.
const (
	CauseDeactivated = "deactivated" // active became false
	CauseDeleted     = "deleted"     // DELETE
	CauseScope       = "scope"       // meibo's own scoping filter
)

// isPersonal reports whether somebody chose it of their own accord, and not because a client asserted something.
func (r Reason) isPersonal() bool {
	switch r.Code {
	case ReasonUndone:
		return true
	case ReasonByPerson:
	default:
		return false
	}
	switch r.Args["cause"] {
	case CauseDeactivated, CauseDeleted, CauseScope:
		return false
	default:
		return true
	}
}

// What else a guard or a tolerance withholds.
const (
	CauseMembers = "members" // the removal of members from a group
	CauseRole    = "role"    // the change of a role
	CauseAgeing  = "ageing"  // suspended for long
	CauseImport  = "import"  // a file says so
	CauseGrace   = "grace"   // the grace time is over
)

// recommendations say what a person should do about a refused request, by the error's kind.
var recommendations = map[Kind]string{
	Internal:     "Search the server's log for the correlation id, and report it.",
	Invalid:      "Correct the value or the attribute mapping that the detail names; the client repeats the request by itself.",
	NotFound:     "The client holds an id that no longer exists. Restart provisioning in the client so that it matches again.",
	Conflict:     "Find the other resource by the named attribute, then rename one of the two or let the client match the existing one.",
	Precondition: "The resource changed since the client read it. The client should read it again and repeat the request.",
	Forbidden:    "Use a credential that may do this.",
	Gone:         "Ask for what is kept: see the retention in the configuration.",
	Unavailable:  "Nothing: the client repeats the request by itself.",
}
