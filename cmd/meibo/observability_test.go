package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Files that operators take from the repository.
const (
	dashboardFile = "../../deploy/grafana-dashboard.json"
	alertsFile    = "../../deploy/prometheus-alerts.yml"
	alertsTest    = "../../deploy/prometheus-alerts-test.yml"
	operatorsPage = "../../docs/observability.md"
)

// scraped is /metrics of a server that was used once in every way that makes a series.
func scraped(t *testing.T) string {
	t.Helper()
	m := newMachine(t)
	m.run("tenant", "create", "acme")
	token := m.token("acme")
	s := m.serve()
	s.create("/t/acme/scim/v2/Users", "Bearer "+token,
		`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ken","active":"True"}`)
	return s.do(http.MethodGet, "/metrics", "", "").body
}

var (
	metricName = regexp.MustCompile(`\b(?:meibo|go|process|promhttp)_[a-z0-9_]+`)
	sampleName = regexp.MustCompile(`(?m)^([a-z_][a-z0-9_]*)[ {]`)
	metricType = regexp.MustCompile(`(?m)^# TYPE (meibo_[a-z0-9_]+) `)
)

// found are the first groups of all matches, each once, sorted.
func found(pattern *regexp.Regexp, text string) []string {
	set := map[string]bool{}
	for _, match := range pattern.FindAllStringSubmatch(text, -1) {
		set[match[len(match)-1]] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// TestWhatIsShownExists: dashboard and alert rules ask for metrics that the server has.
func TestWhatIsShownExists(t *testing.T) {
	t.Parallel()
	samples := found(sampleName, scraped(t))
	for _, file := range []string{dashboardFile, alertsFile, alertsTest} {
		names := found(metricName, slurp(t, file))
		if len(names) == 0 {
			t.Errorf("%s names no metric", file)
		}
		for _, name := range names {
			if !slices.Contains(samples, name) {
				t.Errorf("%s asks for %s, which the server does not have", file, name)
			}
		}
	}
}

// TestOperatorsPageIsComplete: it has a row for each metric, and a section for each alert that the rules point to.
func TestOperatorsPageIsComplete(t *testing.T) {
	t.Parallel()
	page, rules := slurp(t, operatorsPage), slurp(t, alertsFile)
	rows := found(regexp.MustCompile("(?m)^\\| `(meibo_[a-z0-9_]+)"), page)
	if diff := cmp.Diff(found(metricType, scraped(t)), rows); diff != "" {
		t.Errorf("metrics (-server +page):\n%s", diff)
	}
	alerts := found(regexp.MustCompile(`- alert: (\w+)`), rules)
	if diff := cmp.Diff(alerts, found(regexp.MustCompile(`(?m)^### (Meibo\w+)$`), page)); diff != "" {
		t.Errorf("alerts (-rules +page):\n%s", diff)
	}
	for _, alert := range alerts {
		if !strings.Contains(rules, "runbook: docs/observability.md#"+strings.ToLower(alert)+"\n") {
			t.Errorf("%s does not point to its section", alert)
		}
	}
}

// TestAlertsAreTested: each is expected to fire in one case at least, and to be silent in the healthy one.
func TestAlertsAreTested(t *testing.T) {
	t.Parallel()
	alerts, tests := found(regexp.MustCompile(`- alert: (\w+)`), slurp(t, alertsFile)), slurp(t, alertsTest)
	if diff := cmp.Diff(alerts, found(regexp.MustCompile(`alertname: (\w+), eval_time: \w+, exp_alerts: \[\]`), tests)); diff != "" {
		t.Errorf("in the healthy case (-rules +tests):\n%s", diff)
	}
	if diff := cmp.Diff(alerts, found(regexp.MustCompile(`alertname: (\w+)\n\s+eval_time: \w+\n\s+exp_alerts:\n\s+- exp_labels`), tests)); diff != "" {
		t.Errorf("expected to fire (-rules +tests):\n%s", diff)
	}
}

func TestPromtool(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("REQUIRE_PROMTOOL") != "" {
			t.Fatal("promtool is not installed; it is in Debian's package prometheus")
		}
		t.Skip("promtool is not installed")
	}
	recorded := filepath.Join(t.TempDir(), "dashboard.yml")
	if err := os.WriteFile(recorded, []byte(asRules(panelQueries(t))), 0o600); err != nil {
		t.Fatal(err)
	}
	metrics := scraped(t)
	for name, test := range map[string]struct {
		stdin string
		args  []string
		fails bool
	}{
		"metrics":                  {stdin: metrics, args: []string{"check", "metrics"}},
		"metrics with a fault":     {stdin: metrics + "# TYPE meibo_faults counter\nmeibo_faults 1\n", args: []string{"check", "metrics"}, fails: true},
		"alerts":                   {args: []string{"check", "rules", alertsFile}},
		"alerts on planted series": {args: []string{"test", "rules", alertsTest}},
		"queries of the dashboard": {args: []string{"check", "rules", recorded}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), promtool, test.args...)
			cmd.Stdin = strings.NewReader(test.stdin)
			if out, err := cmd.CombinedOutput(); (err != nil) != test.fails {
				t.Errorf("promtool %s: %v\n%s", strings.Join(test.args, " "), err, out)
			}
		})
	}
}

// panelQueries are the queries of the dashboard's panels, with its variables filled in.
func panelQueries(t *testing.T) []string {
	t.Helper()
	var dashboard struct {
		UID    string
		Panels []struct {
			ID      int
			Type    string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(slurp(t, dashboardFile)), &dashboard); err != nil {
		t.Fatal(err)
	}
	var queries []string
	ids := map[int]bool{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d is there twice or shows nothing", p.ID)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			queries = append(queries, strings.NewReplacer("$__rate_interval", "5m", "$job", ".*", "$instance", ".*").Replace(target.Expr))
		}
	}
	if len(queries) == 0 {
		t.Fatal("the dashboard asks for nothing")
	}
	return queries
}

// asRules writes queries as recording rules, which promtool can read.
func asRules(queries []string) string {
	var b strings.Builder
	b.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	for i, q := range queries {
		fmt.Fprintf(&b, "      - record: query:%d\n        expr: %q\n", i, q)
	}
	return b.String()
}

func slurp(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash(file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
