package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"meibo/provisioning"
	"meibo/provisioning/summary"
	english "meibo/provisioning/words"
	"meibo/scim"
)

// inEnglish says everything to who administers the server itself.
var inEnglish = summary.Speaker{Words: english.English}

func (p *program) whyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "why --tenant T (USER | --entry ID)", Args: cobra.MaximumNArgs(1), Short: "Say why something is so, link by link",
		Long: "Say why a user is active or not, why an attribute of one is what it is, or why an entry of the log says what it says: from the request to what the application sees, each link with the setting that decided. " +
			"USER is a userName, mail address, externalId or id.",
	}
	tenant, asJSON := tenantFlag(cmd), jsonFlag(cmd)
	entry := cmd.Flags().String("entry", "", "id of an entry of the log")
	attribute := cmd.Flags().String("attribute", "", "of the user, such as displayName or name.givenName, or role; without it the state")
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, args []string) error {
		switch {
		case (*entry == "") == (len(args) == 0):
			return misuse("name a user, or an entry of the log with --entry")
		case *entry != "" && *attribute != "":
			return misuse("--attribute is of a user; leave --entry out")
		case *entry != "":
			return p.explainEntry(ctx, s, *tenant, *entry, *asJSON)
		default:
			return p.explainUser(ctx, s, *tenant, args[0], *attribute, *asJSON)
		}
	})
}

func (p *program) explainEntry(ctx context.Context, s *provisioning.Service, tenant, entry string, asJSON bool) error {
	chain, err := s.Why(ctx, tenant, entry)
	if err != nil {
		return err
	}
	view, err := summary.WhyOf(tenant, chain, inEnglish)
	switch {
	case err != nil:
		return err
	case asJSON:
		return printJSON(p.stdout, view)
	}
	printChain(p.stdout, view)
	return nil
}

func (p *program) explainUser(ctx context.Context, s *provisioning.Service, tenant, user, attribute string, asJSON bool) error {
	id, err := s.FindPerson(ctx, tenant, user)
	if err != nil {
		return err
	}
	why, err := s.WhyPerson(ctx, tenant, scim.User, id, attribute)
	if err != nil {
		return err
	}
	view, err := summary.PersonWhyOf(tenant, why, inEnglish)
	switch {
	case err != nil:
		return err
	case asJSON:
		return printJSON(p.stdout, view)
	}
	fmt.Fprintln(p.stdout, printable(view.Sentence))
	if view.Link != nil {
		fmt.Fprintln(p.stdout)
		printLinks(p.stdout, []summary.Link{*view.Link})
	}
	fmt.Fprintf(p.stdout, "\nIt became so with entry %s:\n", view.Chain.Entry.ID)
	printChain(p.stdout, view.Chain)
	return nil
}

func (p *program) whyNotCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "why-not --tenant T USER", Args: cobra.ExactArgs(1), Short: "Say why somebody is not there, or not as expected",
		Long: "Say why somebody is not there, or not as expected, the most likely cause first. USER is a userName, of now or earlier, a mail address or externalId of now, or an id.",
	}
	tenant, asJSON := tenantFlag(cmd), jsonFlag(cmd)
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, args []string) error {
		w, err := s.WhyNot(ctx, *tenant, args[0])
		if err != nil {
			return err
		}
		view := summary.WhyNotOf(w, inEnglish)
		if *asJSON {
			return printJSON(p.stdout, view)
		}
		for _, c := range view.Causes {
			fmt.Fprintf(p.stdout, "%-17s %s\n", c.Cause, printable(c.Sentence))
			if c.Rule != nil {
				fmt.Fprintf(p.stdout, "%-17s (%s, version %d: %s)\n", "", c.Rule.Connection, c.Rule.Version, c.Rule.Path)
			}
			if c.Entry != "" {
				fmt.Fprintf(p.stdout, "%-17s (meibo why --tenant %s --entry %s)\n", "", *tenant, c.Entry)
			}
		}
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
