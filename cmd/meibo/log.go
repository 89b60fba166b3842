package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"meibo/provisioning"
	"meibo/provisioning/summary"
)

const (
	// defaultEntries is what fits a screen.
	defaultEntries = 50
	// followPause is how long --follow rests when nothing has come, and followLooks how many entries it reads at a time.
	followPause = 500 * time.Millisecond
	followLooks = 100
)

// logOptions are the flags of `meibo log` as they were given.
type logOptions struct {
	summary.Filter
	tenant, user, since, until string
	slower                     time.Duration
	limit                      int
	after                      int64
	json, csv, follow          bool
}

func (p *program) logCommand() *cobra.Command {
	var o logOptions
	cmd := &cobra.Command{
		Use: "log --tenant T", Short: "Print what happened, newest first", Args: cobra.NoArgs,
		Long: "Print what was asked, what was decided and why, newest first. All that is given narrows it. Times are instants, dates, or spans such as 24h or 7d ago.\n\n" +
			"--follow prints what happens from now on, oldest first, as the running server gives it positions; --after goes on behind one.",
	}
	f := cmd.Flags()
	f.StringVar(&o.tenant, "tenant", "", "name of the tenant")
	_ = cmd.MarkFlagRequired("tenant")
	f.StringVar(&o.Connection, "connection", "", "only this connection's")
	f.StringVar(&o.user, "user", "", "only of the user or group with this userName, displayName or id")
	f.StringVar(&o.Prefix, "prefix", "", "only of users and groups whose userName or displayName begins so")
	f.StringVar(&o.Mail, "mail", "", "only of users who have this address now, or had it last")
	f.StringVar(&o.ExternalID, "external-id", "", "only of users and groups that a client calls so now, or called so last")
	f.StringVar(&o.Member, "member", "", "only changes of groups' members that name this id")
	f.StringVar(&o.Cycle, "cycle", "", "only of this cycle")
	f.StringVar(&o.CorrelationID, "correlation", "", "only of the request or run with this correlation id")
	f.StringVar(&o.Action, "action", "", "only create, update, disable, delete, stagedDelete or other")
	f.StringVar(&o.Outcome, "outcome", "", "only success, failure, skipped or warning")
	f.StringVar(&o.Reason, "reason", "", "only decided for this reason, by its code, such as kept")
	f.StringVar(&o.Method, "method", "", "only requests with GET, POST, PUT, PATCH or DELETE")
	f.StringVar(&o.Status, "status", "", "only requests that were answered so: a code such as 409, or a class such as 4xx")
	f.DurationVar(&o.slower, "slower", 0, "only requests that took as long, such as 250ms, or longer")
	f.StringVar(&o.since, "since", "", "only from this time on")
	f.StringVar(&o.until, "until", "", "only before this time")
	f.IntVar(&o.limit, "limit", 0, fmt.Sprintf("at most so many; 0 for %d in a table and all in JSON and CSV", defaultEntries))
	f.BoolVar(&o.json, "json", false, "print all of each entry, one JSON object a line")
	f.BoolVar(&o.csv, "csv", false, "print all of each entry, one row of CSV for spreadsheets")
	f.BoolVar(&o.follow, "follow", false, "print what happens from now on, until you stop it")
	f.Int64Var(&o.after, "after", -1, "with --follow: begin behind this position; 0 for the first of all")
	cmd.AddCommand(p.logCaptureCommand(), p.logCapturesCommand(), p.logReplayCommand())
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, _ []string) error {
		q, err := o.query(ctx, s)
		if err != nil {
			return err
		}
		if o.follow {
			return p.followLog(ctx, s, o, q)
		}
		return p.printLog(ctx, s, o, q)
	})
}

func (o *logOptions) query(ctx context.Context, s *provisioning.Service) (q provisioning.EntryQuery, err error) {
	if err := o.check(); err != nil {
		return q, err
	}
	if id, notID := uuid.Parse(o.user); notID == nil {
		o.Resource = id.String()
	} else {
		o.Name = o.user
	}
	if o.Since, err = instant(o.since, s.Now(), back); err != nil {
		return q, err
	}
	if o.Until, err = instant(o.until, s.Now(), back); err != nil {
		return q, err
	}
	var c provisioning.Connection
	if o.Connection != "" {
		if c, err = s.Connection(ctx, o.tenant, o.Connection); err != nil {
			return q, err
		}
	}
	if q, err = o.Query(c.ID); err != nil {
		return q, misuse("--status: %v", err)
	}
	if o.Cycle != "" {
		if q, err = s.InCycle(ctx, o.tenant, q, o.Cycle); err != nil {
			return q, err
		}
	}
	q.Slower = o.slower
	if q.Limit = o.limit; q.Limit == 0 && !o.json && !o.csv {
		q.Limit = defaultEntries
	}
	return q, nil
}

func (o *logOptions) check() error {
	for _, choice := range []struct {
		flag, given string
		of          []string
	}{
		{"action", o.Action, words(provisioning.ActionCreate, provisioning.ActionUpdate, provisioning.ActionDisable, provisioning.ActionDelete, provisioning.ActionStagedDelete, provisioning.ActionOther)},
		{"outcome", o.Outcome, words(provisioning.Success, provisioning.Failure, provisioning.Skipped, provisioning.Warning)},
		{"method", o.Method, []string{"GET", "POST", "PUT", "PATCH", "DELETE"}},
	} {
		if choice.given != "" && !slices.Contains(choice.of, choice.given) {
			return misuse("--%s cannot be %q; choose one of %v", choice.flag, choice.given, choice.of)
		}
	}
	switch {
	case o.limit < 0:
		return misuse("--limit cannot be negative")
	case o.slower < 0:
		return misuse("--slower cannot be negative")
	case o.json && o.csv:
		return misuse("--json and --csv exclude each other")
	case o.follow && (o.csv || o.limit > 0):
		return misuse("--follow goes on for ever: leave out --csv and --limit")
	case o.after >= 0 && !o.follow:
		return misuse("--after is for --follow; --until and --since choose by time")
	}
	return nil
}

func words[T ~string](list ...T) []string {
	out := make([]string, len(list))
	for i, w := range list {
		out[i] = string(w)
	}
	return out
}

func (p *program) printLog(ctx context.Context, s *provisioning.Service, o logOptions, q provisioning.EntryQuery) error {
	out := bufio.NewWriter(p.stdout)
	w, end, err := o.writer(out)
	if err != nil {
		return err
	}
	err = s.Entries(ctx, o.tenant, q, func(e provisioning.Entry) error {
		view := summary.Of(o.tenant, e)
		view.CycleID = o.Cycle
		return w.Write(view)
	})
	return errors.Join(err, end(), out.Flush())
}

// writer writes entries as they were asked for; end comes after the last.
func (o logOptions) writer(out io.Writer) (w summary.Writer, end func() error, err error) {
	nothing := func() error { return nil }
	switch {
	case o.json:
		return summary.NewNDJSONWriter(out), nothing, nil
	case o.csv:
		w, err = summary.NewCSVWriter(out)
		return w, nothing, err
	default:
		t := logTable{newTable(out, "TIME", "CONNECTION", "BY", "ACTION", "OUTCOME", "RESOURCE", "WHAT AND WHY")}
		return t, t.flush, nil
	}
}

type logTable struct{ table }

func (t logTable) Write(e summary.Entry) error {
	t.row(logCells(e)...)
	return nil
}

func logCells(e summary.Entry) []string {
	resource := ""
	if e.TargetIdentity != nil {
		resource = strings.TrimSpace(e.TargetIdentity.IdentityType + " " + e.TargetIdentity.DisplayName)
	}
	return []string{e.ActivityDateTime.Format(time.DateTime), e.JobID, e.InitiatedBy.ID, e.Action, e.StatusInfo.Status, resource, summary.Line(e)}
}

// followLog prints what gets a position, until ctx ends, and says in the end how to go on.
func (p *program) followLog(ctx context.Context, s *provisioning.Service, o logOptions, q provisioning.EntryQuery) error {
	journal, at := s.Follower(o.tenant, q), max(o.after, provisioning.FromTheOldest)
	told, err := journal.After(ctx, at, 1)
	if err != nil {
		return err
	}
	switch {
	case at > told.Head:
		return unknownPosition(o.tenant, told.Head, at)
	case at == provisioning.FromTheOldest:
		at = told.Head
	}
	defer func() {
		fmt.Fprintf(p.stderr, "`meibo log --tenant %s --follow --after %d` goes on from here\n", o.tenant, at)
	}()
	tick := time.NewTicker(followPause)
	defer tick.Stop()
	for ctx.Err() == nil {
		if told, err = journal.After(ctx, at, followLooks); err != nil {
			break
		}
		if err = p.printTold(o, told.Entries); err != nil {
			break
		}
		if at = told.Reached; at < told.Head {
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		return nil // whoever stops it wants it to end
	}
	return err
}

// unknownPosition is the answer to who has come further than the journal.
func unknownPosition(tenant string, head, at int64) error {
	return fmt.Errorf("the journal of %s has come to position %d, not to %d: it was restored from a backup, or is another one; name a position that it has", tenant, head, at)
}

// printTold prints at once, so that each line is seen when it comes.
func (p *program) printTold(o logOptions, entries []provisioning.PositionedEntry) error {
	out := bufio.NewWriter(p.stdout)
	lines := summary.NewNDJSONWriter(out)
	for _, e := range entries {
		view := summary.At(o.tenant, e)
		view.CycleID = o.Cycle
		if o.json {
			if err := lines.Write(view); err != nil {
				return err
			}
			continue
		}
		cells := logCells(view)
		for i, cell := range cells {
			cells[i] = printable(cell)
		}
		fmt.Fprintf(out, "%d  %s\n", e.Position, strings.Join(cells, "  "))
	}
	return out.Flush()
}
