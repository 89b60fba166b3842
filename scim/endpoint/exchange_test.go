package endpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A recorded exchange is a conversation in a text file, see testdata/README.md:
//
//	# What a line like this says is for people.
//	connection patch-response=resource
//
//	> POST /Users
//	> Content-Type: application/scim+json
//	{"userName": "kim@contoso.com"}
//	< 201
//	< Location: {{base}}/Users/{{user}}
//	{"id": "<any>", "active": "<absent>"}
//	keep user=id
//	journal create success dialect=scim
//
// exchange is such a file after parsing.
type exchange struct {
	connections []connectionLine
	turns       []*turn
}

// connectionLine sets up a connection: its own settings, or those of another one that it names.
type connectionLine struct {
	line     int
	name     string            // "" for the connection that speaks first
	settings map[string]string // patch-response, unknown-members, unique-group-names
}

// turn is one request with all that is expected of it.
type turn struct {
	line    int
	speaker string // connection; "" for the first
	method  string
	target  string // below the tenant's SCIM base, as it goes over the wire
	headers []header
	body    string

	status   int
	exact    bool // the answer has nothing beyond the expected body
	answered []header
	answer   string // JSON with <any>, <absent> and <contains …>
	keep     []pair // variables from the answer: name and path
	journal  *entryLine
	beside   []entryLine // entries of the same request without the request itself
	effects  []effectLine
}

type header struct{ name, value string }

type pair struct{ name, value string }

// entryLine is an expected journal entry.
type entryLine struct {
	line            int
	action, outcome string
	fields          []pair // dialect, quirks, reason, error, matched, diff, added, removed
}

// effectLine is the expected effective view of an account.
type effectLine struct {
	line      int
	id, state string
	userName  string // folded; "" where it is not asked for
}

// exchangeParser reads an exchange line by line.
type exchangeParser struct {
	out     exchange
	speaker string
	turn    *turn
	text    *strings.Builder // takes the lines of a body; nil where no body may stand
	request strings.Builder
	answer  strings.Builder
}

// parseExchange reads an exchange. Its errors begin with the number of the line.
func parseExchange(text string) (exchange, error) {
	var p exchangeParser
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		if err := p.line(n, strings.TrimRight(line, "\r")); err != nil {
			return exchange{}, fmt.Errorf("%d: %w", n, err)
		}
	}
	if err := p.endTurn(); err != nil {
		return exchange{}, fmt.Errorf("%d: %w", n, err)
	}
	if len(p.out.turns) == 0 {
		return exchange{}, fmt.Errorf("%d: there is no request", n)
	}
	return p.out, nil
}

func (p *exchangeParser) line(n int, line string) error {
	word, rest, _ := strings.Cut(line, " ")
	rest = strings.TrimSpace(rest)
	switch word {
	case "#":
		return nil
	case ">":
		return p.requestLine(n, rest)
	case "<":
		return p.answerLine(rest)
	case "connection":
		return p.connectionLine(n, rest)
	case "as":
		p.speaker = rest
		return p.endTurn()
	case "keep", "journal", "beside", "effective":
		p.text = nil
		if p.turn == nil || p.turn.status == 0 {
			return fmt.Errorf("%s belongs after an answer", word)
		}
		return p.expectation(n, word, strings.Fields(rest))
	}
	switch {
	case p.text != nil:
		p.text.WriteString(line + "\n")
	case strings.TrimSpace(line) != "" && line != "#":
		return fmt.Errorf("%q is no line of an exchange", line)
	}
	return nil
}

// requestLine is "METHOD /target", the first of a turn, or a header.
func (p *exchangeParser) requestLine(n int, rest string) error {
	if p.turn != nil && p.turn.status == 0 && p.request.Len() == 0 {
		h, err := headerOf(rest)
		p.turn.headers = append(p.turn.headers, h)
		return err
	}
	if err := p.endTurn(); err != nil {
		return err
	}
	method, target, ok := strings.Cut(rest, " ")
	if !ok || !strings.HasPrefix(target, "/") || strings.Contains(target, " ") {
		return fmt.Errorf("a request is a method and a path without blanks, not %q", rest)
	}
	p.turn = &turn{line: n, speaker: p.speaker, method: method, target: target}
	p.text = &p.request
	return nil
}

// answerLine is "STATUS" or "STATUS exact", the first of an answer, or a header.
func (p *exchangeParser) answerLine(rest string) error {
	if p.turn == nil {
		return fmt.Errorf("an answer needs a request")
	}
	if p.turn.status != 0 {
		h, err := headerOf(rest)
		p.turn.answered = append(p.turn.answered, h)
		return err
	}
	text, exact, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(text)
	if err != nil || exact != "" && exact != "exact" {
		return fmt.Errorf(`an answer is a status code, and "exact" if it has nothing else, not %q`, rest)
	}
	p.turn.status, p.turn.exact = status, exact != ""
	p.text = &p.answer
	return nil
}

func headerOf(text string) (header, error) {
	name, value, ok := strings.Cut(text, ":")
	if !ok {
		return header{}, fmt.Errorf("%q is no header", text)
	}
	return header{strings.TrimSpace(name), strings.TrimSpace(value)}, nil
}

// connectionLine is "connection [NAME] [SETTING=VALUE …]".
func (p *exchangeParser) connectionLine(n int, rest string) error {
	if p.turn != nil || len(p.out.turns) > 0 {
		return fmt.Errorf("connections come before the first request")
	}
	c := connectionLine{line: n, settings: map[string]string{}}
	for i, field := range strings.Fields(rest) {
		name, value, setting := strings.Cut(field, "=")
		switch {
		case setting:
			c.settings[name] = value
		case i == 0:
			c.name = name
		default:
			return fmt.Errorf("%q is no setting", field)
		}
	}
	p.out.connections = append(p.out.connections, c)
	return nil
}

func (p *exchangeParser) expectation(n int, word string, fields []string) error {
	switch word {
	case "keep":
		for _, f := range fields {
			name, path, ok := strings.Cut(f, "=")
			if !ok {
				return fmt.Errorf("keep takes name=path, not %q", f)
			}
			p.turn.keep = append(p.turn.keep, pair{name, path})
		}
	case "journal", "beside":
		e, err := entryOf(n, fields)
		if word == "beside" {
			p.turn.beside = append(p.turn.beside, e)
		} else {
			p.turn.journal = &e
		}
		return err
	case "effective":
		if len(fields) != 2 && len(fields) != 3 {
			return fmt.Errorf("effective takes an id, a state and, if it matters, a userName")
		}
		p.turn.effects = append(p.turn.effects, effectLine{line: n, id: fields[0], state: fields[1], userName: strings.Join(fields[2:], "")})
	}
	return nil
}

func entryOf(n int, fields []string) (entryLine, error) {
	if len(fields) < 2 {
		return entryLine{}, fmt.Errorf("a journal entry has an action and an outcome")
	}
	e := entryLine{line: n, action: fields[0], outcome: fields[1]}
	for _, f := range fields[2:] {
		name, value, ok := strings.Cut(f, "=")
		if !ok {
			return e, fmt.Errorf("%q is no field of an entry", f)
		}
		e.fields = append(e.fields, pair{name, value})
	}
	return e, nil
}

// endTurn keeps the turn that was read, if any.
func (p *exchangeParser) endTurn() error {
	if p.turn == nil {
		return nil
	}
	if p.turn.status == 0 {
		return fmt.Errorf("the request of line %d has no answer", p.turn.line)
	}
	p.turn.body, p.turn.answer = strings.TrimSpace(p.request.String()), strings.TrimSpace(p.answer.String())
	p.out.turns = append(p.out.turns, p.turn)
	p.request.Reset()
	p.answer.Reset()
	p.turn, p.text = nil, nil
	return nil
}

var placeholder = regexp.MustCompile(`\{\{(\w+)\}\}`)

// expand puts the values of variables in the place of their {{names}}.
func expand(text string, vars map[string]string) (string, error) {
	var unknown []string
	out := placeholder.ReplaceAllStringFunc(text, func(match string) string {
		name := match[2 : len(match)-2]
		value, ok := vars[name]
		if !ok {
			unknown = append(unknown, name)
		}
		return value
	})
	if len(unknown) > 0 {
		return "", fmt.Errorf("no answer was kept as %s", strings.Join(unknown, ", "))
	}
	return out, nil
}

// recordedFile is a parsed file of testdata.
type recordedFile struct {
	name string // path below this folder, as failures print it
	exchange
}

// recorded parses the exchanges of a folder of testdata.
func recorded(t *testing.T, folder string) []recordedFile {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no exchanges in testdata/%s (%v)", folder, err)
	}
	slices.Sort(paths)
	files := make([]recordedFile, len(paths))
	for i, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		x, err := parseExchange(string(text))
		if err != nil {
			t.Fatalf("%s:%v", path, err)
		}
		files[i] = recordedFile{path, x}
	}
	return files
}

func TestParseExchange(t *testing.T) {
	t.Parallel()
	got, err := parseExchange(`# A comment.
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
	want := exchange{
		connections: []connectionLine{
			{3, "", map[string]string{"patch-response": "none"}},
			{4, "other", map[string]string{"unknown-members": "keep"}},
		},
		turns: []*turn{
			{
				line: 6, method: "POST", target: "/Users?x=1", headers: []header{{"If-Match", "*"}},
				body: "{\"userName\":\n  \"a\"}", status: 201, exact: true, answered: []header{{"ETag", `W/"1"`}},
				answer: `{"id": "<any>"}`, keep: []pair{{"user", "id"}, {"first", "name.givenName"}},
				journal: &entryLine{14, "create", "success", []pair{{"dialect", "scim"}, {"quirks", "-"}}},
				beside:  []entryLine{{line: 15, action: "update", outcome: "success"}},
				effects: []effectLine{{16, "{{user}}", "suspended", "a.{{user}}"}},
			},
			{line: 19, speaker: "other", method: "GET", target: "/Users", status: 200},
		},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(exchange{}, connectionLine{}, turn{}, header{}, pair{}, entryLine{}, effectLine{})); d != "" {
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
			_, err := parseExchange(tt.text)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}
