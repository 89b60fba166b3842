package provisioning

import (
	"slices"
	"time"
)

// When a client is silent for too long is learnt from its own pauses: it may be silent for three usual cycles, and for somewhat
// longer than any pause of late, as nights are. Two kinds of pauses are apart. One that the journal noted as a silence was no
// habit but an outage, unless it came again; and a week-end says nothing of other days.

// pause is a time between two cycles.
type pause struct {
	from, to time.Time
	noted    bool // the journal noted that the client was silent
}

func (p pause) length() time.Duration { return p.to.Sub(p.from) }

// silences are those that the journal noted, by the second of the request before.
type silences map[int64]bool

// notedSilences reads those from which a rhythm could be learnt.
func notedSilences(r Reader, c Connection, now time.Time) (silences, error) {
	all := silences{}
	err := r.Entries(EntryQuery{Connection: c.ID, Reason: ReasonSilence, Since: now.Add(-rhythmSpan)}, func(e Entry) error {
		if last, err := time.Parse(time.RFC3339, e.Reason.Args["last"]); err == nil {
			all[last.Unix()] = true
		}
		return nil
	})
	return all, err
}

// usualCycles is how many cycles of late say what is usual: who takes to another rhythm is known by it soon.
const usualCycles = 20

// rhythm is the usual time between the beginnings of cycles, which come latest first, and for how long after the last one there
// may be nothing; both are zero while too few are known.
func rhythm(cycles []Cycle, noted silences) (usual, silentAfter time.Duration) {
	if len(cycles) < rhythmCycles {
		return 0, 0
	}
	var between []time.Duration
	var pauses []pause
	for i, c := range cycles[:len(cycles)-1] {
		before := cycles[i+1]
		between = append(between, c.Began.Sub(before.Began))
		pauses = append(pauses, pause{before.Last, c.Began, noted[before.Last.Unix()]})
	}
	between = between[:min(len(between), usualCycles)]
	slices.Sort(between)
	usual = between[len(between)/2]
	patience, last := 3*usual, cycles[0].Last
	silentAfter = patience
	for i, p := range pauses {
		if _, is := p.weekend(); !is && (!p.noted || p.cameAgain(pauses[i+1:]) || p.cameAgain(pauses[:i])) {
			silentAfter = max(silentAfter, p.length()+p.length()/4)
		}
	}
	for _, p := range pauses {
		silentAfter = max(silentAfter, p.nextWeekends(last, patience))
	}
	return usual, silentAfter
}

// dayLater is how far apart pauses begin at most that are the same on two days.
const dayLater = 26 * time.Hour

// cameAgain reports whether one of others is a silence that was about as long, at most a day before or after: then the client has
// taken to it.
func (p pause) cameAgain(others []pause) bool {
	return slices.ContainsFunc(others, func(o pause) bool {
		return o.noted && o.from.Sub(p.from).Abs() <= dayLater && 4*min(o.length(), p.length()) >= 3*max(o.length(), p.length())
	})
}

// A week-end is there when it is Saturday or Sunday everywhere on earth, and reaches from Friday evening to Monday morning somewhere.
const (
	weekendCore   = 22 * time.Hour // from Saturday noon, UTC
	weekendBefore = 32 * time.Hour
	weekendAfter  = 34 * time.Hour
)

// weekend is the noon (UTC) of the first Saturday in a pause, and whether it lasts over that week-end.
func (p pause) weekend() (noon time.Time, is bool) {
	from := p.from.UTC()
	noon = time.Date(from.Year(), from.Month(), from.Day()+int(time.Saturday-from.Weekday()), 12, 0, 0, 0, time.UTC)
	if noon.Before(from) {
		noon = noon.AddDate(0, 0, 7)
	}
	return noon, !p.to.Before(noon.Add(weekendCore))
}

// nextWeekends is for how long the client may be silent after last if it rests one or two weeks later as it did in this pause; 0
// where that was no week-end, or last is none of the hours in which it began.
func (p pause) nextWeekends(last time.Time, patience time.Duration) time.Duration {
	noon, is := p.weekend()
	if !is {
		return 0
	}
	from, to := noon.Add(-weekendBefore), noon.Add(weekendCore+weekendAfter)
	if p.from.After(from) {
		from = p.from
	}
	if p.to.Before(to) {
		to = p.to
	}
	for _, days := range []int{7, 14} {
		if !last.Before(from.AddDate(0, 0, days).Add(-patience)) && last.Before(noon.AddDate(0, 0, days)) {
			return to.AddDate(0, 0, days).Add(patience).Sub(last)
		}
	}
	return 0
}
