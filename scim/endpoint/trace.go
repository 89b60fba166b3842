package endpoint

import (
	"go.opentelemetry.io/otel/attribute"

	"meibo/internal/edge"
)

func (c *call) startSpan() {
	r, span := edge.StartSpan(c.Tracer, c.echo.Request())
	c.span = span
	c.echo.SetRequest(r)
}

// endSpan names the span and says how the request ended.
func (c *call) endSpan(route string, status int) {
	e := edge.Ended{Method: c.echo.Request().Method, Route: route, Status: status, Correlation: c.correlation}
	if c.span.IsRecording() && c.caller.Tenant != "" {
		e.More = append(e.More, attribute.String("meibo.tenant", c.caller.Tenant), attribute.String("meibo.connection", c.caller.Connection.Name))
	}
	if c.span.IsRecording() && len(c.repair.used) > 0 {
		e.More = append(e.More, attribute.StringSlice("meibo.quirks", c.repair.used))
	}
	edge.EndSpan(c.span, e)
}
