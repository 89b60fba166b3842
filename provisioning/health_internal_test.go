package provisioning

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"meibo/internal/testkit"
)

// client is a client whose cycles come at certain times.
type client struct {
	name string
	next func(last time.Time, r *rand.Rand) time.Time // when the cycle after the last one begins
	// found is when its being silent is found at the latest, in usual cycles, from Tuesday to Thursday.
	found time.Duration
	learn []int // days from which on it does as it did never before
}

var start = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC) // a Monday

// paced has cycles come every so long, jittered by half of it, and some cycles left out.
func paced(pause time.Duration) func(time.Time, *rand.Rand) time.Time {
	return func(last time.Time, r *rand.Rand) time.Time {
		next := last.Add(pause*3/4 + time.Duration(r.Int64N(int64(pause/2))))
		if r.IntN(30) == 0 {
			next = next.Add(pause)
		}
		return next
	}
}

// steady is as Entra is.
var steady = paced(40 * time.Minute)

// within has a client work in some hours of working days only, as they are so far east of Greenwich.
func within(from, to, east int) func(time.Time, *rand.Rand) time.Time {
	return func(last time.Time, r *rand.Rand) time.Time {
		next := steady(last, r).In(time.FixedZone("", east*3600))
		for next.Hour() < from || next.Hour() >= to || next.Weekday() == time.Saturday || next.Weekday() == time.Sunday {
			next = next.Add(time.Hour)
		}
		return next.UTC()
	}
}

// after changes what a client does on a day.
func after(day int, before, later func(time.Time, *rand.Rand) time.Time) func(time.Time, *rand.Rand) time.Time {
	return func(last time.Time, r *rand.Rand) time.Time {
		if last.Before(start.Add(time.Duration(day) * days)) {
			return before(last, r)
		}
		return later(last, r)
	}
}

// days is how long a day is.
const days = 24 * time.Hour

// learning is how many days a client needs to become known.
const learning = 8

// Those who work in the day pause for the night: that is what their being silent is told from.
// A pause that is not quite long enough to be noted makes that a little longer.
const overNight = 36 * time.Hour / (40 * time.Minute)

var clients = []client{
	{"steady", steady, 4, nil},
	{"week days", within(0, 24, 0), 4, []int{0}},
	{"office", within(8, 18, 0), overNight, []int{0}},
	{"office in Tokyo", within(8, 18, 9), overNight, []int{0}},
	{"office in Los Angeles", within(8, 18, -8), overNight, []int{0}},
	{"steady, then in the office", after(40, steady, within(8, 18, 0)), overNight, []int{40}},
	{"in the office, then steady", after(40, within(8, 18, 0), steady), overNight, []int{0}},
	{"steady, then slower", after(40, steady, paced(4*time.Hour)), 20, []int{40}},
	{"slow, then steady", after(40, paced(4*time.Hour), steady), 20, nil},
}

// life is a client's with outages, and what was found of it.
type life struct {
	client
	*testing.T
	seed   uint64
	random *rand.Rand
	cycles []Cycle // latest first
	noted  silences
	outage time.Time // when the next one begins
	length time.Duration
}

// TestSilence lets 90 days of jittered traffic go by, with outages or without: once a client's nights and week-ends are known, and whatever it
// does otherwise from a day on, a silence is found in an outage alone; and there each time in time, however long the outages before were.
func TestSilence(t *testing.T) {
	t.Parallel()
	seeds := uint64(3)
	if testkit.RaceDetector {
		seeds = 1
	}
	for _, c := range clients {
		for seed := range seeds {
			for _, outages := range []bool{false, true} {
				l := life{client: c, T: t, seed: seed, random: rand.New(rand.NewPCG(seed, 1)), noted: silences{}, outage: start.Add(1000 * days)}
				if outages {
					l.plan(start.Add(15 * days))
				}
				l.live()
			}
		}
	}
}

// plan has the next outage begin in a week that comes, from Monday to Wednesday morning, and last for half a day to two days; not while the client
// takes to something new, which then takes longer.
func (l *life) plan(from time.Time) {
	monday := from.Truncate(days).AddDate(0, 0, 7-(int(from.Weekday())+6)%7)
	l.outage = monday.Add(9*time.Hour + time.Duration(l.random.Int64N(int64(2*days))))
	l.length = days/2 + time.Duration(l.random.Int64N(int64(3*days/2)))
	if l.learns(l.outage) || l.learns(l.outage.Add(l.length)) {
		l.plan(l.outage)
	}
}

func (l *life) live() {
	for at := start; at.Before(start.Add(90 * days)); {
		l.cycles = slices.Insert(l.cycles, 0, Cycle{Began: at, Last: at.Add(time.Duration(l.random.Int64N(int64(4 * time.Minute))))})
		for len(l.cycles) > 1 && l.cycles[len(l.cycles)-1].Last.Before(at.Add(-rhythmSpan)) {
			l.cycles = l.cycles[:len(l.cycles)-1]
		}
		next, out := l.next(at, l.random), false
		if out = next.After(l.outage); out {
			next = l.next(l.outage.Add(l.length), l.random)
			l.plan(next)
		}
		if at = next; at.Sub(l.cycles[0].Last) < time.Hour && l.random.IntN(32) > 0 { // nobody takes that for a silence
			continue
		}
		h := l.health()
		silent, last := h.silent(next), h.Hearing.Last
		if silent {
			l.noted[last.Unix()] = true
		}
		switch day := last.Weekday(); {
		case l.learns(last):
		case silent && !out:
			l.Fatalf("%s, seed %d: a false alarm before %v: last heard %v, silent after %v", l.name, l.seed, next, last, h.SilentAfter)
		case day >= time.Tuesday && day <= time.Thursday && h.SilentAfter > l.found*h.Rhythm && len(l.cycles) >= rhythmCycles:
			l.Fatalf("%s, seed %d: who falls silent at %v is found after %v, with a rhythm of %v", l.name, l.seed, last, h.SilentAfter, h.Rhythm)
		}
	}
}

// learns reports whether what happens at a time may be new.
func (l *life) learns(at time.Time) bool {
	return slices.ContainsFunc(l.learn, func(day int) bool {
		began := start.Add(time.Duration(day) * days)
		return !at.Before(began) && at.Before(began.Add(learning*days))
	})
}

func (l *life) health() Health {
	h := Health{Hearing: Hearing{Connection: 1, Last: l.cycles[0].Last}}
	h.Rhythm, h.SilentAfter = rhythm(l.cycles, l.noted)
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
