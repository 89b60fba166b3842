package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"meibo/provisioning/summary"
)

// TestLogIsTheSame: the command line and the API show the very same of each entry, as JSON and as CSV.
func TestLogIsTheSame(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.run("tenant", "create", "default")
	token, s := "Bearer "+m.token("default"), m.serve()
	s.create("/t/default/scim/v2/Users", token, named(userBody, "<ken>@example.com"))
	key := "Bearer " + strings.TrimSpace(m.key("operator")) // support is shown masks

	printed := m.run("log", "--tenant", "default", "--json")
	n := 0
	for line := range strings.Lines(printed) {
		var e summary.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if a := s.do("GET", "/api/v1/log/"+e.ID, key, ""); strings.TrimSpace(a.body) != strings.TrimSpace(line) {
			t.Errorf("the API has\n%s\nthe command line\n%s", a.body, line)
		}
		n++
	}
	if n < 3 {
		t.Errorf("%d entries", n)
	}
	for media, flag := range map[string]string{"application/x-ndjson": "--json", "text/csv": "--csv"} {
		a := s.doWith("GET", "/api/v1/log", map[string][]string{"Authorization": {key}, "Accept": {media}}, "")
		if printed := m.run("log", "--tenant", "default", flag); a.status != 200 || strings.TrimSpace(a.body) != printed {
			t.Errorf("%s: the API has\n%s\nthe command line\n%s", media, a.body, printed)
		}
	}
}

// TestLogFollow: what comes is printed as it comes; who stops is told how to go on, and misses nothing.
func TestLogFollow(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.run("tenant", "create", "default")
	token, s := "Bearer "+m.token("default"), m.serve()
	create := func(name string) { s.create("/t/default/scim/v2/Users", token, named(userBody, name)) }
	create("ken@example.com")

	told, said := m.follow("--after", "0", "--json", "--action", "create")
	var e summary.Entry
	if err := json.Unmarshal([]byte(told("ken@example.com")), &e); err != nil || e.Meibo.Position < 3 {
		t.Fatalf("%v: %+v", err, e)
	}
	create("rie@example.com")
	told("rie@example.com")
	words := said()
	var at int64
	_, hint, _ := strings.Cut(words, "--after ")
	if _, err := fmt.Sscan(hint, &at); err != nil || at <= e.Meibo.Position {
		t.Fatalf("%q", words)
	}
	create("aya@example.com")
	told, said = m.follow("--after", fmt.Sprint(at))
	if line := told("aya@example.com"); !strings.HasPrefix(line, fmt.Sprint(at+1)+"  ") {
		t.Errorf("%q after %d", line, at)
	}
	said()
}

// follow runs `meibo log --follow`. told waits for a line that holds a word; said stops it and returns its words.
func (m *machine) follow(flags ...string) (told func(string) string, said func() string) {
	m.t.Helper()
	ctx, stop := context.WithCancel(m.t.Context())
	m.t.Cleanup(stop)
	var out, words lines
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append([]string{"log", "--tenant", "default", "--follow"}, flags...), m.environ, strings.NewReader(""), &out, &words)
	}()
	told = func(word string) string {
		m.t.Helper()
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for deadline := time.After(30 * time.Second); ; {
			for line := range strings.Lines(out.text()) {
				if strings.Contains(line, word) {
					return line
				}
			}
			select {
			case <-tick.C:
			case <-deadline:
				m.t.Fatalf("not told of %s: %s%s", word, out.text(), words.text())
			}
		}
	}
	return told, func() string {
		m.t.Helper()
		stop()
		if code := <-ended; code != exitOK {
			m.t.Errorf("exit status %d: %s", code, words.text())
		}
		return words.text()
	}
}
