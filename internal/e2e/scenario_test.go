package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"meibo/internal/drill"
	"meibo/internal/witness"
	"meibo/provisioning"
	"meibo/scim"
)

// scenarioPeople is how many users a scenario has where it is played very often.
func scenarioPeople(s drill.Scenario) (users, groups, members int) {
	if strings.HasPrefix(string(s), "mass-disable") {
		return 60, 2, 40 // of whom 50 are disabled, and 24 leave
	}
	return 36, 3, 60
}

// TestScenarios plays every scenario of the drill under every preset: Entra ID is satisfied, the host application sees what the rules
// lead to, and the journal folds to what is stored. At full size that is in both dialects on both databases; else each story is told
// once, and those of a scenario, as those of a preset, take turns with both.
func TestScenarios(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db database) {
		s := newServer(t, db, options{})
		for p, preset := range provisioning.Presets() {
			for i, scenario := range drill.Scenarios() {
				for d, dialect := range []drill.Dialect{drill.Default, drill.Flag} {
					if turn := i + p; !*full && (db.name != databases[turn%2].name || d != turn/2%2) {
						continue
					}
					t.Run(fmt.Sprint(preset, "/", scenario, "/", dialect), func(t *testing.T) {
						t.Parallel()
						o := drill.Options{Seed: 5, Workers: 4}
						o.Users, o.Groups, o.Members = scenarioPeople(scenario)
						s.stageScenario(t, fmt.Sprintf("%s-%d-%s", orDefault(preset), i, dialect), preset).tell(scenario, dialect, o)
					})
				}
			}
		}
	})
}

// TestMassDisable plays the story at its own measure: of 600 users 500 are disabled, and 119 leave.
func TestMassDisable(t *testing.T) {
	t.Parallel()
	if hasty() {
		t.Log("the measure is that of TestScenarios")
		return
	}
	each(t, func(t *testing.T, db database) {
		if !*full && db.driver != "sqlite" {
			t.Log("the measure is that of TestScenarios, but with -full")
			return
		}
		c := newServer(t, db, options{}).stageScenario(t, "mass", provisioning.PresetDefault)
		report := c.tell(drill.MassDisable, drill.Default, drill.Options{Seed: 5})
		if want := 2*381 + 1; report.Delayed != want { // each twice, and one more user once the allowance is used up
			t.Errorf("%d departures were put off, want %d", report.Delayed, want)
		}
	})
}

// TestScenarioNoticesOtherRules: what is expected of one preset is not what another one leads to.
func TestScenarioNoticesOtherRules(t *testing.T) {
	t.Parallel()
	s := newServer(t, databases[0], options{})
	for expected, in := range map[provisioning.Preset]provisioning.Preset{
		provisioning.PresetMirror: provisioning.PresetDefault, provisioning.PresetGuarded: provisioning.PresetHandPicked,
		provisioning.PresetHandPicked: provisioning.PresetSuspendOrDelete, provisioning.PresetDefault: provisioning.PresetHandPicked,
		provisioning.PresetSuspendOrDelete: provisioning.PresetGuarded,
	} {
		c := s.stageScenario(t, string("other-"+orDefault(expected)), in)
		c.tenant = c.untroubled(provisioning.DefaultConnection) // else how far the story gets depends on who is quicker
		o := drill.Options{BaseURL: c.base, Token: c.token, Client: c.client, Scenario: drill.LeaverReturns, Preset: drill.Preset(expected),
			Person: c, Host: c, Users: 60, Groups: 2, Members: 60, Seed: 5}
		report, err := drill.Run(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if report.Faults["host.state"] == 0 {
			t.Errorf("under the preset %q what is expected of %q held: %v %v", in, expected, report.Faults, report.Errors)
		}
	}
}

func orDefault(p provisioning.Preset) string {
	if p == provisioning.PresetDefault {
		return "default"
	}
	return string(p)
}

// scenarioTenant is a tenant under a preset, in which a person acts and the host application looks.
type scenarioTenant struct {
	*tenant
	preset provisioning.Preset
}

func (s *server) stageScenario(t *testing.T, name string, preset provisioning.Preset) *scenarioTenant {
	t.Helper()
	own := *s
	own.t = t
	c := own.newTenant(name)
	if preset != provisioning.PresetDefault {
		c = c.apply(provisioning.DefaultConnection, func(s *provisioning.Settings) { *s, _ = preset.Settings() })
	}
	return &scenarioTenant{c, preset}
}

// tell plays a scenario.
func (c *scenarioTenant) tell(scenario drill.Scenario, dialect drill.Dialect, o drill.Options) *drill.Report {
	c.t.Helper()
	o.Scenario, o.Preset, o.Person, o.Host = scenario, drill.Preset(c.preset), c, c
	report := c.drill(dialect, o)
	if len(report.Skipped) > 0 || report.Sights == 0 {
		c.t.Errorf("skipped %q, %d accounts looked at", report.Skipped, report.Sights)
	}
	for _, difference := range witness.Disagreements(c.entries(), c.stored()) {
		c.t.Error(difference)
	}
	return report
}

// Allow implements drill.Person.
func (c *scenarioTenant) Allow(ctx context.Context, n int) error {
	if n > 0 {
		_, err := c.service.Allow(ctx, c.origin(), provisioning.DefaultConnection, provisioning.BudgetUsers,
			provisioning.Allowance{Cause: provisioning.CauseDeactivated, Left: n, Until: c.service.Now().Add(time.Hour)})
		if err != nil {
			return err
		}
	}
	return c.resolveAll(ctx, provisioning.MatterHeld, provisioning.MatterAllowed)
}

// Reject implements drill.Person.
func (c *scenarioTenant) Reject(ctx context.Context) error {
	if err := c.resolveAll(ctx, provisioning.MatterDelayed, provisioning.MatterRejected); err != nil {
		return err
	}
	return c.resolveAll(ctx, provisioning.MatterHeld, provisioning.MatterRejected)
}

// resolveAll chooses the same for every open matter of a kind.
func (c *scenarioTenant) resolveAll(ctx context.Context, kind provisioning.MatterKind, choice provisioning.MatterStatus) error {
	var ids []string
	err := c.service.Matters(ctx, c.name, provisioning.MatterQuery{Kind: kind, Status: provisioning.MatterOpen}, func(m provisioning.Matter) error {
		ids = append(ids, m.ID)
		return nil
	})
	for _, id := range ids {
		if err != nil {
			break
		}
		_, err = c.service.Resolve(ctx, c.origin(), id, provisioning.Resolution{Status: choice})
	}
	return err
}

// MakeAdmin implements drill.Person.
func (c *scenarioTenant) MakeAdmin(ctx context.Context, id string) error {
	admin := provisioning.RoleAdmin
	_, err := c.service.Act(ctx, c.origin(), scim.User, id, provisioning.Act{Role: &admin})
	return err
}

// View implements drill.Host.
func (c *scenarioTenant) View(ctx context.Context, id string) (drill.Account, bool, error) {
	x, err := c.service.Account(ctx, c.name, scim.User, id)
	if err != nil && provisioning.KindOf(err) == provisioning.NotFound {
		return drill.Account{}, false, nil
	}
	if err != nil {
		return drill.Account{}, false, err
	}
	doc := x.Effective
	if doc == nil {
		doc = x.Asserted
	}
	var own struct{ UserName string }
	err = json.Unmarshal(doc, &own)
	return drill.Account{State: string(x.State), Role: x.RoleName(), UserName: own.UserName}, true, err
}

// Members implements drill.Host.
func (c *scenarioTenant) Members(ctx context.Context, group string) (ids []string, err error) {
	err = c.service.Memberships(ctx, c.name, group, func(m provisioning.GroupMember) error {
		ids = append(ids, m.Value)
		return nil
	})
	return ids, err
}
