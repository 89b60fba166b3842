package edge

import (
	"net/http"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// StartSpan begins a request's span and returns the request with it. A trace that the caller names
// (W3C traceparent) is linked and never continued: whoever reaches a public address could else have
// all requests recorded, have none recorded, or write into the trace of somebody else.
func StartSpan(t trace.Tracer, r *http.Request) (*http.Request, trace.Span) {
	caller := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header)))
	options := []trace.SpanStartOption{trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer)}
	if caller.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: caller}))
	}
	ctx, span := t.Start(r.Context(), "request", options...)
	return r.WithContext(ctx), span
}

// Ended is how a request ended.
type Ended struct {
	Method, Route string // the route is a template: path and query hold ids and values
	Status        int
	Correlation   string
	More          []attribute.KeyValue
}

// EndSpan names the span and says how the request ended.
func EndSpan(span trace.Span, e Ended) {
	defer span.End()
	if !span.IsRecording() {
		return
	}
	method := spanMethod(e.Method)
	span.SetName(method + " " + e.Route)
	span.SetAttributes(
		attribute.String("http.request.method", method), attribute.String("http.route", e.Route),
		attribute.Int("http.response.status_code", e.Status), attribute.String("meibo.correlation_id", e.Correlation))
	span.SetAttributes(e.More...)
	if e.Status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, http.StatusText(e.Status))
	}
}

var spanMethods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

// spanMethod is a method of the standard, or the word for others: the name of a span is no place for a client's text.
func spanMethod(method string) string {
	if slices.Contains(spanMethods, method) {
		return method
	}
	return "_OTHER"
}
