package e2e

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"meibo/internal/drill"
	"meibo/internal/testkit"
	"meibo/internal/witness"
	"meibo/provisioning"
	"meibo/scim"
	"meibo/store"
)

// company is a drill small enough for every run of the tests. It leaves disabled, deleted, restored
// and renamed people behind, and groups that changed.
func company() drill.Options {
	o := drill.Options{Users: 40, Groups: 6, Members: 110, Seed: 11, Workers: 4}
	if hasty() {
		o.Users, o.Groups, o.Members = 12, 3, 24
	}
	return o
}

// drill plays Entra ID against the tenant.
func (c *tenant) drill(dialect drill.Dialect, o drill.Options) *drill.Report {
	c.t.Helper()
	o.BaseURL, o.Token, o.Dialect, o.Client = c.base, c.token, dialect, c.client
	report, err := drill.Run(c.t.Context(), o)
	if err != nil {
		c.t.Fatal(err)
	}
	if !report.OK() {
		var text strings.Builder
		_ = report.WriteText(&text)
		c.t.Fatalf("%s", &text)
	}
	return report
}

// TestJournalFolds plays the drill in both dialects. Each unit of work runs twice, the first time
// to be taken back, so that an entry of work that was not done would show.
func TestJournalFolds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		s := newServer(t, db, options{store: store.Options{Rehearse: true}})
		for _, dialect := range []drill.Dialect{drill.Default, drill.Flag} {
			c := s.newTenant("drill-" + string(dialect))
			c.drill(dialect, company())
			entries := c.entries()
			for _, difference := range witness.Disagreements(entries, c.stored()) {
				t.Errorf("%s: %s", dialect, difference)
			}
			c.wantBreadth(entries)
			if !t.Failed() && dialect == drill.Default {
				wantEachAlterationNoticed(t, entries, c.stored())
			}
		}
	})
}

// wantBreadth fails where a drill has not touched what the fold is to be proved on.
func (c *tenant) wantBreadth(entries []provisioning.Entry) {
	c.t.Helper()
	var invisible, suspended, ended, open int
	for _, s := range c.stored() {
		if !s.Visible {
			invisible++
		}
		if s.State == string(provisioning.Suspended) {
			suspended++
		}
		for _, m := range s.Members {
			if m.To == 0 {
				open++
			} else {
				ended++
			}
		}
	}
	reasons := map[string]int{}
	for _, e := range entries {
		reasons[e.Reason.Code]++
	}
	if invisible == 0 || suspended == 0 || ended == 0 || open == 0 || reasons[provisioning.ReasonRestored] == 0 {
		c.t.Errorf("the drill left %d invisible, %d suspended, %d memberships that ended, %d open ones, and reasons %v: none may be missing",
			invisible, suspended, ended, open, reasons)
	}
}

// alterations are the ways to falsify one entry; one that leaves an entry as it is does not apply.
var alterations = map[string]func(*provisioning.Entry){
	"a new value":       ofDifference(func(c *provisioning.AttributeChange) { c.New = "falsified" }),
	"an old value":      ofDifference(func(c *provisioning.AttributeChange) { c.Old = "falsified" }),
	"no new value":      ofDifference(func(c *provisioning.AttributeChange) { c.New = nil }),
	"no old value":      ofDifference(func(c *provisioning.AttributeChange) { c.Old = nil }),
	"another attribute": ofDifference(func(c *provisioning.AttributeChange) { c.Path += "x" }),
	"a difference is missing": func(e *provisioning.Entry) {
		e.Diff = e.Diff[:max(0, len(e.Diff)-1)]
	},
	"a difference twice": func(e *provisioning.Entry) { e.Diff = append(e.Diff, e.Diff...) },
	"a difference that is none": func(e *provisioning.Entry) {
		e.Diff = append(e.Diff, provisioning.AttributeChange{Path: "title", Old: "Dr.", New: "Dr."})
	},
	"a member is missing": func(e *provisioning.Entry) {
		e.Members.Add = e.Members.Add[:max(0, len(e.Members.Add)-1)]
	},
	"a leaver is missing": func(e *provisioning.Entry) {
		e.Members.Remove = e.Members.Remove[:max(0, len(e.Members.Remove)-1)]
	},
	"a member too many": func(e *provisioning.Entry) {
		e.Members.Add = append(e.Members.Add, scim.Member{Value: "falsified"})
	},
	"a leaver too many": func(e *provisioning.Entry) {
		e.Members.Remove = append(e.Members.Remove, "falsified")
	},
	"another member": func(e *provisioning.Entry) {
		for i := range e.Members.Add {
			e.Members.Add[i].Value += "x"
		}
	},
	"a member under another name": func(e *provisioning.Entry) {
		for i := range e.Members.Add {
			e.Members.Add[i].Display += "x"
		}
	},
	"a later version":    func(e *provisioning.Entry) { e.Version++ },
	"an earlier version": func(e *provisioning.Entry) { e.Version-- },
	"another resource":   func(e *provisioning.Entry) { e.ResourceID += "x" },
	"another outcome":    func(e *provisioning.Entry) { e.Outcome = provisioning.Failure },
}

func ofDifference(alter func(*provisioning.AttributeChange)) func(*provisioning.Entry) {
	return func(e *provisioning.Entry) {
		for i := range e.Diff {
			alter(&e.Diff[i])
		}
	}
}

// wantEachAlterationNoticed falsifies each entry in each way, and leaves each one out: a fold that
// lets one pass proves nothing.
func wantEachAlterationNoticed(t *testing.T, entries []provisioning.Entry, stored map[string]witness.State) {
	t.Helper()
	byResource := map[string][]provisioning.Entry{}
	for _, e := range entries {
		if e.Version > 0 {
			byResource[e.ResourceID] = append(byResource[e.ResourceID], e)
		}
	}
	applied := map[string]int{}
	for id, own := range byResource {
		truth := map[string]witness.State{id: stored[id]}
		noticed := func(name string, falsified []provisioning.Entry) {
			applied[name]++
			if states, problems := witness.Fold(falsified); len(problems) == 0 && reflect.DeepEqual(states, truth) {
				t.Errorf("resource %s: %s in one of %d entries went unnoticed", id, name, len(own))
			}
		}
		for i := range own {
			noticed("an entry is missing", slices.Delete(slices.Clone(own), i, i+1))
			noticed("an entry twice", append(slices.Clone(own), own[i]))
			for name, alter := range alterations {
				e := copyOf(own[i])
				if alter(&e); reflect.DeepEqual(e, own[i]) {
					continue
				}
				falsified := slices.Clone(own)
				falsified[i] = e
				noticed(name, falsified)
			}
		}
	}
	for name := range alterations {
		if applied[name] == 0 {
			t.Errorf("no entry of the drill could be altered by %q", name)
		}
	}
}

// copyOf is an entry whose lists can be written to.
func copyOf(e provisioning.Entry) provisioning.Entry {
	e.Diff = slices.Clone(e.Diff)
	e.Members.Add, e.Members.Remove = slices.Clone(e.Members.Add), slices.Clone(e.Members.Remove)
	return e
}

// TestAnsweredWritesMatchJournal holds the drill's record of answered writes against the entries
// that have a request: as many, and equal one by one. With a rate limit, throttled requests are in
// neither.
func TestAnsweredWritesMatchJournal(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		for name, rate := range map[string]float64{"unlimited": 0, "limited": 40} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				clock := testkit.NewClock(time.Now())
				s := newServer(t, db, options{rateLimit: rate, now: clock.Now})
				o := company()
				o.Sleep = func(ctx context.Context, d time.Duration) error { clock.Advance(d); return ctx.Err() }
				for _, dialect := range []drill.Dialect{drill.Default, drill.Flag} {
					c := s.newTenant("drill-" + string(dialect))
					report := c.drill(dialect, o)
					if (report.Throttled > 0) != (rate > 0) {
						t.Errorf("%s: %d requests were throttled", dialect, report.Throttled)
					}
					if diff := gocmp.Diff(c.answered(report), c.journalled()); diff != "" {
						t.Errorf("%s, by correlation id (-answered +journalled):\n%s", dialect, diff)
					}
				}
			})
		}
	})
}

// answered are the drill's writes by correlation id.
func (c *tenant) answered(report *drill.Report) map[string]drill.Write {
	c.t.Helper()
	all := map[string]drill.Write{}
	for _, w := range report.Writes {
		if _, twice := all[w.CorrelationID]; twice || w.CorrelationID == "" {
			c.t.Errorf("two answers, or one without, have the correlation id %q", w.CorrelationID)
		}
		all[w.CorrelationID] = w
	}
	return all
}

// journalled are the entries that have a request, as the writes that they speak of.
func (c *tenant) journalled() map[string]drill.Write {
	c.t.Helper()
	all := map[string]drill.Write{}
	for _, e := range c.entries() {
		if e.Request == nil {
			continue
		}
		if _, twice := all[e.Correlation]; twice {
			c.t.Errorf("two entries have the request %s", e.Correlation)
		}
		all[e.Correlation] = drill.Write{CorrelationID: e.Correlation, Method: e.Request.Method, Path: e.Request.Path,
			Status: e.Request.Status, ResourceID: e.ResourceID}
	}
	return all
}
