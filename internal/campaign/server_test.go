package campaign

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// server is the binary as a child process that serves one tenant. Its methods are for the test's own goroutine; a
// client made before a restart speaks to an address that nobody listens on any more.
type server struct {
	t           testing.TB
	databaseURL string
	env         []string
	logFile     string // what all its processes have written to stderr

	URL     string // http://127.0.0.1:PORT, another one after each restart
	Tenant  string
	Token   string // of the tenant's first connection
	Process *os.Process

	cmd  *exec.Cmd
	log  *serverLog
	exit chan struct{} // closed when the process has ended
}

// start serves a database from a free loopback port, with a tenant and a token that are made first. The rate limit is
// off unless env, of the form NAME=value, says otherwise. The process ends with t at the latest; the end of its log is
// printed if t fails.
func start(t testing.TB, databaseURL string, env ...string) *server {
	t.Helper()
	s := &server{t: t, databaseURL: databaseURL, Tenant: "acme", logFile: filepath.Join(t.TempDir(), "meibo.log"),
		env: append([]string{"MEIBO_RATE_LIMIT=0"}, env...)}
	s.run("migrate")
	s.run("tenant", "create", s.Tenant)
	s.untroubled()
	s.Token = s.token(s.Tenant)
	t.Cleanup(s.end)
	s.restart()
	return s
}

// untroubled lets clients remove as many as they like: a campaign has most of what it made leave again. It is about the only
// connection, or the one that a flag names.
func (s *server) untroubled(connection ...string) {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "settings.yaml")
	if err := os.WriteFile(file, []byte("tolerance: {mode: \"off\"}\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.run(append([]string{"settings", "apply", file, "--tenant", s.Tenant}, connection...)...)
}

// another serves the same tenant from a second process on the same database.
func (s *server) another(env ...string) *server {
	s.t.Helper()
	o := &server{t: s.t, databaseURL: s.databaseURL, Tenant: s.Tenant, Token: s.Token,
		logFile: filepath.Join(s.t.TempDir(), "meibo.log"), env: append([]string{"MEIBO_RATE_LIMIT=0"}, env...)}
	s.t.Cleanup(o.end)
	o.restart()
	return o
}

// run runs another command of the binary on the same database, which must succeed, and returns what it printed.
func (s *server) run(args ...string) string {
	s.t.Helper()
	cmd := s.command(args...)
	var out, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &words
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("meibo %s: %v\n%s", strings.Join(args, " "), err, &words)
	}
	return out.String()
}

// token makes another token of a tenant that has one connection.
func (s *server) token(tenant string) string {
	s.t.Helper()
	return strings.TrimSpace(s.run("token", "create", "--tenant", tenant))
}

func (s *server) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), "MEIBO_DATABASE_URL="+s.databaseURL, "MEIBO_LISTEN=127.0.0.1:0")
	cmd.Env = append(cmd.Env, s.env...)
	cmd.Dir = filepath.Dir(s.logFile) // where no configuration file lies
	return cmd
}

// restart starts the process, once the last one is gone, and returns the time until /readyz answered 200.
func (s *server) restart() time.Duration {
	s.t.Helper()
	if s.Process != nil {
		<-s.exit
	}
	file, err := os.OpenFile(s.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	s.log = &serverLog{file: file, serving: make(chan string, 1)}
	s.cmd = s.command("serve")
	s.cmd.Stderr = s.log
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.Process, s.exit = s.cmd.Process, make(chan struct{})
	go func(cmd *exec.Cmd, exit chan struct{}) {
		_ = cmd.Wait() // how it ended is in its ProcessState
		file.Close()
		close(exit)
	}(s.cmd, s.exit)
	select {
	case address := <-s.log.serving:
		s.URL = "http://" + address
	case <-s.exit:
		s.t.Fatalf("the server ended at its start: %v\n%s", s.cmd.ProcessState, s.logTail())
	case <-time.After(patience):
		s.t.Fatalf("the server has not served after %v\n%s", patience, s.logTail())
	}
	s.awaitReady()
	return time.Since(began)
}

// awaitReady waits until /readyz answers 200 and returns how long that took.
func (s *server) awaitReady() time.Duration {
	s.t.Helper()
	began := time.Now()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for s.readiness() != http.StatusOK {
		if time.Since(began) > patience {
			s.t.Fatalf("the server is not ready after %v\n%s", patience, s.logTail())
		}
		<-tick.C
	}
	return time.Since(began)
}

// readiness is the status of /readyz, 0 where no answer came.
func (s *server) readiness() int {
	c := s.client()
	defer c.close()
	return c.get("/readyz").Status
}

// kill ends the process at once (SIGKILL) and waits until it is gone.
func (s *server) kill() {
	s.t.Helper()
	s.signal(syscall.SIGKILL)
	<-s.exit
}

// terminate asks the process to end (SIGTERM), waits and returns its exit status.
func (s *server) terminate() int {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	select {
	case <-s.exit:
	case <-time.After(patience):
		s.t.Fatalf("the server runs on %v after SIGTERM\n%s", patience, s.logTail())
	}
	return s.cmd.ProcessState.ExitCode()
}

func (s *server) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.Process.Signal(sig); err != nil {
		s.t.Fatalf("signal the server: %v\n%s", err, s.logTail())
	}
}

// alive reports whether the process is still there.
func (s *server) alive() bool {
	select {
	case <-s.exit:
		return false
	default:
		return true
	}
}

func (s *server) end() {
	if s.Process != nil && s.alive() {
		_ = s.Process.Kill() // it may have ended by itself
		<-s.exit
	}
	if s.t.Failed() {
		s.t.Logf("the server's log ends with:\n%s", s.logTail())
	}
}

// logTail is the end of what the server has logged.
func (s *server) logTail() string {
	text, err := os.ReadFile(s.logFile)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-4096):])
}

// rss is the resident memory of the process in bytes.
func (s *server) rss() int64 {
	s.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmRSS:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			return kib << 10
		}
	}
	s.t.Fatalf("no VmRSS in /proc/%d/status", s.Process.Pid)
	return 0
}

// descriptors is how many files and connections the process has open.
func (s *server) descriptors() int {
	s.t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	return len(entries)
}

// goroutines is how many the process says that it has.
func (s *server) goroutines() int {
	s.t.Helper()
	c := s.client()
	defer c.close()
	a := c.get("/metrics")
	for line := range strings.Lines(string(a.Body)) {
		if number, ok := strings.CutPrefix(line, "go_goroutines "); ok {
			n, err := strconv.Atoi(strings.TrimSpace(number))
			if err != nil {
				s.t.Fatal(err)
			}
			return n
		}
	}
	s.t.Fatalf("no go_goroutines among the metrics: %v", a)
	return 0
}

// host is what URL has after its scheme.
func (s *server) host() string {
	u, err := url.Parse(s.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	return u.Host
}

// client speaks as the server's tenant. It is safe for concurrent use.
func (s *server) client() *client { return s.clientOf(s.Tenant, s.Token) }

// clientOf speaks as another tenant.
func (s *server) clientOf(tenant, token string) *client {
	return &client{address: s.host(), base: "/t/" + tenant + "/scim/v2", token: token, dial: net.Dialer{Timeout: patience}}
}

// serverLog is a server's stderr: it keeps all in a file and gives notice of the address that the server serves from.
type serverLog struct {
	mu      sync.Mutex
	file    *os.File
	partial []byte // of the line that has begun; nil once the address is known
	known   bool
	serving chan string
}

func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.known {
		l.partial = append(l.partial, p...)
		l.look()
	}
	n, err := l.file.Write(p)
	if errors.Is(err, os.ErrClosed) {
		return len(p), nil
	}
	return n, err
}

func (l *serverLog) look() {
	for {
		line, rest, whole := bytes.Cut(l.partial, []byte("\n"))
		if !whole {
			return
		}
		l.partial = rest
		var entry struct{ Message, Address string }
		if json.Unmarshal(line, &entry) == nil && entry.Message == "serving" && entry.Address != "" {
			l.known, l.partial = true, nil
			l.serving <- entry.Address
			return
		}
	}
}
