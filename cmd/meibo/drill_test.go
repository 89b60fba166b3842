package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"meibo/internal/drill"
	"meibo/provisioning/summary"
	"meibo/store/storetest"
)

// written is what the drill knows of an answered write, and the journal as well.
type written struct {
	Method, Path string
	Status       int
	Resource     string
}

// TestDrillAndJournalAgree plays Entra ID in both dialects against a server of the drill's own, on
// both databases: Entra is satisfied, and each answered write has exactly one entry with its
// request.
func TestDrillAndJournalAgree(t *testing.T) {
	t.Parallel()
	for database, url := range map[string]func(testing.TB) string{"SQLite": storetest.SQLite, "PostgreSQL": storetest.PostgreSQL} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			m := &machine{t, []string{"MEIBO_DATABASE_URL=" + url(t), "MEIBO_RATE_LIMIT=0"}}
			writes := filepath.Join(t.TempDir(), "writes.ndjson")
			var out, words lines
			code := run(context.Background(), []string{"drill", "--users", "40", "--groups", "5", "--members", "100",
				"--dialect", "both", "--tenant", "drill", "--writes", writes}, m.environ, strings.NewReader(""), &out, &words)
			if code != exitOK {
				t.Errorf("exit status %d:\n%s%s", code, words.text(), out.text())
			}
			journal := m.journalled("drill-default")
			for id, w := range m.journalled("drill-flag") {
				journal[id] = w
			}
			if diff := cmp.Diff(readWrites(t, writes), journal); diff != "" {
				t.Errorf("by correlation id (-answered +journalled):\n%s", diff)
			}
		})
	}
}

// journalled are the entries of a tenant that hold a request, by correlation id.
func (m *machine) journalled(tenant string) map[string]written {
	m.t.Helper()
	out := map[string]written{}
	for line := range strings.Lines(m.run("log", "--tenant", tenant, "--json")) {
		var e summary.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			m.t.Fatal(err)
		}
		r := e.Meibo.Request
		if r == nil {
			continue
		}
		if _, twice := out[e.ChangeID]; twice {
			m.t.Errorf("two entries with the request %s", e.ChangeID)
		}
		w := written{Method: r.Method, Path: r.Path, Status: r.Status}
		if e.TargetIdentity != nil {
			w.Resource = e.TargetIdentity.ID
		}
		out[e.ChangeID] = w
	}
	return out
}

// readWrites reads what --writes wrote, by correlation id.
func readWrites(t *testing.T, path string) map[string]written {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]written{}
	for line := range strings.Lines(string(text)) {
		var w struct {
			CorrelationID, Method, Path, ResourceID string
			Status                                  int
		}
		if err := json.Unmarshal([]byte(line), &w); err != nil {
			t.Fatal(err)
		}
		if _, twice := out[w.CorrelationID]; twice {
			t.Errorf("two answers with the correlation id %q", w.CorrelationID)
		}
		out[w.CorrelationID] = written{w.Method, w.Path, w.Status, w.ResourceID}
	}
	if len(out) == 0 {
		t.Error("the drill wrote nothing")
	}
	return out
}

// TestDrillScenarios plays all scenarios on servers of the drill's own, where nothing is skipped, also with the schedule running
// that purges what has no grace time.
func TestDrillScenarios(t *testing.T) {
	t.Parallel()
	for _, preset := range []string{"", "mirror"} {
		t.Run("preset "+preset, func(t *testing.T) {
			t.Parallel()
			var out, words lines
			code := run(context.Background(), []string{"drill", "--scenario", "all", "--preset", preset, "--users", "36", "--groups", "2",
				"--members", "40", "--rate-limit", "0"}, nil, strings.NewReader(""), &out, &words)
			if code != exitOK || strings.Contains(out.text(), "skipped") {
				t.Errorf("exit status %d:\n%s%s", code, words.text(), out.text())
			}
			if got, want := strings.Count(out.text(), "OK: Entra ID would be satisfied"), len(drill.Scenarios()); got != want {
				t.Errorf("%d reports, want %d", got, want)
			}
		})
	}
}

// TestDrillElsewhere plays scenarios on a server that runs elsewhere, with an API key for what a person does, and without.
func TestDrillElsewhere(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "MEIBO_RATE_LIMIT=300")
	s := m.serve()
	play := func(scenario string, with bool) string {
		m.run("tenant", "create", scenario)
		args := []string{"drill", "--url", s.url + "/t/" + scenario + "/scim/v2", "--token", m.token(scenario), "--scenario", scenario,
			"--users", "40", "--groups", "2", "--members", "40"}
		if with {
			args = append(args, "--key", m.run("key", "create", "--tenant", scenario, "--role", "operator", "--holder", "drill"))
		}
		return m.run(args...)
	}
	for _, scenario := range []string{"mass-disable", "mass-disable-rejected", "admin-disabled"} {
		if out := play(scenario, true); strings.Contains(out, "skipped") || strings.Contains(out, " 0 accounts looked at") {
			t.Errorf("%s: not all was played:\n%s", scenario, out)
		}
	}
	if out := play("rename", false); !strings.Contains(out, "skipped: what the host application sees: nobody can look; give an API key") {
		t.Errorf("nothing says that nobody looked:\n%s", out)
	}
}
