package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorder notes what reaches a server and what it answers.
type recorder struct {
	http.RoundTripper
	mu       sync.Mutex
	accepted []string // everything that was not throttled: method, address, body
	writes   []Write
}

func (rec *recorder) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	resp, err := rec.RoundTripper.RoundTrip(r)
	if err != nil || resp.StatusCode == http.StatusTooManyRequests {
		return resp, err
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.accepted = append(rec.accepted, r.Method+" "+r.URL.String()+" "+string(body))
	if r.Method != http.MethodGet {
		rec.writes = append(rec.writes, Write{CorrelationID: resp.Header.Get("X-Correlation-Id"), Method: r.Method, Path: r.URL.Path, Status: resp.StatusCode})
	}
	return resp, nil
}

func TestThrottlingIsObeyed(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	for name, retryAfter := range map[string]string{"seconds": "3", "date": now.Add(3 * time.Second).Format(http.TimeFormat)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var waits []time.Duration
			play := func(s *fakeServer) (*Report, []string) {
				rec := &recorder{RoundTripper: s}
				opt := options(rec, Default)
				opt.Workers = 1
				opt.Now = func() time.Time { return now } // it stands still, so the next request waits out the pause once more
				opt.Sleep = func(_ context.Context, d time.Duration) error {
					waits = append(waits, d)
					return nil
				}
				rep, err := Run(t.Context(), opt)
				if err != nil {
					t.Fatal(err)
				}
				return rep, rec.accepted
			}
			_, want := play(&fakeServer{})
			if waits != nil {
				t.Fatalf("waited %v although nothing was throttled", waits)
			}
			rep, got := play(&fakeServer{plant: everyNth(100, func() *reply {
				re := fail(http.StatusTooManyRequests, "", "slow down")
				re.header = http.Header{"Retry-After": {retryAfter}}
				return re
			})})
			if !rep.OK() || rep.Throttled == 0 {
				t.Fatal(text(t, rep))
			}
			if !slices.Equal(got, want) {
				t.Error("a throttled run did not send the same requests in the same order")
			}
			for _, d := range waits {
				if d != 3*time.Second {
					t.Errorf("waited %s instead of 3 s", d)
				}
			}
		})
	}
}

func TestWritesMatchTheServersLog(t *testing.T) {
	t.Parallel()
	for _, dialect := range []Dialect{Default, Flag} {
		t.Run(string(dialect), func(t *testing.T) {
			t.Parallel()
			rec := &recorder{RoundTripper: &fakeServer{plant: everyNth(37, func() *reply {
				re := fail(http.StatusTooManyRequests, "", "slow down")
				re.header = http.Header{"Retry-After": {"0"}}
				return re
			})}}
			var lines bytes.Buffer
			opt := options(rec, dialect)
			opt.WritesTo = &lines
			rep, err := Run(t.Context(), opt)
			if err != nil || !rep.OK() {
				t.Fatal(err, text(t, rep))
			}
			var fromLines []Write
			for dec := json.NewDecoder(&lines); ; {
				var w Write
				if err := dec.Decode(&w); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				fromLines = append(fromLines, w)
			}
			if !slices.Equal(fromLines, rep.Writes) {
				t.Error("WritesTo and Writes differ")
			}
			got := slices.Clone(rep.Writes)
			for i, w := range got {
				if w.ResourceID == "" && w.Status != http.StatusConflict {
					t.Errorf("no resource id: %+v", w)
				}
				got[i].ResourceID = ""
			}
			byID := func(a, b Write) int { return strings.Compare(a.CorrelationID, b.CorrelationID) }
			slices.SortFunc(got, byID)
			slices.SortFunc(rec.writes, byID)
			if !slices.Equal(got, rec.writes) {
				t.Errorf("%d writes reported, %d answered, or they differ", len(got), len(rec.writes))
			}
		})
	}
}

func TestBothDialectsAndTwoSeedsOnOneServer(t *testing.T) {
	t.Parallel()
	s := &fakeServer{}
	for _, dialect := range []Dialect{Default, Flag} {
		for _, seed := range []uint64{1, 2} {
			opt := options(s, dialect)
			opt.Seed = seed
			rep, err := Run(t.Context(), opt)
			if err != nil || !rep.OK() {
				t.Fatal(err, text(t, rep))
			}
		}
	}
}

// TestExistingObjectsAreLinked plays the start of a job whose users and groups are there already, under other values and with strangers in the groups.
func TestExistingObjectsAreLinked(t *testing.T) {
	t.Parallel()
	s := &fakeServer{}
	play := func() *Report {
		opt := options(s, Default)
		base, err := opt.complete()
		if err != nil {
			t.Fatal(err)
		}
		rep := newReport(opt)
		ctx, stop := context.WithCancelCause(t.Context())
		defer stop(nil)
		d := newDrill(opt, base, rep, stop)
		d.initialCycle(ctx)
		d.steadyCycle(ctx)
		d.checkMembers(ctx)
		return rep
	}
	if rep := play(); !rep.OK() {
		t.Fatal(text(t, rep))
	}
	created := len(s.users)
	for i, u := range s.users {
		u.attrs["title"] = "changed"
		s.groups[i%len(s.groups)].members = append(s.groups[i%len(s.groups)].members, "stranger")
		u.attrs["active"] = i%2 == 0
	}
	if rep := play(); !rep.OK() {
		t.Fatal(text(t, rep))
	}
	if len(s.users) != created {
		t.Errorf("%d users instead of %d", len(s.users), created)
	}
}

func TestForeignServerMayDiffer(t *testing.T) {
	t.Parallel()
	opt := options(&fakeServer{plant: plant{
		freshIDOnRestore: true, showDeletedMembers: true,
		after: func(_ *fakeServer, _ *call, r *reply) { r.header.Del("X-Correlation-Id") },
	}}, Default)
	opt.Foreign = true
	rep, err := Run(t.Context(), opt)
	if err != nil || !rep.OK() {
		t.Fatal(err, text(t, rep))
	}
	for _, f := range []fault{correlationMissing, restoreOtherID, deleteStillMember} {
		if rep.Warnings[string(f)] == 0 {
			t.Errorf("no warning %s", f)
		}
	}
	if out := text(t, rep); !strings.Contains(out, "warning restore.other-id") {
		t.Errorf("the text has no warning:\n%s", out)
	}
}

func TestQueryOfTheBaseURLGoesAlong(t *testing.T) {
	t.Parallel()
	opt := options(&fakeServer{plant: plant{before: func(r *http.Request) *reply {
		if !r.URL.Query().Has("aadOptscim062020") {
			return fail(http.StatusBadRequest, "", "the flag got lost")
		}
		return nil
	}}}, Flag)
	opt.BaseURL += "/?aadOptscim062020"
	rep, err := Run(t.Context(), opt)
	if err != nil || !rep.OK() {
		t.Fatal(err, text(t, rep))
	}
}

func TestTokenDoesNotFollowARedirect(t *testing.T) {
	t.Parallel()
	opt := options(roundTrip(func(r *http.Request) *http.Response {
		if r.URL.Host != "fake.example" {
			t.Errorf("a request went to %s", r.URL.Host)
		}
		return &http.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {"http://elsewhere.example/"}}, Body: http.NoBody, Request: r}
	}), Default)
	rep, err := Run(t.Context(), opt)
	if err != nil || rep.OK() {
		t.Fatal(err, text(t, rep))
	}
}

type roundTrip func(*http.Request) *http.Response

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	opt := options(lost{}, Default)
	rep, err := Run(t.Context(), opt)
	if err != nil || rep.OK() || !strings.Contains(rep.Stopped, "no answer") {
		t.Fatal(err, text(t, rep))
	}
	if n := rep.Faults[string(transportFailed)]; n > maxSilence+opt.Workers {
		t.Errorf("%d requests were sent to nobody", n)
	}
}

type lost struct{}

func (lost) RoundTrip(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }

func TestOptionsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Options){
		"absolute http":          func(o *Options) { o.BaseURL = "localhost:8080/scim" },
		"token is empty":         func(o *Options) { o.Token = "" },
		`dialect "both"`:         func(o *Options) { o.Dialect = "both" },
		"must not be negative":   func(o *Options) { o.Workers = -1 },
		"241 memberships do not": func(o *Options) { o.Members = 241 },
	} {
		opt := options(&fakeServer{}, Default)
		change(&opt)
		rep, err := Run(t.Context(), opt)
		if err == nil || rep != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

func TestInterruption(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := &fakeServer{plant: plant{before: func(r *http.Request) *reply {
		if r.Method == http.MethodPost {
			cancel()
		}
		return nil
	}}}
	rep, err := Run(ctx, options(s, Default))
	if !errors.Is(err, context.Canceled) || len(rep.Faults) != 0 {
		t.Errorf("got %v and %v, want the context's error and no fault", err, rep.Faults)
	}
}

func TestWritesToFailing(t *testing.T) {
	t.Parallel()
	opt := options(&fakeServer{}, Default)
	pr, pw := io.Pipe()
	if err := pr.Close(); err != nil {
		t.Fatal(err)
	}
	opt.WritesTo = pw
	if _, err := Run(t.Context(), opt); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want the writer's error", err)
	}
}

func TestReportHasNoSecret(t *testing.T) {
	t.Parallel()
	opt := options(&fakeServer{plant: everyNth(3, func() *reply { return fail(http.StatusInternalServerError, "", "no") })}, Default)
	rep, err := Run(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(rep)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text(t, rep)+string(asJSON), fakeToken) {
		t.Error("the report holds the token")
	}
	var back Report
	if err := json.Unmarshal(asJSON, &back); err != nil || !reflect.DeepEqual(back.Faults, rep.Faults) || len(back.Errors) != len(rep.Errors) {
		t.Errorf("the JSON report does not read back: %v", err)
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{
		"http://h/scim":             "http://h/scim/Users/a%2Fb?count=1",
		"http://h/scim/":            "http://h/scim/Users/a%2Fb?count=1",
		"https://h:8443/a%2Fb?x=1&": "https://h:8443/a%2Fb/Users/a%2Fb?x=1&count=1",
	} {
		u, err := url.Parse(base)
		if err != nil {
			t.Fatal(err)
		}
		c := &client{base: u}
		if got := c.address(request{path: users.path("a/b"), query: "count=1"}); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	var lines, bar bytes.Buffer
	clock := func() time.Time { return time.Time{} }
	for _, p := range []*progress{newProgress(&lines, clock), {w: &bar, terminal: true, now: clock}, newProgress(nil, clock)} {
		p.begin("users", 2)
		p.step()
		p.step()
		p.begin("groups", 1)
		p.end()
		p.end()
	}
	if got, want := lines.String(), "users: 2 of 2 in 0s\ngroups: 0 of 1 in 0s\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := bar.String(); !strings.Contains(got, "\rusers") || !strings.Contains(got, "2/2 0s\n") {
		t.Errorf("got %q", got)
	}
}

func TestQuantile(t *testing.T) {
	t.Parallel()
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for percent, want := range map[int]time.Duration{0: 1, 50: 50, 95: 95, 99: 99, 100: 100} {
		if got := quantile(hundred, percent); got != want {
			t.Errorf("p%d = %d, want %d", percent, got, want)
		}
	}
	if got := quantile(hundred[:1], 99); got != 1 {
		t.Errorf("p99 of one value = %d", got)
	}
}
