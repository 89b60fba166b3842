package provisioning

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Hearing is when a connection's client was heard.
type Hearing struct {
	Connection int64
	Cycle      string    // that of the last request
	Last       time.Time // when the last request came
	Succeeded  time.Time // when the last one came that went well; zero for never
	Silent     time.Time // since when the journal knows that it is silent; zero while it is heard of
}

// Health is how a connection does.
type Health struct {
	Connection Connection
	Level      HealthLevel // the worst of Findings
	Findings   []Finding   // what a person should look at, worst first
	Hearing    Hearing     // zero for a connection that was never heard
	// Requests are those of the cycles that were under way in the last day, and Entries what the journal has of them.
	Requests CycleRequests
	Entries  []CycleEntries
	// Rhythm is the usual time from the beginning of a cycle to that of the next; zero while too few are known.
	Rhythm time.Duration
	// SilentAfter is for how long the client may not be heard before that is called silence; zero while its rhythm is not known.
	SilentAfter time.Duration
	Overdue     int // matters that wait for longer than the settings want
	Tokens      []Credential
}

// HealthLevel is how bad something is.
type HealthLevel string

const (
	HealthGood HealthLevel = "good"
	HealthFair HealthLevel = "attention" // nothing is lost yet
	HealthBad  HealthLevel = "bad"       // people are not provisioned, or soon will not be
)

// Finding is something about a connection that a person should look at.
type Finding struct {
	Level  HealthLevel
	Reason Reason
}

// String says in a sentence what there is to look at.
func (f Finding) String() string {
	text := findings[f.Reason.Code]
	for name, value := range f.Reason.Args {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	return text
}

var findings = map[string]string{
	FindingNeverHeard: "Its client has never sent a request: give it the address and a token, and start provisioning there.",
	FindingSilent:     "Its client was heard last at {last}, though it usually comes every {usual}: see whether provisioning was stopped, or put in quarantine, there.",
	FindingPaused:     "It is paused: its client is told to come back later, and nobody is provisioned.",
	FindingNoToken:    "It has no token that counts, so its client is answered 401: create one and enter it there.",
	FindingTokenEnds:  "Its last token, …{token}, ends at {at}: create another one and enter it there before.",
	FindingFailures:   "{failures} of {of} changes in the last day failed: filter the log by outcome failure to see which.",
	FindingQuarantine: "{failures} of {of} changes in the last day failed, which is where Entra puts a job in quarantine: mend what fails now.",
	FindingServer:     "{failed} of {of} requests in the last day were answered with a server error: look at the server's log and its database.",
	FindingThrottled:  "{throttled} of {of} requests in the last day were over the rate limit: raise rate_limit, or let the client send fewer at once.",
	FindingOverdue:    "{matters} open matters wait for longer than the settings want: somebody has to decide.",
}

// Codes of findings.
const (
	FindingNeverHeard = "neverHeard"
	FindingSilent     = "silent" // args: last, usual
	FindingPaused     = "paused"
	FindingNoToken    = "noToken"
	FindingTokenEnds  = "tokenEnds"    // args: token, at
	FindingFailures   = "failures"     // args: failures, of
	FindingQuarantine = "quarantine"   // args: failures, of; Entra would stop the job
	FindingServer     = "serverErrors" // args: failed, of
	FindingThrottled  = "throttled"    // args: throttled, of
	FindingOverdue    = "overdue"      // args: matters
)

// Entra's thresholds for a quarantine: it is evaluated from 5,000 failed objects on, and comes with 40 per cent of them or 40,000.
const (
	quarantineEvaluated = 5_000
	quarantineShare     = 0.4
	quarantineAbsolute  = 40_000
	failuresWorthALook  = 0.1 // share of a day's entries
	fewEntries          = 20  // under which a share says nothing
)

const (
	tokenEndsSoon = 30 * day
	healthSpan    = 24 * time.Hour
	// rhythmSpan is how far back a rhythm is learnt from, and rhythmCycles from how many at least.
	rhythmSpan   = 18 * 24 * time.Hour // two week-ends, and the third until it is over
	rhythmCycles = 6
	maxRhythm    = 720 // 40 a day
)

// Health looks at a connection; an empty name means the only one there is. NotFound.
func (s *Service) Health(ctx context.Context, tenant, connection string) (h Health, err error) {
	err = s.store.View(ctx, tenant, func(r Reader) error {
		c, err := connectionOf(r, tenant, connection)
		if err != nil {
			return err
		}
		h, err = s.health(r, c)
		return err
	})
	return h, err
}

func (s *Service) health(r Reader, c Connection) (h Health, err error) {
	now := s.Now()
	h = Health{Connection: c}
	hearings, err := r.Hearings()
	if err != nil {
		return h, err
	}
	for _, heard := range hearings {
		if heard.Connection == c.ID {
			h.Hearing = heard
		}
	}
	cycles, err := r.Cycles(CycleQuery{Connection: c.ID, Limit: maxRhythm})
	if err != nil {
		return h, err
	}
	cycles = slices.DeleteFunc(cycles, func(c Cycle) bool { return c.Last.Before(now.Add(-rhythmSpan)) })
	h.Rhythm, h.SilentAfter = rhythm(cycles, nil)
	if h.SilentAfter > 3*h.Rhythm { // some pause was longer than that: did anybody miss the client?
		noted, err := notedSilences(r, c, now)
		if err != nil {
			return h, err
		}
		h.Rhythm, h.SilentAfter = rhythm(cycles, noted)
	}
	if err := h.lastDay(r, cycles, now); err != nil {
		return h, err
	}
	if h.Tokens, err = r.Credentials(c.ID); err != nil {
		return h, err
	}
	h.Tokens = slices.DeleteFunc(h.Tokens, func(t Credential) bool {
		return !t.Revoked.IsZero() || !t.Expires.IsZero() && !t.Expires.After(now)
	})
	rules, err := s.rules(r, c)
	if err != nil {
		return h, err
	}
	limit := rules.Settings.Matters.OverdueAfter.Duration()
	err = r.Matters(MatterQuery{Connection: c.ID, Status: MatterOpen}, func(m Matter) error {
		if limit > 0 && now.Sub(m.Opened) >= limit {
			h.Overdue++
		}
		return nil
	})
	h.judge(now)
	return h, err
}

// lastDay adds up the cycles that were under way in the last day.
func (h *Health) lastDay(r Reader, cycles []Cycle, now time.Time) error {
	cycles = slices.DeleteFunc(slices.Clone(cycles), func(c Cycle) bool { return c.Last.Before(now.Add(-healthSpan)) })
	if err := counted(r, cycles); err != nil {
		return err
	}
	counts := map[CycleEntries]int{}
	for _, c := range cycles {
		h.Requests = h.Requests.plus(c.Requests)
		for _, e := range c.Entries {
			counts[CycleEntries{Action: e.Action, Outcome: e.Outcome}] += e.Entries
		}
	}
	for kind, n := range counts {
		kind.Entries = n
		h.Entries = append(h.Entries, kind)
	}
	slices.SortFunc(h.Entries, func(a, b CycleEntries) int { return cmp.Compare(b.Entries, a.Entries) })
	return nil
}

// judge finds what a person should look at.
func (h *Health) judge(now time.Time) {
	find := func(level HealthLevel, code string, args map[string]string) {
		h.Findings = append(h.Findings, Finding{level, Reason{code, args}})
	}
	failures, all := (&Cycle{Entries: h.Entries}).Failures()
	counted := map[string]string{"failures": fmt.Sprint(failures), "of": fmt.Sprint(all)}
	share := float64(failures) / float64(max(all, 1))
	switch {
	case failures >= quarantineAbsolute, failures >= quarantineEvaluated && share >= quarantineShare:
		find(HealthBad, FindingQuarantine, counted)
	case all >= fewEntries && share >= failuresWorthALook:
		find(HealthFair, FindingFailures, counted)
	}
	if r := h.Requests; r.All() >= fewEntries && float64(r.Failed) >= failuresWorthALook*float64(r.All()) {
		find(HealthBad, FindingServer, map[string]string{"failed": fmt.Sprint(r.Failed), "of": fmt.Sprint(r.All())})
	}
	if r := h.Requests; r.All() >= fewEntries && float64(r.Throttled) >= failuresWorthALook*float64(r.All()) {
		find(HealthFair, FindingThrottled, map[string]string{"throttled": fmt.Sprint(r.Throttled), "of": fmt.Sprint(r.All())})
	}
	switch {
	case h.Connection.Settings.Paused:
		find(HealthBad, FindingPaused, nil)
	case h.Hearing.Connection == 0:
		find(HealthFair, FindingNeverHeard, nil)
	case h.silent(now):
		find(HealthBad, FindingSilent, map[string]string{"last": h.Hearing.Last.Format(time.RFC3339), "usual": h.Rhythm.Round(time.Second).String()})
	}
	if len(h.Tokens) == 0 {
		find(HealthBad, FindingNoToken, nil)
	} else if last := slices.MaxFunc(h.Tokens, laterEnd); !last.Expires.IsZero() && last.Expires.Before(now.Add(tokenEndsSoon.Duration())) {
		find(HealthFair, FindingTokenEnds, map[string]string{"token": last.Hint, "at": last.Expires.Format(time.RFC3339)})
	}
	if h.Overdue > 0 {
		find(HealthFair, FindingOverdue, map[string]string{"matters": fmt.Sprint(h.Overdue)})
	}
	rank := map[HealthLevel]int{HealthBad: 0, HealthFair: 1}
	slices.SortStableFunc(h.Findings, func(a, b Finding) int { return rank[a.Level] - rank[b.Level] })
	if h.Level = HealthGood; len(h.Findings) > 0 {
		h.Level = h.Findings[0].Level
	}
}

// laterEnd orders tokens by their ends; none is the latest.
func laterEnd(a, b Credential) int {
	switch {
	case a.Expires.IsZero() || b.Expires.IsZero():
		if a.Expires.IsZero() == b.Expires.IsZero() {
			return 0
		}
		if a.Expires.IsZero() {
			return 1
		}
		return -1
	default:
		return a.Expires.Compare(b.Expires)
	}
}

// silent reports whether the client was not heard for longer than it ever is.
func (h *Health) silent(now time.Time) bool {
	return h.Hearing.Connection != 0 && h.SilentAfter > 0 && now.Sub(h.Hearing.Last) > h.SilentAfter
}

// Reasons of entries about silence. Args: last, usual.
const (
	ReasonSilence    = "silence"
	ReasonHeardAgain = "heardAgain"
)

// watch has the journal note when a connection's client falls silent, and when it is heard again.
func (s *Service) watch(ctx context.Context, tenant string, all []Connection, w *Waiting) error {
	var found []Health
	err := s.store.View(ctx, tenant, func(r Reader) error {
		found = nil
		for _, c := range all {
			h, err := s.health(r, c)
			if err != nil {
				return err
			}
			found = append(found, h)
		}
		return nil
	})
	for _, h := range found {
		w.Connections[h.Level]++
		silent := h.silent(s.Now()) && !h.Connection.Settings.Paused
		if silent == !h.Hearing.Silent.IsZero() {
			continue
		}
		err = errors.Join(err, s.noteSilence(ctx, tenant, h, silent))
	}
	return err
}

func (s *Service) noteSilence(ctx context.Context, tenant string, h Health, silent bool) error {
	o := Origin{Tenant: tenant, Connection: h.Connection, Actor: Schedule, Correlation: s.newID()}
	now, code, outcome := Hearing{Connection: h.Connection.ID}, ReasonHeardAgain, Success
	if silent {
		now.Silent, code, outcome = s.Now(), ReasonSilence, Warning
	}
	return s.administer(ctx, o, func(tx Tx) ([]step, error) {
		hearings, err := tx.Hearings()
		for _, heard := range hearings {
			if heard.Connection == h.Connection.ID && heard.Silent.IsZero() != silent { // another server was faster
				return nil, err
			}
		}
		return []step{{change: AdminChange{Silence: &now}, reason: code, outcome: outcome, connection: h.Connection,
			args: map[string]string{"last": h.Hearing.Last.Format(time.RFC3339), "usual": h.Rhythm.Round(time.Second).String()}}}, err
	})
}
