package main

import (
	"net/http"
	"strings"
	"testing"
)

// refused runs a command that must fail, and say why.
func (m *machine) refused(says string, args ...string) {
	m.t.Helper()
	var out, words lines
	code := run(m.t.Context(), args, m.environ, strings.NewReader(""), &out, &words)
	if code != exitFailed || !strings.Contains(words.text(), says) {
		m.t.Errorf("meibo %s: status %d, want %d and %q\n%s%s", strings.Join(args, " "), code, exitFailed, says, out.text(), words.text())
	}
}

// api sends a request to the API that must be answered with a status.
func (s *live) api(status int, key, method, path, body string) string {
	s.t.Helper()
	header := http.Header{"Authorization": {"Bearer " + key}}
	if body != "" {
		header.Set("Content-Type", "application/json")
	}
	a := s.doWith(method, "/api/v1"+path, header, body)
	if a.status != status {
		s.t.Fatalf("%s %s: %d, want %d: %s", method, path, a.status, status, a.body)
	}
	return a.body
}

// TestTwoPersons: the command line is one person, who needs another one for what gets around guards; the other one has a key.
func TestTwoPersons(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.run("tenant", "create", "default")
	demanding := "matters: {secondPerson: true}\ntolerance: {users: {share: 100, count: 2, floor: 0}}\n"
	m.run("settings", "apply", m.file("demanding.yaml", demanding), "--tenant", "default")
	token, s, key := "Bearer "+m.token("default"), m.serve(), m.key("operator")
	ids := map[string]string{}
	for _, name := range []string{"ann", "bob", "cy", "dan"} {
		ids[name] = s.create("/t/default/scim/v2/Users", token, named(userBody, name+"@example.com"))
	}
	is := func(name, says string) {
		t.Helper()
		if body := s.api(200, key, "GET", "/users/"+ids[name], ""); !strings.Contains(body, says) {
			t.Errorf("%s is not %s: %s", name, says, body)
		}
	}
	const two = "demand a second person for this"

	m.run("user", "protect", "--tenant", "default", ids["ann"])
	for range 2 {
		m.refused(two, "user", "unprotect", "--tenant", "default", ids["ann"])
	}
	is("ann", `"protected":true`)
	s.api(200, key, "PATCH", "/users/"+ids["ann"], `{"protected":false}`)
	is("ann", `"protected":false`)

	s.api(403, key, "PATCH", "/users/"+ids["bob"], `{"role":"admin"}`) // and the other way round
	m.run("user", "role", "--tenant", "default", "admin", ids["bob"])
	is("bob", `"role":"admin"`)
	m.refused(two, "user", "role", "--tenant", "default", "", ids["bob"])

	m.run("user", "suspend", "--tenant", "default", ids["cy"])
	m.refused(two, "user", "suspend", "--tenant", "default", ids["dan"])
	m.refused(two, "user", "remove", "--tenant", "default", ids["dan"])
	is("dan", `"state":"active"`)
	s.api(200, key, "PATCH", "/users/"+ids["dan"], `{"state":"suspended"}`)

	file := m.file("staff.csv", "type,id,role\nUser,"+ids["cy"]+",admin\n")
	if plan := m.run("import", "--tenant", "default", file); !strings.Contains(plan, "a second person has to order the same (role)") {
		t.Errorf("plan:\n%s", plan)
	}
	m.refused(two, "import", "--tenant", "default", "--apply", file)
	is("cy", `"role":"ordinary"`)

	m.refused(two, "settings", "apply", m.file("weaker.yaml", demanding+"deletion: {purge: auto}\n"), "--tenant", "default")
	m.refused(two, "settings", "apply", m.file("grants.yaml", demanding+"roles: {grantGuarded: true}\n"), "--tenant", "default")
	m.refused(two, "tolerance", "allow", "--tenant", "default", "--until", "1h")
	m.refused(two, "undo", "--tenant", "default", "--connection", "default", "--from", "1h", "--apply")

	list := m.run("matter", "list", "--tenant", "default", "--kind", "proposal")
	for _, what := range []string{" user ", " import ", " settings ", " allowance ", " undo "} {
		if !strings.Contains(list, what) {
			t.Errorf("%s is not proposed:\n%s", what, list)
		}
	}
	m.run("matter", "reject", "--tenant", "default", "--all", "--kind", "proposal")
	if list := m.run("matter", "list", "--tenant", "default"); strings.Contains(list, "proposal") {
		t.Errorf("still proposed:\n%s", list)
	}
}
