package main

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPersonsChoices: a person lists what waits, chooses one, then all of a kind, and sets roles and attributes that
// stay.
func TestPersonsChoices(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.run("tenant", "create", "acme")
	file := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(file, []byte("preset: hand-picked\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m.run("settings", "apply", file, "--tenant", "acme")
	token := "Bearer " + m.token("acme")
	s := m.serve()
	ids := map[string]string{}
	for _, name := range []string{"ann", "bob", "cy"} {
		ids[name] = s.create("/t/acme/scim/v2/Users", token, named(userBody, name+"@example.com"))
		if a := s.do(http.MethodDelete, "/t/acme/scim/v2/Users/"+ids[name], token, ""); a.status != http.StatusNoContent {
			t.Fatalf("DELETE of %s: %d %s", name, a.status, a.body)
		}
	}
	list := m.run("matter", "list", "--tenant", "acme")
	row := regexp.MustCompile(`(?m)^([0-9a-f-]{36}) +held +deleted +User +bob@example\.com`).FindStringSubmatch(list)
	if row == nil || strings.Count(list, " deleted ") != 3 {
		t.Fatalf("the list does not name what is held:\n%s", list)
	}
	m.run("matter", "reject", "--tenant", "acme", row[1])
	m.run("matter", "allow", "--tenant", "acme", "--all", "--kind", "held", "--cause", "deleted")
	m.run("user", "role", "--tenant", "acme", "admin", ids["bob"])
	m.run("user", "set", "--tenant", "acme", "title=Boss", ids["bob"])
	users := m.users("acme")
	for name, state := range map[string]string{"ann": "removed", "bob": "active", "cy": "removed"} {
		line := regexp.MustCompile(`(?m)^.*"` + ids[name] + `".*$`).FindString(users)
		if !strings.Contains(line, `"state":"`+state+`"`) {
			t.Errorf("%s is not %s: %s", name, state, line)
		}
		if isBob := name == "bob"; isBob != strings.Contains(line, `"role":"admin"`) || isBob != strings.Contains(line, "Boss") {
			t.Errorf("role and title of %s: %s", name, line)
		}
	}
	if list := m.run("matter", "list", "--tenant", "acme"); strings.Contains(list, " held ") {
		t.Errorf("still open:\n%s", list)
	}
}
