package main

import (
	"cmp"
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"meibo/config"
	"meibo/internal/auth"
	"meibo/internal/capture"
	"meibo/internal/impact"
	"meibo/internal/replay"
	"meibo/internal/seal"
	"meibo/internal/webhook"
	"meibo/provisioning"
	"meibo/scim/endpoint"
	"meibo/store"
	"meibo/web/api"
)

// parts is what every command is built of: the one list of parts.
type parts struct {
	metrics *metrics
	tracing *tracing
	store   *store.Store
	service *provisioning.Service
	auth    *auth.Authenticator
	capture *capture.Recorder // nil while nothing is captured
}

// build opens the database and puts the parts together. The schema is the caller's affair.
func build(ctx context.Context, c config.Config, log *zap.Logger) (*parts, error) {
	m := newMetrics()
	t, err := newTracing(ctx, c, traceFailed(m, log))
	if err != nil {
		return nil, err
	}
	ask, err := questions(c)
	if err != nil {
		t.close(ctx)
		return nil, err
	}
	st, err := store.Open(ctx, store.Options{URL: c.DatabaseURL, AllowWeak: c.AllowWeakDurability, Committed: m.committed, Overtaken: m.overtaken.Inc, Tracer: t.tracer, Report: func(err error) {
		m.failed.WithLabelValues(workDatabase).Inc()
		log.Warn("background work in the database failed and is tried again", zap.Error(err))
	}})
	if err != nil {
		t.close(ctx)
		return nil, err
	}
	if weak := st.Weak(); len(weak) > 0 {
		log.Warn("a crash may take acknowledged writes: these settings of the database are weak, as allow_weak_durability permits",
			zap.Strings("settings", weak))
	}
	recorder, err := newRecorder(c, st, m, log)
	if err != nil {
		t.close(ctx)
		return nil, errors.Join(err, st.Close())
	}
	var open func(string, provisioning.Capture) (provisioning.OpenedCapture, error)
	if recorder != nil {
		open = recorder.Open
	}
	return &parts{
		capture: recorder,
		metrics: m,
		tracing: t,
		store:   st,
		service: provisioning.New(provisioning.Options{Store: st, Decided: m.decided, Swept: m.swept, CaptureRetention: c.CaptureRetention, LogRetention: c.LogRetention, Impact: ask, OpenCapture: open}),
		auth: auth.New(auth.Options{Store: st, Report: func(err error) {
			m.failed.WithLabelValues(workLastUsed).Inc()
			log.Warn("the last-used time of a token or API key was not written", zap.Error(err))
		}}),
	}, nil
}

// newRecorder keeps requests with their answers; nil where there is no key to seal them with, or none are wanted.
func newRecorder(c config.Config, st provisioning.Store, m *metrics, log *zap.Logger) (*capture.Recorder, error) {
	if c.SecretKey == "" || c.CaptureRetention == 0 {
		return nil, nil
	}
	sealer, err := seal.New(c.SecretKey, "capture")
	if err != nil {
		return nil, err
	}
	return capture.New(capture.Options{Store: st, Sealer: sealer, Kept: m.kept, Dropped: m.dropped, Report: func(err error) {
		m.failed.WithLabelValues(workCapture).Inc()
		log.Warn("captured requests could not be kept", zap.Error(err))
	}}), nil
}

// questions asks host applications what hangs on an account; nil where there is no secret to sign with.
func questions(c config.Config) (func(context.Context, provisioning.ImpactQuery) (map[string]int64, error), error) {
	if c.ImpactSecret == "" {
		return nil, nil
	}
	key, err := webhook.ParseKey(c.ImpactSecret)
	if err != nil {
		return nil, fmt.Errorf("impact_secret: %w", err)
	}
	return impact.New(key).Ask, nil
}

// close writes what waits, as far as ctx allows, and lets go of the database.
func (p *parts) close(ctx context.Context) error {
	late := p.auth.Close(ctx) // first: it writes to the store
	err := errors.Join(late, p.store.Close())
	p.tracing.close(ctx) // last, since nobody misses a trace as much as the rest
	return err
}

// scim is the handler of everything below /t/.
func (p *parts) scim(c config.Config, base string, log *zap.Logger) http.Handler {
	var record func(capture.Exchange)
	if p.capture != nil {
		record = p.capture.Record
	}
	return endpoint.New(endpoint.Options{
		Capture:      record,
		Service:      p.service,
		Authenticate: p.authenticateToken,
		PublicURL:    base,
		RateLimit:    c.RateLimit,
		Log:          log,
		Observe:      p.metrics.observe,
		Tracer:       p.tracing.tracer,
	})
}

// maskKey is what values are masked with for who may not see them; nil, for a random one, without a secret key.
func maskKey(c config.Config) []byte {
	if c.SecretKey == "" {
		return nil
	}
	key, err := hkdf.Key(sha256.New, []byte(c.SecretKey), nil, "meibo mask", sha256.Size)
	if err != nil { // of a hash that is not approved: then masks differ from one server to the next
		return nil
	}
	return key
}

// api is the handler of everything below /api/.
func (p *parts) api(c config.Config, base string, log *zap.Logger, leaving func() bool) http.Handler {
	o := api.Options{
		MaskKey:      maskKey(c),
		Service:      p.service,
		Authenticate: p.authenticateKey,
		PublicURL:    base,
		RateLimit:    c.RateLimit,
		Log:          log,
		Observe:      p.metrics.observeAPI,
		Waiting:      func(n int) { p.metrics.waiting.Add(float64(n)) },
		Tracer:       p.tracing.tracer,
		Leaving:      leaving,
	}
	if p.capture != nil {
		o.Exchange, o.Exchanges, o.Replay = p.capture.Exchange, p.capture.Exchanges, p.replayer(base).Replay
	}
	return api.New(o)
}

// replayer evaluates captured requests again, by the endpoint that serves them.
func (p *parts) replayer(base string) *replay.Replayer {
	return replay.New(replay.Options{Store: p.store, Service: p.service, Exchange: p.capture.Exchange, Endpoint: func(s *provisioning.Service, caller auth.Caller, address string) http.Handler {
		return endpoint.New(endpoint.Options{Service: s, PublicURL: cmp.Or(address, base), Log: zap.NewNop(),
			Authenticate: func(context.Context, string, string) (auth.Caller, error) { return caller, nil }})
	}})
}

func (p *parts) authenticateToken(ctx context.Context, tenant, token string) (auth.Caller, error) {
	caller, err := p.auth.Authenticate(ctx, tenant, token)
	p.metrics.countRefusal(err)
	return caller, err
}

func (p *parts) authenticateKey(ctx context.Context, key string) (auth.Holder, error) {
	holder, err := p.auth.AuthenticateKey(ctx, key)
	p.metrics.countRefusal(err)
	return holder, err
}

// newLog writes JSON lines. A Config that was loaded has a valid level.
func newLog(w io.Writer, level string) *zap.Logger {
	encoding := zap.NewProductionEncoderConfig()
	encoding.TimeKey, encoding.MessageKey = "time", "message"
	encoding.EncodeTime = func(t time.Time, enc zapcore.PrimitiveArrayEncoder) {
		enc.AppendString(t.UTC().Format(time.RFC3339Nano))
	}
	encoding.EncodeDuration = zapcore.SecondsDurationEncoder
	least, err := zapcore.ParseLevel(level)
	if err != nil {
		least = zapcore.InfoLevel
	}
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(encoding), zapcore.Lock(zapcore.AddSync(w)), least))
}
