package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// TestCapturedRequests has a server keep what a client sends, and shows and replays it after a restart; a server with
// another key can show nothing, and one without any says so.
func TestCapturedRequests(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "MEIBO_SECRET_KEY="+strings.Repeat("k", 40))
	m.run("tenant", "create", "default")
	token, key := "Bearer "+m.token("default"), "Bearer "+m.key("operator")
	s := m.serve()
	const users = "/t/default/scim/v2/Users"
	s.create(users, token, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"kim@contoso.com","password":"c4n4ry"}`)
	if a := s.do(http.MethodPost, users, token, `{"userName":"KIM@contoso.com"}`); a.status != http.StatusConflict {
		t.Fatalf("a second one: %d %s", a.status, a.body)
	}
	const unknown = users + "/019aa000-0000-7000-8000-000000000000"
	if a := s.do(http.MethodGet, unknown, token, ""); a.status != http.StatusNotFound {
		t.Fatalf("a user who is not there: %d %s", a.status, a.body)
	}
	s.stop() // which writes what waits
	s.wait()

	s = m.serve()
	var log struct{ Items []struct{ ID string } }
	if a := s.do(http.MethodGet, "/api/v1/log?method=POST", key, ""); json.Unmarshal([]byte(a.body), &log) != nil || len(log.Items) != 2 {
		t.Fatalf("the log: %d %s", a.status, a.body)
	}
	for i, want := range [][]string{{`"status":409`, `"userName":"KIM@contoso.com"`, `"scimType":"uniqueness"`}, {`"status":201`, `"password":"***"`, `"note":"secrets were taken out"`}} {
		a := s.do(http.MethodGet, "/api/v1/log/"+log.Items[i].ID+"/capture", key, "")
		for _, text := range want {
			if a.status != http.StatusOK || !strings.Contains(a.body, text) || strings.Contains(a.body, "c4n4ry") {
				t.Errorf("capture %d: %d %s; want %s", i, a.status, a.body, text)
			}
		}
		for under, same := range map[string]string{`{"under":"then"}`: `"same":true`, `{"under":"draft","settings":{"mapping":{"userName":{"mode":"local"}}}}`: `"same":`} {
			if a := s.doJSON(http.MethodPost, "/api/v1/log/"+log.Items[i].ID+"/replay", key, under); a.status != http.StatusOK || !strings.Contains(a.body, same) {
				t.Errorf("replay %d under %s: %d %s", i, under, a.status, a.body)
			}
		}
	}
	s.listsCaptures(key, unknown)
	s.stop()
	s.wait()

	m.listsCaptures(unknown)
	m.replays(log.Items[0].ID)
	m.packs(log.Items[0].ID)

	m.environ = append(m.environ, "MEIBO_SECRET_KEY="+strings.Repeat("l", 40))
	m.refuses("another secret_key", "log", "capture", log.Items[0].ID, "--tenant", "default")
	s = m.serve()
	if a := s.do(http.MethodGet, "/api/v1/log/"+log.Items[0].ID+"/capture", key, ""); a.status != http.StatusConflict || !strings.Contains(a.body, "another secret_key") {
		t.Errorf("with another key: %d %s", a.status, a.body)
	}
	s.stop()
	s.wait()

	m.environ = m.environ[:1] // the database alone
	m.refuses("there is no secret_key", "log", "replay", log.Items[0].ID, "--tenant", "default")
	if got := m.run("erase", "--tenant", "default", "kim@contoso.com", "--yes", "--force"); !strings.Contains(got, "3 captured requests more") {
		t.Errorf("erase without a key: %s", got)
	}
	s = m.serve()
	if a := s.do(http.MethodGet, "/api/v1/log/"+log.Items[0].ID+"/capture", key, ""); a.status != http.StatusNotFound || !strings.Contains(a.body, "no secret_key") {
		t.Errorf("without a key: %d %s", a.status, a.body)
	}
}

// listsCaptures has the server list what was captured, a read without an entry among it, and show that.
func (s *live) listsCaptures(key, target string) {
	s.t.Helper()
	var list struct {
		Items []struct {
			CorrelationID, Connection, Method, Target string
			Status                                    int
		}
		Next string
	}
	a := s.do(http.MethodGet, "/api/v1/captures?connection=default&since=2020-01-01T00:00:00Z", key, "")
	if json.Unmarshal([]byte(a.body), &list) != nil || len(list.Items) != 3 {
		s.t.Fatalf("captures: %d %s", a.status, a.body)
	}
	if got := list.Items[0]; got.Method != http.MethodGet || got.Target != target || got.Status != http.StatusNotFound || got.Connection != "default" {
		s.t.Errorf("the read that failed: %+v", got)
	}
	if a := s.do(http.MethodGet, "/api/v1/captures/"+list.Items[0].CorrelationID, key, ""); a.status != http.StatusOK || !strings.Contains(a.body, target) {
		s.t.Errorf("its capture: %d %s", a.status, a.body)
	}
	if a := s.do(http.MethodGet, "/api/v1/captures?limit=2&next="+list.Items[0].CorrelationID, key, ""); a.status != http.StatusOK ||
		strings.Contains(a.body, target+`"`) || strings.Count(a.body, `"POST"`) != 2 {
		s.t.Errorf("those before: %d %s", a.status, a.body)
	}
	for path, status := range map[string]int{"/captures?connection=nobody": http.StatusNotFound, "/captures/019aa000-0000-7000-8000-000000000000": http.StatusNotFound, "/captures?limit=0": http.StatusUnprocessableEntity} {
		if a := s.do(http.MethodGet, "/api/v1"+path, key, ""); a.status != status {
			s.t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

// listsCaptures is the same on the command line.
func (m *machine) listsCaptures(target string) {
	m.t.Helper()
	lines := strings.Split(strings.TrimSpace(m.run("log", "captures", "--tenant", "default", "--connection", "default", "--since", "1h")), "\n")
	if len(lines) != 4 || !strings.Contains(lines[1], target) || !strings.Contains(lines[1], "404") {
		m.t.Fatalf("log captures: %q", lines)
	}
	fields := strings.Fields(lines[1])
	if got := m.run("log", "capture", fields[len(fields)-1], "--tenant", "default"); !strings.Contains(got, "GET "+target) {
		m.t.Errorf("log capture by correlation: %s", got)
	}
	if got := m.run("log", "captures", "--tenant", "default", "--limit", "1", "--json"); strings.Count(got, `"correlationId"`) != 1 {
		m.t.Errorf("log captures --json: %s", got)
	}
}

// replays has the command line show and replay the refusal of a userName that is taken.
func (m *machine) replays(entry string) {
	m.t.Helper()
	for _, want := range []string{"POST /t/default/scim/v2/Users", `{"userName":"KIM@contoso.com"}`, "409"} {
		if got := m.run("log", "capture", entry, "--tenant", "default"); !strings.Contains(got, want) {
			m.t.Errorf("log capture: %s; want %s", got, want)
		}
	}
	if got := m.run("log", "replay", entry, "--tenant", "default", "--json"); !strings.Contains(got, `"same":true`) {
		m.t.Errorf("log replay: %s", got)
	}
	scope := filepath.Join(m.t.TempDir(), "scope.yaml")
	if err := os.WriteFile(scope, []byte("mapping:\n  users:\n    - target: title\n      source: nickName\n      required: true\n"), 0o600); err != nil {
		m.t.Fatal(err)
	}
	var out, words lines
	if code := run(m.t.Context(), []string{"log", "replay", entry, "--tenant", "default", "--under", scope}, m.environ, strings.NewReader(""), &out, &words); code != exitDiffer ||
		!strings.Contains(out.text(), "status: 409, now 400") {
		m.t.Errorf("log replay under a file: %d\n%s%s", code, out.text(), words.text())
	}
	m.refuses("then, now, or a file", "log", "replay", entry, "--tenant", "default", "--under", "yesterday")
	m.refuses("has no entry", "log", "replay", uuid.Must(uuid.NewV7()).String(), "--tenant", "default")
	m.refuses("no id of an entry", "log", "capture", "kim", "--tenant", "default")
}

// packs has the command line make and show a support pack of the same request.
func (m *machine) packs(entry string) {
	m.t.Helper()
	file := filepath.Join(m.t.TempDir(), "pack.json")
	m.run("support-pack", "--tenant", "default", "--entry", entry, "--out", file)
	data, err := os.ReadFile(file)
	if err != nil {
		m.t.Fatal(err)
	}
	for _, personal := range []string{"kim", "contoso", "c4n4ry", strings.Repeat("k", 40)} {
		if strings.Contains(strings.ToLower(string(data)), personal) {
			m.t.Errorf("%s is in the support pack: %s", personal, data)
		}
	}
	if got := m.run("support-pack", "show", file); !strings.Contains(got, "> POST /Users") || !strings.Contains(got, "< 409") {
		m.t.Errorf("support-pack show: %s", got)
	}
	m.run("support-pack", "show", file, "--json")
	m.refuses("file exists", "support-pack", "--tenant", "default", "--entry", entry, "--out", file)
	m.refuses("[user entry]", "support-pack", "--tenant", "default", "--out", file)
	m.refuses("the log has nothing", "support-pack", "--tenant", "default", "--user", "nobody@contoso.com", "--out", "-")
	m.refuses("no support pack", "support-pack", "show", "capture_test.go")
}

// refuses has a command fail with a message.
func (m *machine) refuses(message string, args ...string) {
	m.t.Helper()
	var out, words lines
	if code := run(m.t.Context(), args, m.environ, strings.NewReader(""), &out, &words); code == exitOK || code == exitDiffer || !strings.Contains(words.text(), message) {
		m.t.Errorf("meibo %s: status %d, %s; want %q", strings.Join(args, " "), code, words.text(), message)
	}
}

// doJSON sends plain JSON.
func (s *live) doJSON(method, path, authorization, body string) answer {
	s.t.Helper()
	return s.doWith(method, path, http.Header{"Authorization": {authorization}, "Content-Type": {"application/json"}}, body)
}
