package provisioning

import (
	"cmp"
	"strings"
)

// whole is the sentence for all of it: the reason, with what it names.
func (t *teller) whole() Statement {
	e := t.entry
	args := []string{}
	for name, v := range e.Reason.Args {
		args = append(args, name, v)
	}
	arg := e.Reason.Args
	code, variant := e.Reason.Code, ""
	switch code {
	case ReasonCreated:
		if e.Version > 0 && t.after != nil && t.after.State != Active {
			args = append(args, "state", string(t.after.State), "cause", t.newcomerCause())
		}
	case ReasonRestored:
		args = append(args, "by", e.MatchedBy)
		if e.MatchedBy == matchedByID {
			variant = "id"
		}
	case ReasonAdopted:
		switch {
		case e.Connection == 0:
			variant = "released"
		case arg["by"] == matchedByPerson:
			variant = "person"
		}
	case ReasonHeld:
		variant = arg["cause"]
	case ReasonKept:
		because, role := t.because(arg["because"])
		args = append(args, "because", because, "role", role, "would", cmp.Or(arg["policy"], "refused"))
		if arg["cause"] == CauseMembers {
			variant = CauseMembers
		}
	case ReasonIgnored:
		if t.byWord(arg["cause"]) {
			variant = "person"
		}
	case ReasonTolerance:
		args = append(args, "would", cmp.Or(arg["policy"], "members"))
		if e.Outcome == Warning {
			variant = "held"
		}
	case ReasonByPerson:
		switch {
		case e.Actor == Schedule:
			variant = "time"
		case arg["cause"] == CauseImport:
			variant = "file"
		case arg["cause"] != "":
			variant = "allowed"
		}
		args = append(args, "cause", cmp.Or(arg["cause"], CauseAgeing))
	case ReasonPurged:
		if arg["cause"] == "" {
			variant = "person"
		}
	case ReasonRefused:
		args = append(args, "error", codeOf(e.Error), "detail", e.Error.Detail)
	case ReasonSecondPerson:
		args = append(args, "what", arg["what"])
	case reasonDeparturesAllowed:
		args = append(args, "counted", arg["kind"])
	}
	if arg["kind"] != "" {
		args = append(args, "kind", arg["kind"])
	}
	return t.say("reason."+code, append(args, "variant", variant)...)
}

// because splits why a guard keeps something into a code and the role that it may be.
func (t *teller) because(text string) (code, role string) {
	role, isRole := strings.CutPrefix(text, "role ")
	switch {
	case role == RoleAdmin:
		return "admin", role
	case isRole:
		return "role", role
	case text == "protected by a person":
		return "person", ""
	default:
		return "settings", ""
	}
}

// newcomerCause is why what is new is not effective.
func (t *teller) newcomerCause() string {
	if doc, err := viewOf(&t.after.Resource); err == nil {
		return cmp.Or(t.rules.cause(t.entry.ResourceType, doc.asserted, t.after.Resource.Groups), CauseImport)
	}
	return CauseImport
}

// byWord reports whether a person, and not the policy, had a departure ignored.
func (t *teller) byWord(cause string) bool {
	return cause == CauseMembers || t.rules.policy(t.entry.ResourceType, cause) != IgnorePolicy
}
