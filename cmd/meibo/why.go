package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"meibo/provisioning"
	"meibo/provisioning/summary"
	english "meibo/provisioning/words"
)

// inEnglish says everything to who administers the server itself.
var inEnglish = summary.Speaker{Words: english.English}

func (p *program) whyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "why --tenant T --entry ID", Args: cobra.NoArgs, Short: "Say why something happened, link by link",
		Long: "Say why an entry of the log says what it says: from the request to what the application sees, each link with the setting that decided.",
	}
	tenant, asJSON := tenantFlag(cmd), jsonFlag(cmd)
	entry := cmd.Flags().String("entry", "", "id of the entry")
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, _ []string) error {
		if *entry == "" {
			return misuse("name an entry with --entry; the log shows their ids")
		}
		chain, err := s.Why(ctx, *tenant, *entry)
		if err != nil {
			return err
		}
		view, err := summary.WhyOf(*tenant, chain, inEnglish)
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(p.stdout, view)
		}
		printChain(p.stdout, view)
		return nil
	})
}

// printChain prints a chain for people.
func printChain(w io.Writer, c summary.Chain) {
	fmt.Fprintf(w, "%s\n\n", printable(c.Sentence))
	printLinks(w, c.Links)
	switch {
	case c.Reevaluation.Lacks != "":
		fmt.Fprintf(w, "\nIt cannot be decided again from the log: %s.\n", c.Reevaluation.Lacks)
	case !c.Reevaluation.Same:
		fmt.Fprintf(w, "\nDecided again, it comes to something else: %v.\n", c.Reevaluation.Differences)
	}
}

func printLinks(w io.Writer, links []summary.Link) {
	for _, l := range links {
		fmt.Fprintf(w, "%-10s %s\n", l.Kind, printable(l.Sentence))
		if l.Rule != nil {
			where := l.Rule.Path
			if l.Rule.Connection != "" {
				where = fmt.Sprintf("%s, version %d: %s", l.Rule.Connection, l.Rule.Version, where)
			}
			fmt.Fprintf(w, "%-10s (%s)\n", "", where)
		}
	}
}
