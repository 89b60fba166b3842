package main

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"meibo/internal/auth"
	"meibo/provisioning"
	"meibo/scim/endpoint"
	"meibo/web/api"
)

// metrics is what the server counts of itself; docs/observability.md says what each is good for. No
// label comes from a request, so that nobody can invent series, and none names a tenant: that is
// for the log and the journal. What an alert takes the rate of is there, at 0, from the start.
type metrics struct {
	registry  *prometheus.Registry
	requests  requestSeries
	throttled prometheus.Counter
	waiting   prometheus.Gauge
	quirks    *prometheus.CounterVec
	refusals  *prometheus.CounterVec
	decisions *prometheus.CounterVec
	units     prometheus.Histogram
	commits   prometheus.Histogram
	overtaken prometheus.Counter
	failed    *prometheus.CounterVec
	open      *prometheus.GaugeVec
	overdue   prometheus.Gauge
	captures  *prometheus.CounterVec
	healths   *prometheus.GaugeVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: requestSeries{
			total: counters("meibo_http_requests_total", "Requests by route, method and status.", "route", "method", "status"),
			durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "meibo_http_request_duration_seconds",
				Help:    "Time from a request's arrival to its answer.",
				Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}}, []string{"route", "method", "outcome"}),
		},
		throttled: prometheus.NewCounter(prometheus.CounterOpts{Name: "meibo_http_requests_throttled_total",
			Help: "Requests answered 429 because a connection or API key was over its rate limit."}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{Name: "meibo_changes_waiting",
			Help: "Requests that wait for changes now."}),
		quirks:    counters("meibo_quirks_total", "Requests in which a quirk of an identity provider was repaired, by its name.", "quirk"),
		refusals:  counters("meibo_auth_failures_total", "Requests whose token or API key did not count, by reason.", "reason"),
		decisions: counters("meibo_decisions_total", "Entries that came into the journal, by its action and outcome.", "action", "outcome"),
		units: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "meibo_commit_units",
			Help:    "Units of work that one commit of SQLite's writer made durable.",
			Buckets: []float64{1, 2, 4, 8, 16, 32, 64}}),
		commits: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "meibo_commit_duration_seconds",
			Help:    "Time that a commit of SQLite's writer took, the flush to disk included.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1}}),
		overtaken: prometheus.NewCounter(prometheus.CounterOpts{Name: "meibo_units_overtaken_total",
			Help: "Units of work that another writer overtook, so that they ran again or were given up."}),
		failed: counters("meibo_background_failures_total", "Errors of work that no request waits for, by what failed.", "work"),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "meibo_matters_open",
			Help: "What waits for a person, by kind, as of the last sweep."}, []string{"kind"}),
		overdue: prometheus.NewGauge(prometheus.GaugeOpts{Name: "meibo_matters_overdue",
			Help: "What waits for a person for longer than the settings of its connection want, as of the last sweep."}),
	}
	m.captures = counters("meibo_captured_requests_total", "Requests that were to be kept with their answers, by what came of it.", "result")
	m.healths = prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "meibo_connections", Help: "Connections by health, as of the last sweep."}, []string{"health"})
	m.registry.MustRegister(m.captures, m.healths, m.requests.total, m.requests.durations, m.throttled, m.waiting, m.quirks, m.refusals, m.decisions,
		m.units, m.commits, m.overtaken, m.failed, m.open, m.overdue, buildInfo(),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.startAtZero()
	return m
}

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func buildInfo() prometheus.Collector {
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "meibo_build_info", Help: "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()}})
	build.Set(1)
	return build
}

// What fails in the background.
const (
	workDatabase = "database"
	workJobs     = "jobs"
	workLastUsed = "token_last_used"
	workTraces   = "traces"
	workCapture  = "capture"
	workTraffic  = "traffic"
)

// startAtZero makes the series that a rate needs before the first event. Those of requests come
// with the first request of a route.
func (m *metrics) startAtZero() {
	for _, reason := range []auth.Refusal{auth.Missing, auth.Unknown, auth.Expired, auth.Revoked} {
		m.refusals.WithLabelValues(string(reason))
	}
	for _, action := range []provisioning.JournalAction{provisioning.ActionCreate, provisioning.ActionUpdate,
		provisioning.ActionDisable, provisioning.ActionDelete, provisioning.ActionOther} {
		for _, outcome := range []provisioning.Outcome{provisioning.Success, provisioning.Failure, provisioning.Skipped, provisioning.Warning} {
			m.decisions.WithLabelValues(string(action), string(outcome))
		}
	}
	m.swept(provisioning.Waiting{})
	m.kept(0)
	m.dropped(0)
	for _, work := range []string{workDatabase, workJobs, workLastUsed, workTraces, workCapture, workTraffic} {
		m.failed.WithLabelValues(work)
	}
}

// watch adds what is read off the server when somebody asks for it.
func (m *metrics) watch(s *server) {
	m.registry.MustRegister(storeCollector{s.store.Pools, s.store.FollowerLag, time.Now}, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "meibo_ready",
		Help: "1 while the server takes requests, 0 while it is shutting down or its database does not answer."}, func() float64 {
		if s.ready(context.Background()) != nil {
			return 0
		}
		return 1
	}))
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// observe counts one request.
func (m *metrics) observe(o endpoint.Observation) {
	m.requests.of(o.Route, knownMethod(o.Method), o.Status).count(o.Duration)
	if o.Throttled {
		m.throttled.Inc()
	}
	for _, quirk := range o.Quirks {
		m.quirks.WithLabelValues(quirk).Inc()
	}
}

// observeAPI counts one request of the API.
func (m *metrics) observeAPI(o api.Observation) {
	m.observe(endpoint.Observation{Route: o.Route, Method: o.Method, Status: o.Status, Duration: o.Duration, Throttled: o.Throttled})
}

// decided counts one journal entry.
func (m *metrics) decided(action provisioning.JournalAction, outcome provisioning.Outcome) {
	m.decisions.WithLabelValues(string(action), string(outcome)).Inc()
}

var matterKinds = []provisioning.MatterKind{provisioning.MatterHeld, provisioning.MatterKept, provisioning.MatterDelayed,
	provisioning.MatterAdoption, provisioning.MatterPurge, provisioning.MatterProposal}

// swept notes what waits for a person.
func (m *metrics) swept(w provisioning.Waiting) {
	for _, kind := range matterKinds {
		m.open.WithLabelValues(string(kind)).Set(float64(w.Open[kind]))
	}
	m.overdue.Set(float64(w.Overdue))
	for _, level := range []provisioning.HealthLevel{provisioning.HealthGood, provisioning.HealthFair, provisioning.HealthBad} {
		m.healths.WithLabelValues(string(level)).Set(float64(w.Connections[level]))
	}
}

// kept and dropped count captured requests.
func (m *metrics) kept(n int)    { m.captures.WithLabelValues("kept").Add(float64(n)) }
func (m *metrics) dropped(n int) { m.captures.WithLabelValues("dropped").Add(float64(n)) }

// committed counts one commit of SQLite's writer.
func (m *metrics) committed(units int, took time.Duration) {
	m.units.Observe(float64(units))
	m.commits.Observe(took.Seconds())
}

var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

func knownMethod(method string) string {
	if slices.Contains(methods, method) {
		return method
	}
	return "other"
}

// requestSeries finds the series of a request by one look into a map, which allocates nothing and
// takes a quarter of the time of looking them up by their labels.
type requestSeries struct {
	total     *prometheus.CounterVec
	durations *prometheus.HistogramVec

	mu    sync.Mutex // of whoever adds to known
	known atomic.Pointer[map[requestKind]requestCounts]
}

// requestKind is bounded by the routes, the known methods and the statuses of the endpoint.
type requestKind struct {
	route, method string
	status        int
}

type requestCounts struct {
	total    prometheus.Counter
	duration prometheus.Observer
}

func (c requestCounts) count(took time.Duration) {
	c.total.Inc()
	c.duration.Observe(took.Seconds())
}

func (s *requestSeries) of(route, method string, status int) requestCounts {
	kind := requestKind{route, method, status}
	if known := s.known.Load(); known != nil {
		if counts, ok := (*known)[kind]; ok {
			return counts
		}
	}
	return s.add(kind)
}

// outcomeOf is a status in a word: what is refused costs next to nothing, so a flood of it must not hide slow answers.
func outcomeOf(status int) string {
	switch {
	case status >= 500:
		return "failure"
	case status >= 400:
		return "refused"
	default:
		return "success"
	}
}

// add makes the series of a kind. With the first of a route and method come those of its failures,
// at 0: the rate of a series does not see what it was born with.
func (s *requestSeries) add(kind requestKind) requestCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := map[requestKind]requestCounts{}
	if before := s.known.Load(); before != nil {
		known = maps.Clone(*before)
	}
	for _, status := range []int{http.StatusInternalServerError, http.StatusServiceUnavailable, kind.status} {
		kind.status = status
		known[kind] = requestCounts{s.total.WithLabelValues(kind.route, kind.method, strconv.Itoa(status)),
			s.durations.WithLabelValues(kind.route, kind.method, outcomeOf(status))}
	}
	s.known.Store(&known)
	return known[kind]
}

// countRefusal counts why a token or API key did not count; other errors are none.
func (m *metrics) countRefusal(err error) {
	if refusal, ok := errors.AsType[auth.Refusal](err); ok {
		m.refusals.WithLabelValues(string(refusal)).Inc()
	}
}
