package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// TestCapturedRequests has a server keep what a client sends, and shows and replays it after a restart; a server with
// another key can show nothing, and one without any says so.
func TestCapturedRequests(t *testing.T) {
	t.Parallel()
	m := newMachine(t, "MEIBO_SECRET_KEY="+strings.Repeat("k", 40))
	m.run("tenant", "create", "default")
	token, key := "Bearer "+m.token("default"), "Bearer "+m.key("operator")
	s := m.serve()
	const users = "/t/default/scim/v2/Users"
	s.create(users, token, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"kim@contoso.com","password":"c4n4ry"}`)
	if a := s.do(http.MethodPost, users, token, `{"userName":"KIM@contoso.com"}`); a.status != http.StatusConflict {
		t.Fatalf("a second one: %d %s", a.status, a.body)
	}
	s.stop() // which writes what waits
	s.wait()

	s = m.serve()
	var log struct{ Items []struct{ ID string } }
	if a := s.do(http.MethodGet, "/api/v1/log?method=POST", key, ""); json.Unmarshal([]byte(a.body), &log) != nil || len(log.Items) != 2 {
		t.Fatalf("the log: %d %s", a.status, a.body)
	}
	for i, want := range [][]string{{`"status":409`, `"userName":"KIM@contoso.com"`, `"scimType":"uniqueness"`}, {`"status":201`, `"password":"***"`, `"note":"secrets were taken out"`}} {
		a := s.do(http.MethodGet, "/api/v1/log/"+log.Items[i].ID+"/capture", key, "")
		for _, text := range want {
			if a.status != http.StatusOK || !strings.Contains(a.body, text) || strings.Contains(a.body, "c4n4ry") {
				t.Errorf("capture %d: %d %s; want %s", i, a.status, a.body, text)
			}
		}
		for under, same := range map[string]string{`{"under":"then"}`: `"same":true`, `{"under":"draft","settings":{"mapping":{"userName":{"mode":"local"}}}}`: `"same":`} {
			if a := s.doJSON(http.MethodPost, "/api/v1/log/"+log.Items[i].ID+"/replay", key, under); a.status != http.StatusOK || !strings.Contains(a.body, same) {
				t.Errorf("replay %d under %s: %d %s", i, under, a.status, a.body)
			}
		}
	}
	s.stop()
	s.wait()

	m.environ = append(m.environ, "MEIBO_SECRET_KEY="+strings.Repeat("l", 40))
	s = m.serve()
	if a := s.do(http.MethodGet, "/api/v1/log/"+log.Items[0].ID+"/capture", key, ""); a.status != http.StatusConflict || !strings.Contains(a.body, "another secret_key") {
		t.Errorf("with another key: %d %s", a.status, a.body)
	}
	s.stop()
	s.wait()

	m.environ = m.environ[:1] // the database alone
	s = m.serve()
	if a := s.do(http.MethodGet, "/api/v1/log/"+log.Items[0].ID+"/capture", key, ""); a.status != http.StatusNotFound || !strings.Contains(a.body, "no secret_key") {
		t.Errorf("without a key: %d %s", a.status, a.body)
	}
}

// doJSON sends plain JSON.
func (s *live) doJSON(method, path, authorization, body string) answer {
	s.t.Helper()
	return s.doWith(method, path, http.Header{"Authorization": {authorization}, "Content-Type": {"application/json"}}, body)
}
