package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"meibo/internal/testkit"
)

// metric finds the value of a sample in the text of /metrics; "" if it is not there.
func metric(body, sample string) string {
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, sample+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "MEIBO_RATE_LIMIT=1")
	m.run("tenant", "create", "acme")
	right, revoked := m.token("acme"), m.token("acme")
	m.run("token", "revoke", "--tenant", "acme", idOf(t, m, revoked))
	m.run("tenant", "create", "acme-too")
	unlimited := m.token("acme-too")
	s := m.serve()

	const users = "/t/acme/scim/v2/Users"
	s.do(http.MethodPost, "/t/acme-too/scim/v2/Users", "Bearer "+unlimited, "{")
	s.do(http.MethodGet, users+"?filter=userName+eq+%22ken%22", "Bearer "+right, "")
	s.do(http.MethodGet, users, "Bearer "+revoked, "")
	s.do(http.MethodGet, users, "Bearer meibo_"+strings.Repeat("A", 43), "")
	s.do("BREW", users, "Bearer "+right, "")
	for s.do(http.MethodGet, users, "Bearer "+right, "").status != http.StatusTooManyRequests {
	}

	body := s.do(http.MethodGet, "/metrics", "", "").body
	route := `route="/t/:tenant/scim/v2/Users"`
	for sample, want := range map[string]string{
		`meibo_http_requests_total{method="GET",` + route + `,status="401"}`:                       "2",
		`meibo_http_requests_total{method="GET",` + route + `,status="429"}`:                       "1",
		`meibo_http_requests_throttled_total`:                                                      "1",
		`meibo_http_request_duration_seconds_count{method="POST",outcome="refused",` + route + `}`: "1",
		`meibo_http_request_duration_seconds_count{method="POST",outcome="failure",` + route + `}`: "0",
		`meibo_auth_failures_total{reason="revoked"}`:                                              "1",
		`meibo_auth_failures_total{reason="unknown"}`:                                              "1",
		`meibo_auth_failures_total{reason="expired"}`:                                              "0",
		`meibo_http_requests_total{method="GET",` + route + `,status="500"}`:                       "0",
		`meibo_decisions_total{action="create",outcome="failure"}`:                                 "1",
		`meibo_decisions_total{action="create",outcome="success"}`:                                 "0",
		`meibo_background_failures_total{work="database"}`:                                         "0",
		`meibo_units_overtaken_total`:                                                              "0",
		`meibo_db_connections_limit{pool="write"}`:                                                 "1",
		`meibo_ready`: "1",
	} {
		if got := metric(body, sample); got != want {
			t.Errorf("%s is %q, want %s", sample, got, want)
		}
	}
	for _, part := range []string{"meibo_build_info{", "meibo_http_request_duration_seconds_bucket{", "go_goroutines ", "process_open_fds "} {
		if !strings.Contains(body, part) {
			t.Errorf("/metrics lacks %s", part)
		}
	}
	if strings.Contains(body, "BREW") || strings.Contains(body, "acme") {
		t.Error("a label of /metrics comes from a request")
	}
}

func TestMetricsOnAnAddressOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := newMachine(t, "MEIBO_METRICS_LISTEN=127.0.0.1:0").serve()
	if a := s.do(http.MethodGet, "/metrics", "", ""); a.status != http.StatusNotFound {
		t.Errorf("on the main address: %d", a.status)
	}
	s.url = "http://" + s.metrics
	for path, want := range map[string]int{"/metrics": 200, "/healthz": 200, "/readyz": 200, "/t/acme/scim/v2/Users": 404} {
		if a := s.do(http.MethodGet, path, "", ""); a.status != want {
			t.Errorf("GET %s on the metrics address: %d, want %d", path, a.status, want)
		}
	}
}

// The log tells what happened by ids and names of our own making, never by what a client sent.
func TestLogHoldsNoPersonalValues(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "MEIBO_LOG_LEVEL=debug")
	m.run("tenant", "create", "acme")
	token := m.token("acme")
	s := m.serve()
	const users = "/t/acme/scim/v2/Users"
	right := "Bearer " + token
	id := s.create(users, right, named(userBody, "canary.person@example.com"))
	s.do(http.MethodPost, users, right, named(userBody, "canary.person@example.com"))              // 409
	s.do(http.MethodPatch, users+"/"+id, right, named(patchBody, "Canary Person"))                 // 200
	s.do(http.MethodGet, users+"?filter=userName+eq+%22canary.person%40example.com%22", right, "") // 200
	s.do(http.MethodGet, users+"?filter=canary.person+eq+", right, "")                             // 400
	s.do(http.MethodGet, users+"/canary.person", right, "")                                        // 404
	s.do(http.MethodPost, users, right, `{"canary.person`)                                         // 400
	s.do(http.MethodGet, users, "Bearer canary.person", "")                                        // 401
	last := s.do(http.MethodGet, users+"/"+id, right, "").header.Get("X-Correlation-Id")
	s.stop()
	s.wait()
	log := s.log.text()
	if last == "" || !strings.Contains(log, last) {
		t.Errorf("the log lacks the correlation id %q", last)
	}
	for _, secret := range []string{"canary", "Canary", "Bearer", strings.TrimPrefix(token, "meibo_")} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q:\n%s", secret, log)
		}
	}
}

// Asked to stop, a server first says that it is not ready, answers what is under way, then ends.
func TestShutdown(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "MEIBO_SHUTDOWN_DELAY=2s") // in which a busy machine has to ask twice
	m.run("tenant", "create", "acme")
	s, token := m.serve(), m.token("acme")
	if a := s.do(http.MethodGet, "/readyz", "", ""); a.status != http.StatusOK {
		t.Fatalf("readyz before: %d", a.status)
	}
	pending, finish := s.begin(token, named(userBody, "late@example.com"))

	s.stop()
	for status := http.StatusOK; status != http.StatusServiceUnavailable; {
		a := s.do(http.MethodGet, "/readyz", "", "")
		if status = a.status; status != http.StatusOK && status != http.StatusServiceUnavailable {
			t.Fatalf("readyz: %d %s", a.status, a.body)
		}
	}
	if a := s.do(http.MethodGet, "/healthz", "", ""); a.status != http.StatusOK {
		t.Errorf("healthz while leaving: %d", a.status)
	}
	s.untilNothingListens()
	finish()
	line, err := bufio.NewReader(pending).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 201 ") {
		t.Errorf("the request under way: %q, %v", line, err)
	}
	if code := s.wait(); code != exitOK {
		t.Errorf("exit status %d:\n%s", code, s.log.text())
	}
	if got := m.run("log", "--tenant", "acme", "--user", "late@example.com", "--json"); !strings.Contains(got, `"provisioningAction":"create"`) || !strings.Contains(got, `"status":"success"`) {
		t.Errorf("journal of the late request: %s", got)
	}
}

// untilNothingListens returns once the server takes no new connection.
func (s *live) untilNothingListens() {
	for {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			return
		}
		_ = c.Close()
	}
}

// begin sends a POST but for its last byte, which finish sends.
func (s *live) begin(token, body string) (conn net.Conn, finish func()) {
	s.t.Helper()
	address := strings.TrimPrefix(s.url, "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	send := func(text string) {
		if _, err := io.WriteString(conn, text); err != nil {
			s.t.Error(err)
		}
	}
	send(fmt.Sprintf("POST /t/acme/scim/v2/Users HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
		"Content-Type: application/scim+json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", address, token, len(body)))
	// The server asks for the body once a handler reads it: from then on the request is under way.
	if _, err := io.ReadFull(conn, make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))); err != nil {
		s.t.Fatal(err)
	}
	last := len(body) - 1
	send(body[:last])
	return conn, func() { send(body[last:]) }
}

// On PostgreSQL, which several servers may share, a server does not change the schema by itself.
func TestServeOnPostgreSQLRequiresTheSchema(t *testing.T) {
	t.Parallel()
	m := &machine{t, []string{"MEIBO_DATABASE_URL=" + testkit.Postgres(t)}}
	var out, words lines
	code := run(t.Context(), []string{"serve", "--listen", "127.0.0.1:0"}, m.environ, strings.NewReader(""), &out, &words)
	if code != exitFailed || !strings.Contains(words.text(), "run `meibo migrate` first") {
		t.Errorf("status %d: %s", code, words.text())
	}
	m.run("migrate")
	if a := m.serve().do(http.MethodGet, "/readyz", "", ""); a.status != http.StatusOK {
		t.Errorf("readyz: %d %s", a.status, a.body)
	}
}

func TestAddressInUse(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	s := m.serve()
	var out, words lines
	code := run(t.Context(), []string{"serve", "--listen", strings.TrimPrefix(s.url, "http://")}, m.environ, strings.NewReader(""), &out, &words)
	if code != exitFailed || !strings.Contains(words.text(), "stop what uses that address or choose another") {
		t.Errorf("status %d: %s", code, words.text())
	}
}

// TestServeDev is not parallel: the development token is kept in the current folder.
func TestServeDev(t *testing.T) {
	t.Chdir(t.TempDir())
	m := &machine{t: t}
	const users = "/t/default/scim/v2/Users"

	first := m.serve("--dev")
	printed := map[string]string{}
	for line := range strings.Lines(first.out.text()) {
		name, value, _ := strings.Cut(line, "  ")
		printed[name] = strings.TrimSpace(value)
	}
	token := printed["token"]
	if printed["tenant URL"] != first.url+"/t/default/scim/v2" ||
		printed["try"] != "curl -H 'Authorization: Bearer "+token+"' "+first.url+users {
		t.Errorf("printed:\n%s", first.out.text())
	}
	if a := first.do(http.MethodGet, users, "Bearer "+token, ""); a.status != http.StatusOK {
		t.Errorf("with the printed token: %d", a.status)
	}
	checkPrivate(t, devTokenFile)
	if _, err := os.Stat("meibo.db"); err != nil {
		t.Error(err)
	}
	first.stop()
	first.wait()

	// The token stays the same while it counts, and its file becomes private again.
	if err := os.Chmod(devTokenFile, 0o644); err != nil {
		t.Fatal(err)
	}
	second := m.serve("--dev")
	if !strings.Contains(second.out.text(), token) {
		t.Errorf("another token at the second start:\n%s", second.out.text())
	}
	checkPrivate(t, devTokenFile)
	second.stop()
	second.wait()

	// One that does not count is replaced.
	if err := os.WriteFile(devTokenFile, []byte("meibo_"+strings.Repeat("A", 43)), 0o600); err != nil {
		t.Fatal(err)
	}
	third := m.serve("--dev")
	kept, err := os.ReadFile(devTokenFile)
	if err != nil {
		t.Fatal(err)
	}
	if a := third.do(http.MethodGet, users, "Bearer "+strings.TrimSpace(string(kept)), ""); a.status != http.StatusOK {
		t.Errorf("with the new token: %d", a.status)
	}
}

func checkPrivate(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: %v, %v; want mode 0600", path, info, err)
	}
}

// TestServerLeavesNothingBehind is not parallel: it counts goroutines.
func TestServerLeavesNothingBehind(t *testing.T) {
	others := goleak.IgnoreCurrent()
	m := newMachine(t)
	m.run("tenant", "create", "acme")
	token := m.token("acme")
	s := m.serve()
	s.do(http.MethodGet, "/t/acme/scim/v2/Users", "Bearer "+token, "")
	s.stop()
	s.wait()
	noRedirects.CloseIdleConnections()
	goleak.VerifyNone(t, others)
}
