package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"meibo/provisioning"
)

func (p *program) matterResolveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "resolve --tenant T --csv FILE", Args: cobra.NoArgs, Short: "Choose of many matters at once, as a file says",
		Long: "Choose of many matters at once, as a CSV file says; - reads standard input. Its first line names the columns: matter, userName or externalId say which " +
			"matter is meant, choice is allow, reject, link, create or ignore, candidate is the id of the account to link where several may be meant. " +
			"With a mistake in any row nothing is done, and all mistakes are named. A file that was done before changes nothing.",
	}
	tenant, asJSON := tenantFlag(cmd), jsonFlag(cmd)
	file := cmd.Flags().String("csv", "", "the file")
	dryRun := cmd.Flags().Bool("dry-run", false, "only say what would be done")
	_ = cmd.MarkFlagRequired("csv")
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, _ []string) error {
		choices, err := p.readChoices(*file)
		if err != nil {
			return err
		}
		done, err := s.Choose(ctx, commandLine(*tenant), choices, *dryRun)
		if printed := p.printChosen(done, *asJSON); err == nil {
			err = printed
		}
		return err
	})
}

func (p *program) readChoices(name string) ([]provisioning.Choice, error) {
	in := io.NopCloser(p.stdin)
	if name != "-" {
		var err error
		if in, err = os.Open(name); err != nil {
			return nil, err
		}
	}
	defer in.Close()
	return provisioning.ReadChoices(in)
}

// chosenJSON is what came of a row, for programs.
type chosenJSON struct {
	Line    int                        `json:"line"`
	Matter  string                     `json:"matter"`
	Name    string                     `json:"name"`
	Choice  provisioning.MatterStatus  `json:"choice"`
	Outcome provisioning.ChoiceOutcome `json:"outcome"`
	Detail  string                     `json:"detail,omitempty"`
}

// printChosen tells what came of each row. Rows that failed are its failure.
func (p *program) printChosen(all []provisioning.Chosen, asJSON bool) error {
	failed := 0
	for _, c := range all {
		if c.Outcome == provisioning.ChoiceFailed {
			failed++
		}
		if asJSON {
			view := chosenJSON{c.Choice.Line, c.Matter.ID, c.Matter.Name, c.Choice.Resolution.Status, c.Outcome, c.Detail}
			if err := printJSON(p.stdout, view); err != nil {
				return err
			}
			continue
		}
		line := fmt.Sprintf("line %d: %s %s: %s (%s)", c.Choice.Line, c.Matter.Kind, printable(c.Matter.Name), c.Choice.Resolution.Status, c.Outcome)
		if c.Detail != "" {
			line += ": " + printable(c.Detail)
		}
		fmt.Fprintln(p.stdout, line)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d rows failed; the others are done, and resolving the file again changes nothing of them", failed, len(all))
	}
	return nil
}

func (p *program) matterReopenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "reopen --tenant T ID…", Args: cobra.MinimumNArgs(1), Short: "Ask again about what was ignored, or said to be somebody else",
		Long: "Ask again about what was ignored, or said to be somebody else. `meibo matter list --status ignored` lists them.",
	}
	tenant := tenantFlag(cmd)
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, args []string) error {
		for _, id := range args {
			m, err := s.Reopen(ctx, commandLine(*tenant), id)
			if err != nil {
				return err
			}
			fmt.Fprintf(p.stderr, "%s %s: %s\n", m.Kind, printable(m.Name), m.Status)
		}
		return nil
	})
}
