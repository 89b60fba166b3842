package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

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

// heapReserve is held while the server runs, so that the garbage collector has something to
// measure by. It collects when the heap has doubled, and what lives in ours is two megabytes: under
// load it would collect thirty times a second, for a third of all processor time. With the reserve
// it lets garbage grow to some 20 MiB first. A larger GOGC would do the same to a small heap, but would let one that is
// large for a reason grow to many times its size.
const heapReserve = 16 << 20

func (p *program) serve(cmd *cobra.Command, dev bool) error {
	// What is never touched takes no memory; see heapReserve.
	reserve := make([]byte, heapReserve)
	defer runtime.KeepAlive(reserve)

	ctx := cmd.Context()
	c, err := p.configuration(cmd)
	if err != nil {
		return err
	}
	log := newLog(p.stderr, c.LogLevel)
	if dev && c.SecretKey == "" {
		if c.SecretKey, err = developmentKey(); err != nil {
			return err
		}
	}
	if c.SecretKey == "" && c.CaptureRetention > 0 {
		log.Info("no requests are captured: there is no secret_key to seal them with")
	}
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
	// What starting left behind: with the reserve, garbage would stay until the first collection, which may be far off.
	debug.FreeOSMemory()
	forgetProgram()
	if _, err := fmt.Fprint(p.stdout, welcome); err != nil {
		return errors.Join(err, s.shutdown(ctx))
	}
	where := []zap.Field{zap.String("version", version), zap.Stringer("address", s.sites[0].listener.Addr()), zap.String("url", s.base)}
	for _, operators := range s.sites[1:] {
		where = append(where, zap.Stringer("metrics_address", operators.listener.Addr()))
	}
	log.Info("serving", where...)
	failure := s.wait(ctx)
	log.Info("stopping", zap.Error(failure))
	s.leave()
	return errors.Join(failure, s.shutdown(ctx))
}
