package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"meibo/internal/auth"
	"meibo/provisioning"
)

func (p *program) keyCommand() *cobra.Command {
	return p.group("key", "API keys of a tenant: for people's tools and the host application",
		p.keyCreateCommand(), p.keyListCommand(), p.keyRevokeCommand())
}

func (p *program) keyCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create --tenant T --role R --holder NAME", Short: "Create an API key and print it, this once", Args: cobra.NoArgs,
		Long: "Create an API key and print it, this once. It is for /api/v1, not for SCIM. Its role says what it may do: an application reads users, " +
			"groups and changes as they are for it; support reads all; an operator also decides and changes; an owner also makes keys and tokens.",
	}
	tenant, asJSON := tenantFlag(cmd), jsonFlag(cmd)
	role := cmd.Flags().String("role", "", "what it may do: "+roleNames())
	holder := cmd.Flags().String("holder", "", "the person or system that it is for, as the journal will name them")
	expires := cmd.Flags().String("expires", "", "when it ends: an instant, a date, or a span such as 90d or 12h; without it, never")
	_ = cmd.MarkFlagRequired("role")
	_ = cmd.MarkFlagRequired("holder")
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, _ []string) error {
		end, err := instant(*expires, s.Now(), ahead)
		if err != nil {
			return err
		}
		text, hash, hint := auth.NewKey()
		k, err := s.CreateKey(ctx, commandLine(*tenant), provisioning.NewAPIKey{
			Holder: *holder, Role: provisioning.KeyRole(*role), Hash: hash, Hint: hint, Expires: end})
		switch {
		case err != nil && provisioning.KindOf(err) == provisioning.Invalid:
			return usageError{err}
		case err != nil:
			return err
		case *asJSON:
			return printJSON(p.stdout, struct {
				Key string `json:"key"`
				keyJSON
			}{text, keyView(k, s.Now())})
		}
		_, err = fmt.Fprintln(p.stdout, text)
		return err
	})
}

func (p *program) keyListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list --tenant T", Short: "List API keys by their last characters", Args: cobra.NoArgs}
	tenant, asJSON := tenantFlag(cmd), jsonFlag(cmd)
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, _ []string) error {
		keys, err := s.Keys(ctx, *tenant)
		if err != nil {
			return err
		}
		view := func(k provisioning.APIKey) keyJSON { return keyView(k, s.Now()) }
		if *asJSON {
			return printLines(p.stdout, keys, view)
		}
		t := newTable(p.stdout, "ID", "HOLDER", "ROLE", "ENDS IN", "STATE", "CREATED", "EXPIRES", "LAST USED")
		for _, k := range keys {
			t.row(k.ID, k.Holder, string(k.Role), "…"+k.Hint, view(k).State, moment(k.Created), moment(k.Expires), moment(k.LastUsed))
		}
		return t.flush()
	})
}

func (p *program) keyRevokeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "revoke --tenant T ID", Short: "End an API key for good; servers follow within a second", Args: cobra.ExactArgs(1)}
	tenant, asJSON := tenantFlag(cmd), jsonFlag(cmd)
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, args []string) error {
		k, err := s.RevokeKey(ctx, commandLine(*tenant), args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(p.stdout, keyView(k, s.Now()))
		}
		fmt.Fprintf(p.stderr, "key …%s has counted no more since %s\n", k.Hint, moment(k.Revoked))
		return nil
	})
}

func roleNames() string {
	names := make([]string, 0, len(provisioning.KeyRoles()))
	for _, r := range provisioning.KeyRoles() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

// keyJSON is an API key for programs, without its text.
type keyJSON struct {
	ID       string    `json:"id"`
	Holder   string    `json:"holder"`
	Role     string    `json:"role"`
	Hint     string    `json:"hint"`
	State    string    `json:"state"` // live, expired or revoked
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires,omitzero"`
	Revoked  time.Time `json:"revoked,omitzero"`
	LastUsed time.Time `json:"lastUsed,omitzero"`
}

func keyView(k provisioning.APIKey, now time.Time) keyJSON {
	return keyJSON{k.ID, k.Holder, string(k.Role), k.Hint, stateOf(k.Revoked, k.Expires, now), k.Created, k.Expires, k.Revoked, k.LastUsed}
}

// stateOf is whether a credential counts, in a word.
func stateOf(revoked, expires, now time.Time) string {
	switch {
	case !revoked.IsZero():
		return "revoked"
	case !expires.IsZero() && !now.Before(expires):
		return "expired"
	default:
		return "live"
	}
}
