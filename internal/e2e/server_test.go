package e2e

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"meibo/internal/auth"
	"meibo/internal/capture"
	"meibo/internal/witness"
	"meibo/provisioning"
	"meibo/scim/endpoint"
	"meibo/store"
	"meibo/store/storetest"
	"meibo/web/api"
)

// patience bounds one request, on a machine with two busy cores.
const patience = time.Minute

// database is one of the two that the server runs on.
type database struct {
	name   string
	fresh  func(testing.TB) string // URL of one that has the schema and nothing else
	driver string                  // of database/sql; package store registers both
	dsn    func(url string) string // for that driver, from the URL
}

var databases = []database{
	{
		name:   "SQLite",
		fresh:  storetest.SQLite,
		driver: "sqlite",
		dsn: func(u string) string {
			file := url.URL{Scheme: "file", Opaque: (&url.URL{Path: strings.TrimPrefix(u, "sqlite:")}).EscapedPath()}
			file.RawQuery = url.Values{"_pragma": {"query_only(1)", "busy_timeout(5000)"}}.Encode()
			return file.String()
		},
	},
	{
		name:   "PostgreSQL",
		fresh:  storetest.PostgreSQL,
		driver: "pgx",
		dsn:    func(u string) string { return u },
	},
}

// each runs a test on both databases at once. Without PostgreSQL on the machine its half is
// skipped, as testkit.Postgres says.
func each(t *testing.T, run func(t *testing.T, db database)) {
	t.Helper()
	for _, db := range databases {
		t.Run(db.name, func(t *testing.T) {
			t.Parallel()
			run(t, db)
		})
	}
}

// options say how a server differs from a plain one; every zero value is usable.
type options struct {
	store     store.Options // URL: "" for a fresh database
	rateLimit float64
	now       func() time.Time
	tracer    trace.Tracer
	leaving   func() bool
	capture   func(capture.Exchange)
}

// server is a whole meibo on a database of its own, listening on loopback.
type server struct {
	t       testing.TB
	db      database
	rows    *witness.Database // what the server keeps, read behind its back
	store   *store.Store
	service *provisioning.Service
	http    *httptest.Server
	client  *http.Client
	stop    func()
}

// newServer starts a server that ends with the test, or with stop before.
func newServer(t testing.TB, db database, o options) *server {
	t.Helper()
	if o.store.URL == "" {
		o.store.URL = db.fresh(t)
	}
	o.store.Tracer = o.tracer
	st, err := store.Open(t.Context(), o.store)
	if err != nil {
		t.Fatalf("open the store: %v", err)
	}
	rows, err := witness.Open(o.store.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, db: db, rows: rows, store: st, service: provisioning.New(provisioning.Options{Store: st, Now: o.now})}
	authenticator := auth.New(auth.Options{Store: st, Now: o.now, Report: func(err error) { t.Errorf("last-used time: %v", err) }})
	s.http = httptest.NewUnstartedServer(nil)
	publicURL, surfaces := "http://"+s.http.Listener.Addr().String(), http.NewServeMux()
	surfaces.Handle("/t/", endpoint.New(endpoint.Options{
		Service: s.service, Authenticate: authenticator.Authenticate, RateLimit: o.rateLimit, Now: o.now, Log: zap.NewNop(), Tracer: o.tracer,
		PublicURL: publicURL, Capture: o.capture,
	}))
	surfaces.Handle("/api/", api.New(api.Options{
		Service: s.service, Authenticate: authenticator.AuthenticateKey, RateLimit: o.rateLimit, Now: o.now, Log: zap.NewNop(), Tracer: o.tracer,
		PublicURL: publicURL, Leaving: o.leaving,
	}))
	s.http.Config.Handler = surfaces
	s.http.Start()
	transport := &http.Transport{MaxIdleConnsPerHost: 64} // one for each of many clients
	s.client = &http.Client{Transport: transport, Timeout: patience}
	background, end := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { st.Run(background) })
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		transport.CloseIdleConnections()
		s.http.Close()
		end()
		work.Wait()
		if err := cmp.Or(authenticator.Close(context.Background()), rows.Close(), st.Close()); err != nil {
			t.Errorf("stop the server: %v", err)
		}
	}
	t.Cleanup(s.stop)
	return s
}

// tenant is a tenant of a server, with a token of one of its connections.
type tenant struct {
	*server
	name  string
	base  string // SCIM base URL
	token string
}

// newTenant makes a tenant and speaks as its first connection.
func (s *server) newTenant(name string) *tenant {
	s.t.Helper()
	if _, err := s.service.CreateTenant(s.t.Context(), provisioning.Origin{Tenant: name, Actor: "test"}); err != nil {
		s.t.Fatalf("create the tenant: %v", err)
	}
	c := &tenant{server: s, name: name, base: fmt.Sprintf("%s/t/%s/scim/v2", s.http.URL, name)}
	return c.speakAs(provisioning.DefaultConnection)
}

// connect makes another connection of the tenant and speaks as that one.
func (c *tenant) connect(name string, set func(*provisioning.ConnectionSettings)) *tenant {
	c.t.Helper()
	ctx, origin := c.t.Context(), provisioning.Origin{Tenant: c.name, Actor: "test"}
	if _, err := c.service.CreateConnection(ctx, origin, name); err != nil {
		c.t.Fatalf("create the connection: %v", err)
	}
	if _, err := c.service.SetConnection(ctx, origin, name, set); err != nil {
		c.t.Fatalf("set the connection: %v", err)
	}
	return c.speakAs(name)
}

// untroubled takes a connection's tolerance away: as many may leave as like.
func (c *tenant) untroubled(connection string) *tenant {
	c.t.Helper()
	return c.apply(connection, func(s *provisioning.Settings) { s.Tolerance.Mode = provisioning.ToleranceOff })
}

// apply puts settings in force, however many leave by them, and speaks with a new token: one that was used is known with the
// old ones for half a second.
func (c *tenant) apply(connection string, edit func(*provisioning.Settings)) *tenant {
	c.t.Helper()
	ctx := c.t.Context()
	before, err := c.service.Settings(ctx, c.name, connection)
	if err != nil {
		c.t.Fatalf("read the settings: %v", err)
	}
	draft := provisioning.SettingsDraft{Settings: before.Settings, Expect: provisioning.AnyVersion, Allow: 1000}
	edit(&draft.Settings)
	if _, _, err := c.service.ApplySettings(ctx, provisioning.Origin{Tenant: c.name, Actor: "test"}, connection, draft); err != nil {
		c.t.Fatalf("apply the settings: %v", err)
	}
	return c.speakAs(connection)
}

// speakAs is the same tenant with a new token of a connection.
func (c tenant) speakAs(connection string) *tenant {
	c.t.Helper()
	token, hash, hint := auth.NewToken()
	_, err := c.service.CreateCredential(c.t.Context(), provisioning.Origin{Tenant: c.name, Actor: "test"}, connection,
		provisioning.NewCredential{Hash: hash, Hint: hint})
	if err != nil {
		c.t.Fatalf("create the token: %v", err)
	}
	c.token = token
	return &c
}

// entries reads the tenant's whole journal, oldest first.
func (c *tenant) entries() []provisioning.Entry {
	c.t.Helper()
	var all []provisioning.Entry
	err := c.service.Entries(c.t.Context(), c.name, provisioning.EntryQuery{}, func(e provisioning.Entry) error {
		all = append(all, e)
		return nil
	})
	if err != nil {
		c.t.Fatalf("read the journal: %v", err)
	}
	slices.Reverse(all)
	return all
}

// stored reads what the database keeps of the tenant, by id. What it keeps as a number must count that.
func (c *tenant) stored() map[string]witness.State {
	c.t.Helper()
	all, err := c.rows.Stored(c.t.Context(), c.name)
	if err != nil {
		c.t.Fatal(err)
	}
	miscounts, err := c.rows.Miscounts(c.t.Context(), c.name)
	if err != nil || len(miscounts) > 0 {
		c.t.Errorf("%v, %v", miscounts, err)
	}
	return all
}
