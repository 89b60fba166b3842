package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"meibo/config"
)

// Limits of a connection to the server. The endpoint bounds the reading of bodies by itself.
const (
	readHeaderTimeout = 10 * time.Second
	writeTimeout      = 5 * time.Minute // a page of large groups to a slow client
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// server is a running meibo: its parts, its addresses and its background work.
//
//	start     schema ──▶ listen ──▶ prepare ──▶ serve
//	wait      until a signal comes or a part fails
//	leave     not ready ──▶ ShutdownDelay
//	shutdown  leave each site ──▶ end the background work ──▶ flush ──▶ close the database
type server struct {
	*parts
	config config.Config
	log    *zap.Logger
	base   string // public URL without a trailing slash
	sites  []*site
	failed chan error // what ended by itself and should not have

	health   health
	leaving  atomic.Bool // asked to stop: not ready any more
	work     sync.WaitGroup
	stopWork context.CancelFunc // ends the background work
}

// serverOptions say how a server differs from a plain one.
type serverOptions struct {
	migrate bool                                 // bring the schema up to date instead of requiring it
	prepare func(context.Context, *server) error // runs before the first request is taken; nil for nothing
}

// start brings a server up: it takes requests when start returns. ctx bounds the start only.
func start(ctx context.Context, c config.Config, log *zap.Logger, o serverOptions) (*server, error) {
	p, err := build(ctx, c, log)
	if err != nil {
		return nil, err
	}
	s := &server{parts: p, config: c, log: log, health: health{probe: p.store.Ping, tell: func(err error) {
		log.Warn("readiness changed", zap.Bool("ready", err == nil), zap.Error(err))
	}}, stopWork: func() {},
		failed: make(chan error, 2)} // one for each site
	if err := s.open(ctx, o); err != nil {
		return nil, errors.Join(err, s.shutdown(ctx))
	}
	return s, nil
}

func (s *server) open(ctx context.Context, o serverOptions) error {
	if err := s.prepareSchema(ctx, o.migrate); err != nil {
		return err
	}
	s.metrics.watch(s)
	f := &front{ready: s.ready, leaving: s.leaving.Load, metrics: s.metrics.handler()}
	if err := s.listen(ctx, "listen", s.config.Listen, f); err != nil {
		return err
	}
	if s.config.MetricsListen != "" {
		if err := s.listen(ctx, "metrics_listen", s.config.MetricsListen, &front{ready: s.ready, leaving: s.leaving.Load, metrics: f.metrics}); err != nil {
			return err
		}
		f.metrics = nil
	}
	s.base = s.config.BaseURL(s.sites[0].listener.Addr().String())
	f.scim, f.api = s.scim(s.config, s.base, s.log), s.api(s.config, s.base, s.log, s.leaving.Load)
	if o.prepare != nil {
		if err := o.prepare(ctx, s); err != nil {
			return err
		}
	}
	s.serve()
	return nil
}

func (s *server) prepareSchema(ctx context.Context, migrate bool) error {
	if migrate {
		return s.store.Migrate(ctx)
	}
	return requireSchema(ctx, s.store)
}

// listen takes an address. Requests queue until serve.
func (s *server) listen(ctx context.Context, setting, address string, h http.Handler) error {
	one, err := newSite(ctx, address, h, s.log)
	if err != nil {
		return fmt.Errorf("%s: %w; stop what uses that address or choose another", setting, err)
	}
	s.sites = append(s.sites, one)
	return nil
}

// serve starts everything that runs until shutdown.
func (s *server) serve() {
	ctx, stop := context.WithCancel(context.Background())
	s.stopWork = stop
	s.work.Go(func() { s.store.Run(ctx) })
	s.work.Go(func() {
		s.service.RunTraffic(ctx, func(err error) {
			s.metrics.failed.WithLabelValues(workTraffic).Inc()
			s.log.Warn("what was heard of connections could not be written, and is written later", zap.Error(err))
		})
	})
	if s.capture != nil {
		s.work.Go(func() { s.capture.Run(ctx) })
	}
	s.work.Go(func() {
		s.service.RunRetention(ctx, func(err error) {
			s.metrics.failed.WithLabelValues(workJobs).Inc()
			s.log.Warn("the provisioning log was not purged of what is old", zap.Error(err))
		})
	})
	s.work.Go(func() {
		s.service.Run(ctx, func(err error) {
			s.metrics.failed.WithLabelValues(workJobs).Inc()
			s.log.Warn("a job or the schedule failed", zap.Error(err))
		})
	})
	for _, one := range s.sites {
		one.served = make(chan struct{})
		s.work.Go(func() {
			if err := one.serve(); err != nil {
				s.failed <- err
			}
		})
	}
}

// ready says why the server takes no requests, nil when it does. That the schema is right was
// found out at the start, and a newer one must not take the older replicas away at once.
func (s *server) ready(ctx context.Context) error {
	if s.leaving.Load() {
		return errors.New("shutting down")
	}
	if s.health.ask(ctx) != nil {
		return errors.New("the database does not answer, or takes no writes")
	}
	return nil
}

// wait returns when ctx ends, or with the error of a part that failed.
func (s *server) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed:
		return err
	}
}

// leave tells probes that the server is about to go, and gives them time to notice.
func (s *server) leave() {
	s.leaving.Store(true)
	if s.config.ShutdownDelay > 0 {
		<-time.After(s.config.ShutdownDelay)
	}
}

// shutdown ends the server: it answers what is under way or on its way, writes what waits and closes the
// database. ShutdownTimeout bounds it; that ctx has ended does not.
func (s *server) shutdown(ctx context.Context) error {
	s.leaving.Store(true)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.ShutdownTimeout)
	defer cancel()
	errs := make([]error, len(s.sites))
	var sites sync.WaitGroup
	for i, one := range s.sites {
		sites.Go(func() { errs[i] = one.leave(ctx) })
	}
	sites.Wait()
	s.stopWork()
	s.work.Wait()
	return errors.Join(append(errs, s.close(ctx))...)
}
