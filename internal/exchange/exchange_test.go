package exchange

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseExchange(t *testing.T) {
	t.Parallel()
	got, err := Parse(`# A comment.
#
connection patch-response=none
connection other unknown-members=keep

> POST /Users?x=1
> If-Match: *
{"userName":
  "a"}
< 201 exact
< ETag: W/"1"
{"id": "<any>"}
keep user=id first=name.givenName
journal create success dialect=scim quirks=-
beside update success
effective {{user}} suspended a.{{user}}

as other
> GET /Users
< 200
`)
	if err != nil {
		t.Fatal(err)
	}
	want := Conversation{
		Connections: []Connection{
			{3, "", map[string]string{"patch-response": "none"}},
			{4, "other", map[string]string{"unknown-members": "keep"}},
		},
		Turns: []*Turn{
			{
				Line: 6, Method: "POST", Target: "/Users?x=1", Headers: []Header{{"If-Match", "*"}},
				Body: "{\"userName\":\n  \"a\"}", Status: 201, Exact: true, Answered: []Header{{"ETag", `W/"1"`}},
				Answer: `{"id": "<any>"}`, Keep: []Pair{{"user", "id"}, {"first", "name.givenName"}},
				Journal: &Entry{14, "create", "success", []Pair{{"dialect", "scim"}, {"quirks", "-"}}},
				Beside:  []Entry{{Line: 15, Action: "update", Outcome: "success"}},
				Effects: []Effect{{16, "{{user}}", "suspended", "a.{{user}}"}},
			},
			{Line: 19, Speaker: "other", Method: "GET", Target: "/Users", Status: 200},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestParseExchangeFaults(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"empty", "# nothing\n", "2: there is no request"},
		{"stray text", "hello\n", `1: "hello" is no line of an exchange`},
		{"no answer", "> GET /Users\n", "2: the request of line 1 has no answer"},
		{"no answer before the next", "> GET /Users\n{}\n> GET /Groups\n", "3: the request of line 1 has no answer"},
		{"blank in a path", "> GET /Users?filter=a eq b\n", `1: a request is a method and a path without blanks, not "GET /Users?filter=a eq b"`},
		{"answer alone", "< 200\n", "1: an answer needs a request"},
		{"no status", "> GET /Users\n< OK\n", `2: an answer is a status code, and "exact" if it has nothing else, not "OK"`},
		{"header", "> GET /Users\n> Host\n", `2: "Host" is no header`},
		{"expectation too early", "> GET /Users\nkeep a=id\n< 200\n", "2: keep belongs after an answer"},
		{"connection too late", "> GET /Users\n< 200\nconnection other\n", "3: connections come before the first request"},
		{"entry", "> GET /Users\n< 200\njournal create\n", "3: a journal entry has an action and an outcome"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse(tt.text)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}
