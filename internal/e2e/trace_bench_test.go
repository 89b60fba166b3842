package e2e

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// discard is an exporter that takes everything at once.
type discard struct{}

func (discard) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (discard) Shutdown(context.Context) error                             { return nil }

// BenchmarkTraces is what traces cost a request: a read by id on SQLite, through the whole server but for the
// network. "off" is how it ships.
func BenchmarkTraces(b *testing.B) {
	for _, mode := range []struct {
		name    string
		sampler sdktrace.Sampler // nil for no tracer
	}{{"off", nil}, {"none sampled", sdktrace.NeverSample()}, {"all sampled", sdktrace.AlwaysSample()}} {
		b.Run(mode.name, func(b *testing.B) {
			var tracer trace.Tracer
			if mode.sampler != nil {
				provider := sdktrace.NewTracerProvider(sdktrace.WithSampler(mode.sampler), sdktrace.WithBatcher(discard{}))
				b.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
				tracer = provider.Tracer("bench")
			}
			s := newServer(b, databases[0], options{tracer: tracer})
			c := s.newTenant("acme")
			a, err := c.send(b.Context(), http.MethodPost, "/Users", `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ken"}`)
			if err != nil || a.status != http.StatusCreated {
				b.Fatal(a, err)
			}
			req := httptest.NewRequest(http.MethodGet, c.base+"/Users/"+a.id(), nil)
			req.Header.Set("Authorization", "Bearer "+c.token)
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				if s.http.Config.Handler.ServeHTTP(w, req); w.Code != http.StatusOK {
					b.Fatal(w.Code, w.Body)
				}
			}
		})
	}
}
