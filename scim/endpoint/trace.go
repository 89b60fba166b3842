package endpoint

import (
	"net/http"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// startSpan begins the request's span. A trace that the caller names (W3C traceparent) is linked and
// never continued: whoever reaches a public address could else have all requests recorded, have
// none recorded, or write into the trace of somebody else.
func (c *call) startSpan() {
	r := c.echo.Request()
	caller := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header)))
	options := []trace.SpanStartOption{trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer)}
	if caller.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: caller}))
	}
	ctx, span := c.Tracer.Start(r.Context(), "request", options...)
	c.span = span
	c.echo.SetRequest(r.WithContext(ctx))
}

// endSpan names the span and says how the request ended. Path and query stay out of it: they hold
// ids and values.
func (c *call) endSpan(route string, status int) {
	defer c.span.End()
	if !c.span.IsRecording() {
		return
	}
	method := spanMethod(c.echo.Request().Method)
	c.span.SetName(method + " " + route)
	c.span.SetAttributes(
		attribute.String("http.request.method", method), attribute.String("http.route", route),
		attribute.Int("http.response.status_code", status), attribute.String("meibo.correlation_id", c.correlation))
	if c.caller.Tenant != "" {
		c.span.SetAttributes(attribute.String("meibo.tenant", c.caller.Tenant), attribute.String("meibo.connection", c.caller.Connection.Name))
	}
	if len(c.repair.used) > 0 {
		c.span.SetAttributes(attribute.StringSlice("meibo.quirks", c.repair.used))
	}
	if status >= http.StatusInternalServerError {
		c.span.SetStatus(codes.Error, http.StatusText(status))
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
