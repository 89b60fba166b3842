package summary

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"meibo/provisioning"
	"meibo/scim"
)

// Step is one step of the way from what was asked to what is stored.
type Step struct {
	Name        string            `json:"name"`
	Type        string            `json:"provisioningStepType" enum:"import,scoping,matching,processing,referenceResolution,export"`
	Status      string            `json:"status" enum:"success,failure,skipped,warning"`
	Description string            `json:"description"`
	Details     map[string]string `json:"details" doc:"Ids, codes, counts and names of attributes; no values."`
}

// step makes a step; details are names and values in turn, of which those without a value are left out.
func step(name, kind string, status provisioning.Outcome, description string, details ...string) Step {
	s := Step{name, kind, string(status), description, map[string]string{}}
	for pair := range slices.Chunk(details, 2) {
		if pair[1] != "" {
			s.Details[pair[0]] = pair[1]
		}
	}
	return s
}

// steps are those that the entry of a user or group shows to have been taken, in their order. Of what else is journalled
// there are none.
func steps(e provisioning.Entry) []Step {
	out := []Step{}
	if e.ResourceType == "" {
		return out
	}
	for _, of := range []func(provisioning.Entry) (Step, bool){imported, scoped, matched, processed, resolved, exported} {
		if s, taken := of(e); taken {
			out = append(out, s)
		}
		if stopsAt(e) == len(out) {
			break
		}
	}
	return out
}

// stopsAt is how many steps were taken of a request that could not be read; -1 for any other.
func stopsAt(e provisioning.Entry) int {
	if unreadable(e) {
		return 1
	}
	return -1
}

// unreadable reports whether the request was refused before anything of it was understood.
func unreadable(e provisioning.Entry) bool {
	return e.Request != nil && e.Error != nil && slices.Contains([]string{string(scim.InvalidSyntax), string(scim.InvalidFilter), string(scim.InvalidPath)}, e.Error.Code)
}

// imported is the arrival of a request: of a connection's client, or of a person.
func imported(e provisioning.Entry) (Step, bool) {
	r := e.Request
	if r == nil {
		return Step{}, false
	}
	from := "a person"
	if initiator, _ := provisioning.InitiatorOf(e.Actor); initiator == provisioning.InitiatorApplication {
		from = e.ConnectionName
	}
	details := []string{"method", r.Method, "path", r.Path, "dialect", r.Dialect, "quirks", strings.Join(r.Quirks, " ")}
	if unreadable(e) {
		return step("EntryImport", "import", provisioning.Failure, "The request could not be read", append(details, "errorCode", e.Error.Code)...), true
	}
	return step("EntryImport", "import", provisioning.Success, fmt.Sprintf("Received %s of a %s from %s", r.Method, e.ResourceType, from), details...), true
}

// scoped is told only where the scoping filter is what decided.
func scoped(e provisioning.Entry) (Step, bool) {
	if e.Reason.Args["cause"] != provisioning.CauseScope {
		return Step{}, false
	}
	return step("EntryScoping", "scoping", provisioning.Skipped, "Not in the scope of the connection's settings", "settingsVersion", strconv.FormatInt(e.SettingsVersion, 10)), true
}

func matched(e provisioning.Entry) (Step, bool) {
	const name, kind = "EntryMatching", "matching"
	switch {
	case e.Reason.Code == provisioning.ReasonNotFound:
		return step(name, kind, e.Outcome, "Nothing has the id that was asked for", "id", e.ResourceID), true
	case e.Reason.Code == provisioning.ReasonAdoption:
		return step(name, kind, e.Outcome, "An account of somebody else may be meant; a person decides", "by", e.Reason.Args["by"]), true
	case e.MatchedBy != "":
		return step(name, kind, provisioning.Success, "Found by "+e.MatchedBy, "by", e.MatchedBy, "id", e.ResourceID), true
	case e.Action == provisioning.ActionCreate && e.Version > 0:
		return step(name, kind, provisioning.Success, "Nobody matched: it is new", "id", e.ResourceID), true
	default:
		return Step{}, false
	}
}

// processed is what was decided.
func processed(e provisioning.Entry) (Step, bool) {
	const name, kind = "EntryProcessing", "processing"
	switch {
	case e.Reason.Code == provisioning.ReasonNotFound, e.Reason.Code == provisioning.ReasonAdoption:
		return Step{}, false
	case e.Error != nil && serverFaults[e.Error.Code]: // the server, not the decision, failed
		return Step{}, false
	case e.Error != nil:
		return step(name, kind, e.Outcome, "Refused", "reason", e.Reason.Code, "errorCode", e.Error.Code), true
	}
	paths := make([]string, len(e.Diff))
	for i, d := range e.Diff {
		paths[i] = d.Path
	}
	description := fmt.Sprintf("Decided: %d attributes change", len(paths))
	switch {
	case e.Version == 0:
		description = "Decided: nothing changes"
	case len(paths) == 0:
		description = "Decided: members change"
	case len(paths) == 1:
		description = "Decided: 1 attribute changes"
	}
	return step(name, kind, e.Outcome, description, "reason", e.Reason.Code, "cause", e.Reason.Args["cause"],
		"settingsVersion", strconv.FormatInt(e.SettingsVersion, 10), "attributes", strings.Join(paths, " ")), true
}

// resolved is told of groups whose members change, or were named without being anybody.
func resolved(e provisioning.Entry) (Step, bool) {
	const name, kind = "EntryReferenceResolution", "referenceResolution"
	m := e.Members
	joined, left := len(m.Add)+len(m.AssertedAdd)+len(m.EffectiveAdd), len(m.Remove)+len(m.AssertedRemove)+len(m.EffectiveRemove)
	counts := []string{"joined", strconv.Itoa(joined), "left", strconv.Itoa(left)}
	switch {
	case e.Reason.Code == provisioning.ReasonMemberGone:
		return step(name, kind, provisioning.Warning, "Members that are nobody were left out", counts...), true
	case joined+left > 0:
		return step(name, kind, provisioning.Success, "Members resolved", counts...), true
	default:
		return Step{}, false
	}
}

// exported is the writing of what was decided.
func exported(e provisioning.Entry) (Step, bool) {
	const name, kind = "EntryExport", "export"
	switch {
	case e.Error != nil && serverFaults[e.Error.Code]:
		return step(name, kind, provisioning.Failure, "The server could not do it", "errorCode", e.Error.Code), true
	case e.Version > 0:
		return step(name, kind, provisioning.Success, fmt.Sprintf("Stored as version %d", e.Version), "version", strconv.FormatInt(e.Version, 10)), true
	default:
		return Step{}, false
	}
}
