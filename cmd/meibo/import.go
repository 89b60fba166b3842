package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"meibo/provisioning"
	"meibo/provisioning/transfer"
	"meibo/scim"
)

// importOptions are the flags of `meibo import` as they were given.
type importOptions struct {
	tenant, connection, plan                                         string
	local, apply, dryRun, deleteMissing, skipInvalid, newIDs, asJSON bool
	allow                                                            int
}

func (p *program) importCommand() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use: "import --tenant T FILE", Short: "Show what a file of users and groups would change, and change it", Args: cobra.ExactArgs(1),
		Long: "Show what a file of users and groups would change, row by row, and with --apply change it. FILE is CSV or NDJSON, - for standard input: " +
			"an export, or one of your own. A preview ends with the digest of the plan; --apply --plan DIGEST does exactly that, or nothing if the " +
			"file or the directory has changed since. Rows with mistakes are all named, and nothing is applied while there are any. " +
			"After an interruption, import the file again: what is done is skipped.",
	}
	f := cmd.Flags()
	f.StringVar(&o.tenant, "tenant", "", "name of the tenant")
	_ = cmd.MarkFlagRequired("tenant")
	f.StringVar(&o.connection, "connection", "", "the connection that owns what the rows are, whatever they say; without it, each row says")
	f.BoolVar(&o.local, "local", false, "nobody owns what the rows are, whatever they say")
	f.BoolVar(&o.dryRun, "dry-run", false, "show what would change; so it is without --apply, too")
	f.BoolVar(&o.apply, "apply", false, "change it")
	f.StringVar(&o.plan, "plan", "", "with --apply: the digest that a preview printed; anything else is refused")
	f.BoolVar(&o.deleteMissing, "delete-missing", false, "delete what --connection (or nobody, with --local) has and the file has not, of the types that the file has rows of")
	f.BoolVar(&o.skipInvalid, "skip-invalid", false, "leave out rows with mistakes")
	f.BoolVar(&o.newIDs, "new-ids", false, "give what is imported ids of its own: for a copy in another tenant of the same database")
	f.IntVar(&o.allow, "allow", 0, "so many may leave at once, whatever the tolerance is")
	f.BoolVar(&o.asJSON, "json", false, "print the preview as JSON, one object a row and one for the plan")
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, args []string) error {
		return p.importFile(ctx, s, o, args[0])
	})
}

func (o importOptions) check() error {
	switch {
	case o.apply && o.dryRun:
		return misuse("--apply and --dry-run exclude each other")
	case o.plan != "" && !o.apply:
		return misuse("--plan goes with --apply")
	case o.local && o.connection != "":
		return misuse("--local and --connection exclude each other")
	case o.deleteMissing && !o.local && o.connection == "":
		return misuse("--delete-missing needs --connection, or --local: whose resources are to be deleted when they are missing?")
	case o.deleteMissing && o.skipInvalid:
		return misuse("--delete-missing and --skip-invalid exclude each other: a row with a mistake may be the one that seems to be missing")
	case o.allow < 0:
		return misuse("--allow %d: name how many may leave", o.allow)
	}
	return nil
}

func (p *program) importFile(ctx context.Context, s *provisioning.Service, o importOptions, name string) error {
	if err := o.check(); err != nil {
		return err
	}
	file, size, err := p.spool(name)
	if err != nil {
		return err
	}
	defer file.Close()
	t := transfer.ImportOptions{Service: s, Origin: commandLine(o.tenant), DeleteMissing: o.deleteMissing, NewIDs: o.newIDs,
		Open: func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(file, 0, size)), nil }}
	if o.local || o.connection != "" {
		t.Owner = &o.connection
	}
	if !o.apply {
		t.Planned = p.printPlanned(o.asJSON)
	}
	bar := newProgress(p.stderr, "read")
	t.Progress = func(_ string, done, of int) { bar.at(done, share(done, of)) }
	plan, err := transfer.NewPlan(ctx, t)
	if err != nil {
		return err
	}
	bar.end(plan.Rows)
	if !o.apply {
		return p.printPlan(plan, o)
	}
	for _, f := range plan.Faults {
		fmt.Fprintln(p.stderr, printable(f.Error()))
	}
	if err := plan.Permits(transfer.Permission{Plan: o.plan, SkipInvalid: o.skipInvalid, Allow: o.allow}); err != nil {
		return err
	}
	bar = newProgress(p.stderr, "applied")
	n, err := transfer.Apply(ctx, t, plan)
	bar.end(n)
	if n > 0 {
		fmt.Fprintf(p.stderr, "`meibo log --tenant %s --correlation %s` tells of each change\n", o.tenant, t.Origin.Correlation)
	}
	return err
}

func share(done, of int) float64 {
	if of == 0 {
		return -1
	}
	return float64(done) / float64(of)
}

// spool copies a file, or standard input, to where nobody changes it until it is closed.
func (p *program) spool(name string) (f *os.File, size int64, err error) {
	in := io.NopCloser(p.stdin)
	if name != "-" {
		if in, err = os.Open(name); err != nil {
			return nil, 0, err
		}
	}
	defer in.Close()
	if f, err = os.CreateTemp("", "meibo-import-*"); err != nil {
		return nil, 0, err
	}
	// Without a name it is gone with the process, however that ends.
	if err = os.Remove(f.Name()); err == nil {
		size, err = io.Copy(f, in)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, size, nil
}

// plannedJSON is a row of a preview for programs.
type plannedJSON struct {
	Verb       transfer.Verb                  `json:"verb"`
	Line       int                            `json:"line,omitempty"`
	Type       scim.ResourceType              `json:"type,omitempty"`
	ID         string                         `json:"id,omitempty"`
	Name       string                         `json:"name,omitempty"`
	Connection string                         `json:"connection,omitempty"`
	Diff       []provisioning.AttributeChange `json:"diff,omitempty"`
	Members    *provisioning.MemberDelta      `json:"members,omitempty"`
	Warning    *provisioning.Reason           `json:"warning,omitempty"`
	Faults     []string                       `json:"faults,omitempty"`
}

func (p *program) printPlanned(asJSON bool) func(transfer.Planned) error {
	return func(row transfer.Planned) error {
		if !asJSON {
			return p.printRow(row)
		}
		view := plannedJSON{Verb: row.Verb, Line: row.Line, Type: row.Type, ID: row.ID, Name: row.Name, Connection: row.Connection, Diff: row.Diff}
		if !row.Members.IsZero() {
			view.Members = &row.Members
		}
		if row.Warning.Code != "" {
			view.Warning = &row.Warning
		}
		for _, f := range row.Faults {
			view.Faults = append(view.Faults, f.Error())
		}
		return printJSON(p.stdout, view)
	}
}

func (p *program) printRow(row transfer.Planned) error {
	where := "not in the file"
	if row.Line > 0 {
		where = fmt.Sprintf("line %d", row.Line)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-7s %-5s %s (%s)\n", row.Verb, row.Type, printable(row.Name), where)
	for _, c := range row.Diff {
		if row.Verb == transfer.Add {
			fmt.Fprintf(&b, "        %s: %s\n", printable(c.Path), shownValue(c.New))
		} else {
			fmt.Fprintf(&b, "        %s: %s → %s\n", printable(c.Path), shownValue(c.Old), shownValue(c.New))
		}
	}
	if n := len(row.Members.Add); n > 0 {
		fmt.Fprintf(&b, "        members: %d more\n", n)
	}
	if n := len(row.Members.Remove); n > 0 {
		fmt.Fprintf(&b, "        members: %d fewer\n", n)
	}
	if row.Warning.Code != "" {
		fmt.Fprintf(&b, "        withheld: %s%s\n", row.Warning.Code, because(row.Warning))
	}
	for _, f := range row.Faults {
		fmt.Fprintf(&b, "        mistake: %s\n", printable(f.Error()))
	}
	_, err := io.WriteString(p.stdout, b.String())
	return err
}

func because(r provisioning.Reason) string {
	if why := r.Args["because"]; why != "" {
		return ", because: " + printable(why)
	}
	return ""
}

// maxShown is how much of a value a preview shows, in characters.
const maxShown = 120

func shownValue(v any) string {
	if v == nil {
		return "nothing"
	}
	text := []rune(printable(string(scim.AppendValue(nil, v))))
	if len(text) > maxShown {
		return string(text[:maxShown]) + "…"
	}
	return string(text)
}

// planJSON is a plan for programs.
type planJSON struct {
	Plan     string                `json:"plan"`
	Rows     int                   `json:"rows"`
	Count    map[transfer.Verb]int `json:"count"`
	Verdicts []string              `json:"verdicts,omitempty"`
	Stopped  bool                  `json:"stopped"` // by a tolerance
	TakesTwo string                `json:"takesTwo,omitempty"`
}

// printPlan ends a preview. Mistakes are its failure.
func (p *program) printPlan(plan *transfer.Plan, o importOptions) error {
	if o.asJSON {
		view := planJSON{Plan: plan.Digest, Rows: plan.Rows, Count: plan.Count, Stopped: plan.Stopped(), TakesTwo: plan.Demand}
		for _, v := range plan.Verdicts {
			view.Verdicts = append(view.Verdicts, v.String())
		}
		if err := printJSON(p.stdout, view); err != nil {
			return err
		}
	} else {
		p.writePlan(plan)
	}
	if n := plan.Count[transfer.Invalid]; n > 0 && !o.skipInvalid {
		return fmt.Errorf("%d rows have mistakes; nothing can be applied before they are corrected, or left out with --skip-invalid", n)
	}
	return nil
}

func (p *program) writePlan(plan *transfer.Plan) {
	fmt.Fprintf(p.stdout, "%d rows:", plan.Rows)
	for _, v := range []transfer.Verb{transfer.Add, transfer.Update, transfer.Delete, transfer.Skip, transfer.Invalid} {
		fmt.Fprintf(p.stdout, " %s %d", v, plan.Count[v])
	}
	fmt.Fprintln(p.stdout)
	for _, v := range plan.Verdicts {
		fmt.Fprintln(p.stdout, printable(v.String()))
	}
	if plan.Demand != "" {
		fmt.Fprintf(p.stdout, "a second person has to order the same (%s)\n", plan.Demand)
	}
	fmt.Fprintf(p.stdout, "plan %s\n", plan.Digest)
}
