package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"meibo/internal/webhook"
	"meibo/store/storetest"
)

// TestImpactOfTheWhole: the program asks a host application on its own, by a question that the shared secret verifies, and
// tells people and programs what it heard.
func TestImpactOfTheWhole(t *testing.T) {
	t.Parallel()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	for name, url := range map[string]func(testing.TB) string{"SQLite": storetest.SQLite, "PostgreSQL": storetest.PostgreSQL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			key, err := webhook.ParseKey(secret)
			if err != nil {
				t.Fatal(err)
			}
			host := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if err := key.Verify(r.Header, body, time.Now()); err != nil {
					t.Error(err)
				}
				_, _ = io.WriteString(w, `{"counts":{"appointments":12,"visits":3}}`)
			}))
			defer host.Close()
			file := filepath.Join(t.TempDir(), "settings.yaml")
			document := "preset: suspend-or-delete\nmatters:\n  impact: {url: \"" + host.URL + "/impact\"}\n"
			if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
				t.Fatal(err)
			}
			database := "MEIBO_DATABASE_URL=" + url(t)
			bare := &machine{t, []string{database}}
			bare.run("tenant", "create", "default")
			for _, verb := range []string{"plan", "apply"} {
				var out, words lines
				code := run(t.Context(), []string{"settings", verb, file, "--tenant", "default"}, bare.environ, strings.NewReader(""), &out, &words)
				if code != exitFailed || !strings.Contains(words.text(), "set impact_secret (MEIBO_IMPACT_SECRET)") {
					t.Errorf("settings %s without a secret: status %d: %s", verb, code, words.text())
				}
			}

			m := &machine{t, []string{database, "MEIBO_IMPACT_SECRET=" + secret}}
			m.run("settings", "apply", file, "--tenant", "default")
			token, operator := "Bearer "+m.token("default"), "Bearer "+m.key("operator")
			// A server without the secret asks nobody, and says why; the deletion is held.
			s := bare.serve()
			user := s.create("/t/default/scim/v2/Users", token, named(userBody, "ken@example.com"))
			if a := s.do(http.MethodDelete, "/t/default/scim/v2/Users/"+user, token, ""); a.status != http.StatusNoContent {
				t.Fatalf("DELETE: %d %s", a.status, a.body)
			}
			if list := m.run("matter", "list", "--tenant", "default"); !strings.Contains(list, " impact ") || !strings.Contains(list, "ordinary; 0 groups") {
				t.Errorf("the list does not tell:\n%s", list)
			}
			var page struct {
				Items []struct {
					Position int64
					Impact   struct {
						Role        string
						Memberships *int
						Counts      map[string]int64
						AskedAt     time.Time
					}
					Action string
					User   struct{ State string }
				}
			}
			get := func(path string) {
				t.Helper()
				a := s.do(http.MethodGet, "/api/v1"+path, operator, "")
				if err := json.Unmarshal([]byte(a.body), &page); err != nil || a.status != http.StatusOK {
					t.Fatalf("GET %s: %d %s", path, a.status, a.body)
				}
			}
			get("/matters")
			if len(page.Items) != 1 || page.Items[0].Impact.Role != "ordinary" || page.Items[0].Impact.Memberships == nil || page.Items[0].Impact.Counts != nil {
				t.Errorf("matters: %+v", page.Items)
			}
			s.stop()
			s.wait()

			s = m.serve()
			deletions, position := 0, int64(0) // asked for, and done
			for range 20 {
				page.Items = nil
				get(fmt.Sprintf("/changes?after=%d&wait=20", position))
				for _, item := range page.Items {
					if position = item.Position; item.Action == "delete" {
						deletions++
					}
				}
				if deletions == 2 {
					break
				}
			}
			if deletions != 2 || page.Items[len(page.Items)-1].User.State != "removed" {
				t.Errorf("changes: %+v", page.Items)
			}
			page.Items = nil
			get("/matters?status=allowed")
			if len(page.Items) != 1 || page.Items[0].Impact.Counts["appointments"] != 12 || page.Items[0].Impact.AskedAt.IsZero() {
				t.Errorf("matters: %+v", page.Items)
			}
			if log := m.run("log", "--tenant", "default", "--limit", "1"); !strings.Contains(log, "(impactAnswered cause=deleted counts=appointments 12, visits 3 state=removed)") {
				t.Errorf("log: %s", log)
			}
		})
	}
}
