package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"meibo/provisioning"
)

func (p *program) mappingCommand() *cobra.Command {
	return p.group("mapping", "The attribute mapping of a connection", p.mappingTestCommand())
}

func (p *program) mappingTestCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "test FILE --tenant T", Args: cobra.ExactArgs(1), Short: "Run the mapping of a settings document over the users that are there, and change nothing; - reads standard input",
		Long: "Run the mapping of a settings document over the users that a connection has, and change nothing: what each row would change, which userNames would collide, " +
			"what comes out empty, too long or with wrong characters. It is what the server does once the document is applied. FILE may be - for standard input. " +
			"With --json each line is a user with what is to be said of it, all of them; the last line has the counts.",
	}
	tenant, connection, asJSON := tenantFlag(cmd), connectionFlag(cmd), jsonFlag(cmd)
	limit := cmd.Flags().Int("limit", defaultEntries, "print at most so many users in a table; 0 for all")
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, args []string) error {
		_, draft, err := p.readSettings(args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			trial, err := s.TryMapping(ctx, *tenant, *connection, draft, func(u provisioning.MappedUser) error {
				return printJSON(p.stdout, mappedUserJSON{u.ID, u.Name, u.Findings})
			})
			if err != nil {
				return err
			}
			return printJSON(p.stdout, trial)
		}
		users := newTable(p.stdout, "NAME", "ID", "TARGET", "WHAT", "AS IT IS", "AS IT WOULD BE")
		shown, more := 0, 0
		trial, err := s.TryMapping(ctx, *tenant, *connection, draft, func(u provisioning.MappedUser) error {
			switch {
			case !tells(u):
			case *limit > 0 && shown == *limit:
				more++
			default:
				shown++
				findingRows(users, u)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if err := p.printTrial(trial); err != nil || shown == 0 {
			return err
		}
		fmt.Fprintln(p.stdout)
		if more > 0 {
			fmt.Fprintf(p.stderr, "the first %d users are shown, --limit 0 shows %d more\n", shown, more)
		}
		return users.flush()
	})
}

// mappedUserJSON is a user of a trial, for programs.
type mappedUserJSON struct {
	ID       string                        `json:"id"`
	Name     string                        `json:"name"`
	Findings []provisioning.MappingFinding `json:"findings"`
}

// tells reports whether there is more to say of a user than that attributes are unassigned, as they may be.
func tells(u provisioning.MappedUser) bool {
	for _, f := range u.Findings {
		if f.Kind != provisioning.FindingUnset {
			return true
		}
	}
	return false
}

func findingRows(t table, u provisioning.MappedUser) {
	for _, f := range u.Findings {
		switch what := string(f.Kind); {
		case f.Kind == provisioning.FindingUnset:
		case f.Detail != "" && f.With != "":
			t.row(u.Name, u.ID, f.Target, what+": "+f.Detail+" ("+f.With+")", "", settingText(f.New))
		case f.Detail != "":
			t.row(u.Name, u.ID, f.Target, what+": "+f.Detail+"; "+f.Remedy, "", "")
		default:
			t.row(u.Name, u.ID, f.Target, what, valueText(f.Old), valueText(f.New))
		}
	}
}

func (p *program) printTrial(trial provisioning.MappingTrial) error {
	fmt.Fprintf(p.stderr, "%d users: %d would change, %d would stay as they are because the mapping is refused\n", trial.Users, trial.Changed, trial.Refused)
	if len(trial.Rows) == 0 {
		return nil
	}
	t := newTable(p.stdout, "TARGET", "CHANGES", "COLLISIONS", "EMPTY", "REQUIRED", "TOO LONG", "CHARACTERS", "OTHER", "GUESSES")
	for _, r := range trial.Rows {
		cells := []string{r.Target}
		for _, n := range []int{r.Changes, r.Collisions, r.Empty, r.Required, r.TooLong, r.Characters, r.Other, r.Guesses} {
			cells = append(cells, strconv.Itoa(n))
		}
		t.row(cells...)
	}
	return t.flush()
}
