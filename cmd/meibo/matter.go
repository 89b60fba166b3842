package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"meibo/provisioning"
	"meibo/scim"
)

func (p *program) matterCommand() *cobra.Command {
	return p.group("matter", "Open matters: what waits for a person",
		p.matterListCommand(), p.matterShowCommand(),
		p.resolveCommand("allow", provisioning.MatterAllowed, "Let a departure or a purge happen"),
		p.resolveCommand("reject", provisioning.MatterRejected, "Keep what was to go; the client's word is ignored until it wants it back"),
		p.resolveCommand("link", provisioning.MatterLinked, "Give the connection the account that its client may mean"),
		p.resolveCommand("create", provisioning.MatterCreated, "Say that it is somebody else, who gets an account under another userName"),
		p.matterResolveCommand(), p.matterReopenCommand(),
		p.resolveCommand("ignore", provisioning.MatterIgnored, "Keep refusing what the client asks for, without asking again"))
}

func (p *program) matterListCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "list --tenant T", Args: cobra.NoArgs, Short: "List what waits for a person, latest first",
		Long: "List what waits for a person, latest first: departures that are held by policy, kept by a guard or delayed by a tolerance, accounts that may be somebody else's, grace times that are over.",
	}
	tenant, asJSON := tenantFlag(cmd), jsonFlag(cmd)
	kind := cmd.Flags().String("kind", "", "held, kept, delayed, adoption, purge or proposal; all without it")
	closed := cmd.Flags().Bool("closed", false, "closed ones too")
	status := cmd.Flags().String("status", "", "allowed, rejected, linked, created, ignored or obsolete: closed ones that ended so, instead of open ones")
	filter := identityFlag(cmd)
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, _ []string) error {
		q := provisioning.MatterQuery{Kind: provisioning.MatterKind(*kind), Status: provisioning.MatterOpen}
		if q.Status = provisioning.MatterStatus(cmp.Or(*status, string(q.Status))); *closed {
			q.Status = ""
		}
		selects, err := provisioning.ParseIdentityFilter(*filter)
		if err != nil {
			return err
		}
		overdue, err := s.Overdue(ctx, *tenant)
		if err != nil {
			return err
		}
		var all []provisioning.Matter
		if err := s.FindMatters(ctx, *tenant, q, selects, func(m provisioning.Matter, selected bool) error {
			if selected {
				all = append(all, m)
			}
			return nil
		}); err != nil {
			return err
		}
		cascades, err := s.Cascades(ctx, *tenant, all)
		if err != nil {
			return err
		}
		if *asJSON {
			return printLines(p.stdout, all, func(m provisioning.Matter) matterJSON {
				v := matterView(m)
				v.Impact, v.Overdue = impactView(m, cascades), overdue(m)
				return v
			})
		}
		t := newTable(p.stdout, "ID", "KIND", "CAUSE", "TYPE", "NAME", "REASON", "THEN", "OPENED", "TIMES", "STATUS", "IMPACT")
		for _, m := range all {
			status := string(m.Status)
			if overdue(m) {
				status = "overdue"
			}
			t.row(m.ID, string(m.Kind), m.Cause, string(m.Type), m.Name, m.Reason.Code, string(m.Then), moment(m.Opened), fmt.Sprint(m.Times), status, impactView(m, cascades).String())
		}
		return t.flush()
	})
}

func (p *program) matterShowCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "show --tenant T ID", Args: cobra.ExactArgs(1), Short: "Show one matter as JSON, with what the client asserts of whom it is about and what goes with the account"}
	tenant := tenantFlag(cmd)
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, args []string) error {
		m, err := s.Matter(ctx, *tenant, args[0])
		if err != nil {
			return err
		}
		cascades, err := s.Cascades(ctx, *tenant, []provisioning.Matter{m})
		if err != nil {
			return err
		}
		overdue, err := s.Overdue(ctx, *tenant)
		if err != nil {
			return err
		}
		v := matterView(m)
		v.Impact, v.Overdue = impactView(m, cascades), overdue(m)
		if v.Asserted, err = s.Identity(ctx, *tenant, m); err != nil {
			return err
		}
		return printJSON(p.stdout, v)
	})
}

// resolveCommand is one choice that can be made of a matter.
func (p *program) resolveCommand(verb string, status provisioning.MatterStatus, short string) *cobra.Command {
	cmd := &cobra.Command{Use: verb + " --tenant T (ID… | --all --kind K)", Short: short}
	tenant, asJSON := tenantFlag(cmd), jsonFlag(cmd)
	some := matterFlags(cmd)
	var until, candidate *string
	switch status {
	case provisioning.MatterAllowed, provisioning.MatterRejected:
		until = cmd.Flags().String("until", "", "how long that holds for a delayed departure: an instant or a span such as 24h")
	case provisioning.MatterLinked:
		candidate = cmd.Flags().String("account", "", "id of the account that is meant, where there are several")
	}
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, args []string) error {
		choice := provisioning.Resolution{Status: status}
		if until != nil {
			at, err := instant(*until, time.Now(), ahead)
			if err != nil {
				return err
			}
			choice.Until = at
		}
		if candidate != nil {
			choice.Candidate = *candidate
		}
		ids, err := some.ids(ctx, s, *tenant, args)
		if err != nil {
			return err
		}
		for _, id := range ids {
			m, err := s.Resolve(ctx, commandLine(*tenant), id, choice)
			if err != nil {
				return err
			}
			if *asJSON {
				if err := printJSON(p.stdout, matterView(m)); err != nil {
					return err
				}
				continue
			}
			fmt.Fprintf(p.stderr, "%s %s: %s\n", m.Kind, printable(m.Name), m.Status)
		}
		return nil
	})
}

// matterSelection is which matters a choice is for.
type matterSelection struct {
	all                 *bool
	kind, cause, filter *string
	limit               *int
}

func identityFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("filter", "", "those about whom a SCIM filter selects, by what the client asserted: 'userName ew \"@example.com\"'")
}

func matterFlags(cmd *cobra.Command) matterSelection {
	f := cmd.Flags()
	return matterSelection{
		all:    f.Bool("all", false, "all open matters of a kind, instead of ids"),
		kind:   f.String("kind", "", "with --all: held, kept, delayed, adoption or purge"),
		cause:  f.String("cause", "", "with --all: of this cause alone, such as deactivated or deleted"),
		limit:  f.Int("limit", 0, "with --all: the latest so many; 0 for all"),
		filter: identityFlag(cmd),
	}
}

// ids are those named, or those of the open matters that are selected.
func (f matterSelection) ids(ctx context.Context, s *provisioning.Service, tenant string, named []string) ([]string, error) {
	switch {
	case *f.all && len(named) > 0, !*f.all && (len(named) == 0 || *f.filter != ""):
		return nil, misuse("give ids, or --all with --kind")
	case !*f.all:
		return named, nil
	case *f.kind == "":
		return nil, misuse("--all needs --kind: held, kept, delayed, adoption or purge")
	}
	var ids []string
	q := provisioning.MatterQuery{Kind: provisioning.MatterKind(*f.kind), Status: provisioning.MatterOpen}
	selects, err := provisioning.ParseIdentityFilter(*f.filter)
	if err != nil {
		return nil, err
	}
	err = s.FindMatters(ctx, tenant, q, selects, func(m provisioning.Matter, selected bool) error {
		if selected && (*f.cause == "" || m.Cause == *f.cause) && (*f.limit == 0 || len(ids) < *f.limit) {
			ids = append(ids, m.ID)
		}
		return nil
	})
	return ids, err
}

// matterJSON is a matter for programs.
type matterJSON struct {
	ID         string              `json:"id"`
	Kind       string              `json:"kind"`
	Cause      string              `json:"cause,omitempty"`
	Status     string              `json:"status"`
	Type       string              `json:"type"`
	Resource   string              `json:"resource,omitempty"`
	Name       string              `json:"name"`
	Reason     provisioning.Reason `json:"reason"`
	Then       string              `json:"then,omitempty"`
	Candidates []string            `json:"candidates,omitempty"`
	Opened     time.Time           `json:"opened"`
	Seen       time.Time           `json:"seen"`
	Times      int                 `json:"times"`
	Proposed   string              `json:"proposedBy,omitempty"`
	ClosedBy   string              `json:"closedBy,omitempty"`
	Overdue    bool                `json:"overdue"`
	Asserted   scim.Attributes     `json:"asserted,omitempty"` // of one that is shown by itself
	Impact     *impactJSON         `json:"impact,omitempty"`
}

// impactJSON is what goes with an account, for programs.
type impactJSON struct {
	Role    string           `json:"role,omitempty"`
	Groups  []string         `json:"groups,omitempty"` // displayNames
	Members *int             `json:"members,omitempty"`
	Counts  map[string]int64 `json:"counts,omitempty"` // as the host application says
	AskedAt *time.Time       `json:"askedAt,omitempty"`
	Failure string           `json:"failure,omitempty"`
}

// impactView is nil for a matter that is about nobody.
func impactView(m provisioning.Matter, all map[string]provisioning.Cascade) *impactJSON {
	cascade, ok := all[m.ID]
	if !ok && m.Impact.Asks == 0 {
		return nil
	}
	v := &impactJSON{Role: cascade.Role, Counts: m.Impact.Counts, Failure: m.Impact.Failure}
	for _, g := range cascade.Groups {
		v.Groups = append(v.Groups, cmp.Or(g.Display, g.ID))
	}
	if ok && m.Type == scim.Group {
		v.Members = &cascade.Members
	}
	if m.Impact.Asks > 0 {
		v.AskedAt = &m.Impact.AskedAt
	}
	return v
}

// String is the impact in a cell of a table.
func (v *impactJSON) String() string {
	if v == nil {
		return ""
	}
	var parts []string
	switch {
	case v.Members != nil:
		parts = append(parts, plural(*v.Members, "member"))
	case v.Role != "":
		parts = append(parts, v.Role, plural(len(v.Groups), "group"))
	}
	switch {
	case v.Counts != nil:
		parts = append(parts, provisioning.CountsText(v.Counts))
	case v.AskedAt != nil:
		parts = append(parts, "not answered")
	}
	return strings.Join(parts, "; ")
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func matterView(m provisioning.Matter) matterJSON {
	return matterJSON{m.ID, string(m.Kind), m.Cause, string(m.Status), string(m.Type), m.Resource, m.Name, m.Reason, string(m.Then),
		m.Candidates, m.Opened, m.Seen, m.Times, m.Proposed, m.ClosedBy, false, nil, nil}
}

func (p *program) toleranceCommand() *cobra.Command {
	return p.group("tolerance", "The tolerance of departures: how many may go at once", p.toleranceAllowCommand())
}

func (p *program) toleranceAllowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "allow --tenant T --until 24h", Args: cobra.NoArgs, Short: "Let more go than the tolerance would, for a while",
		Long: "Let more go than the tolerance of a connection would, for a while; with --reject, have what its client asks for ignored instead.",
	}
	tenant := tenantFlag(cmd)
	connection := cmd.Flags().String("connection", "", "name of the connection; not needed where there is one")
	kind := cmd.Flags().String("kind", string(provisioning.BudgetUsers), "what is let go: users or groups")
	cause := cmd.Flags().String("cause", "", "deactivated, deleted or scope; any without it")
	count := cmd.Flags().Int("count", -1, "how many; any number without it")
	until := cmd.Flags().String("until", "", "how long: an instant, a date or a span such as 24h")
	reject := cmd.Flags().Bool("reject", false, "ignore these departures instead: the accounts stay and the client stops asking")
	_ = cmd.MarkFlagRequired("until")
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, _ []string) error {
		at, err := instant(*until, time.Now(), ahead)
		if err != nil {
			return err
		}
		_, err = s.Allow(ctx, commandLine(*tenant), *connection, provisioning.BudgetKind(*kind),
			provisioning.Allowance{Cause: *cause, Left: *count, Until: at.UTC().Truncate(time.Microsecond), Reject: *reject})
		if err == nil {
			fmt.Fprintf(p.stderr, "noted until %s\n", moment(at))
		}
		return err
	})
}
