package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"meibo/provisioning"
	"meibo/scim"
)

// defaultEntries is what fits a screen.
const defaultEntries = 50

// logOptions are the flags of `meibo log` as they were given.
type logOptions struct {
	tenant, connection, user, correlation string
	action, outcome, since, until         string
	limit                                 int
	json                                  bool
}

func (p *program) logCommand() *cobra.Command {
	var o logOptions
	cmd := &cobra.Command{
		Use: "log --tenant T", Short: "Print the newest entries of a tenant's journal", Args: cobra.NoArgs,
		Long: "Print the newest entries of a tenant's journal, newest first. Times are instants, dates, or spans such as 24h or 7d ago.",
	}
	f := cmd.Flags()
	f.StringVar(&o.tenant, "tenant", "", "name of the tenant")
	_ = cmd.MarkFlagRequired("tenant")
	f.StringVar(&o.connection, "connection", "", "only this connection's")
	f.StringVar(&o.user, "user", "", "only of the user or group with this userName, displayName or id")
	f.StringVar(&o.correlation, "correlation", "", "only of the request with this correlation id")
	f.StringVar(&o.action, "action", "", "only create, update, disable, delete, stagedDelete or other")
	f.StringVar(&o.outcome, "outcome", "", "only success, failure, skipped or warning")
	f.StringVar(&o.since, "since", "", "only from this time on")
	f.StringVar(&o.until, "until", "", "only before this time")
	f.IntVar(&o.limit, "limit", 0, fmt.Sprintf("at most so many; 0 for %d in a table and all in JSON", defaultEntries))
	f.BoolVar(&o.json, "json", false, "print all of each entry, one JSON object a line")
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, _ []string) error {
		q, err := o.query(ctx, s)
		if err != nil {
			return err
		}
		if o.json {
			return s.Entries(ctx, o.tenant, q, func(e provisioning.Entry) error { return printJSON(p.stdout, entryView(o.tenant, e)) })
		}
		return printEntries(ctx, p.stdout, s, o.tenant, q)
	})
}

func (o logOptions) query(ctx context.Context, s *provisioning.Service) (q provisioning.EntryQuery, err error) {
	q = provisioning.EntryQuery{Correlation: o.correlation, Action: provisioning.JournalAction(o.action),
		Outcome: provisioning.Outcome(o.outcome), Limit: o.limit}
	if err := o.check(); err != nil {
		return q, err
	}
	if q.Limit == 0 && !o.json {
		q.Limit = defaultEntries
	}
	if _, notID := uuid.Parse(o.user); notID == nil {
		q.Resource = o.user
	} else {
		q.Name = o.user
	}
	if q.Since, err = instant(o.since, s.Now(), back); err != nil {
		return q, err
	}
	if q.Until, err = instant(o.until, s.Now(), back); err != nil {
		return q, err
	}
	if o.connection != "" {
		c, err := s.Connection(ctx, o.tenant, o.connection)
		q.Connection = c.ID
		return q, err
	}
	return q, nil
}

func (o logOptions) check() error {
	actions := []provisioning.JournalAction{"", provisioning.ActionCreate, provisioning.ActionUpdate, provisioning.ActionDisable,
		provisioning.ActionDelete, provisioning.ActionStagedDelete, provisioning.ActionOther}
	outcomes := []provisioning.Outcome{"", provisioning.Success, provisioning.Failure, provisioning.Skipped, provisioning.Warning}
	switch {
	case !slices.Contains(actions, provisioning.JournalAction(o.action)):
		return misuse("--action cannot be %q; choose one of %v", o.action, actions[1:])
	case !slices.Contains(outcomes, provisioning.Outcome(o.outcome)):
		return misuse("--outcome cannot be %q; choose one of %v", o.outcome, outcomes[1:])
	case o.limit < 0:
		return misuse("--limit cannot be negative")
	}
	return nil
}

func printEntries(ctx context.Context, w io.Writer, s *provisioning.Service, tenant string, q provisioning.EntryQuery) error {
	t := newTable(w, "TIME", "CONNECTION", "BY", "ACTION", "OUTCOME", "RESOURCE", "WHAT AND WHY")
	err := s.Entries(ctx, tenant, q, func(e provisioning.Entry) error {
		t.row(e.At.UTC().Format(time.DateTime), e.ConnectionName, e.Actor, string(e.Action), string(e.Outcome),
			strings.TrimSpace(string(e.ResourceType)+" "+e.ResourceName), summary(e))
		return nil
	})
	if err != nil {
		return err
	}
	return t.flush()
}

// summary is what an entry says in a line: what changed, by name only, and what decided.
func summary(e provisioning.Entry) string {
	if e.Error != nil {
		return e.Error.Code + ": " + e.Error.Detail
	}
	var parts []string
	for _, d := range e.Diff {
		parts = append(parts, d.Path)
	}
	m := e.Members
	for _, change := range []struct {
		what string
		n    int
	}{
		{"members +", len(m.Add)}, {"members -", len(m.Remove)}, {"members for the client +", len(m.AssertedAdd)}, {"members for the client -", len(m.AssertedRemove)},
		{"members for the application +", len(m.EffectiveAdd)}, {"members for the application -", len(m.EffectiveRemove)},
	} {
		if change.n > 0 {
			parts = append(parts, fmt.Sprintf("%s%d", change.what, change.n))
		}
	}
	why := e.Reason.Code
	for _, name := range slices.Sorted(maps.Keys(e.Reason.Args)) {
		why += " " + name + "=" + e.Reason.Args[name]
	}
	return strings.TrimSpace(strings.Join(parts, ", ") + " (" + why + ")")
}

// entryJSON is a journal entry for programs, in the words of Entra's provisioning log where it has them.
type entryJSON struct {
	ID            string                         `json:"id"`
	Time          time.Time                      `json:"activityDateTime"`
	Tenant        string                         `json:"tenant"`
	Connection    string                         `json:"connection,omitempty"`
	Actor         string                         `json:"initiatedBy"`
	CorrelationID string                         `json:"correlationId"`
	Request       *provisioning.RequestInfo      `json:"request,omitempty"`
	Duration      *int64                         `json:"durationInMilliseconds,omitempty"`
	Action        provisioning.JournalAction     `json:"action"`
	Outcome       provisioning.Outcome           `json:"outcome"`
	Resource      *entryResource                 `json:"resource,omitempty"`
	MatchedBy     string                         `json:"matchedBy,omitempty"`
	Differences   []provisioning.AttributeChange `json:"differences"`
	Members       entryMembers                   `json:"members"`
	Reason        provisioning.Reason            `json:"reason"`
	Error         *provisioning.EntryError       `json:"error,omitempty"`
}

type entryResource struct {
	ID      string            `json:"id,omitempty"`
	Type    scim.ResourceType `json:"type"`
	Name    string            `json:"name,omitempty"`
	Version int64             `json:"version,omitempty"` // afterwards; none where nothing changed
}

// entryMembers are changes of memberships: of both views, and of one of them alone.
type entryMembers struct {
	Added            []entryMember `json:"added"`
	Removed          []string      `json:"removed"`
	AssertedAdded    []entryMember `json:"assertedAdded,omitempty"`
	AssertedRemoved  []string      `json:"assertedRemoved,omitempty"`
	EffectiveAdded   []entryMember `json:"effectiveAdded,omitempty"`
	EffectiveRemoved []string      `json:"effectiveRemoved,omitempty"`
}

func entryMembersView(d provisioning.MemberDelta) entryMembers {
	members := func(list []scim.Member) []entryMember {
		out := make([]entryMember, 0, len(list))
		for _, m := range list {
			out = append(out, entryMember{Value: m.Value, Display: m.Display})
		}
		return out
	}
	return entryMembers{Added: members(d.Add), Removed: append([]string{}, d.Remove...), AssertedAdded: members(d.AssertedAdd),
		AssertedRemoved: d.AssertedRemove, EffectiveAdded: members(d.EffectiveAdd), EffectiveRemoved: d.EffectiveRemove}
}

type entryMember struct {
	Value   string `json:"value"`
	Display string `json:"display,omitempty"`
}

func entryView(tenant string, e provisioning.Entry) entryJSON {
	view := entryJSON{
		ID: e.ID, Time: e.At, Tenant: tenant, Connection: e.ConnectionName, Actor: e.Actor, CorrelationID: e.Correlation,
		Request: e.Request, Action: e.Action, Outcome: e.Outcome, MatchedBy: e.MatchedBy, Differences: e.Diff,
		Members: entryMembersView(e.Members), Reason: e.Reason, Error: e.Error,
	}
	if e.Request != nil {
		ms := e.Request.Duration.Milliseconds()
		view.Duration = &ms
	}
	if e.ResourceType != "" {
		view.Resource = &entryResource{e.ResourceID, e.ResourceType, e.ResourceName, e.Version}
	}
	if view.Differences == nil {
		view.Differences = []provisioning.AttributeChange{}
	}
	return view
}
