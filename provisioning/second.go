package provisioning

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// proposal is a change of what keeps departures in check, which somebody wants where the settings demand that two do.
type proposal struct {
	what       string // for people: "settings" or "allowance"
	content    any    // what both have to want alike, as JSON
	args       map[string]string
	until      time.Time // when it no longer makes sense; zero: never
	connection Connection
}

// key folds equal proposals together.
func (p proposal) key() (string, error) {
	content, err := json.Marshal(p.content)
	digest := sha256.Sum256(content)
	return string(MatterProposal) + ":" + p.what + ":" + hex.EncodeToString(digest[:16]), err
}

// second says whether somebody else than the origin's actor proposed the same before. If so, confirmed is the proposal and
// closes closes it; if not, it is a step that notes this proposal, and refusal is what to answer once that is committed.
func (s *Service) second(r Reader, o Origin, p proposal) (closes *MatterChange, confirmed *Matter, refusal *Error, err error) {
	key, err := p.key()
	if err != nil {
		return nil, nil, nil, err
	}
	err = r.Matters(MatterQuery{Connection: p.connection.ID, Kind: MatterProposal, Status: MatterOpen}, func(m Matter) error {
		if m.Key == key {
			confirmed = &m
		}
		return nil
	})
	if err != nil {
		return nil, nil, nil, err
	}
	now := s.Now()
	switch {
	case confirmed == nil || confirmed.Proposed == o.Actor:
		args := map[string]string{"what": p.what}
		for k, v := range p.args {
			args[k] = v
		}
		open := &Matter{Connection: p.connection.ID, Kind: MatterProposal, Name: p.what, Key: key, Proposed: o.Actor, Until: p.until,
			Reason: Reason{Code: ReasonSecondPerson, Args: args}}
		return &MatterChange{Open: open}, nil, &Error{Kind: Forbidden, Attribute: "secondPerson",
			Detail: fmt.Sprintf("the settings of connection %q demand a second person for this; it is noted among the open matters and counts once somebody else asks for the same", p.connection.Name)}, nil
	case !confirmed.Until.IsZero() && !confirmed.Until.After(now):
		closed := closedMatter(*confirmed, MatterObsolete, now, o.Actor)
		return &MatterChange{Update: &closed}, nil, &Error{Kind: Conflict, Attribute: "until",
			Detail: "what was proposed has run out meanwhile; propose it anew"}, nil
	}
	closed := closedMatter(*confirmed, MatterAllowed, now, o.Actor)
	return &MatterChange{Update: &closed}, confirmed, nil, nil
}

func closedMatter(m Matter, status MatterStatus, at time.Time, by string) Matter {
	m.Status, m.ClosedAt, m.ClosedBy = status, at, by
	return m
}

// proposalStep is the entry of a proposal that waits, or has run out.
func proposalStep(p proposal, change *MatterChange) step {
	return step{matter: change, reason: "matterProposed", connection: p.connection, args: map[string]string{"kind": string(MatterProposal), "what": p.what}}
}

// settingsProposal is what a change of settings comes to if two have to want it, and whether they do: where tolerance,
// guard, the guarded roles or the demand itself change, or more would leave by it than the tolerance lets go.
func settingsProposal(c Connection, before SettingsVersion, d SettingsDraft, diff []AttributeChange, stopped []Verdict) (p proposal, needed bool) {
	var keys []string
	for _, change := range diff {
		section, _, _ := strings.Cut(change.Path, ".")
		if section == "tolerance" || section == "guard" || strings.HasPrefix(change.Path, "roles.guarded") || change.Path == "matters.secondPerson" {
			keys = append(keys, change.Path)
		}
	}
	slices.Sort(keys)
	return proposal{what: "settings", connection: c, args: map[string]string{"keys": strings.Join(keys, " ")},
		content: struct {
			Before   int64
			Settings Settings
		}{before.Version, d.Settings}}, before.Settings.Matters.SecondPerson && (len(keys) > 0 || len(stopped) > 0)
}

// allowanceProposal is what an allowance comes to if two have to want it. How long it holds is not part of it, as
// "for a day" comes to another instant each time it is said.
func allowanceProposal(c Connection, kind BudgetKind, a Allowance) proposal {
	return proposal{what: "allowance", connection: c, until: a.Until,
		args: map[string]string{"kind": string(kind), "cause": a.Cause, "left": fmt.Sprint(a.Left), "until": a.Until.UTC().Format(time.RFC3339)},
		content: struct {
			Kind  BudgetKind
			Cause string
			Left  int
		}{kind, a.Cause, a.Left}}
}
