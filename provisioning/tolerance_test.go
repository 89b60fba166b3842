package provisioning

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"meibo/scim"
)

func TestLimit(t *testing.T) {
	t.Parallel()
	standard := DefaultSettings().Tolerance.Users
	for _, tt := range []struct {
		t    Tolerance
		base int
		want int
	}{
		{standard, 0, 25}, {standard, 1, 25}, {standard, 124, 25}, {standard, 125, 25}, {standard, 129, 25}, {standard, 130, 26},
		{standard, 600, 120}, {standard, 2499, 499}, {standard, 2500, 500}, {standard, 100_000, 500},
		{Tolerance{Share: 20}, 100_000, 20_000}, {Tolerance{Share: 100}, 7, 7}, {Tolerance{Share: 0, Floor: 3}, 100, 3}, {Tolerance{Share: 0}, 100, 0},
		{Tolerance{Share: 50, Count: 5, Floor: 9}, 1000, 9}, {Tolerance{Share: 50, Count: 5}, 1000, 5}, {Tolerance{Share: 1}, 99, 0},
	} {
		if got := tt.t.limit(tt.base); got != tt.want {
			t.Errorf("%+v of %d: %d, want %d", tt.t, tt.base, got, tt.want)
		}
	}
}

// TestWindowSlides: what was spent counts for a window, to the part of one, and then no more.
func TestWindowSlides(t *testing.T) {
	t.Parallel()
	window := Period(24 * time.Hour)
	part := window.Duration() / windowParts
	at := time.Date(2026, 5, 1, 12, 0, 1, 0, time.UTC)
	spent := spend(nil, 3, window, at)
	for _, tt := range []struct {
		after time.Duration
		want  int
	}{{0, 3}, {time.Hour, 3}, {24 * time.Hour, 3}, {24*time.Hour + part - 2*time.Second, 3}, {24*time.Hour + part - time.Second, 0}, {48 * time.Hour, 0}} {
		if got := sum(current(spent, window, at.Add(tt.after))); got != tt.want {
			t.Errorf("after %s: %d, want %d", tt.after, got, tt.want)
		}
	}
	spent = spend(spent, 2, window, at.Add(time.Minute))
	if len(spent) != 1 || spent[0].N != 5 {
		t.Errorf("of one part: %+v", spent)
	}
	if spent = spend(spent, 1, window, at.Add(part)); len(spent) != 2 {
		t.Errorf("of two parts: %+v", spent)
	}
}

// TestToleranceNeverExceeded has departures come at any pace, and counts them in every window afterwards: an independent
// account of what was let go never reaches the limit that held at its last departure.
func TestToleranceNeverExceeded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := DefaultSettings()
		s.Tolerance.Users = Tolerance{Share: rapid.IntRange(0, 60).Draw(t, "share"), Count: rapid.IntRange(0, 40).Draw(t, "count"), Floor: rapid.IntRange(0, 12).Draw(t, "floor")}
		s.Tolerance.Window = Period(rapid.SampledFrom([]time.Duration{time.Minute, time.Hour, 24 * time.Hour}).Draw(t, "window"))
		r, err := NewRules(1, s)
		if err != nil {
			t.Fatal(err)
		}
		present := rapid.IntRange(1, 120).Draw(t, "present")
		at, window := now, s.Tolerance.Window.Duration()
		var budget Budget
		var gone []time.Time
		for range rapid.IntRange(1, 150).Draw(t, "departures") {
			at = at.Add(time.Duration(rapid.IntRange(0, int(window.Seconds()/20)).Draw(t, "pause")) * time.Second)
			recent := 0
			for _, g := range gone {
				if g.After(at.Add(-window)) {
					recent++
				}
			}
			f := addressed(user("u", "ann"))
			f.Departure = &DepartureFacts{Present: present, Budget: budget}
			decision, err := decide(f, Desired{Type: scim.User, Connection: own, Now: at, Presence: Absent}, r)
			share := (present + recent) * s.Tolerance.Users.Share / 100
			if n := s.Tolerance.Users.Count; n > 0 {
				share = min(share, n)
			}
			limit := max(share, s.Tolerance.Users.Floor)
			if err != nil {
				if KindOf(err) != Unavailable {
					t.Fatal(err)
				}
				retry := err.(*Error).RetryAfter
				if retry < time.Minute || retry > 30*time.Minute {
					t.Fatalf("Retry-After %s", retry)
				}
				continue
			}
			if recent+1 >= limit {
				t.Fatalf("departure %d of %d within %s, whose limit is %d", recent+1, present+recent, window, limit)
			}
			budget = decision.Budgets[0]
			if n := len(budget.Spent); n > windowParts+2 {
				t.Fatalf("%d intervals are kept", n)
			}
			gone = append(gone, at)
			if present--; present == 0 {
				return
			}
		}
	})
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		oldest time.Duration // before now
		want   time.Duration
	}{{0, 30 * time.Minute}, {time.Hour, 30 * time.Minute}, {23*time.Hour + 40*time.Minute, 20 * time.Minute},
		{24*time.Hour - time.Second, time.Minute}, {24*time.Hour + time.Hour, time.Minute}} {
		var oldest time.Time
		if tt.oldest > 0 {
			oldest = now.Add(-tt.oldest)
		}
		if got := defaultRules.retryAfter(oldest, now); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.oldest, got, tt.want)
		}
	}
}

// TestAllowancesRunOut: N departures go, the next is stopped again.
func TestAllowancesRunOut(t *testing.T) {
	t.Parallel()
	s := DefaultSettings()
	s.Tolerance.Users = Tolerance{Share: 1}
	r, err := NewRules(1, s)
	if err != nil {
		t.Fatal(err)
	}
	budget := Budget{Connection: own, Kind: BudgetUsers, Allowances: []Allowance{{Cause: CauseDeleted, Left: 3, Until: now.Add(time.Hour)}}}
	let := 0
	for i := range 6 {
		f := addressed(user(fmt.Sprint(i), "ann"))
		f.Departure = &DepartureFacts{Present: 10, Budget: budget}
		decision, err := decide(f, Desired{Type: scim.User, Connection: own, Now: now, Presence: Absent}, r)
		if err != nil {
			if KindOf(err) != Unavailable {
				t.Fatal(err)
			}
			continue
		}
		let++
		if decision.Budgets[0].Version != budget.Version+1 {
			t.Errorf("version %d after %d", decision.Budgets[0].Version, budget.Version)
		}
		budget = decision.Budgets[0]
	}
	if let != 3 {
		t.Errorf("%d went, want 3", let)
	}
	if n := sum(budget.Spent); n != 0 {
		t.Errorf("%d were counted as spent beside what was allowed", n)
	}
}
