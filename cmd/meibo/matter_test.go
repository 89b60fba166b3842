package main

import (
	"net/http"
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
	m.run("settings", "apply", m.file("settings.yaml", "preset: hand-picked\n"), "--tenant", "acme")
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

// TestChoicesOfAFile: a person chooses of those whom a filter selects, then as a file says, and asks again about what is ignored.
func TestChoicesOfAFile(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.run("tenant", "create", "acme")
	m.run("connection", "create", "--tenant", "acme", "--name", "hr")
	m.run("import", "--tenant", "acme", "--connection", "hr", "--apply",
		m.file("staff.csv", "type,userName,active\nUser,ann@example.com,true\nUser,bob@example.com,true\nUser,cy@example.org,true\n"))
	token := "Bearer " + m.token("acme", "--connection", "default")
	s := m.serve()
	ask := func(name string) {
		t.Helper()
		if a := s.do(http.MethodPost, "/t/acme/scim/v2/Users", token, named(userBody, name)); a.status != http.StatusConflict {
			t.Fatalf("POST of %s: %d %s", name, a.status, a.body)
		}
	}
	for _, name := range []string{"ann@example.com", "bob@example.com", "cy@example.org"} {
		ask(name)
	}
	m.refused("meibo matter link|create|ignore", "matter", "allow", "--tenant", "acme", "--all", "--kind", "adoption")
	m.run("matter", "ignore", "--tenant", "acme", "--all", "--kind", "adoption", "--filter", `userName ew "@example.org"`)
	if list := m.run("matter", "list", "--tenant", "acme", "--filter", `userName sw "a"`); !strings.Contains(list, "ann@example.com") || strings.Contains(list, "bob@") {
		t.Errorf("whose name begins with a:\n%s", list)
	}
	ignored := regexp.MustCompile(`(?m)^([0-9a-f-]{36}) +adoption .*cy@example\.org`).FindStringSubmatch(m.run("matter", "list", "--tenant", "acme", "--status", "ignored"))
	if ignored == nil {
		t.Fatal("the ignored are not listed")
	}

	m.refused("line 3: ", "matter", "resolve", "--tenant", "acme", "--csv", m.file("mistaken.csv", "userName,choice\nann@example.com,link\nbob@example.com,perhaps\n"))
	m.refused("line 3: ", "matter", "resolve", "--tenant", "acme", "--csv", m.file("nobody.csv", "userName,choice\nann@example.com,link\nzoe@example.com,link\n"))
	file := m.file("choices.csv", "userName,choice\nann@example.com,link\nbob@example.com,create\n")
	for _, step := range []struct{ outcome, flag string }{{"planned", "--dry-run"}, {"done", "--json=false"}, {"already", "--json=false"}} {
		if out := m.run("matter", "resolve", "--tenant", "acme", "--csv", file, step.flag); strings.Count(out, "("+step.outcome+")") != 2 {
			t.Errorf("want all %s:\n%s", step.outcome, out)
		}
	}
	if out := m.run("matter", "resolve", "--tenant", "acme", "--csv", file, "--json"); strings.Count(out, `"outcome":"already"`) != 2 {
		t.Errorf("for programs:\n%s", out)
	}

	m.run("matter", "reopen", "--tenant", "acme", ignored[1])
	if list := m.run("matter", "list", "--tenant", "acme"); !strings.Contains(list, ignored[1]) {
		t.Errorf("not asked again:\n%s", list)
	}
	if one := m.run("matter", "show", "--tenant", "acme", ignored[1]); !strings.Contains(one, `"userName":"cy@example.org"`) || !strings.Contains(one, `"overdue":false`) {
		t.Errorf("by itself:\n%s", one)
	}
}
