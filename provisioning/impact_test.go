package provisioning_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"meibo/internal/impact"
	"meibo/internal/testkit"
	"meibo/internal/webhook"
	"meibo/provisioning"
	"meibo/scim"
	"meibo/store/storetest"
)

const impactSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// ask is a provisioning.Options.Impact.
type ask func(context.Context, provisioning.ImpactQuery) (map[string]int64, error)

// watched counts the units of work that are open.
type watched struct {
	provisioning.Store
	open atomic.Int64
}

func (w *watched) View(ctx context.Context, tenant string, fn func(provisioning.Reader) error) error {
	w.open.Add(1)
	defer w.open.Add(-1)
	return w.Store.View(ctx, tenant, fn)
}

func (w *watched) Update(ctx context.Context, tenant string, fn func(provisioning.Tx) error) error {
	w.open.Add(1)
	defer w.open.Add(-1)
	return w.Store.Update(ctx, tenant, fn)
}

// newAsking is a directory whose deletions wait for what ask says of them. No unit of work may be open while it is asked.
func newAsking(t *testing.T, s provisioning.Store, url string, ask ask, edit func(*provisioning.Settings)) *directory {
	t.Helper()
	store := &watched{Store: s}
	clock := testkit.NewClock(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC))
	d := &directory{T: t, clock: clock, store: store}
	d.Service = provisioning.New(provisioning.Options{Store: store, Now: clock.Now, Impact: func(ctx context.Context, q provisioning.ImpactQuery) (map[string]int64, error) {
		if n := store.open.Load(); n != 0 {
			t.Errorf("%d units of work are open while the host application is asked", n)
		}
		return ask(context.WithValue(ctx, directoryKey{}, d), q)
	}})
	if _, err := d.CreateTenant(t.Context(), d.admin()); err != nil {
		t.Fatal(err)
	}
	d.apply(func(s *provisioning.Settings) {
		s.Deletion.Users.Deleted, s.Deletion.Users.Deactivated = provisioning.DeletePolicy, provisioning.DeletePolicy
		s.Matters.Impact = provisioning.ImpactSettings{URL: url, Timeout: provisioning.Period(30 * time.Second)}
		if edit != nil {
			edit(s)
		}
	})
	return d
}

// eachAsking runs a test on both databases.
func eachAsking(t *testing.T, ask ask, edit func(*provisioning.Settings), run func(d *directory)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		run(newAsking(t, s, "https://app.example/impact", ask, edit))
	})
}

// eachHosted runs a test on both databases, each with a host application of its own.
func eachHosted(t *testing.T, answer http.HandlerFunc, run func(d *directory, h *host)) {
	t.Helper()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		h := &host{answer: answer}
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		key, err := webhook.ParseKey(impactSecret)
		if err != nil {
			t.Fatal(err)
		}
		run(newAsking(t, s, server.URL+"/impact", impact.New(key).Ask, nil), h)
	})
}

type directoryKey struct{}

// asked is the directory that a question comes from.
func asked(ctx context.Context) *directory { return ctx.Value(directoryKey{}).(*directory) }

// passes asks once, and wants so many answers and failures.
func (d *directory) passes(answered, failed int) {
	d.Helper()
	got, err := d.AskImpact(d.Context())
	failures := 0
	if err != nil {
		failures = strings.Count(err.Error(), "impact of matter ")
	}
	if got != answered || failures != failed {
		d.Fatalf("%d answers and %d failures, want %d and %d: %v", got, failures, answered, failed, err)
	}
}

// held wants a deletion that waits, and returns its matter.
func (d *directory) held(id string) provisioning.Matter {
	d.Helper()
	d.want(id, provisioning.Held, "ordinary")
	m := d.onlyMatter(provisioning.MatterHeld)
	if m.Resource != id || m.Reason.Code != provisioning.ReasonImpact || m.Then != provisioning.DeletePolicy {
		d.Fatalf("matter %+v", m)
	}
	return m
}

// host is a host application that keeps what it was asked.
type host struct {
	mu     sync.Mutex
	answer http.HandlerFunc
	seen   []signed
}

type signed struct {
	header http.Header
	body   []byte
}

func (h *host) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	h.seen = append(h.seen, signed{r.Header.Clone(), body})
	answer := h.answer
	h.mu.Unlock()
	answer(w, r)
}

func (h *host) answers(fn http.HandlerFunc) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = fn
}

func (h *host) last() signed {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen[len(h.seen)-1]
}

func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

const twelveAndThree = `{"counts":{"visits":3,"appointments":12}}`

// TestDeletionWaitsForTheHost: the host application is asked by a signed question; its counts are with the matter and in the
// journal, and then the user is gone.
func TestDeletionWaitsForTheHost(t *testing.T) {
	t.Parallel()
	eachHosted(t, says(twelveAndThree), func(d *directory, h *host) {
		a := named("Ann")
		a["externalId"] = "E-4711"
		id := d.create(a)
		d.createGroup("Sales", id)
		d.remove(id)
		m := d.held(id)
		cascades, err := d.Cascades(d.Context(), "acme", []provisioning.Matter{m})
		if c := cascades[m.ID]; err != nil || c.Role != "ordinary" || len(c.Groups) != 1 || c.Groups[0].Display != "Sales" {
			d.Errorf("what goes with it: %+v, %v", c, err)
		}
		d.passes(1, 0)
		x := d.account(id)
		if x.State != provisioning.Removed || !x.PurgeAt.Equal(d.clock.Now().Add(30*24*time.Hour)) {
			d.Errorf("%s until %s", x.State, x.PurgeAt)
		}
		last := entriesOf(d)[0]
		want := map[string]string{"state": "removed", "cause": "deleted", "counts": "appointments 12, visits 3"}
		if last.ResourceID != id || last.Action != provisioning.ActionDelete || last.Outcome != provisioning.Success || last.Actor != "schedule" ||
			last.Reason.Code != provisioning.ReasonAnswered || !maps.Equal(last.Reason.Args, want) {
			d.Errorf("entry %+v", last)
		}
		m, err = d.Matter(d.Context(), "acme", m.ID)
		if err != nil || m.Status != provisioning.MatterAllowed || m.Impact.Counts["visits"] != 3 || m.Impact.Asks != 1 || !m.Impact.AskedAt.Equal(d.clock.Now()) {
			d.Errorf("matter %+v, %v", m, err)
		}
		wantSigned(d.T, h.last(), map[string]any{"tenant": "acme", "connection": "default", "matter": m.ID, "cause": "deleted", "at": "2026-11-22T09:00:00Z",
			"resource": map[string]any{"id": id, "type": "User", "externalId": "E-4711", "userName": "Ann"}}, last.Correlation)
		d.passes(0, 0) // there is nothing left to ask
	})
}

// wantSigned computes the signature as the documentation has it, and nothing of ours.
func wantSigned(t *testing.T, got signed, body map[string]any, id string) {
	t.Helper()
	var is map[string]any
	if err := json.Unmarshal(got.body, &is); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(body, is); diff != "" {
		t.Errorf("question (-want +got):\n%s", diff)
	}
	secret, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(impactSecret, "whsec_"))
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(got.header.Get("webhook-id") + "." + got.header.Get("webhook-timestamp") + "." + string(got.body)))
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); got.header.Get("webhook-signature") != want {
		t.Errorf("signature %s, want %s", got.header.Get("webhook-signature"), want)
	}
	if got.header.Get("webhook-id") != id || got.header.Get("webhook-timestamp") != "1795338000" {
		t.Errorf("header %v, want the id %s", got.header, id)
	}
}

// TestNoAnswerHolds: as long as there is no answer as documented, the deletion is held and asked about again, later each
// time; then it heals.
func TestNoAnswerHolds(t *testing.T) {
	t.Parallel()
	const noAnswer = "no answer within 1s"
	for name, tt := range map[string]struct {
		answer  http.HandlerFunc
		failure string
	}{
		"silent": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, noAnswer},
		"slow": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"counts":`)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, noAnswer},
		"500": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, twelveAndThree, 500) }, "answered with status 500 instead of 200"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/impact2", http.StatusTemporaryRedirect)
		}, "answered with status 307 instead of 200"},
		"garbage":   {says("secret garbage"), `the answer is not a JSON object with an object "counts"`},
		"oversized": {says(`{"counts":{"visits":3}` + strings.Repeat(" ", 64<<10) + "}"), "the answer has more than 65536 bytes"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, `{"counts":{}}`)
		}, "the connection broke off before there was an answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachHosted(t, tt.answer, func(d *directory, h *host) {
				id := d.create(named("ann"))
				if err := d.disable(id); err != nil {
					d.Fatal(err)
				}
				if tt.failure == noAnswer { // all others may take as long as they like
					d.waitsFor(time.Second)
				}
				d.passes(0, 1)
				if tt.failure == noAnswer {
					d.waitsFor(30 * time.Second)
				}
				if i := d.held(id).Impact; i.Failure != tt.failure || i.Asks != 1 || i.Counts != nil || !i.AskedAt.Equal(d.clock.Now()) {
					d.Errorf("impact %+v, want the failure %q", i, tt.failure)
				}
				d.clock.Advance(59 * time.Second)
				d.passes(0, 0)
				h.answers(says(twelveAndThree))
				d.clock.Advance(time.Second)
				d.passes(1, 0)
				d.want(id, provisioning.Removed, "ordinary")
			})
		})
	}
}

// waitsFor says how long an answer may take.
func (d *directory) waitsFor(timeout time.Duration) {
	d.Helper()
	d.apply(func(s *provisioning.Settings) { s.Matters.Impact.Timeout = provisioning.Period(timeout) })
}

// silent is a host application that never answers.
func silent(context.Context, provisioning.ImpactQuery) (map[string]int64, error) {
	return nil, errors.New("no answer")
}

// TestAskedLaterEachTime: from a minute to six hours, and for ever.
func TestAskedLaterEachTime(t *testing.T) {
	t.Parallel()
	eachAsking(t, silent, nil, func(d *directory) {
		id := d.create(named("ann"))
		d.remove(id)
		d.passes(0, 1)
		for _, wait := range []string{"1m", "2m", "4m", "8m", "16m", "32m", "64m", "128m", "256m", "360m", "360m"} {
			pause, _ := time.ParseDuration(wait)
			d.clock.Advance(pause - time.Microsecond)
			d.passes(0, 0)
			d.clock.Advance(time.Microsecond)
			d.passes(0, 1)
		}
		if m := d.held(id); m.Impact.Asks != 12 || m.Version != 1 {
			d.Errorf("matter %+v", m) // a person who looks at it is not overtaken
		}
		if n := len(entriesOf(d)); n != 5 { // tenant, connection, settings, user, deletion
			d.Errorf("%d entries: questions without an answer make none", n)
		}
	})
}

// TestNobodyAsksForever: a host application that is down is not asked about all who wait.
func TestNobodyAsksForever(t *testing.T) {
	t.Parallel()
	eachAsking(t, silent, nil, func(d *directory) {
		for _, name := range []string{"ann", "bob", "cy", "dee", "eve"} {
			d.remove(d.create(named(name)))
		}
		d.passes(0, 3)
		d.passes(0, 2) // the others' turn
		d.passes(0, 0)
	})
	eachAsking(t, late, nil, func(d *directory) {
		for _, name := range []string{"ann", "bob"} {
			d.remove(d.create(named(name)))
		}
		d.passes(0, 1) // it took its whole time
		d.passes(0, 1)
		d.passes(0, 0)
	})
}

// late is a host application that lets a question's time go by.
func late(context.Context, provisioning.ImpactQuery) (map[string]int64, error) {
	return nil, context.DeadlineExceeded
}

// newHosts is a directory with two connections, each with a host application.
func newHosts(t *testing.T, s provisioning.Store, hosts map[string]string, ask ask) *directory {
	t.Helper()
	clock := testkit.NewClock(time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC))
	d := &directory{T: t, clock: clock, store: s, Service: provisioning.New(provisioning.Options{Store: s, Now: clock.Now, Impact: ask})}
	if _, err := d.CreateTenant(t.Context(), d.admin()); err != nil {
		t.Fatal(err)
	}
	if _, err := d.CreateConnection(t.Context(), d.admin(), "other"); err != nil {
		t.Fatal(err)
	}
	for name, host := range hosts {
		settings := provisioning.DefaultSettings()
		settings.Deletion.Users.Deleted = provisioning.DeletePolicy
		settings.Matters.Impact = provisioning.ImpactSettings{URL: "https://" + host + "/impact", Timeout: provisioning.Period(30 * time.Second)}
		if _, _, err := d.ApplySettings(t.Context(), d.admin(), name, provisioning.SettingsDraft{Settings: settings, Expect: provisioning.AnyVersion}); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// leaves makes a user of a connection, and has its client delete it.
func (d *directory) leaves(connection, name string) {
	d.Helper()
	id := d.createAs(connection, named(name))
	if err := d.Delete(d.Context(), d.client(connection), scim.User, id, nil); err != nil {
		d.Fatal(err)
	}
}

// TestSlowHostHoldsUpNobody: while one host application says nothing the others are asked at each tick, and it is not asked
// anything else.
func TestSlowHostHoldsUpNobody(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		var hangs atomic.Bool
		hangs.Store(true)
		heard := make(chan string, 100)
		d := newHosts(t, s, map[string]string{"default": "slow.example", "other": "quick.example"},
			func(ctx context.Context, q provisioning.ImpactQuery) (map[string]int64, error) {
				heard <- q.Resource.Name
				if q.Connection == "default" && hangs.Load() {
					<-ctx.Done()
				}
				return map[string]int64{}, nil
			})
		ctx, stop := context.WithCancel(t.Context())
		ticks, stopped := make(chan time.Time), make(chan struct{})
		hears := func(want ...string) { // ticks until it has heard all of them
			t.Helper()
			for heardOf := 0; heardOf < len(want); {
				select {
				case name := <-heard:
					if heardOf++; !slices.Contains(want, name) {
						t.Fatalf("asked about %s, want %q", name, want)
					}
				case ticks <- time.Time{}:
				case <-time.After(20 * time.Second):
					t.Fatalf("not asked about one of %q", want)
				}
			}
		}
		d.leaves("default", "ann")
		d.leaves("other", "bob")
		go func() {
			defer close(stopped)
			d.AskAt(ctx, ticks, func(err error) { t.Error(err) })
		}()
		defer func() { stop(); <-stopped }()
		hears("ann", "bob")
		for _, name := range []string{"cy", "dee"} {
			d.leaves("default", "not "+name)
			d.leaves("other", name)
			hears(name)
		}
		stop()
		<-stopped
		hangs.Store(false)
		d.passes(2, 0)
		if len(heard) != 2 {
			t.Errorf("%d questions, want those that were not asked before", len(heard))
		}
	})
}

// TestConnectionsInTurns: a host application of several connections is asked one question at a time, about each in its turn.
func TestConnectionsInTurns(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		var mu sync.Mutex
		var of []string
		d := newHosts(t, s, map[string]string{"default": "app.example", "other": "APP.example"},
			func(_ context.Context, q provisioning.ImpactQuery) (map[string]int64, error) {
				if !mu.TryLock() {
					t.Error("two questions at once")
					return nil, nil
				}
				defer mu.Unlock()
				of = append(of, q.Connection)
				return nil, nil
			})
		for i := range 6 {
			d.leaves([]string{"default", "default", "other"}[i%3], fmt.Sprint("user", i))
		}
		d.passes(6, 0)
		for i := range 2 {
			if of[2*i] == of[2*i+1] {
				t.Errorf("asked about %v", of)
			}
		}
	})
}

// TestWhatHappensMeanwhile: whatever somebody does while the question is under way counts, and the answer does not.
func TestWhatHappensMeanwhile(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		meanwhile func(d *directory, m provisioning.Matter)
		state     provisioning.State
		status    provisioning.MatterStatus
		noted     bool
	}{
		"rejected": {func(d *directory, m provisioning.Matter) { d.resolve(m, provisioning.MatterRejected) }, provisioning.Active, provisioning.MatterRejected, false},
		"allowed":  {func(d *directory, m provisioning.Matter) { d.resolve(m, provisioning.MatterAllowed) }, provisioning.Removed, provisioning.MatterAllowed, false},
		"came back": {func(d *directory, m provisioning.Matter) {
			if err := d.patch(scim.User, m.Resource, scim.Operation{Op: "replace", Path: "active", Value: true}); err != nil {
				d.Fatal(err)
			}
		}, provisioning.Active, provisioning.MatterObsolete, false},
		"protected": {func(d *directory, m provisioning.Matter) {
			yes := true
			if _, err := d.Act(d.Context(), d.admin(), scim.User, m.Resource, provisioning.Act{Protected: &yes}); err != nil {
				d.Fatal(err)
			}
		}, provisioning.Held, provisioning.MatterOpen, true},
		"another policy": {func(d *directory, _ provisioning.Matter) {
			d.apply(func(s *provisioning.Settings) { s.Deletion.Users.Deactivated = provisioning.HoldPolicy })
		}, provisioning.Held, provisioning.MatterOpen, true},
		"nobody is asked any more": {func(d *directory, _ provisioning.Matter) {
			d.apply(func(s *provisioning.Settings) { s.Matters.Impact = provisioning.ImpactSettings{} })
		}, provisioning.Held, provisioning.MatterOpen, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			during := func(ctx context.Context, q provisioning.ImpactQuery) (map[string]int64, error) {
				d := asked(ctx)
				m, err := d.Matter(d.Context(), "acme", q.Matter)
				if err != nil {
					d.Error(err)
				}
				tt.meanwhile(d, m)
				return map[string]int64{"visits": 3}, nil
			}
			eachAsking(t, during, nil, func(d *directory) {
				id := d.create(named("ann"))
				if err := d.disable(id); err != nil {
					d.Fatal(err)
				}
				m := d.held(id)
				d.passes(1, 0)
				d.want(id, tt.state, "ordinary")
				m, err := d.Matter(d.Context(), "acme", m.ID)
				if err != nil || m.Status != tt.status || (m.Impact.Counts["visits"] == 3) != tt.noted {
					d.Errorf("matter %+v, %v", m, err)
				}
				failed := 0
				for _, e := range entriesOf(d) {
					if e.Outcome == provisioning.Failure {
						failed++
					}
				}
				if last := entriesOf(d)[0]; failed > 0 || tt.noted != (last.Reason.Code == provisioning.ReasonAnswered) {
					d.Errorf("%d failures, and the last entry is %+v", failed, last)
				}
				if tt.noted {
					d.passes(0, 0) // people have the counts, and one of them has to speak
				}
			})
		})
	}
}

// TestOneServerAsks: while one server asks, another one does not.
func TestOneServerAsks(t *testing.T) {
	t.Parallel()
	during := func(ctx context.Context, _ provisioning.ImpactQuery) (map[string]int64, error) {
		asked(ctx).passes(0, 0)
		return map[string]int64{}, nil
	}
	eachAsking(t, during, nil, func(d *directory) {
		id := d.create(named("ann"))
		d.remove(id)
		m := d.held(id)
		d.passes(1, 0)
		d.want(id, provisioning.Removed, "ordinary")
		if m, err := d.Matter(d.Context(), "acme", m.ID); err != nil || m.Impact.Asks != 1 {
			d.Errorf("matter %+v, %v", m, err)
		}
		if last := entriesOf(d)[0]; last.Reason.Args["counts"] != "nothing" {
			d.Errorf("entry %+v", last)
		}
	})
}

// TestCountsOfOtherDepartures: people see them before they allow what waits for another reason.
func TestCountsOfOtherDepartures(t *testing.T) {
	t.Parallel()
	answer := func(_ context.Context, q provisioning.ImpactQuery) (map[string]int64, error) {
		return map[string]int64{"visits of " + string(q.Resource.Type) + " " + q.Resource.Name: 1}, nil
	}
	edit := func(s *provisioning.Settings) {
		s.Deletion.Users.Deactivated, s.Deletion.Groups.Deleted = provisioning.HoldPolicy, provisioning.HoldPolicy
		s.Guard.Users = []string{"boss"}
	}
	eachAsking(t, answer, edit, func(d *directory) {
		ann, boss, team := d.create(named("ann")), d.create(named("boss")), d.createGroup("Team")
		if err := errors.Join(d.disable(ann), d.disable(boss), d.Delete(d.Context(), d.client("default"), scim.Group, team, nil)); err != nil {
			d.Fatal(err)
		}
		d.passes(3, 0)
		d.want(ann, provisioning.Held, "ordinary")
		d.want(boss, provisioning.Active, "ordinary")
		for _, m := range d.matters(provisioning.MatterQuery{Status: provisioning.MatterOpen}) {
			if m.Impact.Counts["visits of "+string(m.Type)+" "+m.Name] != 1 || m.Version != 1 {
				d.Errorf("matter %+v", m)
			}
		}
		d.clock.Advance(24 * time.Hour)
		d.passes(0, 0)
	})
}

// TestGroupsAreNotAskedAbout: the deletion of a group is done at once.
func TestGroupsAreNotAskedAbout(t *testing.T) {
	t.Parallel()
	eachAsking(t, nil, nil, func(d *directory) {
		team := d.createGroup("Team")
		if err := d.Delete(d.Context(), d.client("default"), scim.Group, team, nil); err != nil {
			d.Fatal(err)
		}
		if x, err := d.Account(d.Context(), "acme", scim.Group, team); err != nil || x.State != provisioning.Removed {
			d.Errorf("%s, %v", x.State, err)
		}
	})
}

// TestToleranceComesFirst: what waits for an answer has been taken from the tolerance, once for each user, and what the
// tolerance stops is not asked about as a deletion.
func TestToleranceComesFirst(t *testing.T) {
	t.Parallel()
	answer := func(context.Context, provisioning.ImpactQuery) (map[string]int64, error) {
		return map[string]int64{}, nil
	}
	narrow := func(s *provisioning.Settings) {
		s.Tolerance.Users = provisioning.Tolerance{Share: 100, Count: 3}
	}
	eachAsking(t, answer, narrow, func(d *directory) {
		var ids []string
		for _, name := range []string{"ann", "bob", "cy", "dee"} {
			ids = append(ids, d.create(named(name)))
		}
		for _, id := range ids[:2] {
			if err := d.disable(id); err != nil {
				d.Fatal(err)
			}
			d.remove(id) // the same departure
		}
		wantKind(d.T, d.disable(ids[2]), provisioning.Unavailable, "tolerance")
		if open := d.matters(provisioning.MatterQuery{Status: provisioning.MatterOpen, Kind: provisioning.MatterHeld}); len(open) != 2 {
			d.Errorf("%d are held, want one for each: %+v", len(open), open)
		}
		if _, err := d.AskImpact(d.Context()); err != nil {
			d.Fatal(err)
		}
		for i, want := range []provisioning.State{provisioning.Removed, provisioning.Removed, provisioning.Active, provisioning.Active} {
			d.want(ids[i], want, "ordinary")
		}
		if open := d.matters(provisioning.MatterQuery{Status: provisioning.MatterOpen}); len(open) != 1 || open[0].Kind != provisioning.MatterDelayed {
			d.Errorf("open: %+v", open)
		}
	})
}

// TestAgedAreAskedAbout: who is suspended for long is a deletion as any other.
func TestAgedAreAskedAbout(t *testing.T) {
	t.Parallel()
	answer := func(context.Context, provisioning.ImpactQuery) (map[string]int64, error) {
		return map[string]int64{"visits": 3}, nil
	}
	edit := func(s *provisioning.Settings) {
		s.Deletion.Users.Deactivated = provisioning.SuspendPolicy
		s.Deletion.Ageing = provisioning.AgeingSettings{After: 24 * provisioning.Period(time.Hour), Do: provisioning.DeletePolicy}
	}
	eachAsking(t, answer, edit, func(d *directory) {
		id := d.create(named("ann"))
		if err := d.disable(id); err != nil {
			d.Fatal(err)
		}
		for range 2 { // once more after a return
			d.clock.Advance(25 * time.Hour)
			d.sweep()
			d.sweep()
			d.want(id, provisioning.Suspended, "ordinary")
			if m := d.onlyMatter(provisioning.MatterHeld); m.Reason.Code != provisioning.ReasonImpact || m.Then != provisioning.DeletePolicy {
				d.Errorf("matter %+v", m)
			}
			d.passes(1, 0)
			d.want(id, provisioning.Removed, "ordinary")
			if last := entriesOf(d)[0]; last.Reason.Args["cause"] != provisioning.CauseAgeing || last.Reason.Args["counts"] != "visits 3" {
				d.Errorf("entry %+v", last)
			}
			if err := d.patch(scim.User, id, scim.Operation{Op: "replace", Path: "active", Value: true}); err != nil {
				d.Fatal(err)
			}
			if err := d.disable(id); err != nil {
				d.Fatal(err)
			}
		}
	})
}

// TestNothingToSignWith: settings that want questions are refused, and those that are in force already hold.
func TestNothingToSignWith(t *testing.T) {
	t.Parallel()
	eachAsking(t, nil, nil, func(d *directory) {
		bare := *d
		bare.Service = provisioning.New(provisioning.Options{Store: d.store, Now: d.clock.Now})
		draft := provisioning.DefaultSettings()
		draft.Matters.Impact.URL = "https://app.example/impact"
		_, _, err := bare.ApplySettings(d.Context(), d.admin(), "default", provisioning.SettingsDraft{Settings: draft, Expect: provisioning.AnyVersion})
		wantKind(d.T, err, provisioning.Invalid, "set impact_secret (MEIBO_IMPACT_SECRET)")
		d.apply(func(s *provisioning.Settings) { s.Matters.Impact = provisioning.ImpactSettings{} })
		_, _, err = bare.RollbackSettings(d.Context(), d.admin(), "default", 1, "", provisioning.AnyVersion)
		wantKind(d.T, err, provisioning.Invalid, "matters.impact.url wants questions signed")
		d.apply(func(s *provisioning.Settings) { *s = draft; s.Deletion.Users.Deleted = provisioning.DeletePolicy })

		id := bare.create(named("ann"))
		bare.remove(id)
		bare.passes(0, 1)
		if m := bare.held(id); m.Impact.Failure != "no impact_secret is configured to sign the question with" {
			d.Errorf("matter %+v", m)
		}
	})
}
