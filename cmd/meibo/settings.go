package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"meibo/provisioning"
	"meibo/provisioning/settings"
	"meibo/scim"
)

func (p *program) settingsCommand() *cobra.Command {
	return p.group("settings", "The rules of a connection, as one versioned document",
		p.settingsGetCommand(), p.settingsPlanCommand(), p.settingsApplyCommand(), p.settingsHistoryCommand(),
		p.settingsRollbackCommand(), p.settingsSchemaCommand())
}

// takesEffect tells when a new version counts.
const takesEffect = "takes effect with the next request (within a second on every server)"

func (p *program) settingsGetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "get --tenant T", Short: "Print the settings in force as YAML", Args: cobra.NoArgs,
		Long: "Print the settings in force as YAML: the document as it was written, or what departs from the preset.",
	}
	tenant, connection, asJSON := tenantFlag(cmd), connectionFlag(cmd), jsonFlag(cmd)
	version := cmd.Flags().Int64("version", 0, "another version than the one in force")
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, cmd *cobra.Command, _ []string) error {
		v, err := settingsVersion(ctx, s, cmd, *tenant, *connection, *version)
		switch {
		case err != nil:
			return err
		case *asJSON:
			return printJSON(p.stdout, struct {
				settingsJSON
				Settings json.RawMessage `json:"settings"`
			}{settingsView(v), settings.FormatJSON(v.Settings)})
		}
		fmt.Fprintf(p.stderr, "version %d\n", v.Version)
		return p.printDocument(v)
	})
}

func settingsVersion(ctx context.Context, s *provisioning.Service, cmd *cobra.Command, tenant, connection string, version int64) (provisioning.SettingsVersion, error) {
	if cmd.Flags().Changed("version") {
		return s.SettingsVersion(ctx, tenant, connection, version)
	}
	return s.Settings(ctx, tenant, connection)
}

func (p *program) printDocument(v provisioning.SettingsVersion) error {
	document := []byte(v.Source)
	if len(document) == 0 {
		document = settings.Format(v.Settings)
	}
	if len(document) == 0 {
		document = []byte("# the default: nothing departs from it\n")
	}
	_, err := p.stdout.Write(document)
	return err
}

func (p *program) settingsPlanCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "plan FILE --tenant T", Short: "Show what a document would change and whom it would touch; - reads standard input", Args: cobra.ExactArgs(1),
		Long: "Show what a document would change in the settings in force and whom it would touch, and change nothing. FILE may be - for standard input. " +
			"With --json each line is a difference of the settings (path, old, new) or an account with its differences (id, type, name, action, diff).",
	}
	tenant, connection, asJSON := tenantFlag(cmd), connectionFlag(cmd), jsonFlag(cmd)
	limit := cmd.Flags().Int("limit", defaultEntries, "print at most so many accounts in a table; 0 for all")
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, args []string) error {
		_, next, err := p.readSettings(args[0])
		if err != nil {
			return err
		}
		if err := s.CanServe(next); err != nil {
			return err
		}
		before, err := s.Settings(ctx, *tenant, *connection)
		if err != nil {
			return err
		}
		diff := before.Settings.Diff(next)
		touched := func(fn func(provisioning.AccountChange) error) error {
			if !provisioning.DecidesAnew(diff) {
				return nil
			}
			return s.PlanSettings(ctx, *tenant, *connection, next, fn)
		}
		if *asJSON {
			if err := printLines(p.stdout, diff, func(c provisioning.AttributeChange) provisioning.AttributeChange { return c }); err != nil {
				return err
			}
			return touched(func(c provisioning.AccountChange) error { return printJSON(p.stdout, touchedView(c)) })
		}
		p.printCautions(next)
		if err := p.printDifferences(before.Version, diff); err != nil || !provisioning.DecidesAnew(diff) {
			return err
		}
		if err := p.printTouched(*limit, touched); err != nil {
			return err
		}
		verdicts, err := s.WeighSettings(ctx, *tenant, *connection, next)
		if stops := provisioning.Stops(verdicts); stops != "" {
			fmt.Fprintln(p.stderr, stops)
		}
		return err
	})
}

// printCautions tells what should have been read before.
func (p *program) printCautions(s provisioning.Settings) {
	for _, caution := range s.Cautions() {
		fmt.Fprintln(p.stderr, "caution:", caution)
	}
}

func (p *program) printDifferences(version int64, diff []provisioning.AttributeChange) error {
	if len(diff) == 0 {
		fmt.Fprintf(p.stderr, "nothing would change: version %d says the same\n", version)
		return nil
	}
	fmt.Fprintf(p.stderr, "%d keys would change from version %d; `meibo settings apply` %s\n", len(diff), version, takesEffect)
	if !provisioning.DecidesAnew(diff) {
		fmt.Fprintln(p.stderr, "nobody who is there would be decided on anew: it counts for what comes")
	}
	t := newTable(p.stdout, "KEY", "IN FORCE", "PLANNED")
	for _, c := range diff {
		t.row(c.Path, settingText(c.Old), settingText(c.New))
	}
	return t.flush()
}

// printTouched prints accounts until the limit, and counts all.
func (p *program) printTouched(limit int, touched func(func(provisioning.AccountChange) error) error) error {
	fmt.Fprintln(p.stdout)
	t := newTable(p.stdout, "TYPE", "NAME", "ID", "ACTION", "WHAT")
	counts := map[string]int{}
	total := 0
	err := touched(func(c provisioning.AccountChange) error {
		v := touchedView(c)
		counts[v.Action]++
		if total++; limit == 0 || total <= limit {
			t.row(string(v.Type), v.Name, v.ID, v.Action, v.what())
		}
		return nil
	})
	if err == nil {
		err = t.flush()
	}
	if err != nil {
		return err
	}
	var parts []string
	for _, action := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", action, counts[action]))
	}
	fmt.Fprintf(p.stderr, "%d accounts would be touched", total)
	if total > 0 {
		fmt.Fprintf(p.stderr, ": %s", strings.Join(parts, ", "))
	}
	if limit > 0 && total > limit {
		fmt.Fprintf(p.stderr, "; the first %d are shown, --limit 0 shows all", limit)
	}
	fmt.Fprintln(p.stderr)
	return nil
}

// touchedJSON is what settings would do to an account, for programs.
type touchedJSON struct {
	ID     string                         `json:"id"`
	Type   scim.ResourceType              `json:"type"`
	Name   string                         `json:"name"`
	Action string                         `json:"action"` // of the change; "refuse" where there would be none
	Diff   []provisioning.AttributeChange `json:"diff,omitempty"`
	Reason *provisioning.Reason           `json:"reason,omitempty"`
	Error  string                         `json:"error,omitempty"`
}

func touchedView(c provisioning.AccountChange) touchedJSON {
	v := touchedJSON{ID: c.Resource.ID, Type: c.Resource.Type, Name: c.Resource.Index.Name, Action: "refuse"}
	if c.Err != nil {
		v.Error = explain(c.Err)
		return v
	}
	change := c.Decision.Changes[len(c.Decision.Changes)-1]
	v.Name = cmp.Or(change.Name, v.Name)
	v.Action, v.Diff, v.Reason = string(change.Action), change.Diff, &change.Reason
	return v
}

// what names the attributes that would differ, or why there would be no change.
func (v touchedJSON) what() string {
	if v.Error != "" {
		return v.Error
	}
	paths := make([]string, len(v.Diff))
	for i, c := range v.Diff {
		paths[i] = c.Path
	}
	return strings.Join(paths, ", ")
}

// settingText is a value of a document on one line; a text stands without quotes.
func settingText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

func (p *program) settingsApplyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "apply FILE --tenant T", Short: "Put a document in force as the next version; - reads standard input", Args: cobra.ExactArgs(1),
		Long: "Put a document in force as the next version. It " + takesEffect + ". FILE may be - for standard input.",
	}
	tenant, connection, asJSON := tenantFlag(cmd), connectionFlag(cmd), jsonFlag(cmd)
	comment, expect := commentFlag(cmd), expectFlag(cmd)
	allow := cmd.Flags().Int("allow", 0, "how many may leave because of it where that is more than the tolerance lets go; `settings plan` tells")
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, args []string) error {
		source, next, err := p.readSettings(args[0])
		if err != nil {
			return err
		}
		v, isNew, err := s.ApplySettings(ctx, commandLine(*tenant), *connection,
			provisioning.SettingsDraft{Settings: next, Source: source, Comment: *comment, Expect: *expect, Allow: *allow})
		if err != nil {
			return err
		}
		return p.printApplied(ctx, s, *tenant, *connection, v, isNew, *asJSON)
	})
}

func (p *program) settingsRollbackCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "rollback --to VERSION --tenant T", Short: "Put an earlier version in force again, as the next one", Args: cobra.NoArgs,
		Long: "Put an earlier version in force again, as the next one. It " + takesEffect + ". What the versions in between did stays done.",
	}
	tenant, connection, asJSON := tenantFlag(cmd), connectionFlag(cmd), jsonFlag(cmd)
	comment, expect := commentFlag(cmd), expectFlag(cmd)
	to := cmd.Flags().Int64("to", 0, "the version; 0 for the settings that a connection starts with")
	_ = cmd.MarkFlagRequired("to")
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, _ []string) error {
		v, isNew, err := s.RollbackSettings(ctx, commandLine(*tenant), *connection, *to, *comment, *expect)
		if err != nil {
			return err
		}
		return p.printApplied(ctx, s, *tenant, *connection, v, isNew, *asJSON)
	})
}

func (p *program) printApplied(ctx context.Context, s *provisioning.Service, tenant, connection string, v provisioning.SettingsVersion, isNew, asJSON bool) error {
	switch {
	case asJSON:
		return printJSON(p.stdout, settingsView(v))
	case isNew:
		fmt.Fprintf(p.stderr, "version %d %s\n", v.Version, takesEffect)
		before, err := s.SettingsVersion(ctx, tenant, connection, v.Version-1)
		if err == nil && provisioning.DecidesAnew(before.Settings.Diff(v.Settings)) {
			fmt.Fprintln(p.stderr, "a job of the server decides anew on those who are there")
		}
		p.printCautions(v.Settings)
		return err
	default:
		fmt.Fprintf(p.stderr, "nothing changed: version %d says the same\n", v.Version)
	}
	return nil
}

func (p *program) settingsHistoryCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "history --tenant T", Short: "List the versions of a connection's settings, latest first", Args: cobra.NoArgs}
	tenant, connection, asJSON := tenantFlag(cmd), connectionFlag(cmd), jsonFlag(cmd)
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, _ []string) error {
		all, err := s.SettingsHistory(ctx, *tenant, *connection)
		if err != nil {
			return err
		}
		if *asJSON {
			return printLines(p.stdout, all, settingsView)
		}
		t := newTable(p.stdout, "VERSION", "AT", "BY", "PRESET", "COMMENT")
		for _, v := range all {
			t.row(strconv.FormatInt(v.Version, 10), moment(v.At), v.Actor, string(v.Settings.Preset), v.Comment)
		}
		return t.flush()
	})
}

func (p *program) settingsSchemaCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "schema", Short: "Print the JSON Schema of settings documents, for editors", Args: cobra.NoArgs}
	cmd.RunE = p.action(func(*cobra.Command, []string) error {
		_, err := p.stdout.Write(settings.Schema())
		return err
	})
	return cmd
}

// readSettings reads a document from a file, or from standard input for "-".
func (p *program) readSettings(name string) (source string, s provisioning.Settings, err error) {
	input := p.stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return "", s, err
		}
		defer func() { _ = file.Close() }()
		input = file
	}
	text, err := io.ReadAll(io.LimitReader(input, settings.MaxSize+1))
	if err != nil {
		return "", s, err
	}
	s, err = settings.Parse(text)
	return string(text), s, err
}

func connectionFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("connection", "", "name of the connection; required unless the tenant has exactly one")
}

func commentFlag(cmd *cobra.Command) *string {
	return cmd.Flags().String("comment", "", "why, for those who read the history")
}

func expectFlag(cmd *cobra.Command) *int64 {
	return cmd.Flags().Int64("expect", provisioning.AnyVersion, "fail unless this version is in force; -1 for any")
}

// settingsJSON is a version of settings for programs.
type settingsJSON struct {
	Version int64               `json:"version"`
	At      time.Time           `json:"at"`
	Actor   string              `json:"actor,omitempty"`
	Comment string              `json:"comment,omitempty"`
	Preset  provisioning.Preset `json:"preset,omitempty"`
}

func settingsView(v provisioning.SettingsVersion) settingsJSON {
	return settingsJSON{v.Version, v.At, v.Actor, v.Comment, v.Settings.Preset}
}
