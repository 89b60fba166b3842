package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"meibo/internal/auth"
	"meibo/provisioning"
)

func (p *program) tokenCommand() *cobra.Command {
	return p.group("token", "Bearer tokens of a connection",
		p.tokenCreateCommand(), p.tokenListCommand(), p.tokenRevokeCommand())
}

func (p *program) tokenCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create --tenant T", Short: "Create a token and print it, this once", Args: cobra.NoArgs,
		Long: "Create a token and print it, this once. Several tokens of a connection count at a time, so that one can be replaced without a gap: " +
			"create the new one, give it to the client, revoke the old one.",
	}
	tenant, asJSON := tenantFlag(cmd), jsonFlag(cmd)
	connection := cmd.Flags().String("connection", "", "name of the connection; required unless the tenant has exactly one")
	expires := cmd.Flags().String("expires", "", "when it ends: an instant, a date, or a span such as 90d or 12h; without it, never")
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, _ []string) error {
		end, err := instant(*expires, s.Now(), ahead)
		if err != nil {
			return err
		}
		text, hash, hint := auth.NewToken()
		c, err := s.CreateCredential(ctx, commandLine(*tenant), *connection, provisioning.NewCredential{Hash: hash, Hint: hint, Expires: end})
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(p.stdout, struct {
				Token string `json:"token"`
				tokenJSON
			}{text, tokenView(*connection, c, s.Now())})
		}
		_, err = fmt.Fprintln(p.stdout, text)
		return err
	})
}

func (p *program) tokenListCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "list --tenant T", Short: "List tokens by their last characters", Args: cobra.NoArgs}
	tenant, asJSON := tenantFlag(cmd), jsonFlag(cmd)
	connection := cmd.Flags().String("connection", "", "name of the connection; without it, all of the tenant")
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, _ []string) error {
		tokens, err := tokensOf(ctx, s, *tenant, *connection)
		if err != nil {
			return err
		}
		if *asJSON {
			return printLines(p.stdout, tokens, func(t tokenJSON) tokenJSON { return t })
		}
		t := newTable(p.stdout, "ID", "CONNECTION", "ENDS IN", "STATE", "CREATED", "EXPIRES", "LAST USED")
		for _, c := range tokens {
			t.row(c.ID, c.Connection, "…"+c.Hint, c.State, moment(c.Created), moment(c.Expires), moment(c.LastUsed))
		}
		return t.flush()
	})
}

func (p *program) tokenRevokeCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "revoke --tenant T ID", Short: "End a token for good; servers follow within a second", Args: cobra.ExactArgs(1)}
	tenant, asJSON := tenantFlag(cmd), jsonFlag(cmd)
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, args []string) error {
		c, err := s.RevokeCredential(ctx, commandLine(*tenant), args[0])
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(p.stdout, tokenView("", c, s.Now()))
		}
		fmt.Fprintf(p.stderr, "token …%s has counted no more since %s\n", c.Hint, moment(c.Revoked))
		return nil
	})
}

// tokensOf reads the tokens of one connection, or of all.
func tokensOf(ctx context.Context, s *provisioning.Service, tenant, connection string) ([]tokenJSON, error) {
	names := []string{connection}
	if connection == "" {
		all, err := s.Connections(ctx, tenant)
		if err != nil {
			return nil, err
		}
		names = names[:0]
		for _, c := range all {
			names = append(names, c.Name)
		}
	}
	var out []tokenJSON
	for _, name := range names {
		credentials, err := s.Credentials(ctx, tenant, name)
		if err != nil {
			return nil, err
		}
		for _, c := range credentials {
			out = append(out, tokenView(name, c, s.Now()))
		}
	}
	return out, nil
}

// tokenJSON is a token for programs, without its text.
type tokenJSON struct {
	ID         string    `json:"id"`
	Connection string    `json:"connection,omitempty"`
	Hint       string    `json:"hint"`
	State      string    `json:"state"` // live, expired or revoked
	Created    time.Time `json:"created"`
	Expires    time.Time `json:"expires,omitzero"`
	Revoked    time.Time `json:"revoked,omitzero"`
	LastUsed   time.Time `json:"lastUsed,omitzero"`
}

func tokenView(connection string, c provisioning.Credential, now time.Time) tokenJSON {
	return tokenJSON{c.ID, connection, c.Hint, stateOf(c.Revoked, c.Expires, now), c.Created, c.Expires, c.Revoked, c.LastUsed}
}
