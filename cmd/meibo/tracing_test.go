package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"meibo/config"
)

// TestTracesReachTheCollector: what a request left behind is sent at the latest when the server ends, and
// OpenTelemetry's own variables do not change how, where to or in whose name.
func TestTracesReachTheCollector(t *testing.T) {
	for name, value := range map[string]string{"OTEL_TRACES_SAMPLER": "always_off", "OTEL_SERVICE_NAME": "other", "OTEL_SDK_DISABLED": "true",
		"OTEL_EXPORTER_OTLP_HEADERS": "x-planted=1", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_RESOURCE_ATTRIBUTES": "service.name=other",
		"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "1", "OTEL_BSP_MAX_QUEUE_SIZE": "1"} {
		t.Setenv(name, value)
	}
	bodies := make(chan string, 100)
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		body, err := io.ReadAll(unpacked)
		if err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("X-Planted") != "" {
			t.Errorf("%s %v: %v", r.URL.Path, r.Header, err)
		}
		bodies <- string(body)
	}))
	defer collector.Close()
	m := newMachine(t, "MEIBO_TRACES_ENDPOINT="+collector.URL)
	m.run("tenant", "create", "acme")
	token := m.token("acme")
	s := m.serve()
	s.do(http.MethodGet, "/t/acme/scim/v2/Users?filter=userName+eq+%22ken%22", "Bearer "+token, "")
	s.stop()
	s.wait()
	close(bodies)
	var all strings.Builder
	for body := range bodies {
		all.WriteString(body)
	}
	for _, part := range []string{"GET /t/:tenant/scim/v2/Users", "store view", "select resource", "service.name\x12\x07\n\x05meibo"} {
		if !strings.Contains(all.String(), part) {
			t.Errorf("the collector was not told of %q", part)
		}
	}
	if strings.Contains(all.String(), token) {
		t.Error("the collector was told the token")
	}
}

// TestCollectorThatIsGone costs requests nothing, and is told of in the log once and not more.
func TestCollectorThatIsGone(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "http://" + l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	m := newMachine(t, "MEIBO_RATE_LIMIT=0", "MEIBO_TRACES_ENDPOINT="+gone)
	m.run("tenant", "create", "acme")
	token := m.token("acme")
	s := m.serve()
	for range 2 * traceBatch {
		if a := s.do(http.MethodGet, "/t/acme/scim/v2/Users", "Bearer "+token, ""); a.status != http.StatusOK {
			t.Fatalf("status %d", a.status)
		}
	}
	s.stop()
	if s.wait() != exitOK {
		t.Error("the end of the server failed")
	}
	if n := strings.Count(s.log.text(), "the collector did not take traces"); n != 1 {
		t.Errorf("the log tells of it %d times", n)
	}
}

// stuck is a collector that takes nothing until it is told to give up.
type stuck struct{ called chan struct{} }

func (s stuck) ExportSpans(ctx context.Context, _ []sdktrace.ReadOnlySpan) error {
	select {
	case s.called <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return ctx.Err()
}

func (stuck) Shutdown(context.Context) error { return nil }

// TestStuckCollector: spans that find the queue full are dropped, and the end does not wait for them.
func TestStuckCollector(t *testing.T) {
	t.Parallel()
	exporter := stuck{make(chan struct{}, 1)}
	tracing := newTracer(exporter, 1)
	for range 3 * traceQueue {
		_, span := tracing.tracer.Start(t.Context(), "request")
		span.End()
	}
	<-exporter.called
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	begun := time.Now()
	tracing.close(ended)
	if took := time.Since(begun); took > traceTimeout/2 {
		t.Errorf("the end took %v", took)
	}
}

func TestNoTracesUnlessConfigured(t *testing.T) {
	t.Parallel()
	tracing, err := newTracing(t.Context(), config.Default(), nil)
	if err != nil || tracing.tracer != nil || tracing.provider != nil {
		t.Errorf("%+v, %v", tracing, err)
	}
	tracing.close(t.Context())
}

func TestTracesURL(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"http://127.0.0.1:4318":            "http://127.0.0.1:4318/v1/traces",
		"http://127.0.0.1:4318/":           "http://127.0.0.1:4318/v1/traces",
		"https://collector/otlp/v1/traces": "https://collector/otlp/v1/traces",
	} {
		if got := tracesURL(endpoint); got != want {
			t.Errorf("tracesURL(%q) = %q, want %q", endpoint, got, want)
		}
	}
}

func TestSeldom(t *testing.T) {
	t.Parallel()
	now := time.Unix(1, 0)
	var heard []string
	tell := seldom(time.Minute, func() time.Time { return now }, func(err error) { heard = append(heard, err.Error()) })
	for second := range 130 {
		now = time.Unix(1+int64(second), 0)
		tell(errors.New(fmt.Sprint(second)))
	}
	if diff := cmp.Diff([]string{"0", "60", "120"}, heard); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
