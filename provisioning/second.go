package provisioning

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"meibo/scim"
)

// proposal is a change of what keeps departures in check, which somebody wants where the settings demand that two do.
type proposal struct {
	what       string // for people: "settings", "allowance", "user", "group", "import" or "undo"
	content    any    // what both have to want alike, as JSON
	args       map[string]string
	until      time.Time  // when it no longer makes sense; zero: never
	connection Connection // zero for nobody's
	resource   Resource   // that it is about, if it is about one
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
	case confirmed == nil || samePerson(confirmed.Proposed, o.Actor):
		args := map[string]string{"what": p.what}
		for k, v := range p.args {
			args[k] = v
		}
		open := &Matter{Connection: p.connection.ID, Kind: MatterProposal, Name: p.what, Resource: p.resource.ID, Type: p.resource.Type, Key: key, Proposed: o.Actor, Until: p.until,
			Reason: Reason{Code: ReasonSecondPerson, Args: args}}
		return &MatterChange{Open: open}, nil, &Error{Kind: Forbidden, Attribute: "secondPerson",
			Detail: p.demands() + " demand a second person for this; it is noted among the open matters and counts once somebody else asks for the same"}, nil
	case !confirmed.Until.IsZero() && !confirmed.Until.After(now):
		closed := closedMatter(*confirmed, MatterObsolete, now, o.Actor)
		return &MatterChange{Update: &closed}, nil, &Error{Kind: Conflict, Attribute: "until",
			Detail: "what was proposed has run out meanwhile; propose it anew"}, nil
	}
	closed := closedMatter(*confirmed, MatterAllowed, now, o.Actor)
	return &MatterChange{Update: &closed}, confirmed, nil, nil
}

// demands says whose settings want two.
func (p proposal) demands() string {
	if p.connection.Name == "" {
		return "the settings of this tenant's connections"
	}
	return fmt.Sprintf("the settings of connection %q", p.connection.Name)
}

// agree notes a proposal and returns the refusal to answer; or, where somebody else made the same one before, what closes
// that: it is for the unit of work that does what both want.
func (s *Service) agree(ctx context.Context, o Origin, p proposal) (closes *MatterChange, err error) {
	agreed := errors.New("somebody else wants the same")
	var refusal *Error
	err = s.administer(ctx, o, func(tx Tx) ([]step, error) {
		if closes, _, refusal, err = s.second(tx, o, p); err != nil {
			return nil, err
		}
		if refusal == nil {
			return nil, agreed
		}
		return []step{proposalStep(p, closes)}, nil
	})
	switch {
	case errors.Is(err, agreed):
		return closes, nil
	case err == nil:
		err = refusal
	}
	return nil, err
}

// actProposal is what an Act comes to if two have to want it.
func actProposal(c Connection, x Resource, a Act, why string) proposal {
	what := map[scim.ResourceType]string{scim.User: "user", scim.Group: "group"}[x.Type]
	args := a.args()
	args["because"], args["resource"] = why, x.ID
	if a.State != Removed {
		a.Grace = 0 // of nothing
	}
	if len(a.Overrides) == 0 {
		a.Overrides = nil
	}
	return proposal{what: what, connection: c, resource: x, args: args, content: struct {
		ID  string
		Act Act
	}{x.ID, a}}
}

// Order is something that many changes come of, and that two persons have to want alike.
type Order struct {
	What       string // for people: "import" or "undo"
	Connection string // whose settings demand it; "" for nobody's
	Because    string // why it takes two
	Content    any    // what both have to want alike, as JSON
}

// Agree notes an order and refuses it, Forbidden, until somebody else gives the same. From then on it is to be carried out.
func (s *Service) Agree(ctx context.Context, o Origin, order Order) error {
	p := proposal{what: order.What, content: order.Content, args: map[string]string{"because": order.Because}}
	if order.Connection != "" {
		c, err := s.Connection(ctx, o.Tenant, order.Connection)
		if err != nil {
			return err
		}
		p.connection = c
	}
	closes, err := s.agree(ctx, o, p)
	if err != nil {
		return err
	}
	o.Connection = p.connection
	return s.note(ctx, o, *closes.Update, "matterResolved")
}

func closedMatter(m Matter, status MatterStatus, at time.Time, by string) Matter {
	m.Status, m.ClosedAt, m.ClosedBy = status, at, by
	return m
}

// proposalStep is the entry of a proposal that waits, or has run out.
func proposalStep(p proposal, change *MatterChange) step {
	return step{matter: change, reason: reasonMatterProposed, connection: p.connection, args: map[string]string{"kind": string(MatterProposal), "what": p.what}}
}

// gravely reports whether a key of the settings keeps departures, guards or this demand in check. Who gets a role is grave
// where a push may give guarded ones.
func gravely(key string, grantGuarded bool) bool {
	section, _, _ := strings.Cut(key, ".")
	switch section {
	case "tolerance", "guard", "deletion":
		return true
	case "roles":
		return grantGuarded || strings.HasPrefix(key, "roles.guarded") || key == "roles.grantGuarded"
	default:
		return key == "matters.secondPerson" || strings.HasPrefix(key, "matters.impact.")
	}
}

// settingsProposal is what a change of settings comes to if two have to want it, and whether they do: where what gravely
// names changes, or more would leave by it than the tolerance lets go.
func settingsProposal(c Connection, before SettingsVersion, d SettingsDraft, diff []AttributeChange, stopped []Verdict) (p proposal, needed bool) {
	var keys []string
	for _, change := range diff {
		if gravely(change.Path, before.Settings.Roles.GrantGuarded) {
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
