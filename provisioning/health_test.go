package provisioning_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"meibo/provisioning"
)

// cycle has the client of a directory ask some things, with a pause before.
func (d *directory) cycle(pause time.Duration, statuses ...int) {
	d.Helper()
	d.clock.Advance(pause)
	for i, status := range statuses {
		d.Heard("acme", d.client("default").Connection.ID, d.clock.Now(), i%2 == 0, status)
	}
	if err := d.FlushTraffic(d.Context()); err != nil {
		d.Fatal(err)
	}
}

func (d *directory) health() provisioning.Health {
	d.Helper()
	h, err := d.Health(d.Context(), "acme", "default")
	if err != nil {
		d.Fatal(err)
	}
	return h
}

func codes(h provisioning.Health) (all []string) {
	for _, f := range h.Findings {
		all = append(all, f.Reason.Code)
	}
	return all
}

// TestHealth follows a connection from its making: never heard, heard, throttled, failing, silent, and heard again.
func TestHealth(t *testing.T) {
	t.Parallel()
	eachDirectory(t, nil, func(d *directory) {
		want := func(when string, level provisioning.HealthLevel, findings ...string) provisioning.Health {
			d.Helper()
			h := d.health()
			if h.Level != level || !slices.Equal(codes(h), findings) {
				d.Errorf("%s: %s %v, want %s %v", when, h.Level, h.Findings, level, findings)
			}
			return h
		}
		want("at first", provisioning.HealthBad, provisioning.FindingNoToken, provisioning.FindingNeverHeard)
		_, err := d.CreateCredential(d.Context(), d.admin(), "", provisioning.NewCredential{Hash: make([]byte, 32), Hint: "abcd", Expires: d.clock.Now().Add(45 * 24 * time.Hour)})
		if err != nil {
			d.Fatal(err)
		}
		for range 8 {
			d.cycle(40*time.Minute, 200, 200, 201, 404)
		}
		if h := want("in its rhythm", provisioning.HealthGood); h.Rhythm != 40*time.Minute || h.Requests.All() != 32 || h.Requests.Refused != 0 {
			d.Errorf("rhythm %v, requests %+v", h.Rhythm, h.Requests)
		}
		d.cycle(40*time.Minute, slices.Repeat([]int{429}, 10)...)
		want("throttled", provisioning.HealthFair, provisioning.FindingThrottled)
		d.cycle(40*time.Minute, slices.Repeat([]int{500}, 10)...)
		want("failing", provisioning.HealthBad, provisioning.FindingServer, provisioning.FindingThrottled)
		d.clock.Advance(2*time.Hour + time.Minute)
		want("silent", provisioning.HealthBad, provisioning.FindingServer, provisioning.FindingSilent, provisioning.FindingThrottled)
		d.clock.Advance(24 * time.Hour)
		want("silent for a day", provisioning.HealthBad, provisioning.FindingSilent)

		silences := func() (n, again int) {
			for _, e := range entriesOf(d) {
				switch e.Reason.Code {
				case provisioning.ReasonSilence:
					n++
				case provisioning.ReasonHeardAgain:
					again++
				}
			}
			return n, again
		}
		d.sweep()
		d.sweep()
		if n, again := silences(); n != 1 || again != 0 {
			d.Errorf("%d entries of silence, %d of its end", n, again)
		}
		d.cycle(0, 200)
		d.sweep()
		d.sweep()
		if n, again := silences(); n != 1 || again != 1 {
			d.Errorf("after it was heard again: %d entries of silence, %d of its end", n, again)
		}
		for range 3 {
			d.cycle(40*time.Minute, 200)
		}
		if h := d.health(); h.Rhythm != 40*time.Minute || h.SilentAfter > 4*h.Rhythm {
			t.Errorf("after a silence of a day the next one is found after %v, with a rhythm of %v", h.SilentAfter, h.Rhythm)
		}
		d.clock.Advance(40 * 24 * time.Hour)
		h := d.health()
		if !slices.Contains(codes(h), provisioning.FindingTokenEnds) && !slices.Contains(codes(h), provisioning.FindingNoToken) {
			d.Errorf("the token's end is not told: %v", h.Findings)
		}
	})
}

// A run of a job is a cycle: what it did is counted by its entries, and it is compared with the run before.
func TestRunsAreCycles(t *testing.T) {
	t.Parallel()
	eachDirectory(t, nil, func(d *directory) {
		for i := range 3 {
			d.create(named(fmt.Sprintf("user%d@here.example", i)))
		}
		for _, mode := range []provisioning.UserNameMode{provisioning.LocalUserName, provisioning.FullUserName} {
			d.apply(func(s *provisioning.Settings) { s.Mapping.UserName.Mode = mode })
			d.work()
		}
		runs, err := d.Cycles(d.Context(), "acme", provisioning.CycleQuery{})
		want := []provisioning.CycleEntries{{Action: provisioning.ActionUpdate, Outcome: provisioning.Success, Entries: 3}}
		if err != nil || len(runs) != 2 || !slices.Equal(runs[0].Entries, want) || !runs[0].Ended || runs[0].Kind != "recompute" {
			d.Fatalf("runs %+v, %v", runs, err)
		}
		last, before, err := d.Cycle(d.Context(), "acme", runs[0].ID)
		if err != nil || last.ID != runs[0].ID || before == nil || before.ID != runs[1].ID || !slices.Equal(before.Entries, want) {
			d.Errorf("%+v, before it %+v, %v", last, before, err)
		}
		if _, before, err = d.Cycle(d.Context(), "acme", runs[1].ID); err != nil || before != nil {
			d.Errorf("before the first: %+v, %v", before, err)
		}
	})
}
