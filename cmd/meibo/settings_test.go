package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestSettingsOfARunningServer: a plan names whom a document touches; applied, it reaches the server without a restart,
// who comes next and, by a job, who is there.
func TestSettingsOfARunningServer(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.run("tenant", "create", "acme")
	token := "Bearer " + m.token("acme")
	s := m.serve()
	s.create("/t/acme/scim/v2/Users", token, named(userBody, "ken@example.com"))
	file := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(file, []byte("mapping:\n  users:\n    - {target: title, constant: Engineer}\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	plan := m.run("settings", "plan", file, "--tenant", "acme")
	if !regexp.MustCompile(`(?m)^User +ken@example\.com +[0-9a-f-]{36} +update +.*title`).MatchString(plan) {
		t.Errorf("the plan does not name who is touched:\n%s", plan)
	}
	if lines := m.run("settings", "plan", file, "--tenant", "acme", "--json"); !strings.Contains(lines, `"type":"User","name":"ken@example.com","action":"update"`) {
		t.Errorf("the plan in JSON does not name who is touched:\n%s", lines)
	}
	if users := m.users("acme"); strings.Contains(users, "Engineer") {
		t.Fatalf("a plan changed something: %s", users)
	}

	m.run("settings", "apply", file, "--tenant", "acme")
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(30 * time.Second)
	for !strings.Contains(m.users("acme"), "Engineer") {
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatalf("who was there is as before: %s\n%s", m.users("acme"), s.log.text())
		}
	}
	// The job waits for longer than any server goes by the version before.
	s.create("/t/acme/scim/v2/Users", token, named(userBody, "yui@example.com"))
	if n := strings.Count(m.users("acme"), "Engineer"); n != 2 {
		t.Errorf("%d of 2 users are as the new settings say: %s", n, m.users("acme"))
	}
	if again := m.run("settings", "plan", file, "--tenant", "acme", "--json"); again != "" {
		t.Errorf("what is in force would change: %s", again)
	}
}

// users exports the users of a tenant.
func (m *machine) users(tenant string) string {
	m.t.Helper()
	return m.run("export", "--tenant", tenant, "--type", "users", "--format", "ndjson")
}
