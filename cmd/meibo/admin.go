package main

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"meibo/config"
	"meibo/provisioning"
)

// administrative makes a command that works on the database directly, with the flags for that.
func (p *program) administrative(cmd *cobra.Command, fn func(ctx context.Context, s *provisioning.Service, cmd *cobra.Command, args []string) error) *cobra.Command {
	settingFlags(cmd, "database_url", "allow_weak_durability")
	cmd.RunE = p.action(func(cmd *cobra.Command, args []string) error {
		return p.withService(cmd, func(ctx context.Context, s *provisioning.Service) error { return fn(ctx, s, cmd, args) })
	})
	return cmd
}

// withService opens the configured database for fn.
func (p *program) withService(cmd *cobra.Command, fn func(context.Context, *provisioning.Service) error) error {
	return p.withParts(cmd, func(ctx context.Context, _ config.Config, parts *parts) error { return fn(ctx, parts.service) })
}

// withParts opens the configured database for who needs more than the service.
func (p *program) withParts(cmd *cobra.Command, fn func(context.Context, config.Config, *parts) error) (err error) {
	ctx := cmd.Context()
	c, err := p.configuration(cmd)
	if err != nil {
		return err
	}
	parts, err := build(ctx, untraced(c), zap.NewNop())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, parts.close(ctx)) }()
	if err := requireSchema(ctx, parts.store); err != nil {
		return err
	}
	return fn(ctx, c, parts)
}

// untraced is the configuration of a command, which shall not wait for a collector at its end.
func untraced(c config.Config) config.Config {
	c.TracesEndpoint = ""
	return c
}

// commandLine is the origin of what an administrator does here.
func commandLine(tenant string) provisioning.Origin {
	return provisioning.Origin{Tenant: tenant, Actor: provisioning.CommandLine, Correlation: uuid.Must(uuid.NewV7()).String()}
}

// tenantFlag gives a command the tenant that it works on.
func tenantFlag(cmd *cobra.Command) *string {
	tenant := cmd.Flags().String("tenant", "", "name of the tenant")
	_ = cmd.MarkFlagRequired("tenant")
	return tenant
}
