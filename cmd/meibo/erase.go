package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"meibo/provisioning"
	"meibo/scim"
)

func (p *program) eraseCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "erase --tenant T USER", Args: cobra.ExactArgs(1), Short: "Erase a person: all values from everything that is kept",
		Long: "Erase a person: all values of a user, by id or userName, go from the directory, the provisioning log, open matters, jobs and captured\n" +
			"requests. Ids, times, actions and outcomes stay. It cannot be undone. docs/privacy.md says what remains on the disk, and until when.\n\n" +
			"Captured requests are opened to see whether they tell of the person: run this with the server's configuration. Those that its secret_key does not open are deleted unread.",
	}
	tenant := tenantFlag(cmd)
	yes := cmd.Flags().Bool("yes", false, "do not ask")
	force := cmd.Flags().Bool("force", false, "remove the user first, where that was not done; who is protected is refused all the same")
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, args []string) error {
		x, err := findUser(ctx, s, *tenant, args[0])
		if err != nil {
			return err
		}
		if !*yes {
			fmt.Fprintf(p.stderr, "Erase the user %s (%s) for ever? Write the id once more: ", x.Index.EffectiveName, x.ID)
			answer, err := bufio.NewReader(p.stdin).ReadString('\n')
			if strings.TrimSpace(answer) != x.ID {
				return errors.Join(errors.New("nothing was erased: that is not the id; --yes does not ask"), err)
			}
		}
		done, err := s.Erase(ctx, commandLine(*tenant), x.ID, *force)
		if err != nil {
			return err
		}
		fmt.Fprintf(p.stdout, "erased %s: %d entries, %d matters, %d jobs, %d captured requests\n", x.ID, done.Entries, done.Matters, done.Jobs, done.Captures)
		if done.Unread > 0 {
			fmt.Fprintf(p.stdout, "%d captured requests more, of whomever they were, were deleted unread: the configuration here has no secret_key that opens them\n", done.Unread)
		}
		for _, v := range done.Settings {
			now := ""
			if v.InForce {
				now = ", which is in force"
			}
			fmt.Fprintf(p.stdout, "version %d of the settings of %s%s, names the user: see to it by hand\n", v.Version, v.Connection, now)
		}
		return nil
	})
}

func (p *program) subjectExportCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "subject-export --tenant T USER", Args: cobra.ExactArgs(1), Short: "Write everything that is held about a person as JSON",
		Long: "Write everything that is held about a person, by id or userName, as one JSON object: what clients assert and the host application sees,\n" +
			"groups, the entries of the provisioning log about the user or naming the member, and what was or is asked about the user.",
	}
	tenant := tenantFlag(cmd)
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, args []string) error {
		x, err := findUser(ctx, s, *tenant, args[0])
		if err != nil {
			return err
		}
		return s.ExportSubject(ctx, commandLine(*tenant), x.ID, p.stdout)
	})
}

// findUser finds a user by id or effective userName.
func findUser(ctx context.Context, s *provisioning.Service, tenant, text string) (provisioning.Resource, error) {
	if uuid.Validate(text) == nil {
		return s.Account(ctx, tenant, scim.User, text)
	}
	var found []provisioning.Resource
	err := s.Accounts(ctx, tenant, provisioning.AccountQuery{Type: scim.User, Connection: -1, Removed: true, Effective: scim.FoldFull.Apply(text)}, func(x provisioning.Resource) error {
		found = append(found, x)
		return nil
	})
	if err == nil && len(found) != 1 {
		err = &provisioning.Error{Kind: provisioning.NotFound, Detail: "no user has that userName now; name a removed one by id, which `meibo log` shows"}
	}
	if err != nil {
		return provisioning.Resource{}, err
	}
	return found[0], nil
}
