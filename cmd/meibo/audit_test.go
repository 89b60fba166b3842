package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"meibo/store"
)

// seal does a server's work: it gives positions and seals them.
func (m *machine) seal() {
	m.t.Helper()
	s, err := store.Open(context.Background(), store.Options{URL: strings.TrimPrefix(m.environ[0], "MEIBO_DATABASE_URL=")})
	if err != nil {
		m.t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if _, _, err := s.Follow(context.Background()); err != nil {
		m.t.Fatal(err)
	}
	if _, _, err := s.Seal(context.Background(), time.Now()); err != nil {
		m.t.Fatal(err)
	}
}

// TestAuditVerify says what the command prints and how it ends, before and after an entry was altered.
func TestAuditVerify(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.run("tenant", "create", "acme")
	if out := m.run("audit", "verify", "--tenant", "acme"); out != "" {
		t.Errorf("before anything is sealed: %q", out)
	}
	m.seal()
	head := m.run("audit", "verify", "--tenant", "acme")
	if !regexp.MustCompile(`^2 [0-9a-f]{64}$`).MatchString(head) {
		t.Errorf("it printed %q", head)
	}
	var v struct {
		Sound bool
		Head  struct{ Position int64 }
		Kept  *struct{ Position int64 }
	}
	out := m.run("audit", "verify", "--tenant", "acme", "--json", "--head", strings.TrimPrefix(head, "2 "))
	if err := json.Unmarshal([]byte(out), &v); err != nil || !v.Sound || v.Kept == nil || v.Kept.Position != 2 {
		t.Errorf("%s: %v", out, err)
	}
	db, err := sql.Open("sqlite", strings.TrimPrefix(m.environ[0], "MEIBO_DATABASE_URL=sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec("update entry set actor = 'nobody' where id = (select entry from position where position = 2)"); err != nil {
		t.Fatal(err)
	}
	var words lines
	if code := run(context.Background(), []string{"audit", "verify", "--tenant", "acme"}, m.environ, strings.NewReader(""), &words, &words); code != exitFailed ||
		!strings.Contains(words.text(), "at position 2 is not what was sealed") {
		t.Errorf("status %d: %s", code, words.text())
	}
	if code := run(context.Background(), []string{"audit", "verify", "--tenant", "acme", "--head", "ab"}, m.environ, strings.NewReader(""), &words, &words); code == exitOK ||
		!strings.Contains(words.text(), "a head is 64 hexadecimal digits") {
		t.Errorf("status %d: %s", code, words.text())
	}
	if code := run(context.Background(), []string{"audit", "verify", "--tenant", "acme", "--head", ""}, m.environ, strings.NewReader(""), &words, &words); code != exitUsage ||
		!strings.Contains(words.text(), "--head is empty") {
		t.Errorf("status %d: %s", code, words.text())
	}
}

// TestBehindTheCut: who goes on behind a position of which retention has left nothing is told so, and where the journal begins.
func TestBehindTheCut(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.run("tenant", "create", "acme")
	for range 2 {
		m.run("token", "create", "--tenant", "acme")
	}
	m.seal()
	db, err := sql.Open("sqlite", strings.TrimPrefix(m.environ[0], "MEIBO_DATABASE_URL=sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec("insert into horizon (tenant, cut, done, position) values ('acme', 1, 1, 2); delete from position where position <= 2"); err != nil {
		t.Fatal(err)
	}
	if all, rest := m.run("audit", "list", "--tenant", "acme"), m.run("audit", "list", "--tenant", "acme", "--after", "2"); all != rest || strings.Count(all, "\n") != 2 {
		t.Errorf("from the oldest: %s\nbehind the cut: %s", all, rest)
	}
	for command, says := range map[string]string{
		"audit list --tenant acme --after 1":     "go on behind position 2",
		"log --follow --tenant acme --after 0":   "go on behind position 2",
		"audit list --tenant acme --after 1000":  "has come to position 4",
		"log --follow --tenant acme --after 100": "has come to position 4",
	} {
		var words lines
		ctx, end := context.WithTimeout(t.Context(), time.Minute) // of one that follows all the same
		defer end()
		if code := run(ctx, strings.Fields(command), m.environ, strings.NewReader(""), &words, &words); code != exitFailed || !strings.Contains(words.text(), says) {
			t.Errorf("%s: status %d: %s", command, code, words.text())
		}
	}
}
