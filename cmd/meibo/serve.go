package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

func (p *program) serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Serve SCIM to identity providers", Args: cobra.NoArgs,
		Long: "Serve SCIM at /t/{tenant}/scim/v2, with /healthz, /readyz and /metrics for operators. Logs are JSON lines on stderr.\n" +
			"SIGTERM and SIGINT end it once the requests under way are answered.",
	}
	dev := cmd.Flags().Bool("dev", false, "for the machine you sit at: migrate, make the tenant \"default\" with a token and print how to use it")
	settingFlags(cmd)
	cmd.RunE = p.action(func(cmd *cobra.Command, _ []string) error { return p.serve(cmd, *dev) })
	return cmd
}

func (p *program) serve(cmd *cobra.Command, dev bool) error {
	ctx := cmd.Context()
	c, err := p.configuration(cmd)
	if err != nil {
		return err
	}
	log := newLog(p.stderr, c.LogLevel)
	o := serverOptions{migrate: dev || onSQLite(c)}
	var welcome string
	if dev {
		o.prepare = func(ctx context.Context, s *server) (err error) {
			welcome, err = s.prepareDevelopment(ctx)
			return err
		}
	}
	s, err := start(ctx, c, log, o)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(p.stdout, welcome); err != nil {
		return errors.Join(err, s.shutdown(ctx))
	}
	log.Info("serving", zap.String("version", version), zap.Stringer("address", s.sites[0].listener.Addr()), zap.String("url", s.base))
	failure := s.wait(ctx)
	log.Info("stopping", zap.Error(failure))
	s.leave()
	return errors.Join(failure, s.shutdown(ctx))
}
