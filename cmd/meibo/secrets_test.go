package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"meibo/internal/testkit"
)

// formsOf are the forms in which a secret could be somewhere.
func formsOf(secret string) []string {
	return []string{secret, base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)), hex.EncodeToString([]byte(secret))}
}

// TestSecretsStayWhereTheyAre plants secrets — tokens, API keys, passwords in requests, the secret key, the password of the database — and looks for
// them in all that the server writes, answers and keeps.
func TestSecretsStayWhereTheyAre(t *testing.T) {
	t.Parallel()
	const secretKey, password, wrong = "qz-secret-key-of-the-server-0123456789", "qz-Passw0rd!person", "meibo_qzwrongtokenqzwrongtokenqzwrongtoken0"
	for _, database := range []string{"SQLite", "PostgreSQL"} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			secrets := map[string]string{"secret key": secretKey, "password of a person": password, "token that is none": wrong}
			environ := []string{"MEIBO_SECRET_KEY=" + secretKey, "MEIBO_LOG_LEVEL=debug"}
			var dump func() string
			m := &machine{t, environ}
			if database == "SQLite" {
				folder := t.TempDir()
				m.environ = append([]string{"MEIBO_DATABASE_URL=sqlite:" + filepath.Join(folder, "meibo.db")}, environ...)
				dump = func() string { return filesOf(t, folder) }
			} else {
				dsn := withPassword(testkit.Postgres(t), "qz-password-of-the-database")
				secrets["password of the database"] = "qz-password-of-the-database"
				m.environ = append([]string{"MEIBO_DATABASE_URL=" + dsn}, environ...)
				dump = func() string { return tablesOf(t, dsn) }
			}
			m.run("migrate")
			m.run("tenant", "create", "acme")
			secrets["token"], secrets["API key"] = m.token("acme"), m.run("key", "create", "--tenant", "acme", "--role", "owner", "--holder", "Ken")
			m.run("connection", "debug", "--tenant", "acme", "--name", "default", "--for", "1h")
			s := m.serve()
			text := s.misuse(secrets["token"], secrets["API key"], wrong, password)
			s.stop()
			s.wait()
			m.seal()
			places := map[string]string{"the log": s.log.text(), "standard output": s.out.text(), "an answer": text, "the database": dump(),
				"the journal": m.run("log", "--tenant", "acme", "--json"), "the configuration": m.run("config", "print"), "the document": m.run("openapi")}
			for what, secret := range secrets {
				for where, said := range places {
					for _, form := range formsOf(secret) {
						if strings.Contains(said, form) {
							t.Errorf("the %s is in %s", what, where)
						}
					}
				}
			}
			if !strings.Contains(places["the database"], "planted@example.com") && !strings.Contains(places["the journal"], "planted@example.com") {
				t.Error("what was planted beside the secrets is not found: nothing would be")
			}
		})
	}
}

// misuse sends secrets wherever a client may put one, and returns all that is answered.
func (s *live) misuse(token, key, wrong, password string) string {
	s.t.Helper()
	const users = "/t/acme/scim/v2/Users"
	var text strings.Builder
	note := func(a answer) {
		text.WriteString(a.body)
		for name, values := range a.header {
			text.WriteString("\n" + name + ": " + strings.Join(values, " ") + "\n")
		}
	}
	right := "Bearer " + token
	body := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"planted@example.com","active":true,"password":"` + password + `"}`
	id := s.create(users, right, body)
	note(s.do(http.MethodPost, users, right, body)) // 409
	note(s.do(http.MethodPatch, users+"/"+id, right, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"replace","path":"password","value":"`+password+`"},{"op":"replace","path":"title","value":"x"}]}`))
	note(s.do(http.MethodPatch, users+"/"+id, right, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"add","value":{"password":"`+password+`","title":"y"}}]}`))
	note(s.do(http.MethodPost, users, right, `{"password":"`+password+`"`)) // 400
	note(s.do(http.MethodGet, users, "Bearer "+wrong, ""))                  // 401
	note(s.do(http.MethodGet, users, "Basic "+base64.StdEncoding.EncodeToString([]byte("ken:"+password)), ""))
	note(s.do(http.MethodGet, users+"/"+id, right, ""))
	for _, path := range []string{"/users", "/log?limit=1000", "/keys", "/connections/default/tokens", "/connections/default/settings", "/audit", "/audit/verify", "/openapi.json", "/changes", "/jobs", "/nothing"} {
		note(s.do(http.MethodGet, "/api/v1"+path, "Bearer "+key, ""))
		note(s.do(http.MethodGet, "/api/v1"+path, "Bearer "+wrong, ""))
	}
	note(s.do(http.MethodGet, "/metrics", "", ""))
	note(s.do(http.MethodGet, "/readyz", "", ""))
	return text.String()
}

// filesOf are the bytes of all files of a folder.
func filesOf(t *testing.T, folder string) string {
	t.Helper()
	var all bytes.Buffer
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(folder, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all.Write(data)
	}
	return all.String()
}

// tablesOf are all rows of all tables as text.
func tablesOf(t *testing.T, dsn string) string {
	t.Helper()
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var tables, all string
	if err := db.QueryRowContext(context.Background(), "select string_agg(tablename, ' ') from pg_tables where schemaname = current_schema()").Scan(&tables); err != nil {
		t.Fatal(err)
	}
	for table := range strings.FieldsSeq(tables) {
		var rows sql.NullString
		if err := db.QueryRowContext(context.Background(), `select string_agg(x::text, ' ') from "`+table+`" as x`).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		all += rows.String
	}
	return all
}

// withPassword puts a password, which the test's cluster does not ask for, into a URL.
func withPassword(dsn, password string) string {
	scheme, rest, _ := strings.Cut(dsn, "://")
	user, host, _ := strings.Cut(rest, "@")
	user, _, _ = strings.Cut(user, ":")
	return scheme + "://" + user + ":" + password + "@" + host
}
