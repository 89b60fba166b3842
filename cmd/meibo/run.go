package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"meibo/config"
	"meibo/provisioning"
)

// Exit statuses.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
	exitDiffer = 3 // what was compared is not the same
)

// program is one run of the binary: what it was given, and nothing global.
type program struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer

	acting bool // the arguments were understood and a command's work has begun
}

// run is the whole program. Data goes to stdout, words to stderr. ctx ends a server as SIGTERM
// does. environ is what os.Environ gives; it is listed, not asked, so that a misspelt variable is
// an error instead of nothing.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once

	p := &program{environ: environ, stdin: stdin, stdout: stdout, stderr: stderr}
	root := p.rootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return p.exit(root.ExecuteContext(ctx))
}

func (p *program) rootCommand() *cobra.Command {
	root := p.group("meibo", "A self-hosted SCIM 2.0 provisioning server",
		p.serveCommand(), p.migrateCommand(), p.tenantCommand(), p.connectionCommand(), p.settingsCommand(), p.mappingCommand(), p.tokenCommand(), p.keyCommand(),
		p.logCommand(), p.whyCommand(), p.whyNotCommand(), p.auditCommand(), p.userCommand(), p.groupOfUsersCommand(), p.matterCommand(), p.toleranceCommand(), p.undoCommand(), p.eraseCommand(), p.subjectExportCommand(), p.exportCommand(), p.importCommand(), p.supportPackCommand(), p.drillCommand(), p.configCommand(), p.openapiCommand(), p.versionCommand())
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.HiddenDefaultCmd = true
	root.PersistentFlags().String("config", "", "configuration file (MEIBO_CONFIG; default "+config.DefaultFile+" where there is one)")
	return root
}

// exit says what went wrong and chooses the status.
func (p *program) exit(err error) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(p.stderr, "meibo:", explain(err))
	if errors.Is(err, errDiffer) {
		return exitDiffer
	}
	if _, misuse := errors.AsType[usageError](err); misuse || !p.acting {
		return exitUsage
	}
	return exitFailed
}

// errDiffer is what a comparison that worked comes to where the two are not the same.
var errDiffer = errors.New("it comes out otherwise than it was recorded")

// explain is an error for the person at the terminal. What the core says to a caller's eyes
// suffices, unless the database is at fault: then the cause is what they need.
func explain(err error) string {
	own, ok := errors.AsType[*provisioning.Error](err)
	if !ok || own.Kind == provisioning.Internal || own.Kind == provisioning.Unavailable {
		return err.Error()
	}
	return own.Detail
}

// usageError is a misuse of the command line that shows only when a command looks closer.
type usageError struct{ error }

func misuse(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// action makes a function a command's work: errors before it are misuse, errors of it failures.
func (p *program) action(fn func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		p.acting = true
		return fn(cmd, args)
	}
}

// group is a command that only has others below it.
func (p *program) group(use, short string, children ...*cobra.Command) *cobra.Command {
	names := make([]string, len(children))
	for i, c := range children {
		names[i] = c.Name()
	}
	g := &cobra.Command{Use: use, Short: short, RunE: func(cmd *cobra.Command, args []string) error {
		what := "a command is missing"
		if len(args) > 0 {
			what = fmt.Sprintf("there is no command %q", args[0])
		}
		return misuse("%s after `%s`; choose one of: %s", what, cmd.CommandPath(), strings.Join(names, ", "))
	}, Args: cobra.ArbitraryArgs}
	g.AddCommand(children...)
	return g
}

// settingFlags gives a command the flags of the named settings, or of all.
func settingFlags(cmd *cobra.Command, keys ...string) {
	for _, s := range config.Settings() {
		if s.Flag != "" && (len(keys) == 0 || slices.Contains(keys, s.Key)) {
			cmd.Flags().String(s.Flag, "", fmt.Sprintf("%s (%s; default %q)", strings.TrimSuffix(s.Usage, "."), s.Variable, s.Default))
		}
	}
}

// configuration loads what file, environment and flags say.
func (p *program) configuration(cmd *cobra.Command) (config.Config, error) {
	return config.Load(p.source(cmd))
}

func (p *program) source(cmd *cobra.Command) config.Source {
	flags := map[string]string{}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		for _, s := range config.Settings() {
			if s.Flag == f.Name {
				flags[s.Key] = f.Value.String()
			}
		}
	})
	file, _ := cmd.Flags().GetString("config")
	return config.Source{File: file, Environ: p.environ, Flags: flags}
}
