package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"meibo/provisioning"
)

func (p *program) tenantCommand() *cobra.Command {
	return p.group("tenant", "Tenants: isolated directories, one a customer", p.tenantCreateCommand())
}

func (p *program) tenantCreateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create NAME", Args: cobra.ExactArgs(1),
		Short: "Create a tenant with the connection \"default\"",
		Long:  "Create a tenant with the connection \"default\". A name has 1 to 40 small letters, digits and hyphens and never changes.",
	}
	asJSON := jsonFlag(cmd)
	return p.administrative(cmd, func(ctx context.Context, s *provisioning.Service, _ *cobra.Command, args []string) error {
		t, err := s.CreateTenant(ctx, commandLine(args[0]))
		if err != nil {
			return err
		}
		if *asJSON {
			return printJSON(p.stdout, struct {
				Name    string    `json:"name"`
				Created time.Time `json:"created"`
			}{t.Name, t.Created})
		}
		fmt.Fprintf(p.stderr, "created tenant %s; `meibo token create --tenant %s` makes its first token\n", t.Name, t.Name)
		return nil
	})
}
