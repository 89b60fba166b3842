package endpoint

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"meibo/internal/exchange"
	"meibo/provisioning"
	"meibo/scim"
	"meibo/store/storetest"
)

// TestRecordedExchanges plays every file of testdata against both databases.
func TestRecordedExchanges(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		for _, folder := range []string{"entra", "semantics", "rfc"} {
			for _, file := range recorded(t, folder) {
				t.Run(folder+"/"+strings.TrimSuffix(filepath.Base(file.name), ".txt"), func(t *testing.T) {
					t.Parallel()
					play(t, s, file)
				})
			}
		}
	})
}

// player plays one file.
type player struct {
	t    *testing.T
	d    *directory
	file string
	vars map[string]string
	met  []string // quirks that the journal named
}

func play(t *testing.T, s provisioning.Store, file recordedFile) {
	p := &player{t: t, d: newDirectory(t, s), file: file.name}
	p.vars = map[string]string{"base": publicURL + "/t/" + p.d.tenant + "/scim/v2", "tenant": p.d.tenant}
	for _, c := range file.Connections {
		p.connect(c)
	}
	for _, turn := range file.Turns {
		p.turn(turn)
		if t.Failed() {
			return // what follows builds on it
		}
	}
	p.checkQuirks()
}

// checkQuirks demands that a file named for a quirk shows it, and that conforming requests show none.
func (p *player) checkQuirks() {
	name := strings.TrimSuffix(filepath.Base(p.file), ".txt")
	folder := filepath.Base(filepath.Dir(p.file))
	if folder == "entra" && slices.Contains(quirkNames(p.t), name) && !slices.Contains(p.met, name) {
		p.t.Errorf("%s: the file is named for a quirk that no request of it shows; the journal has %q", p.file, p.met)
	}
	if folder == "rfc" && len(p.met) > 0 {
		p.t.Errorf("%s: conforming requests show quirks: %q", p.file, p.met)
	}
}

func (p *player) connect(c exchange.Connection) {
	p.t.Helper()
	name := c.Name
	if name == "" {
		name = provisioning.DefaultConnection
	}
	p.d.connect(name, func(s *provisioning.ConnectionSettings) {
		for key, value := range c.Settings {
			switch key {
			case "patch-response":
				s.PatchResponse = provisioning.PatchResponse(value)
			case "unknown-members":
				s.UnknownMembers = provisioning.UnknownMembers(value)
			case "unique-group-names":
				s.UniqueGroupNames = value == "yes"
			default:
				p.t.Fatalf("%s:%d: %q is no setting of a connection", p.file, c.Line, key)
			}
		}
	})
}

func (p *player) expand(line int, text string) string {
	p.t.Helper()
	out, err := exchange.Expand(text, p.vars)
	if err != nil {
		p.t.Fatalf("%s:%d: %v", p.file, line, err)
	}
	return out
}

// turn sends one request and holds its answer, and what the journal says of it, against the file.
func (p *player) turn(turn *exchange.Turn) {
	p.t.Helper()
	r := request{method: turn.Method, target: p.expand(turn.Line, turn.Target), speaker: turn.Speaker, body: p.expand(turn.Line, turn.Body)}
	for _, h := range turn.Headers {
		r.headers = append(r.headers, header{h.Name, p.expand(turn.Line, h.Value)})
	}
	got := p.d.send(r)
	v, problems := p.commonRules(r, got)
	problems = append(problems, p.keep(turn, v)...)
	problems = append(problems, p.answerProblems(turn, got, v)...)
	problems = append(problems, p.journalProblems(turn, r, got)...)
	problems = append(problems, p.effectProblems(turn)...)
	if len(problems) > 0 {
		p.t.Errorf("%s:%d: %s %s\n\t%s\nanswer: %d %s", p.file, turn.Line, r.method, r.target, strings.Join(problems, "\n\t"), got.status, got.body)
	}
}

// commonRules holds for every answer, whatever the file says. It returns the decoded body.
func (p *player) commonRules(r request, got answer) (body any, problems []string) {
	fault := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if got.correlation() == "" {
		fault("there is no %s", CorrelationHeader)
	}
	if got.status == http.StatusNoContent || got.status == http.StatusNotModified || r.method == http.MethodHead {
		if len(got.body) > 0 {
			fault("a %d has no body", got.status)
		}
		return nil, problems
	}
	if ct := got.header.Get("Content-Type"); ct != "application/scim+json" {
		fault("Content-Type is %q", ct)
	}
	body, err := decodeJSON(got.body)
	if err != nil {
		fault("the body is no JSON: %v", err)
		return nil, problems
	}
	if got.status >= 400 {
		return body, append(problems, compare("error", map[string]any{"schemas": []any{scim.ErrorSchema},
			"status": strconv.Itoa(got.status), "detail": "<any>"}, body, false)...)
	}
	o, _ := body.(map[string]any)
	if m, ok := o["meta"].(map[string]any); ok && m["version"] != nil {
		problems = append(problems, compare("ETag", m["version"], got.header.Get("ETag"), false)...)
		if got.status == http.StatusCreated {
			problems = append(problems, compare("Location", m["location"], got.header.Get("Location"), false)...)
		}
	}
	return body, problems
}

func (p *player) keep(turn *exchange.Turn, body any) (problems []string) {
	for _, k := range turn.Keep {
		v := body
		for name := range strings.SplitSeq(k.Value, ".") {
			if list, ok := v.([]any); ok {
				if i, err := strconv.Atoi(name); err == nil && i < len(list) {
					v = list[i]
					continue
				}
			}
			o, _ := v.(map[string]any)
			v = o[name]
		}
		s, ok := v.(string)
		if !ok {
			problems = append(problems, fmt.Sprintf("the answer has no text %s to keep as %s", k.Value, k.Name))
			continue
		}
		p.vars[k.Name] = s
	}
	return problems
}

func (p *player) answerProblems(turn *exchange.Turn, got answer, body any) (problems []string) {
	p.t.Helper()
	if got.status != turn.Status {
		problems = append(problems, fmt.Sprintf("status is %d, want %d", got.status, turn.Status))
		return problems
	}
	for _, h := range turn.Answered {
		want := any(p.expand(turn.Line, h.Value))
		if want == "" {
			want = "<absent>"
		}
		var value any
		if values := got.header.Values(h.Name); len(values) > 0 {
			value = values[0]
		}
		problems = append(problems, compareMember(h.Name, want, value, value != nil, false)...)
	}
	if turn.Answer == "" {
		return problems
	}
	want, err := decodeJSON([]byte(p.expand(turn.Line, turn.Answer)))
	if err != nil {
		p.t.Fatalf("%s:%d: the expected body is no JSON: %v", p.file, turn.Line, err)
	}
	return append(problems, compare("body", want, body, turn.Exact)...)
}

// journalProblems holds every write to its one entry, and every read to none.
func (p *player) journalProblems(turn *exchange.Turn, r request, got answer) (problems []string) {
	p.t.Helper()
	entries := p.d.entries(got.correlation())
	own := slices.IndexFunc(entries, func(e provisioning.Entry) bool { return e.Request != nil })
	if !isJournalled(r, got.status) {
		if len(entries) > 0 {
			problems = append(problems, fmt.Sprintf("%d journal entries for what is no write", len(entries)))
		}
		return problems
	}
	if own < 0 || len(entries) != 1+len(turn.Beside) {
		return append(problems, fmt.Sprintf("%d journal entries, want %d, one of them with the request: %+v", len(entries), 1+len(turn.Beside), entries))
	}
	e := entries[own]
	p.met = append(p.met, e.Request.Quirks...)
	path := "/t/" + p.d.tenant + "/scim/v2" + r.target
	path, _, _ = strings.Cut(path, "?")
	if e.Request.Method != r.method || e.Request.Path != path || e.Request.Status != got.status {
		problems = append(problems, fmt.Sprintf("the entry's request is %+v", *e.Request))
	}
	if turn.Journal != nil {
		problems = append(problems, p.entryProblems("journal", *turn.Journal, e)...)
	}
	rest := slices.Delete(slices.Clone(entries), own, own+1)
	for i, want := range turn.Beside {
		problems = append(problems, p.entryProblems("beside", want, rest[i])...)
	}
	return problems
}

// isJournalled reports whether a request with that answer leaves an entry: writes of resources do,
// unless they were not let in or could not be served.
func isJournalled(r request, status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusMethodNotAllowed, http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return false
	}
	resource := strings.HasPrefix(r.target, "/Users") || strings.HasPrefix(r.target, "/Groups")
	return resource && r.method != http.MethodGet && r.method != http.MethodHead
}

func (p *player) entryProblems(what string, want exchange.Entry, e provisioning.Entry) (problems []string) {
	p.t.Helper()
	is := func(field, wanted, got string) {
		if wanted != got {
			problems = append(problems, fmt.Sprintf("%s (line %d): %s is %q, want %q", what, want.Line, field, got, wanted))
		}
	}
	is("action", want.Action, string(e.Action))
	is("outcome", want.Outcome, string(e.Outcome))
	facts := entryFacts(e)
	for _, f := range want.Fields {
		got, ok := facts[f.Name]
		if !ok {
			p.t.Fatalf("%s:%d: an entry has no field %s", p.file, want.Line, f.Name)
		}
		wanted := p.expand(want.Line, f.Value)
		if wanted == "-" {
			wanted = ""
		}
		is(f.Name, wanted, got)
	}
	return problems
}

// unquoted makes the list of quoted ids in a reason one that a file can write.
var unquoted = strings.NewReplacer(`"`, "", ", ", ",")

// entryFacts are the fields of an entry that a file can name, lists joined by commas.
func entryFacts(e provisioning.Entry) map[string]string {
	var diff, added []string
	for _, c := range e.Diff {
		diff = append(diff, c.Path)
	}
	for _, m := range e.Members.Add {
		added = append(added, m.Value)
	}
	facts := map[string]string{
		"reason": e.Reason.Code, "cause": e.Reason.Args["cause"], "members": unquoted.Replace(e.Reason.Args["members"]),
		"matched": e.MatchedBy, "name": e.ResourceName, "version": strconv.FormatInt(e.Version, 10), "id": e.ResourceID,
		"diff": strings.Join(diff, ","), "added": strings.Join(added, ","), "removed": strings.Join(e.Members.Remove, ","),
		"error": "", "dialect": "", "quirks": "",
	}
	if e.Error != nil {
		facts["error"] = e.Error.Code
	}
	if e.Request != nil {
		facts["dialect"], facts["quirks"] = e.Request.Dialect, strings.Join(slices.Sorted(slices.Values(e.Request.Quirks)), ",")
	}
	return facts
}

// effectProblems asks the journal what the host application sees of an account: the newest entry
// that speaks of it counts.
func (p *player) effectProblems(turn *exchange.Turn) (problems []string) {
	p.t.Helper()
	for _, want := range turn.Effects {
		id := p.expand(want.Line, want.ID)
		seen := map[string]any{}
		for _, e := range p.d.query(provisioning.EntryQuery{Resource: id}) {
			for _, c := range e.Diff {
				if _, newer := seen[c.Path]; !newer {
					seen[c.Path] = c.New
				}
			}
		}
		if got := seen[provisioning.PathState]; got != want.State {
			problems = append(problems, fmt.Sprintf("line %d: the effective state is %v, want %s", want.Line, got, want.State))
		}
		if got := seen[provisioning.PathEffective+"userName"]; want.UserName != "" && got != p.expand(want.Line, want.UserName) {
			problems = append(problems, fmt.Sprintf("line %d: the effective userName is %v, want %s", want.Line, got, want.UserName))
		}
	}
	return problems
}

// compare lists where got departs from want: all that want says must be there, and in exact mode
// nothing else.
func compare(path string, want, got any, exact bool) (problems []string) {
	switch w := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %s, want an object", path, text(got))}
		}
		for _, name := range slices.Sorted(maps.Keys(w)) {
			v, present := g[name]
			problems = append(problems, compareMember(path+"."+name, w[name], v, present, exact)...)
		}
		for _, name := range slices.Sorted(maps.Keys(g)) {
			if _, named := w[name]; exact && !named {
				problems = append(problems, fmt.Sprintf("%s.%s is there: %s", path, name, text(g[name])))
			}
		}
		return problems
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return []string{fmt.Sprintf("%s is %s, want %d elements", path, text(got), len(w))}
		}
		for i := range w {
			problems = append(problems, compare(fmt.Sprintf("%s[%d]", path, i), w[i], g[i], exact)...)
		}
		return problems
	default:
		return compareMember(path, want, got, true, exact)
	}
}

// compareMember compares a value that may be asked for by a pattern.
func compareMember(path string, want, got any, present, exact bool) []string {
	pattern, _ := want.(string)
	contained, isContains := strings.CutPrefix(pattern, "<contains ")
	s, _ := got.(string)
	switch {
	case pattern == "<absent>" && present:
		return []string{fmt.Sprintf("%s is there: %s", path, text(got))}
	case pattern == "<absent>":
		return nil
	case !present:
		return []string{path + " is missing"}
	case pattern == "<any>" && (got == nil || got == ""):
		return []string{path + " is empty"}
	case pattern == "<any>":
		return nil
	case isContains && !strings.Contains(s, strings.TrimSuffix(contained, ">")):
		return []string{fmt.Sprintf("%s is %s, want text with %q", path, text(got), strings.TrimSuffix(contained, ">"))}
	case isContains:
		return nil
	}
	switch want.(type) {
	case map[string]any, []any:
		return compare(path, want, got, exact)
	}
	if !reflect.DeepEqual(want, got) {
		return []string{fmt.Sprintf("%s is %s, want %s", path, text(got), text(want))}
	}
	return nil
}

func text(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}

// quirkNames reads the names of the quirks from the source, so that none can be forgotten.
func quirkNames(t *testing.T) []string {
	t.Helper()
	sources, err := filepath.Glob("dialect*.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, source := range sources {
		f, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "quirk") && len(spec.Values) == 1 {
				if lit, ok := spec.Values[0].(*ast.BasicLit); ok {
					name, err := strconv.Unquote(lit.Value)
					if err != nil {
						t.Fatal(err)
					}
					names = append(names, name)
				}
			}
			return true
		})
	}
	return names
}

// TestEveryQuirkIsRecorded demands a file for each quirk; TestRecordedExchanges sees to it that the
// file shows it.
func TestEveryQuirkIsRecorded(t *testing.T) {
	t.Parallel()
	names := quirkNames(t)
	if len(names) == 0 {
		t.Fatal("no quirks were found in the source")
	}
	for _, name := range names {
		if _, err := os.Stat(filepath.Join("testdata", "entra", name+".txt")); err != nil {
			t.Errorf("quirk %s has no recorded exchange: %v", name, err)
		}
	}
}
