package provisioning

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"meibo/internal/testkit"
)

// client is a client whose cycles come at certain times.
type client struct {
	name string
	next func(last time.Time, r *rand.Rand) time.Time // when the cycle after the last one begins
}

var start = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC) // a Monday

// Every 40 minutes, as Entra; jittered, and some cycles left out.
var steady = client{"steady", func(last time.Time, r *rand.Rand) time.Time {
	next := last.Add(30*time.Minute + time.Duration(r.Int64N(int64(20*time.Minute))))
	if r.IntN(30) == 0 {
		next = next.Add(40 * time.Minute)
	}
	return next
}}

// The same in the working hours of working days only.
var office = client{"office", func(last time.Time, r *rand.Rand) time.Time {
	next := steady.next(last, r)
	for next.Hour() < 8 || next.Hour() >= 18 || next.Weekday() == time.Saturday || next.Weekday() == time.Sunday {
		next = next.Add(time.Hour)
	}
	return next
}}

// days is how many days a client needs to become known.
const days = 24 * time.Hour

// TestSilence lets 90 days of jittered traffic go by: once a client's nights and week-ends are known, no silence is found
// just before a cycle begins. Then it stops, and is found silent within one usual cycle after three.
func TestSilence(t *testing.T) {
	t.Parallel()
	seeds := uint64(20)
	if testkit.RaceDetector {
		seeds = 3
	}
	for _, c := range []client{steady, office} {
		for seed := range seeds {
			r := rand.New(rand.NewPCG(seed, 1))
			var cycles []Cycle // latest first
			at := start
			for at.Before(start.Add(90 * days)) {
				cycles = append([]Cycle{{Began: at, Last: at.Add(time.Duration(r.Int64N(int64(4 * time.Minute))))}}, cycles...)
				for len(cycles) > 1 && cycles[len(cycles)-1].Last.Before(at.Add(-rhythmSpan)) {
					cycles = cycles[:len(cycles)-1]
				}
				at = c.next(at, r)
				h := heardOf(cycles)
				learning := at.Before(start.Add(8 * days))
				if h.silent(at) && !learning {
					t.Fatalf("%s, seed %d: a false alarm at %v: last heard %v, silent after %v", c.name, seed, at, h.Hearing.Last, h.SilentAfter)
				}
				if c.name == "steady" && h.silent(at) {
					t.Fatalf("steady, seed %d: a false alarm while it is learnt, at %v", seed, at)
				}
			}
			h := heardOf(cycles)
			found := h.Hearing.Last.Add(h.SilentAfter + time.Minute)
			if !h.silent(found) || h.silent(h.Hearing.Last.Add(h.SilentAfter)) {
				t.Errorf("%s, seed %d: not found silent when it is", c.name, seed)
			}
			if c.name == "steady" && h.SilentAfter > 4*h.Rhythm {
				t.Errorf("steady, seed %d: found silent after %v, which is more than a usual cycle (%v) after three", seed, h.SilentAfter, h.Rhythm)
			}
		}
	}
}

func heardOf(cycles []Cycle) Health {
	h := Health{Hearing: Hearing{Connection: 1, Last: cycles[0].Last}}
	h.Rhythm, h.SilentAfter = rhythm(cycles)
	return h
}

// Each finding has a sentence, and each sentence the arguments that it is given.
func TestFindings(t *testing.T) {
	t.Parallel()
	h := Health{Connection: Connection{ID: 1}, Overdue: 1, Rhythm: time.Hour, SilentAfter: time.Hour, Hearing: Hearing{Connection: 1, Last: start},
		Requests: CycleRequests{Reads: 50_000, Failed: 40_000, Throttled: 10_000}, Entries: []CycleEntries{{Outcome: Failure, Entries: 50_000}},
		Tokens: []Credential{{Hint: "abcd", Expires: start.Add(days)}}}
	quarantined, found := h, map[string]Finding{}
	for _, edit := range []func(*Health){
		func(*Health) {},
		func(h *Health) { h.Entries = []CycleEntries{{Outcome: Failure, Entries: 30}} },
		func(h *Health) { h.Connection.Settings.Paused, h.Tokens = true, nil },
		func(h *Health) { h.Hearing = Hearing{} },
	} {
		one := quarantined
		edit(&one)
		one.judge(start.Add(days / 2))
		for _, f := range one.Findings {
			found[f.Reason.Code] = f
		}
	}
	for code := range findings {
		f, ok := found[code]
		if text := f.String(); !ok || text == "" || strings.ContainsAny(text, "{}") {
			t.Errorf("%s: found %t, %q", code, ok, text)
		}
	}
	if len(found) != len(findings) {
		t.Errorf("found %d codes, and there are %d sentences", len(found), len(findings))
	}
}
