package main

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"meibo/config"
	"meibo/internal/testkit"
	"meibo/store"
)

func TestDurabilitySettingsAreTheStores(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(store.DurabilitySettings(), config.DurabilitySettings()); diff != "" {
		t.Errorf("(-store +config):\n%s", diff)
	}
}

// Whoever allows a weak setting reads so at each start; without it there is no start.
func TestServeOnWeakDurability(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ url, allow, weak string }{
		"SQLite":     {"sqlite:" + t.TempDir() + "/meibo.db", "synchronous", "synchronous=normal"},
		"PostgreSQL": {"", "synchronous_commit,fsync", "synchronous_commit=off"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.url == "" {
				u, err := url.Parse(testkit.Postgres(t))
				if err != nil {
					t.Fatal(err)
				}
				q := u.Query()
				q.Set("synchronous_commit", "off")
				u.RawQuery = q.Encode()
				test.url = u.String()
				var out, words lines
				for _, command := range [][]string{{"serve", "--listen", "127.0.0.1:0"}, {"migrate"}, {"tenant", "create", "acme"}} {
					code := run(t.Context(), command, []string{"MEIBO_DATABASE_URL=" + test.url}, strings.NewReader(""), &out, &words)
					if code != exitFailed || !strings.Contains(words.text(), "synchronous_commit is off") {
						t.Errorf("%s: status %d: %s", command, code, words.text())
					}
				}
			}
			m := &machine{t, []string{"MEIBO_DATABASE_URL=" + test.url, "MEIBO_ALLOW_WEAK_DURABILITY=" + test.allow}}
			m.run("migrate")
			for range 2 {
				s := m.serve()
				if log := s.log.text(); !strings.Contains(log, `"level":"warn"`) || !strings.Contains(log, test.weak) {
					t.Errorf("the log does not say %s:\n%s", test.weak, log)
				}
				s.stop()
				s.wait()
			}
		})
	}
}
