package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"meibo/internal/auth"
	"meibo/internal/capture"
	"meibo/internal/edge"
	"meibo/internal/replay"
	"meibo/internal/seal"
	"meibo/provisioning"
)

// Base is the path that all addresses of the API are below.
const Base = "/api/v1"

// Options are what the API needs.
type Options struct {
	Service *provisioning.Service
	// Authenticate finds the holder of an API key. Any error but Unavailable is answered 401.
	Authenticate func(ctx context.Context, key string) (auth.Holder, error)
	PublicURL    string  // scheme, host and path prefix of links, without a trailing slash
	RateLimit    float64 // requests a second and key; 0 for none
	Log          *zap.Logger
	Observe      func(Observation) // called once a request; nil for none
	Waiting      func(n int)       // hears how many more, or fewer, wait for changes; nil for nobody
	Tracer       trace.Tracer      // makes a span of each request; nil for none
	// Leaving reports whether the server is about to stop: then nobody waits for changes any more. Nil: never.
	Leaving func() bool
	Now     func() time.Time // nil: the system clock
	// MaskKey is what masks are made with: equal for servers that share a database, so that equal values look equal
	// everywhere. Nil: random.
	MaskKey []byte
	// Exchange reads a captured request, and Replay evaluates the one of an entry again; nil where none are captured.
	Exchange func(ctx context.Context, tenant, correlation string) (capture.Exchange, error)
	// Exchanges reads those that a query selects; nil where none are captured.
	Exchanges func(ctx context.Context, tenant string, q provisioning.CaptureQuery) (capture.Page, error)
	Replay    func(ctx context.Context, tenant, entry string, under replay.Under) (replay.Result, error)
}

// Observation is what metrics need of one request.
type Observation struct {
	Route     string // template of the matched route, "none" without one
	Method    string
	Status    int
	Duration  time.Duration // without what was waited for changes
	Throttled bool
}

// CorrelationHeader names the answer header that holds a request's correlation id, as in the
// journal and the log.
const CorrelationHeader = "X-Correlation-Id"

// bodyTimeout is how long a client may take to send a body, whoever it is.
const bodyTimeout = 10 * time.Second

type api struct {
	Options
	huma    huma.API
	limits  *edge.Limiter[string] // by key
	waiting places                // of those who wait for changes
	streams places                // of those who follow the log
	exports places                // of those who export the directory

	verifying sync.Map // tenants whose audit chain is verified: verification
	maskKey   []byte
	nexts     *seal.Sealer           // see nextOf
	written   func() ([]byte, error) // the document, made when somebody needs it first
	own       func() map[string]bool // see mask
}

// New returns the handler of all addresses below Base.
func New(o Options) http.Handler {
	router, _ := build(o)
	return router
}

// build makes the router and the API on it, whose document is complete.
func build(o Options) (http.Handler, *api) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observe == nil {
		o.Observe = func(Observation) {}
	}
	if o.Waiting == nil {
		o.Waiting = func(int) {}
	}
	if o.Leaving == nil {
		o.Leaving = func() bool { return false }
	}
	router := echo.New()
	a := &api{Options: o, limits: edge.NewLimiter[string](o.RateLimit, o.Now), waiting: make(places, maxWaiting), streams: make(places, maxStreams), exports: make(places, maxExports)}
	router.Use(a.frame) // which answers all errors
	if a.maskKey = o.MaskKey; a.maskKey == nil {
		a.maskKey = make([]byte, 32)
		_, _ = rand.Read(a.maskKey) // never fails
	}
	key := sha256.Sum256(a.maskKey)
	a.nexts, _ = seal.New(string(key[:]), nextPurpose) // the key is long enough
	a.huma = humaecho.NewWithGroup(router, router.Group(Base), documentConfig())
	a.huma.UseMiddleware(a.admit)
	a.operations()
	a.written = sync.OnceValues(a.document)
	a.own = sync.OnceValue(func() map[string]bool {
		document, _ := a.written() // whoever asks for it is told what is wrong with it
		return ownWords(document)
	})
	return router, a
}

// operations is the one list of addresses.
func (a *api) operations() {
	a.resourceOperations()
	a.pastOperations()
	a.eraseOperations()
	a.changeOperations()
	a.actOperations()
	a.connectionOperations()
	a.settingsOperations()
	a.matterOperations()
	a.logOperations()
	a.whyOperations()
	a.auditOperations()
	a.jobOperations()
	a.healthOperations()
	a.captureOperations()
	a.undoOperations()
	a.transferOperations()
	a.keyOperations()
	a.documentOperation()
}

// call is one request on its way through the API.
type call struct {
	*api
	echo        echo.Context
	holder      auth.Holder
	correlation string
	started     time.Time
	span        trace.Span    // nil where none is made
	success     int           // the status answered if all goes well
	idle        time.Duration // how long there was nothing to do but to wait for a change
	throttled   bool
	untold      bool          // one of many refusals: the log has another
	hidden      *maskedWriter // what is answered passes it; nil where values may be seen
	inCycle     string        // that the entries that were asked for belong to; "" for any
	unmask      string        // why they are seen; "" where nobody asked
}

// framed is Echo's context of a request inside frame.
type framed struct {
	echo.Context
	call *call
}

// frame surrounds every request, matched or not: correlation id, panics, observation.
func (a *api) frame(next echo.HandlerFunc) echo.HandlerFunc {
	return func(ec echo.Context) error {
		c := &call{api: a, echo: ec, correlation: uuid.Must(uuid.NewV7()).String(), started: a.Now()}
		h := ec.Response().Header()
		h.Set(CorrelationHeader, c.correlation)
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		if a.Tracer != nil {
			r, span := edge.StartSpan(a.Tracer, ec.Request())
			c.span = span
			ec.SetRequest(r)
		}
		c.awaitBody()
		defer c.observe()
		defer func() {
			if c.hidden != nil {
				c.hidden.close()
			}
		}()
		defer func() {
			if p := recover(); p != nil {
				c.recovered(p)
			}
		}()
		if ec.Request().Method == http.MethodOptions {
			next = notAllowed // where the router would answer by itself, to anybody
		}
		if err := next(&framed{ec, c}); err != nil {
			c.fail(err)
		}
		return nil
	}
}

// awaitBody gives the client time for its body, so that a slow one holds nothing for ever. It is not
// for requests without a body: there the deadline would end the request itself.
func (c *call) awaitBody() {
	if c.echo.Request().ContentLength != 0 {
		_ = http.NewResponseController(c.echo.Response()).SetReadDeadline(time.Now().Add(bodyTimeout)) // a test's recorder has none
	}
}

// notAllowed answers 405, or 404 where the router knows no method for the address.
func notAllowed(ec echo.Context) error {
	if _, known := ec.Get(echo.ContextKeyHeaderAllow).(string); !known {
		return echo.ErrNotFound
	}
	return echo.ErrMethodNotAllowed
}

// recovered answers a panic, unless it is the way to break off an answer that had begun.
func (c *call) recovered(p any) {
	if p == http.ErrAbortHandler {
		if c.hidden != nil {
			c.hidden.rest = nil
		}
		panic(p)
	}
	c.Log.Error("panic", zap.String("correlationId", c.correlation), zap.Any("panic", p), zap.Stack("stack"))
	c.fail(&provisioning.Error{Kind: provisioning.Internal})
}

func (c *call) observe() {
	route := c.echo.Path()
	if route == "" {
		route = "none"
	}
	method, status, took := c.echo.Request().Method, c.echo.Response().Status, c.Now().Sub(c.started)-c.idle
	if c.span != nil {
		edge.EndSpan(c.span, edge.Ended{Method: method, Route: route, Status: status, Correlation: c.correlation,
			More: []attribute.KeyValue{attribute.String("meibo.tenant", c.holder.Tenant)}})
	}
	c.Observe(Observation{Route: route, Method: method, Status: status, Duration: took, Throttled: c.throttled})
	level := zap.InfoLevel
	if c.untold {
		level = zap.DebugLevel
	}
	if line := c.Log.Check(level, "request"); line != nil {
		line.Write(zap.String("correlationId", c.correlation), zap.String("method", method), zap.String("route", route),
			zap.String("tenant", c.holder.Tenant), zap.String("key", c.holder.Key.ID), zap.Int("status", status), zap.Duration("duration", took))
	}
}

func (c *call) context() context.Context { return c.echo.Request().Context() }

// tenant is the one that the key belongs to.
func (c *call) tenant() string { return c.holder.Tenant }

// origin says for the journal who asks for what.
func (c *call) origin() provisioning.Origin {
	r := c.echo.Request()
	path := r.URL.EscapedPath()
	return provisioning.Origin{
		Tenant: c.tenant(), Actor: provisioning.KeyActor(c.holder.Key.Holder), Correlation: c.correlation, Started: c.started,
		Request: provisioning.RequestInfo{Method: r.Method, Path: path[:min(len(path), maxPath)]},
		Status: func(err error) int {
			if err == nil {
				return c.success
			}
			return translate(err).Status
		},
	}
}

// maxPath bounds what the journal keeps of an address.
const maxPath = 1024
