// Package exchange reads and writes recorded exchanges: conversations of a client with the server as text. The test cases of
// scim/endpoint are written so, and the requests of a support pack; scim/endpoint/testdata/README.md explains each line.
package exchange

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Conversation is a recorded exchange after parsing: a text file, see testdata/README.md:
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
type Conversation struct {
	Connections []Connection
	Turns       []*Turn
}

// Connection sets up a connection: its own settings, or those of another one that it names.
type Connection struct {
	Line     int
	Name     string            // "" for the connection that speaks first
	Settings map[string]string // patch-response, unknown-members, unique-group-names
}

// Turn is one request with all that is expected of it.
type Turn struct {
	Line    int
	Remarks []string // lines for people; written, and not read
	Speaker string   // connection; "" for the first
	Method  string
	Target  string // below the tenant's SCIM base, as it goes over the wire
	Headers []Header
	Body    string

	Status   int
	Exact    bool // the answer has nothing beyond the expected body
	Answered []Header
	Answer   string // JSON with <any>, <absent> and <contains …>
	Keep     []Pair // variables from the Answer: name and path
	Journal  *Entry
	Beside   []Entry // entries of the same request without the request itself
	Effects  []Effect
}

// Header is a header of a request or an answer.
type Header struct{ Name, Value string }

// Pair is a name with what it stands for.
type Pair struct{ Name, Value string }

// Entry is an expected journal entry.
type Entry struct {
	Line            int
	Action, Outcome string
	Fields          []Pair // dialect, quirks, reason, error, matched, diff, added, removed
}

// Effect is the expected effective view of an account.
type Effect struct {
	Line      int
	ID, State string
	UserName  string // folded; "" where it is not asked for
}

// parser reads an exchange line by line.
type parser struct {
	out     Conversation
	speaker string
	turn    *Turn
	text    *strings.Builder // takes the lines of a body; nil where no body may stand
	request strings.Builder
	answer  strings.Builder
}

// Parse reads an exchange. Its errors begin with the number of the line.
func Parse(text string) (Conversation, error) {
	var p parser
	n := 0
	for line := range strings.SplitSeq(text, "\n") {
		n++
		if err := p.line(n, strings.TrimRight(line, "\r")); err != nil {
			return Conversation{}, fmt.Errorf("%d: %w", n, err)
		}
	}
	if err := p.endTurn(); err != nil {
		return Conversation{}, fmt.Errorf("%d: %w", n, err)
	}
	if len(p.out.Turns) == 0 {
		return Conversation{}, fmt.Errorf("%d: there is no request", n)
	}
	return p.out, nil
}

func (p *parser) line(n int, line string) error {
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
		if p.turn == nil || p.turn.Status == 0 {
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
func (p *parser) requestLine(n int, rest string) error {
	if p.turn != nil && p.turn.Status == 0 && p.request.Len() == 0 {
		h, err := headerOf(rest)
		p.turn.Headers = append(p.turn.Headers, h)
		return err
	}
	if err := p.endTurn(); err != nil {
		return err
	}
	method, target, ok := strings.Cut(rest, " ")
	if !ok || !strings.HasPrefix(target, "/") || strings.Contains(target, " ") {
		return fmt.Errorf("a request is a method and a path without blanks, not %q", rest)
	}
	p.turn = &Turn{Line: n, Speaker: p.speaker, Method: method, Target: target}
	p.text = &p.request
	return nil
}

// answerLine is "STATUS" or "STATUS exact", the first of an answer, or a header.
func (p *parser) answerLine(rest string) error {
	if p.turn == nil {
		return fmt.Errorf("an answer needs a request")
	}
	if p.turn.Status != 0 {
		h, err := headerOf(rest)
		p.turn.Answered = append(p.turn.Answered, h)
		return err
	}
	text, exact, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(text)
	if err != nil || exact != "" && exact != "exact" {
		return fmt.Errorf(`an answer is a status code, and "exact" if it has nothing else, not %q`, rest)
	}
	p.turn.Status, p.turn.Exact = status, exact != ""
	p.text = &p.answer
	return nil
}

func headerOf(text string) (Header, error) {
	name, value, ok := strings.Cut(text, ":")
	if !ok {
		return Header{}, fmt.Errorf("%q is no header", text)
	}
	return Header{strings.TrimSpace(name), strings.TrimSpace(value)}, nil
}

// connectionLine is "connection [NAME] [SETTING=VALUE …]".
func (p *parser) connectionLine(n int, rest string) error {
	if p.turn != nil || len(p.out.Turns) > 0 {
		return fmt.Errorf("connections come before the first request")
	}
	c := Connection{Line: n, Settings: map[string]string{}}
	for i, field := range strings.Fields(rest) {
		name, value, setting := strings.Cut(field, "=")
		switch {
		case setting:
			c.Settings[name] = value
		case i == 0:
			c.Name = name
		default:
			return fmt.Errorf("%q is no setting", field)
		}
	}
	p.out.Connections = append(p.out.Connections, c)
	return nil
}

func (p *parser) expectation(n int, word string, fields []string) error {
	switch word {
	case "keep":
		for _, f := range fields {
			name, path, ok := strings.Cut(f, "=")
			if !ok {
				return fmt.Errorf("keep takes name=path, not %q", f)
			}
			p.turn.Keep = append(p.turn.Keep, Pair{name, path})
		}
	case "journal", "beside":
		e, err := entryOf(n, fields)
		if word == "beside" {
			p.turn.Beside = append(p.turn.Beside, e)
		} else {
			p.turn.Journal = &e
		}
		return err
	case "effective":
		if len(fields) != 2 && len(fields) != 3 {
			return fmt.Errorf("effective takes an id, a state and, if it matters, a userName")
		}
		p.turn.Effects = append(p.turn.Effects, Effect{Line: n, ID: fields[0], State: fields[1], UserName: strings.Join(fields[2:], "")})
	}
	return nil
}

func entryOf(n int, fields []string) (Entry, error) {
	if len(fields) < 2 {
		return Entry{}, fmt.Errorf("a journal entry has an action and an outcome")
	}
	e := Entry{Line: n, Action: fields[0], Outcome: fields[1]}
	for _, f := range fields[2:] {
		name, value, ok := strings.Cut(f, "=")
		if !ok {
			return e, fmt.Errorf("%q is no field of an entry", f)
		}
		e.Fields = append(e.Fields, Pair{name, value})
	}
	return e, nil
}

// endTurn keeps the turn that was read, if any.
func (p *parser) endTurn() error {
	if p.turn == nil {
		return nil
	}
	if p.turn.Status == 0 {
		return fmt.Errorf("the request of line %d has no answer", p.turn.Line)
	}
	p.turn.Body, p.turn.Answer = strings.TrimSpace(p.request.String()), strings.TrimSpace(p.answer.String())
	p.out.Turns = append(p.out.Turns, p.turn)
	p.request.Reset()
	p.answer.Reset()
	p.turn, p.text = nil, nil
	return nil
}

var placeholder = regexp.MustCompile(`\{\{(\w+)\}\}`)

// Expand puts the values of variables in the place of their {{names}}.
func Expand(text string, vars map[string]string) (string, error) {
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
