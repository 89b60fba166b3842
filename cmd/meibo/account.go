package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"meibo/provisioning"
	"meibo/scim"
)

func (p *program) userCommand() *cobra.Command {
	return p.group("user", "Users: what a person chooses of an account's effective side",
		p.actCommand("role ROLE ID…", "Give users a role that no sync changes; \"\" takes the choice back", scim.User, 1, func(args []string) (provisioning.Act, error) {
			return provisioning.Act{Role: &args[0]}, nil
		}),
		p.actCommand("set PATH=VALUE ID…", "Set an attribute that no sync changes; an empty value takes it back", scim.User, 1, func(args []string) (provisioning.Act, error) {
			return override(args[0])
		}),
		p.protectCommand(scim.User, true), p.protectCommand(scim.User, false),
		p.stateCommand(scim.User, "suspend", "Let users no longer in", provisioning.Act{State: provisioning.Suspended}),
		p.stateCommand(scim.User, "restore", "Let users in again, those too who were removed and are in their grace time", provisioning.Act{State: provisioning.Active}),
		p.stateCommand(scim.User, "remove", "Remove users; they can be restored for 30 days", provisioning.Act{State: provisioning.Removed, Grace: removalGrace}))
}

func (p *program) groupOfUsersCommand() *cobra.Command {
	return p.group("group", "Groups: what a person chooses of a group's effective side",
		p.protectCommand(scim.Group, true), p.protectCommand(scim.Group, false),
		p.stateCommand(scim.Group, "restore", "Bring back groups that were removed and are in their grace time", provisioning.Act{State: provisioning.Active}),
		p.stateCommand(scim.Group, "remove", "Remove groups; they can be restored for 30 days", provisioning.Act{State: provisioning.Removed, Grace: removalGrace}))
}

// removalGrace is how long what a person removed can be restored.
var removalGrace = provisioning.DefaultSettings().Deletion.Grace

func (p *program) protectCommand(t scim.ResourceType, on bool) *cobra.Command {
	use, short := "protect ID…", "Keep from now on what no connection may suspend, remove, empty or purge"
	if !on {
		use, short = "unprotect ID…", "Let policies count again"
	}
	return p.actCommand(use, short, t, 0, func([]string) (provisioning.Act, error) { return provisioning.Act{Protected: &on}, nil })
}

func (p *program) stateCommand(t scim.ResourceType, verb, short string, a provisioning.Act) *cobra.Command {
	return p.actCommand(verb+" ID…", short, t, 0, func([]string) (provisioning.Act, error) { return a, nil })
}

// actCommand does one thing to each of the ids that follow its own arguments.
func (p *program) actCommand(use, short string, t scim.ResourceType, own int, read func(args []string) (provisioning.Act, error)) *cobra.Command {
	verb, rest, _ := strings.Cut(use, " ")
	cmd := &cobra.Command{Use: verb + " --tenant T " + rest, Short: short, Args: cobra.MinimumNArgs(own + 1)}
	tenant := tenantFlag(cmd)
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, args []string) error {
		a, err := read(args[:own])
		if err != nil {
			return err
		}
		for _, id := range args[own:] {
			done, err := s.Act(ctx, commandLine(*tenant), t, id, a)
			if err != nil {
				return fmt.Errorf("%s: %w", id, err)
			}
			fmt.Fprintf(p.stderr, "%s: %s\n", id, done.Action)
		}
		return nil
	})
}

// override reads PATH=VALUE; what is JSON is meant as such.
func override(text string) (provisioning.Act, error) {
	path, value, ok := strings.Cut(text, "=")
	if !ok || path == "" {
		return provisioning.Act{}, misuse("%q sets nothing; write PATH=VALUE, such as displayName=\"Anna Berg\"", text)
	}
	var v any
	if value != "" && json.Unmarshal([]byte(value), &v) != nil {
		v = value
	}
	return provisioning.Act{Overrides: map[string]any{path: v}}, nil
}
