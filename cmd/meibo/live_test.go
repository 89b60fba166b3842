package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"meibo/store/storetest"
)

// lines is a writer that can be read while it is written to.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// machine is an environment with a database, on which the program is run in process.
type machine struct {
	t       *testing.T
	environ []string
}

func newMachine(t *testing.T, environ ...string) *machine {
	t.Helper()
	return &machine{t, append([]string{"MEIBO_DATABASE_URL=" + storetest.SQLite(t)}, environ...)}
}

// run runs a command that must succeed, and returns what it printed.
func (m *machine) run(args ...string) string {
	m.t.Helper()
	var out, words lines
	if code := run(context.Background(), args, m.environ, strings.NewReader(""), &out, &words); code != exitOK {
		m.t.Fatalf("meibo %s: status %d\n%s%s", strings.Join(args, " "), code, out.text(), words.text())
	}
	return strings.TrimSpace(out.text())
}

// file writes a file and returns its path.
func (m *machine) file(name, text string) string {
	m.t.Helper()
	path := filepath.Join(m.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
	return path
}

// token makes a token of a tenant's only connection.
func (m *machine) token(tenant string, flags ...string) string {
	m.t.Helper()
	return m.run(append([]string{"token", "create", "--tenant", tenant}, flags...)...)
}

// live is a server that runs.
type live struct {
	t    *testing.T
	url  string
	log  lines
	out  lines
	stop context.CancelFunc // as SIGTERM does
	exit chan int

	metrics string // address of metrics_listen
}

// serve runs `meibo serve` on a free port until the test ends.
func (m *machine) serve(flags ...string) *live {
	m.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s := &live{t: m.t, stop: stop, exit: make(chan int, 1)}
	r, w := io.Pipe()
	go func() {
		code := run(ctx, append([]string{"serve", "--listen", "127.0.0.1:0"}, flags...), m.environ, strings.NewReader(""), &s.out, w)
		_ = w.Close()
		s.exit <- code
	}()
	m.t.Cleanup(func() {
		if s.stop(); s.wait() != exitOK {
			m.t.Errorf("serve did not end well:\n%s", s.log.text())
		}
	})
	started := make(chan string)
	go s.follow(r, started)
	url, ok := <-started
	if !ok {
		m.t.Fatalf("serve did not start:\n%s", s.log.text())
	}
	s.url = url
	return s
}

// follow keeps the log and reports the URL of the line that says so; it closes started at the end
// of the log.
func (s *live) follow(r io.Reader, started chan<- string) {
	defer close(started)
	scanner := bufio.NewScanner(r)
	for scanner.Scan() {
		_, _ = s.log.Write(append(scanner.Bytes(), '\n'))
		var line struct {
			Message, URL string
			Metrics      string `json:"metrics_address"`
		}
		if json.Unmarshal(scanner.Bytes(), &line) == nil && line.Message == "serving" {
			s.metrics = line.Metrics
			started <- line.URL
		}
	}
}

// wait waits for the end and returns the exit status, however often it is called.
func (s *live) wait() int {
	code := <-s.exit
	s.exit <- code
	return code
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// noRedirects hands out what the server said, wherever it points to.
var noRedirects = &http.Client{
	Timeout:       30 * time.Second,
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// do sends one request; path is sent as it stands. authorization and body may be "".
func (s *live) do(method, path, authorization, body string) answer {
	s.t.Helper()
	header := http.Header{}
	if authorization != "" {
		header.Set("Authorization", authorization)
	}
	if body != "" {
		header.Set("Content-Type", "application/scim+json")
	}
	return s.doWith(method, path, header, body)
}

// doWith sends one request with the header given.
func (s *live) doWith(method, path string, header http.Header, body string) answer {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header = header
	resp, err := noRedirects.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// create posts a resource and returns its id.
func (s *live) create(path, authorization, body string) string {
	s.t.Helper()
	a := s.do(http.MethodPost, path, authorization, body)
	var resource struct{ ID string }
	if a.status != http.StatusCreated || json.Unmarshal([]byte(a.body), &resource) != nil {
		s.t.Fatalf("POST %s: %d %s", path, a.status, a.body)
	}
	return resource.ID
}
