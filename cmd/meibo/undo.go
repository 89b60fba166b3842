package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"meibo/provisioning"
)

func (p *program) undoCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "undo --tenant T (--entry ID | --connection N --from TIME | --correlation C)", Args: cobra.NoArgs,
		Short: "Take back what changes did to users and groups",
		Long: "Take back what changes did to users and groups, as the host application sees them: one change, a connection's in a time, or all of one\n" +
			"request or import. What a client reads back stays as it wrote it. Without --apply the command says what it would do, and what stays\n" +
			"because somebody else has changed it since. Times are instants, dates, or spans such as 24h ago.",
	}
	tenant, asJSON := tenantFlag(cmd), jsonFlag(cmd)
	f := cmd.Flags()
	var q provisioning.UndoQuery
	f.StringVar(&q.Entry, "entry", "", "id of the journal's entry about the change")
	f.StringVar(&q.Connection, "connection", "", "name of the connection whose changes are meant")
	f.StringVar(&q.Correlation, "correlation", "", "correlation id of the changes, as meibo log has it")
	from, to := f.String("from", "", "from this time on"), f.String("to", "", "before this time; now without it")
	apply := f.Bool("apply", false, "do it")
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, _ []string) (err error) {
		if q.From, err = instant(*from, s.Now(), back); err != nil {
			return err
		}
		if q.To, err = instant(*to, s.Now(), back); err != nil {
			return err
		}
		plan, err := s.PlanUndo(ctx, *tenant, q)
		if err != nil {
			return err
		}
		if err := p.printUndo(plan, *asJSON); err != nil || !*apply {
			return err
		}
		return p.undo(ctx, s, *tenant, q, *asJSON)
	})
}

// undo orders the job and works on what waits until it is done: here, or in a server that was faster.
func (p *program) undo(ctx context.Context, s *provisioning.Service, tenant string, q provisioning.UndoQuery, asJSON bool) error {
	j, err := s.Undo(ctx, commandLine(tenant), q)
	if err != nil {
		return err
	}
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for j.State != provisioning.JobDone {
		worked, err := s.RunJob(ctx)
		if err != nil {
			return fmt.Errorf("%w\nthe undo is job %s; a running server, or this command, goes on with it", err, j.ID)
		}
		if j, err = s.Job(ctx, tenant, j.ID); err != nil {
			return err
		}
		if j.State == provisioning.JobFailed {
			return fmt.Errorf("job %s failed: %s", j.ID, j.Error)
		}
		if worked || j.State == provisioning.JobDone {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		}
	}
	result, err := j.UndoResult()
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(p.stdout, undoneJSON{Correlation: j.ID, UndoResult: result})
	}
	fmt.Fprintf(p.stderr, "undone: %d; nothing to do: %d; its correlation is %s\n", result.Undone, result.Nothing, j.ID)
	for _, left := range result.Left {
		if left.Refused != "" {
			fmt.Fprintf(p.stderr, "%s %s: %s\n", left.Type, printable(left.Name), left.Refused)
		}
	}
	return nil
}

// undoneJSON is what came of an undo, for programs.
type undoneJSON struct {
	Correlation string `json:"correlation"` // of what the undo changed
	provisioning.UndoResult
}

// undoJSON is what an undo would do to one resource, for programs.
type undoJSON struct {
	ID        string                         `json:"id"`
	Type      string                         `json:"type"`
	Name      string                         `json:"name"`
	Entry     string                         `json:"entry"`
	Entries   int                            `json:"entries"`
	Lost      []string                       `json:"lost,omitempty"`
	Changes   []provisioning.AttributeChange `json:"changes,omitempty"`
	Members   *provisioning.MemberDelta      `json:"members,omitempty"`
	Conflicts []provisioning.UndoConflict    `json:"conflicts,omitempty"`
	Refused   string                         `json:"refused,omitempty"`
}

func undoView(u provisioning.ResourceUndo) undoJSON {
	v := undoJSON{ID: u.ID, Type: string(u.Type), Name: u.Name, Entry: u.Entry, Entries: u.Entries, Lost: u.Lost, Changes: u.Changes,
		Conflicts: u.Conflicts, Refused: u.Refused}
	if !u.Members.IsZero() {
		v.Members = &u.Members
	}
	return v
}

// printUndo prints a plan: first what does not come back, then what would change, then what stays as others made it.
func (p *program) printUndo(plan provisioning.UndoPlan, asJSON bool) error {
	if asJSON {
		return printLines(p.stdout, plan.Resources, undoView)
	}
	fmt.Fprintln(p.stderr, "not undone: what the host application did meanwhile, such as mails that it sent and sessions that it ended")
	if plan.Other > 0 {
		fmt.Fprintf(p.stderr, "not undone: %d entries about settings, tokens, connections or open matters\n", plan.Other)
	}
	for _, u := range plan.Resources {
		for _, lost := range u.Lost {
			fmt.Fprintf(p.stderr, "not undone: %s %s: %s\n", u.Type, printable(cmp.Or(u.Name, u.ID)), lost)
		}
	}
	t := newTable(p.stdout, "TYPE", "NAME", "WHAT", "NOW", "THEN", "NOTE")
	changing := 0
	for _, u := range plan.Resources {
		row := func(what, now, then, note string) { t.row(string(u.Type), cmp.Or(u.Name, u.ID), what, now, then, note) }
		if !u.IsZero() {
			changing++
		}
		for _, c := range u.Changes {
			row(strings.TrimPrefix(c.Path, "meibo."), valueText(c.Old), valueText(c.New), "")
		}
		for _, m := range u.Members.EffectiveAdd {
			row("member", "", m.Value, "")
		}
		for _, id := range u.Members.EffectiveRemove {
			row("member", id, "", "")
		}
		if u.Refused != "" {
			row("", "", "", "stays: "+u.Refused)
		}
		for _, c := range u.Conflicts {
			row(strings.TrimPrefix(c.Path, "meibo."), "", "", fmt.Sprintf("stays: changed since by %s at %s, entry %s", c.By, moment(c.At), c.Entry))
		}
	}
	if err := t.flush(); err != nil {
		return err
	}
	fmt.Fprintf(p.stderr, "%d changes to %d users and groups; %d of them would change\n", plan.Entries, len(plan.Resources), changing)
	return nil
}

// valueText is a value as a cell has it.
func valueText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		text, _ := json.Marshal(v) // it came from JSON
		return string(text)
	}
}
