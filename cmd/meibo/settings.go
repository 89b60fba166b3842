package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"meibo/provisioning"
	"meibo/provisioning/settings"
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
		Use: "plan FILE --tenant T", Short: "Show what a document would change; - reads standard input", Args: cobra.ExactArgs(1),
		Long: "Show what a document would change in the settings in force, and change nothing. FILE may be - for standard input.",
	}
	tenant, connection, asJSON := tenantFlag(cmd), connectionFlag(cmd), jsonFlag(cmd)
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, args []string) error {
		_, next, err := p.readSettings(args[0])
		if err != nil {
			return err
		}
		before, err := s.Settings(ctx, *tenant, *connection)
		if err != nil {
			return err
		}
		diff := before.Settings.Diff(next)
		if *asJSON {
			return printLines(p.stdout, diff, func(c provisioning.AttributeChange) provisioning.AttributeChange { return c })
		}
		return p.printSettingsPlan(before.Version, diff)
	})
}

func (p *program) printSettingsPlan(version int64, diff []provisioning.AttributeChange) error {
	if len(diff) == 0 {
		fmt.Fprintf(p.stderr, "nothing would change: version %d says the same\n", version)
		return nil
	}
	fmt.Fprintf(p.stderr, "%d keys would change from version %d; `meibo settings apply` %s\n", len(diff), version, takesEffect)
	t := newTable(p.stdout, "KEY", "IN FORCE", "PLANNED")
	for _, c := range diff {
		t.row(c.Path, settingText(c.Old), settingText(c.New))
	}
	return t.flush()
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
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, args []string) error {
		source, next, err := p.readSettings(args[0])
		if err != nil {
			return err
		}
		v, isNew, err := s.ApplySettings(ctx, commandLine(*tenant), *connection,
			provisioning.SettingsDraft{Settings: next, Source: source, Comment: *comment, Expect: *expect})
		if err != nil {
			return err
		}
		return p.printApplied(v, isNew, *asJSON)
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
		return p.printApplied(v, isNew, *asJSON)
	})
}

func (p *program) printApplied(v provisioning.SettingsVersion, isNew, asJSON bool) error {
	switch {
	case asJSON:
		return printJSON(p.stdout, settingsView(v))
	case isNew:
		fmt.Fprintf(p.stderr, "version %d %s\n", v.Version, takesEffect)
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
