package main

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"meibo/internal/auth"
	"meibo/scim/endpoint"
)

// metrics counts what the journal does not hold: refused and throttled traffic, and how long
// everything took. No label comes from a request, so that nobody can invent series.
type metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	durations *prometheus.HistogramVec
	throttled prometheus.Counter
	quirks    *prometheus.CounterVec
	refusals  *prometheus.CounterVec
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "meibo_http_requests_total",
			Help: "SCIM requests by route, method and status."}, []string{"route", "method", "status"}),
		durations: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "meibo_http_request_duration_seconds",
			Help:    "Time from a SCIM request's arrival to its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}}, []string{"route", "method"}),
		throttled: prometheus.NewCounter(prometheus.CounterOpts{Name: "meibo_http_requests_throttled_total",
			Help: "Requests answered 429 because a connection was over its rate limit."}),
		quirks: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "meibo_quirks_total",
			Help: "Requests in which a quirk of an identity provider was repaired, by its name."}, []string{"quirk"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "meibo_auth_failures_total",
			Help: "Requests whose token did not count, by reason."}, []string{"reason"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "meibo_build_info", Help: "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()}})
	build.Set(1)
	m.registry.MustRegister(m.requests, m.durations, m.throttled, m.quirks, m.refusals, build,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, reason := range []auth.Refusal{auth.Missing, auth.Unknown, auth.Expired, auth.Revoked} {
		m.refusals.WithLabelValues(string(reason)) // so that a rate is there before the first failure
	}
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Registry: m.registry})
}

// observe counts one request.
func (m *metrics) observe(o endpoint.Observation) {
	method := knownMethod(o.Method)
	m.requests.WithLabelValues(o.Route, method, strconv.Itoa(o.Status)).Inc()
	m.durations.WithLabelValues(o.Route, method).Observe(o.Duration.Seconds())
	if o.Throttled {
		m.throttled.Inc()
	}
	for _, quirk := range o.Quirks {
		m.quirks.WithLabelValues(quirk).Inc()
	}
}

var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

func knownMethod(method string) string {
	if slices.Contains(methods, method) {
		return method
	}
	return "other"
}

// authenticate finds the caller of a token in a tenant.
type authenticate func(ctx context.Context, tenant, token string) (auth.Caller, error)

// countRefusals counts why tokens did not count.
func (m *metrics) countRefusals(next authenticate) authenticate {
	return func(ctx context.Context, tenant, token string) (auth.Caller, error) {
		caller, err := next(ctx, tenant, token)
		if refusal, ok := errors.AsType[auth.Refusal](err); ok {
			m.refusals.WithLabelValues(string(refusal)).Inc()
		}
		return caller, err
	}
}
