package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// key makes an API key of tenant default.
func (m *machine) key(role string, flags ...string) string {
	m.t.Helper()
	return m.run(append([]string{"key", "create", "--tenant", "default", "--role", role, "--holder", "the " + role}, flags...)...)
}

// TestAPIExamples runs each curl of docs/api.md and docs/log.md against a server, and wants what is shown below it.
func TestAPIExamples(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "MEIBO_SECRET_KEY="+strings.Repeat("k", 40), "MEIBO_LOG_RETENTION=0")
	m.run("tenant", "create", "default")
	token, s := "Bearer "+m.token("default"), m.serve()
	const scim = "/t/default/scim/v2"
	user := s.create(scim+"/Users", token, named(userBody, "ken@example.com"))
	group := s.create(scim+"/Groups", token, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"staff","members":[{"value":"`+user+`"}]}`)
	names := strings.NewReplacer("$API", s.url+"/api/v1", "$KEY", m.key("application"), "$OWNER", m.key("owner"), "$OPERATOR", m.key("operator"), "$SUPPORT", m.key("support"),
		"$USER", user, "$GROUP", group, "$TOKEN", firstToken(t, m), "$ENTRY", s.captured("Bearer "+m.key("support"), "ken@example.com"))

	examples := slices.Concat(readExamples(t, "../../docs/api.md"), readExamples(t, "../../docs/log.md"), readExamples(t, "../../docs/audit.md"))
	if len(examples) < 30 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, e := range examples {
		a := e.curl(t, s, names)
		if a.status < 200 || a.status > 299 {
			t.Errorf("%s\n%d %s", e.command, a.status, a.body)
			continue
		}
		if e.shown == "" {
			continue
		}
		var want, got any
		if err := json.Unmarshal([]byte(e.shown), &want); err != nil {
			t.Fatalf("%v in what is shown below %s", err, e.command)
		}
		if err := json.Unmarshal([]byte(a.body), &got); err != nil {
			t.Fatalf("%v in %s", err, a.body)
		}
		for _, difference := range likeShown("", want, got) {
			t.Errorf("%s: %s in %s", e.command, difference, a.body)
		}
	}
}

// captured is the id of the entry of the only request about somebody, once that has been captured.
func (s *live) captured(key, name string) string {
	s.t.Helper()
	var log struct{ Items []struct{ ID string } }
	if a := s.do(http.MethodGet, "/api/v1/log?method=POST&name="+name, key, ""); json.Unmarshal([]byte(a.body), &log) != nil || len(log.Items) == 0 {
		s.t.Fatalf("the log: %d %s", a.status, a.body)
	}
	for s.do(http.MethodGet, "/api/v1/log/"+log.Items[0].ID+"/capture", key, "").status == http.StatusNotFound { // it is not written yet
		if s.t.Context().Err() != nil {
			s.t.Fatal("the request was never captured")
		}
	}
	return log.Items[0].ID
}

// firstToken is the id of the first token of tenant default.
func firstToken(t *testing.T, m *machine) string {
	t.Helper()
	first, _, _ := strings.Cut(m.run("token", "list", "--tenant", "default", "--json"), "\n")
	var row tokenJSON
	if err := json.Unmarshal([]byte(first), &row); err != nil {
		t.Fatal(err)
	}
	return row.ID
}

// example is a curl with the JSON shown below it, if any.
type example struct{ command, shown string }

var fenced = regexp.MustCompile("(?ms)^```(sh|json)\n(.*?)^```$")

func readExamples(t *testing.T, page string) []example {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var out []example
	for _, block := range fenced.FindAllStringSubmatch(string(text), -1) {
		if block[1] == "json" {
			out[len(out)-1].shown = block[2]
			continue
		}
		for line := range strings.Lines(block[2]) {
			if strings.HasPrefix(line, "curl ") {
				out = append(out, example{command: strings.TrimSpace(line)})
			}
		}
	}
	return out
}

var word = regexp.MustCompile(`'([^']*)'|"([^"]*)"|([^\s'"]+)`)

// curl does what curl would do with the command, in as much as the page uses it.
func (e example) curl(t *testing.T, s *live, names *strings.Replacer) answer {
	t.Helper()
	var words []string
	for _, w := range word.FindAllStringSubmatch(e.command, -1) {
		switch {
		case w[1] != "":
			words = append(words, w[1]) // single quotes: as it stands
		default:
			words = append(words, names.Replace(w[2]+w[3]))
		}
	}
	method, target, body, header, query := "", "", "", http.Header{}, url.Values{}
	asQuery := false
	for i := 1; i < len(words); i++ {
		switch words[i] {
		case "-s":
		case "-G":
			asQuery = true
		case "-X":
			i++
			method = words[i]
		case "-H":
			i++
			name, value, _ := strings.Cut(words[i], ": ")
			header.Set(name, value)
		case "-d", "--data-urlencode":
			i++
			if name, value, _ := strings.Cut(words[i], "="); asQuery {
				query.Add(name, value)
			} else {
				body = words[i]
			}
		default:
			target = words[i]
		}
	}
	if method == "" {
		if method = http.MethodGet; body != "" {
			method = http.MethodPost
		}
	}
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	return s.doWith(method, strings.TrimPrefix(target, s.url), header, body)
}

// likeShown compares an answer with what a page shows: the same names and types, and of a list the first element.
func likeShown(path string, shown, got any) []string {
	switch shown := shown.(type) {
	case map[string]any:
		object, ok := got.(map[string]any)
		if !ok {
			return []string{path + " is no object"}
		}
		var out []string
		for name, value := range shown {
			there, ok := object[name]
			if !ok {
				out = append(out, path+"."+name+" is missing")
				continue
			}
			out = append(out, likeShown(path+"."+name, value, there)...)
		}
		return out
	case []any:
		list, ok := got.([]any)
		if !ok || len(list) == 0 {
			return []string{path + " is no list with something in it"}
		}
		return likeShown(path+"[0]", shown[0], list[0])
	default:
		if fmt.Sprintf("%T", shown) != fmt.Sprintf("%T", got) {
			return []string{fmt.Sprintf("%s is a %T, not a %T", path, got, shown)}
		}
		return nil
	}
}

// TestAPIAndKeys is the promise of TestRoutesAndTokens for /api/v1: however its path is spelt, nothing answers 2xx
// without a key that counts, a token is no key and a key no token.
func TestAPIAndKeys(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "MEIBO_RATE_LIMIT=0")
	m.run("tenant", "create", "default")
	right, revoked, expired := m.key("owner"), m.key("owner"), m.key("owner", "--expires", "1s")
	var row keyJSON
	for line := range strings.Lines(m.run("key", "list", "--tenant", "default", "--json")) {
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(revoked, row.Hint) {
			m.run("key", "revoke", "--tenant", "default", row.ID)
		}
	}
	token := m.token("default")
	s := m.serve()
	for s.do(http.MethodGet, "/api/v1/users", "Bearer "+expired, "").status == http.StatusOK { // its second is not over
	}
	for name, authorization := range map[string]string{"none": "", "wrong": "Bearer meibokey_" + strings.Repeat("A", 43), "a token": "Bearer " + token,
		"another scheme": "Basic " + right, "expired": "Bearer " + expired, "revoked": "Bearer " + revoked, "cut short": "Bearer " + right[:len(right)-1]} {
		for _, path := range []string{"/api/v1/users", "/api/v1/keys", "/api/v1/openapi.json", "/api/v1/changes?wait=1"} {
			for spelling, spell := range map[string]func(string) string{"plain": before(""), "doubled slash": before("/"), "inner slash": once("/v1/", "/v1//"),
				"encoded": once("/v1/", "/%76%31/"), "dots": before("/x/.."), "dots after health": before("/healthz/.."), "upper case": once("/api/", "/API/"),
				"encoded slash": once("/v1/", "%2Fv1%2f")} {
				if a := s.do(http.MethodGet, spell(path), authorization, ""); a.status < 300 || spelling == "plain" && a.status != http.StatusUnauthorized {
					t.Errorf("%s (%s) with key %s: %d", path, spelling, name, a.status)
				}
			}
		}
	}
	if a := s.do(http.MethodGet, "/api/v1/keys", "Bearer "+right, ""); a.status != http.StatusOK {
		t.Errorf("with the right key: %d %s", a.status, a.body)
	}
	if a := s.do(http.MethodGet, "/t/default/scim/v2/Users", "Bearer "+right, ""); a.status != http.StatusUnauthorized {
		t.Errorf("a key as a token: %d", a.status)
	}
	body := s.do(http.MethodGet, "/metrics", "", "").body
	if n := metric(body, `meibo_http_requests_total{method="GET",route="/api/v1/keys",status="200"}`); n != "1" {
		t.Errorf("requests counted: %q", n)
	}
}

// TestAPIWaitersLeave: a server that is asked to stop does not wait for those who wait for changes.
func TestAPIWaitersLeave(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "MEIBO_RATE_LIMIT=0")
	m.run("tenant", "create", "default")
	key := "Bearer " + m.key("application")
	s := m.serve()
	var page struct{ Head int64 }
	for page.Head < 3 { // tenant, connection, key
		a := s.do(http.MethodGet, "/api/v1/changes?limit=1", key, "")
		if err := json.Unmarshal([]byte(a.body), &page); err != nil {
			t.Fatal(err)
		}
	}
	answered := make(chan answer, 1)
	go func() {
		answered <- s.do(http.MethodGet, fmt.Sprintf("/api/v1/changes?after=%d&wait=60", page.Head), key, "")
	}()
	for metric(s.do(http.MethodGet, "/metrics", "", "").body, `meibo_changes_waiting`) != "1" {
		if len(answered) > 0 {
			t.Fatalf("answered before anything changed: %v", <-answered)
		}
	}
	s.stop()
	if a := <-answered; a.status != http.StatusOK {
		t.Errorf("%d %s", a.status, a.body)
	}
	s.wait()
}
