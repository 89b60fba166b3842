package main

import (
	"context"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"meibo/config"
)

// Bounds of what traces may cost. Spans that find the queue full are dropped: nothing waits for them.
const (
	traceQueue   = 2048 // spans, of the order of a megabyte
	traceBatch   = 512
	traceEvery   = 5 * time.Second
	traceTimeout = 5 * time.Second // of one batch, and of what is left at the end
	traceText    = 256             // bytes of an attribute
)

// tracing makes spans and sends them to a collector. Without one its tracer is nil, and nobody makes
// a span.
type tracing struct {
	tracer   trace.Tracer
	provider *sdktrace.TracerProvider // nil without a tracer
}

// newTracing takes what counts from c and not from OpenTelemetry's own variables, but for
// OTEL_RESOURCE_ATTRIBUTES, which the SDK adds to what it says of the process. failed hears of batches that
// the collector did not take.
func newTracing(ctx context.Context, c config.Config, failed func(error)) (*tracing, error) {
	if c.TracesEndpoint == "" {
		return &tracing{}, nil
	}
	collector, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(tracesURL(c.TracesEndpoint)),
		otlptracehttp.WithHTTPClient(&http.Client{Timeout: traceTimeout, Transport: &http.Transport{}}),
		otlptracehttp.WithHeaders(map[string]string{}), otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{})) // a batch that is retried keeps the next from leaving
	if err != nil {
		return nil, err
	}
	return newTracer(reporting{collector, failed}, c.TracesRatio), nil
}

// tracesURL adds the path that collectors listen on to an address without one.
func tracesURL(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil || u.Path != "" && u.Path != "/" {
		return endpoint
	}
	return u.JoinPath("/v1/traces").String()
}

// newTracer samples by ids of our own making, since requests begin traces of their own, and says for each
// limit what it is, since the environment would else.
func newTracer(exporter sdktrace.SpanExporter, ratio float64) *tracing {
	limits := sdktrace.NewSpanLimits()
	limits.AttributeValueLengthLimit = traceText
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio))),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", "meibo"), attribute.String("service.version", version))),
		sdktrace.WithRawSpanLimits(limits),
		sdktrace.WithBatcher(exporter, sdktrace.WithMaxQueueSize(traceQueue), sdktrace.WithMaxExportBatchSize(traceBatch),
			sdktrace.WithBatchTimeout(traceEvery), sdktrace.WithExportTimeout(traceTimeout)))
	return &tracing{tracer: provider.Tracer("meibo"), provider: provider}
}

// close sends what waits, as far as ctx and traceTimeout allow. Traces that are lost fail nothing.
func (t *tracing) close(ctx context.Context) {
	if t.provider == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, traceTimeout)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // what did not leave was reported, or ctx was over
}

// reporting is an exporter whose errors are told to one of us, instead of to OpenTelemetry's global handler.
type reporting struct {
	sdktrace.SpanExporter
	failed func(error)
}

// ExportSpans implements sdktrace.SpanExporter.
func (r reporting) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	if err := r.SpanExporter.ExportSpans(ctx, spans); err != nil {
		r.failed(err)
	}
	return nil
}

// seldom runs fn for the first error and then once in a while: a collector that is gone fails every few seconds.
func seldom(every time.Duration, now func() time.Time, fn func(error)) func(error) {
	var last atomic.Int64
	return func(err error) {
		before, at := last.Load(), now().UnixNano()
		if (before == 0 || at-before >= int64(every)) && last.CompareAndSwap(before, at) {
			fn(err)
		}
	}
}

// traceFailed counts a batch that was not taken, and says so in the log once a minute.
func traceFailed(m *metrics, log *zap.Logger) func(error) {
	tell := seldom(time.Minute, time.Now, func(err error) {
		log.Warn("the collector did not take traces; they are lost, and nothing else is", zap.Error(err))
	})
	return func(err error) {
		m.failed.WithLabelValues(workTraces).Inc()
		tell(err)
	}
}
