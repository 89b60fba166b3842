package e2e

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"meibo/internal/drill"
	"meibo/scim/endpoint"
	"meibo/store"
)

// recorder keeps the spans that ended.
type recorder struct {
	*tracetest.SpanRecorder
	requests chan sdktrace.ReadOnlySpan
}

func newRecorder() *recorder {
	return &recorder{tracetest.NewSpanRecorder(), make(chan sdktrace.ReadOnlySpan, 100)}
}

func (r *recorder) tracer() trace.Tracer {
	return sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(r)).Tracer("test")
}

// OnEnd implements sdktrace.SpanProcessor.
func (r *recorder) OnEnd(span sdktrace.ReadOnlySpan) {
	r.SpanRecorder.OnEnd(span)
	if r.requests != nil && attributes(span)["meibo.correlation_id"] != "" {
		r.requests <- span
	}
}

// request waits for the span of a request: it ends a little after the answer.
func (r *recorder) request(correlation string) sdktrace.ReadOnlySpan {
	for span := range r.requests {
		if attributes(span)["meibo.correlation_id"] == correlation {
			return span
		}
	}
	return nil
}

// canary is a part of every value that the requests of TestSpans send.
const canary = "kanarienvogel"

// TestSpans: a request's span holds those of its units of work, and these hold their statements; they
// end as the request did, and no value of a client is in any of them.
func TestSpans(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		recorder := newRecorder()
		var broken atomic.Bool
		s := newServer(t, db, options{tracer: recorder.tracer(), store: store.Options{BeforeWrite: func(name string) error {
			if broken.Load() && !atLeisure(name) {
				return errors.New(canary)
			}
			return nil
		}}})
		c := s.newTenant("acme")
		user := fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"%[1]s@example.com",
			"externalId":"%[1]s","displayName":"%[1]s","emails":[{"value":"%[1]s@example.com","type":"work"}]}`, canary)
		patch := func(op string) string {
			return fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[%s]}`, op)
		}
		created := s.traced(t, recorder, c, http.MethodPost, "/Users", user)
		id := created.answer.id()
		for name, test := range map[string]struct {
			spans  spans
			route  string
			status int
			units  []string // the writing ones, with their error.type
			wants  []string // among the statements
			failed bool
		}{
			"create": {spans: created, route: "POST /t/:tenant/scim/v2/Users", status: 201, units: []string{"store update"}, wants: []string{"insert resource"}},
			"failing patch": {spans: s.traced(t, recorder, c, http.MethodPatch, "/Users/"+id, patch(`{"op":"replace","path":"active","value":"`+canary+`"}`)),
				route: "PATCH /t/:tenant/scim/v2/Users/:id", status: 400, units: []string{"store update invalid", "store update"}, wants: []string{"select resource", "insert entry"}},
			"list": {spans: s.traced(t, recorder, c, http.MethodGet, "/Users?filter=userName+eq+%22"+canary+"@example.com%22", ""),
				route: "GET /t/:tenant/scim/v2/Users", status: 200, wants: []string{"select resource"}},
			"no such method": {spans: s.traced(t, recorder, c, strings.ToUpper(canary), "/Users", ""), route: "_OTHER /t/:tenant/scim/v2/Users", status: 405},
		} {
			if got, want := test.spans.of("request"), []string{fmt.Sprint(test.route, " ", test.status)}; !slices.Equal(got, want) {
				t.Errorf("%s: requests %q, want %q", name, got, want)
			}
			if diff := gocmp.Diff(test.units, test.spans.of("update")); diff != "" {
				t.Errorf("%s: units of work that write (-want +got):\n%s", name, diff)
			}
			for _, want := range test.wants {
				if !slices.Contains(test.spans.of("statement"), want) {
					t.Errorf("%s: no statement %q, but %q", name, want, test.spans.of("statement"))
				}
			}
		}

		broken.Store(true)
		failed := s.traced(t, recorder, c, http.MethodDelete, "/Users/"+id, "")
		broken.Store(false)
		if failed.answer.status != http.StatusServiceUnavailable || failed.root.Status().Code != codes.Error {
			t.Errorf("a write that could not be journalled: status %d, span %v", failed.answer.status, failed.root.Status())
		}
		for _, span := range recorder.Ended() {
			if text := fmt.Sprintf("%+v", tracetest.SpanStubFromReadOnlySpan(span)); strings.Contains(strings.ToLower(text), canary) || strings.Contains(text, c.token) {
				t.Errorf("a value is in a span: %s", text)
			}
		}
	})
}

// spans are those of one request.
type spans struct {
	answer answer
	root   sdktrace.ReadOnlySpan
	kinds  map[string][]string // request, view, update, statement → in words, in the order of their ends
}

func (s spans) of(kind string) []string { return s.kinds[kind] }

var statementName = regexp.MustCompile(`^(select|insert|update|delete) [a-z_]+$`)

// traced sends a request and finds its spans, which must hang together.
func (s *server) traced(t *testing.T, r *recorder, c *tenant, method, target, body string) spans {
	t.Helper()
	a, err := c.send(t.Context(), method, target, body)
	if err != nil {
		t.Fatal(err)
	}
	out := spans{answer: a, kinds: map[string][]string{}}
	out.root = r.request(a.correlation)
	all := r.Ended()
	byID := map[string]string{} // span → kind
	slices.Reverse(all)         // parents end after their children
	for _, span := range all {
		if span.SpanContext().TraceID() != out.root.SpanContext().TraceID() {
			continue
		}
		kind, words := describe(span)
		within := map[string][]string{"request": {""}, "view": {"request"}, "update": {"request"}, "statement": {"view", "update"}}[kind]
		if parent := byID[span.Parent().SpanID().String()]; !slices.Contains(within, parent) {
			t.Errorf("%s %q is within %q, want one of %q", kind, words, parent, within)
		}
		if kind == "statement" && !statementName.MatchString(words) {
			t.Errorf("a statement's span is called %q", words)
		}
		byID[span.SpanContext().SpanID().String()] = kind
		out.kinds[kind] = append(out.kinds[kind], words)
	}
	for words := range maps.Values(out.kinds) {
		slices.Reverse(words)
	}
	return out
}

// describe says what a span is of, and its name with how it ended.
func describe(span sdktrace.ReadOnlySpan) (kind, words string) {
	a := attributes(span)
	switch {
	case a["db.operation.name"] != "":
		return "statement", span.Name()
	case a["meibo.correlation_id"] != "":
		return "request", span.Name() + " " + a["http.response.status_code"]
	default:
		return strings.TrimPrefix(span.Name(), "store "), strings.TrimSpace(span.Name() + " " + a["error.type"])
	}
}

func attributes(span sdktrace.ReadOnlySpan) map[string]string {
	out := map[string]string{}
	for _, a := range span.Attributes() {
		out[string(a.Key)] = a.Value.String()
	}
	return out
}

// TestCallersTraceIsLinked: a caller neither chooses the trace that its request is part of nor whether
// it is recorded.
func TestCallersTraceIsLinked(t *testing.T) {
	t.Parallel()
	recorder := newRecorder()
	s := newServer(t, databases[0], options{tracer: recorder.tracer()})
	c := s.newTenant("acme")
	const theirs = "0af7651916cd43dd8448eb211c80319c"
	for _, sampled := range []string{"00", "01"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.base+"/Users", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+c.token)
		req.Header.Set("Traceparent", "00-"+theirs+"-b7ad6b7169203331-"+sampled)
		res, err := c.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		root := recorder.request(res.Header.Get(endpoint.CorrelationHeader))
		links := root.Links()
		if root.SpanContext().TraceID().String() == theirs || root.Parent().IsValid() || len(links) != 1 || links[0].SpanContext.TraceID().String() != theirs {
			t.Errorf("sampled %s: trace %s with parent %v and links %v", sampled, root.SpanContext().TraceID(), root.Parent(), links)
		}
	}
}

// TestSpansOfADrill: whatever the server does for a client, its spans hang together and name what they are of.
func TestSpansOfADrill(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		recorder := newRecorder()
		recorder.requests = nil // nobody waits for one
		s := newServer(t, db, options{tracer: recorder.tracer()})
		s.newTenant("acme").drill(drill.Default, drill.Options{Users: 10, Groups: 2, Members: 10, Seed: 1})
		s.stop()
		names := map[string]bool{}
		for _, span := range recorder.Ended() {
			kind, words := describe(span)
			if kind == "statement" {
				names[words] = true
				if !statementName.MatchString(words) || !span.Parent().IsValid() {
					t.Errorf("a statement's span is called %q, within %v", words, span.Parent())
				}
			}
		}
		for _, want := range []string{"insert resource", "update resource", "select resource", "insert entry", "select tally"} {
			if !names[want] {
				t.Errorf("no statement %q among %q", want, slices.Sorted(maps.Keys(names)))
			}
		}
	})
}
