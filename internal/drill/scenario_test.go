package drill

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestScenarios plays every scenario under every preset, in both dialects, against a server that keeps to the rules.
func TestScenarios(t *testing.T) {
	t.Parallel()
	for _, scenario := range Scenarios() {
		for preset := range presets {
			for _, dialect := range []Dialect{Default, Flag} {
				t.Run(fmt.Sprint(scenario, "/", preset, "/", dialect), func(t *testing.T) {
					t.Parallel()
					s := &fakeServer{policy: policies[preset]}
					opt := options(s, dialect)
					opt.Users, opt.Groups, opt.Members = 60, 4, 90 // the floor of the tolerance is 25
					opt.Scenario, opt.Preset, opt.Person, opt.Host = scenario, preset, s, s
					rep, err := Run(t.Context(), opt)
					if err != nil {
						t.Fatal(err)
					}
					if !rep.OK() || len(rep.Warnings) != 0 || len(rep.Skipped) != 0 {
						t.Fatal(text(t, rep))
					}
					if rep.Sights == 0 || rep.Compared == 0 {
						t.Errorf("%d accounts looked at, %d attributes compared: none may be 0", rep.Sights, rep.Compared)
					}
				})
			}
		}
	}
}

// TestMassDisableStopsShort: of 600 active users 119 leave, and the other 381 of 500 are put off twice.
func TestMassDisableStopsShort(t *testing.T) {
	t.Parallel()
	s := &fakeServer{policy: policies[""]}
	opt := options(s, Default)
	opt.Users, opt.Groups, opt.Members = 0, 0, 0
	opt.Scenario, opt.Host = MassDisable, s
	rep, err := Run(t.Context(), opt)
	if err != nil || !rep.OK() {
		t.Fatal(err, text(t, rep))
	}
	if rep.Delayed != 2*381 {
		t.Errorf("%d departures were put off, want %d", rep.Delayed, 2*381)
	}
	if len(rep.Skipped) != 1 || !strings.Contains(text(t, rep), "skipped: let those go who wait: nobody is there to do it") {
		t.Errorf("skipped %q in\n%s", rep.Skipped, text(t, rep))
	}
}

// TestScenarioOptions names what makes no sense.
func TestScenarioOptions(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*Options){
		`scenario "flood": use one of admin-disabled, `:                              func(o *Options) { o.Scenario = "flood" },
		`preset "lenient": use one of guarded, hand-picked, `:                        func(o *Options) { o.Scenario, o.Preset = Rename, "lenient" },
		`preset "mirror": it says what a scenario expects; name a scenario or leave`: func(o *Options) { o.Preset = Mirror },
	} {
		opt := options(&fakeServer{}, Default)
		change(&opt)
		if _, err := Run(t.Context(), opt); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if err := opt.CheckSizes(); err == nil {
			t.Errorf("%s: CheckSizes lets it pass", want)
		}
	}
}

// absentMinded is a person, and a host application, who can do nothing.
type absentMinded struct{}

var errAbsent = errors.New("out to lunch")

func (absentMinded) Allow(context.Context, int) error        { return errAbsent }
func (absentMinded) Reject(context.Context) error            { return errAbsent }
func (absentMinded) MakeAdmin(context.Context, string) error { return errAbsent }
func (absentMinded) View(context.Context, string) (Account, bool, error) {
	return Account{}, false, errAbsent
}
func (absentMinded) Members(context.Context, string) ([]string, error) { return nil, errAbsent }

// forgetful is a host application that knows no groups.
type forgetful struct{ *fakeServer }

func (forgetful) Members(context.Context, string) ([]string, error) { return nil, errAbsent }

// TestPersonFails: what a person or the host application cannot do ends the run, and says so.
func TestPersonFails(t *testing.T) {
	t.Parallel()
	for _, scenario := range []Scenario{MassDisable, MassDisableRejected, AdminDisabled} {
		s := &fakeServer{policy: policies[""]}
		opt := options(s, Default)
		opt.Scenario, opt.Person = scenario, absentMinded{}
		rep, err := Run(t.Context(), opt)
		if err != nil || rep.OK() || !strings.Contains(rep.Stopped, "out to lunch") {
			t.Errorf("%s: error %v, stopped %q", scenario, err, rep.Stopped)
		}
	}
	s := &fakeServer{policy: policies[""]}
	for _, host := range []Host{absentMinded{}, forgetful{s}} {
		opt := options(s, Default)
		opt.Seed++
		opt.Scenario, opt.Person, opt.Host = Rename, s, host
		rep, err := Run(t.Context(), opt)
		if err != nil || rep.OK() || !strings.Contains(rep.Stopped, "out to lunch") {
			t.Errorf("error %v, stopped %q", err, rep.Stopped)
		}
	}
}
