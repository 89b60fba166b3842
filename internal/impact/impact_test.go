package impact_test

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"meibo/internal/impact"
	"meibo/internal/webhook"
	"meibo/provisioning"
)

func client(t *testing.T) *impact.Client {
	t.Helper()
	key, err := webhook.ParseKey("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	if err != nil {
		t.Fatal(err)
	}
	return impact.New(key)
}

func query(url string) provisioning.ImpactQuery {
	return provisioning.ImpactQuery{ID: "q", URL: url, Timeout: 20 * time.Second, Tenant: "acme", At: time.Unix(1614265330, 0)}
}

// unresolvable is a name that the resolver refuses without asking a server, which may be far off or not there at all: a label has
// 63 bytes at most.
var unresolvable = strings.Repeat("x", 64) + ".example"

// many is an answer with n counts.
func many(n int) string {
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf(`"c%d":%d`, i, i))
	}
	return `{"counts":{` + strings.Join(parts, ",") + `}}`
}

// TestAnswers: what is not as documented is no answer, and the error repeats nothing of it.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const object, whole, name = `with an object "counts"`, "is not a whole number", "the name of a count"
	for text, want := range map[string]string{
		`{"counts":{"appointments":12,"visits":3}}`:    "",
		` {"counts": {"visits" : 0 }, "later": [1] } `: "",
		`{"counts":{}}`:                                    "",
		`{"counts":{"予約":9007199254740992}}`:               "",
		`{"counts":{"` + strings.Repeat("é", 64) + `":1}}`: "",
		many(32):                                 "",
		many(33):                                 "more than 32 counts",
		``:                                       object,
		`null`:                                   object,
		`[]`:                                     object,
		`{}`:                                     object,
		`{"counts":null}`:                        object,
		`{"counts":[]}`:                          object,
		`{"Counts":{"s3cret":1}}`:                object,
		`{"counts":{"s3cret":1}} {`:              object,
		`{"counts":{"s3cret":1}`:                 object,
		`<html>s3cret</html>`:                    object,
		`{"counts":{"s3cret":-1}}`:               whole,
		`{"counts":{"s3cret":1.0}}`:              whole,
		`{"counts":{"s3cret":1e3}}`:              whole,
		`{"counts":{"s3cret":"1"}}`:              whole,
		`{"counts":{"s3cret":null}}`:             whole,
		`{"counts":{"s3cret":9007199254740993}}`: whole,
		`{"counts":{"s3cret":99999999999999999999999}}`:         whole,
		`{"counts":{"":1}}`:                                     name,
		`{"counts":{"s3cret\u0000":1}}`:                         name,
		`{"counts":{"s3cret\u001b[2J":1}}`:                      name,
		"{\"counts\":{\"s3cret\xff\":1}}":                       name,
		`{"counts":{"` + strings.Repeat("s3cret", 11) + `":1}}`: name,
		`{"counts":{"a":1}` + strings.Repeat(" ", 65536) + `}`:  "more than 65536 bytes",
	} {
		t.Run(fmt.Sprintf("%.40s", text), func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }))
			defer server.Close()
			counts, err := client(t).Ask(t.Context(), query(server.URL))
			switch {
			case want == "" && (err != nil || counts == nil):
				t.Errorf("Ask: %v, %v", counts, err)
			case want != "" && (err == nil || counts != nil || !strings.Contains(err.Error(), want)):
				t.Errorf("Ask: %v, %v, want %q", counts, err, want)
			case err != nil && strings.Contains(err.Error(), "s3cret"):
				t.Errorf("the error repeats the answer: %v", err)
			}
		})
	}
}

// TestNobodyAnswers: each way of it says in our own words what to look at.
func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(nil)
	gone.Close()
	strange := httptest.NewTLSServer(nil)
	defer strange.Close()
	hang := func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // from then on the server sees the client leave
		<-r.Context().Done()
	}
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_, _ = io.WriteString(c, text)
				_ = c.Close()
			}
		}
	}
	for name, tt := range map[string]struct {
		url     string
		answer  http.HandlerFunc
		timeout time.Duration
		want    string
	}{
		"nobody listens":      {url: gone.URL, want: "cannot be connected to"},
		"no such name":        {url: "https://" + unresolvable + "/impact", want: "its name cannot be looked up"},
		"a strange authority": {url: strange.URL, want: "its certificate is not trusted, or of another host"},
		"no URL":              {url: "https://app.example:x/", want: "the address in matters.impact.url is no URL"},
		"silence":             {answer: hang, timeout: 50 * time.Millisecond, want: "no answer within 50ms"},
		"not HTTP":            {answer: raw("s3cret"), want: "the connection broke off before there was an answer"},
		"a header too large":  {answer: raw("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("s3cret", 9000) + "\r\n\r\n{}"), want: "the connection broke off before there was an answer"},
		"401":                 {answer: func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "s3cret", http.StatusUnauthorized) }, want: "answered with status 401 instead of 200"},
	} {
		t.Run(name, func(t *testing.T) {
			q := query(tt.url)
			if tt.answer != nil {
				server := httptest.NewServer(tt.answer)
				defer server.Close()
				q.URL = server.URL
			}
			if tt.timeout > 0 {
				q.Timeout = tt.timeout
			}
			counts, err := client(t).Ask(t.Context(), q)
			if err == nil || err.Error() != tt.want || counts != nil {
				t.Errorf("Ask: %v, %v, want %q", counts, err, tt.want)
			}
		})
	}
}

// TestGoesNowhereElse: neither to where an answer points, nor through a proxy of the environment.
func TestGoesNowhereElse(t *testing.T) {
	visited := make(chan string, 1)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { visited <- r.URL.String() }))
	defer elsewhere.Close()
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		t.Setenv(name, elsewhere.URL)
	}
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	if _, err := client(t).Ask(t.Context(), query(server.URL)); err == nil || !strings.Contains(err.Error(), "status 307") {
		t.Errorf("Ask: %v", err)
	}
	if _, err := client(t).Ask(t.Context(), query("http://"+unresolvable+"/")); err == nil || !strings.Contains(err.Error(), "looked up") {
		t.Errorf("Ask: %v", err)
	}
	select {
	case url := <-visited:
		t.Errorf("it went to %s", url)
	default:
	}
}

// TestStops: who waits for an answer stops with the server.
func TestStops(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	}))
	defer server.Close()
	if _, err := client(t).Ask(ctx, query(server.URL)); err == nil {
		t.Error("there was an answer")
	}
}

// TestGroups: a group has a displayName, and a user a userName.
func TestGroups(t *testing.T) {
	t.Parallel()
	bodies := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- string(body)
		_, _ = io.WriteString(w, `{"counts":{"rooms":2}}`)
	}))
	defer server.Close()
	q := query(server.URL)
	q.Resource = provisioning.ImpactResource{ID: "i", Type: "Group", Name: "Sales"}
	counts, err := client(t).Ask(t.Context(), q)
	if err != nil || !maps.Equal(counts, map[string]int64{"rooms": 2}) {
		t.Errorf("Ask: %v, %v", counts, err)
	}
	if body := <-bodies; !strings.Contains(body, `"resource":{"id":"i","type":"Group","displayName":"Sales"}`) {
		t.Errorf("asked %s", body)
	}
}
