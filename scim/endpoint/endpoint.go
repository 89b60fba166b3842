// Package endpoint is SCIM 2.0 over HTTP (RFC 7644), one base address per tenant:
//
//	/t/{tenant}/scim/v2/{Users,Groups}[/{id}], /ServiceProviderConfig, /ResourceTypes, /Schemas
//
// A request passes these stations: correlation id → route → credential (Caller) → rate limit →
// body → Dialect (quirks of identity providers become what the RFC says) → provisioning.Service →
// answer. Authentication hangs on the matched route; what matches none is a 404.
//
// Whatever goes wrong below a SCIM address is answered as a SCIM error (RFC 7644 §3.12).
package endpoint

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"meibo/internal/auth"
	"meibo/internal/capture"
	"meibo/internal/edge"
	"meibo/provisioning"
	"meibo/scim"
)

// Options are what an endpoint needs.
type Options struct {
	Service *provisioning.Service
	// Authenticate finds the caller of a bearer token in a tenant. Any error but Unavailable is
	// answered 401.
	Authenticate func(ctx context.Context, tenant, token string) (auth.Caller, error)
	PublicURL    string  // scheme, host and path prefix of all locations, without a trailing slash
	RateLimit    float64 // requests a second and connection; 0 for none
	Log          *zap.Logger
	Observe      func(Observation) // called once a request; nil for none
	// Capture takes the writes of authenticated callers, whatever fails of them, and everything of a connection that is
	// debugged; nil keeps nothing. Throttled requests and those of a paused connection are not kept.
	Capture func(capture.Exchange)
	Tracer  trace.Tracer     // makes a span of each request; nil for none
	Now     func() time.Time // nil: the system clock
}

// Observation is what metrics need of one request.
type Observation struct {
	Route     string // template of the matched route, "none" without one
	Method    string
	Status    int
	Duration  time.Duration
	Quirks    []string
	Throttled bool
}

// CorrelationHeader names the answer header that holds a request's correlation id, as in the
// journal and the log.
const CorrelationHeader = "X-Correlation-Id"

type endpoint struct {
	Options
	limits  *edge.Limiter[int64] // by connection
	schemas discovery
	// Places for what is costly: large bodies in memory, and answers that keep
	// a database connection until a client has read them.
	largeBodies, streams *places
}

const (
	maxLargeBodies   = 2
	maxLargeBodiesOf = 1 // of one connection, so that it cannot take them all
	maxStreams       = 3 // fewer than the database connections of any store
	maxStreamsOf     = 2 // of one connection
)

// New returns the handler of all SCIM addresses.
func New(o Options) http.Handler {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observe == nil {
		o.Observe = func(Observation) {}
	}
	e := &endpoint{Options: o, limits: edge.NewLimiter[int64](o.RateLimit, o.Now), schemas: newDiscovery(),
		largeBodies: newPlaces(maxLargeBodies, maxLargeBodiesOf), streams: newPlaces(maxStreams, maxStreamsOf)}
	router := echo.New()
	router.Use(e.frame) // which answers all errors
	e.routes(router.Group("/t/:tenant/scim/v2"))
	return router
}

// routes is the one list of addresses. Reading routes answer HEAD as well.
func (e *endpoint) routes(g *echo.Group) {
	read := func(path string, h func(*call) error) {
		g.Match([]string{http.MethodGet, http.MethodHead}, path, e.authenticated(h))
	}
	// In lower case as well, as Microsoft's test collection writes some of them.
	for name, t := range map[string]scim.ResourceType{"/Users": scim.User, "/users": scim.User, "/Groups": scim.Group, "/groups": scim.Group} {
		of := func(h func(*call, *scim.Definition) error) echo.HandlerFunc {
			return e.authenticated(func(c *call) error { return h(c, scim.Standard(t)) })
		}
		for _, path := range []string{name, name + "/"} {
			g.Match([]string{http.MethodGet, http.MethodHead}, path, of((*call).list))
			g.POST(path, of((*call).create))
		}
		g.Match([]string{http.MethodGet, http.MethodHead}, name+"/:id", of((*call).get))
		g.PUT(name+"/:id", of((*call).replace))
		g.PATCH(name+"/:id", of((*call).patch))
		g.DELETE(name+"/:id", of((*call).delete))
	}
	g.Match([]string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		"/Me", e.authenticated((*call).unsupported))
	for _, path := range []string{"/Bulk", "/.search", "/Users/.search", "/Groups/.search", "/users/.search", "/groups/.search"} {
		g.POST(path, e.authenticated((*call).unsupported))
	}
	read("/ServiceProviderConfig", (*call).serviceProviderConfig)
	read("/serviceConfiguration", (*call).serviceProviderConfig) // the name in Microsoft's test collection
	read("/ResourceTypes", (*call).resourceTypes)
	read("/ResourceTypes/:id", (*call).resourceTypes)
	read("/Schemas", (*call).schemaList)
	read("/Schemas/:id", (*call).schemaList)
}

// unsupported answers for the parts of RFC 7644 that a provider may leave out: /Me (§3.11), queries
// by POST (§3.4.3) and bulk requests (§3.7).
func (c *call) unsupported() error {
	return echo.NewHTTPError(http.StatusNotImplemented, "this server does not support that; ServiceProviderConfig says what it does")
}

// call is one request on its way through the endpoint.
type call struct {
	*endpoint
	echo        echo.Context
	caller      auth.Caller
	correlation string
	started     time.Time
	span        trace.Span // nil where none is made
	repair      repair
	success     int // the status answered if all goes well
	throttled   bool
	untold      bool              // one of many refusals: the log has another
	release     []chan struct{}   // places held
	query       map[string]string // its parameters, once read
	named       string            // what a body that could be read calls the resource; "" where it is not known
	fewMembers  bool              // the request itself says that the group has few: its answer needs no place
	kept        *kept             // of the exchange; nil while nothing is kept
}

// framed is Echo's context of a request inside frame.
type framed struct {
	echo.Context
	call *call
}

func callOf(c echo.Context) *call { return c.(*framed).call }

// frame surrounds every request, matched or not: correlation id, panics, observation.
func (e *endpoint) frame(next echo.HandlerFunc) echo.HandlerFunc {
	return func(ec echo.Context) error {
		c := &call{endpoint: e, echo: ec, correlation: uuid.Must(uuid.NewV7()).String(), started: e.Now()}
		ec.Response().Header().Set(CorrelationHeader, c.correlation)
		if e.Tracer != nil {
			c.startSpan()
		}
		c.awaitBody()
		defer c.observe()
		defer c.captureExchange()
		defer c.letGo()
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
	status, took := c.echo.Response().Status, c.Now().Sub(c.started)
	if c.span != nil {
		c.endSpan(route, status)
	}
	if c.caller.Tenant != "" {
		c.Service.Heard(c.caller.Tenant, c.caller.Connection.ID, c.started, !reads(c.echo.Request().Method), status)
	}
	c.Observe(Observation{Route: route, Method: c.echo.Request().Method, Status: status, Duration: took,
		Quirks: c.repair.used, Throttled: c.throttled})
	level := zap.InfoLevel
	if c.untold {
		level = zap.DebugLevel
	}
	if line := c.Log.Check(level, "request"); line != nil {
		line.Write(zap.String("correlationId", c.correlation), zap.String("method", c.echo.Request().Method),
			zap.String("route", route), zap.String("tenant", c.caller.Tenant), zap.String("connection", c.caller.Connection.Name),
			zap.Int("status", status), zap.Duration("duration", took), zap.Strings("quirks", c.repair.used))
	}
}

// authenticated lets only a caller of the route's tenant through, within its rate.
func (e *endpoint) authenticated(h func(*call) error) echo.HandlerFunc {
	return func(ec echo.Context) error {
		c := callOf(ec)
		token := edge.Bearer(ec.Request().Header)
		caller, err := e.Authenticate(ec.Request().Context(), ec.Param("tenant"), token)
		switch {
		case provisioning.KindOf(err) == provisioning.Unavailable:
			return err
		case err != nil && token == "":
			return errNoToken
		case err != nil:
			return errBadToken
		}
		c.caller = caller
		if caller.Connection.Settings.Paused {
			return errPaused
		}
		if wait, ok := e.limits.Take(caller.Connection.ID); !ok {
			c.throttled, c.untold = true, !e.limits.Tells(caller.Connection.ID)
			return &edge.Throttled{By: "on this connection", Wait: wait}
		}
		c.keepExchange()
		return h(c)
	}
}

func (c *call) context() context.Context { return c.echo.Request().Context() }

// base is the tenant's SCIM base URL. It never comes from a Host header.
func (c *call) base() string { return c.PublicURL + "/t/" + c.caller.Tenant + "/scim/v2" }

func (c *call) location(t scim.ResourceType, id string) string {
	return c.base() + "/" + string(t) + "s/" + id
}

// origin says for the journal who asks for what.
func (c *call) origin() provisioning.Origin {
	r := c.echo.Request()
	return provisioning.Origin{
		Tenant: c.caller.Tenant, Connection: c.caller.Connection, Actor: provisioning.TokenActor(c.caller.Hint),
		Correlation: c.correlation, Started: c.started,
		Request: provisioning.RequestInfo{Method: r.Method, Path: cut(r.URL.EscapedPath(), maxPath), Dialect: c.repair.dialect(), Quirks: c.repair.used},
		Status: func(err error) int {
			if err == nil {
				return c.success
			}
			return statusOf(err)
		},
	}
}
