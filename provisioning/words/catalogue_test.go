package words_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"meibo/provisioning"
	"meibo/provisioning/words"
)

// constants of a package are found by what their names begin with; ones without a string are none.
func constants(t *testing.T, folder string, prefixes ...string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, file := range files(t, folder) {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			for i, name := range spec.Names {
				if i >= len(spec.Values) || !slices.ContainsFunc(prefixes, func(p string) bool { return begins(name.Name, p) }) {
					continue
				}
				if text, ok := literal(spec.Values[i]); ok {
					out[name.Name] = text
				}
			}
			return true
		})
	}
	if len(out) == 0 {
		t.Fatalf("%s has no constant of %v", folder, prefixes)
	}
	return out
}

// begins reports whether a name is a prefix and another word.
func begins(name, prefix string) bool {
	rest, ok := strings.CutPrefix(name, prefix)
	return ok && rest != "" && strings.ToUpper(rest[:1]) == rest[:1]
}

func literal(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(lit.Value)
	return text, err == nil
}

func files(t *testing.T, folder string) []*ast.File {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var out []*ast.File
	for _, name := range found {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, file)
	}
	return out
}

// kinds are which constants need words of which group. Where a code has no words of its own, the variants in its place are named.
var kinds = []struct {
	folder   string
	prefixes []string
	group    string
	except   []string
}{
	{"..", []string{"Reason", "reason"}, "reason", nil},
	{"..", []string{"Cause"}, "cause", nil},
	{"..", []string{"Matter"}, "", []string{"MatterOpen", "MatterAllowed", "MatterRejected", "MatterLinked", "MatterCreated", "MatterIgnored", "MatterObsolete"}},
	{"../../scim/endpoint", []string{"quirk"}, "quirk", nil},
	{"..", []string{"Budget"}, "counted", nil},
	{"..", []string{"lacks"}, "lacks", nil},
	{"../mapping", []string{"How", "how"}, "link.mapping", nil},
	{"..", []string{"how"}, "link.mapping", nil},
	{"..", []string{"source"}, "link.source", nil},
}

// TestEveryCodeHasWords walks the constants of all kinds of codes: one that is new needs a sentence.
func TestEveryCodeHasWords(t *testing.T) {
	t.Parallel()
	want := map[string]string{}
	for _, k := range kinds {
		for name, code := range constants(t, k.folder, k.prefixes...) {
			group := k.group
			if group == "" {
				group = "matter"
				if slices.Contains(k.except, name) {
					group = "status"
				}
			}
			want[group+"."+code] = name
		}
	}
	for _, state := range []provisioning.State{provisioning.Active, provisioning.Suspended, provisioning.Held, provisioning.Removed} {
		want["state."+string(state)] = "the state"
	}
	for _, departed := range []provisioning.State{provisioning.Active, provisioning.Suspended, provisioning.Removed} {
		want["reason."+string(departed)] = "the reason of a departure"
	}
	for _, p := range []provisioning.DeletionPolicy{provisioning.SuspendPolicy, provisioning.DeletePolicy, provisioning.HoldPolicy, provisioning.IgnorePolicy, provisioning.RemoveMembersPolicy} {
		want["policy."+string(p)], want["would."+string(p)] = "the policy", "the policy"
	}
	for kind := provisioning.Internal; kind.String() != ""; kind++ {
		want["error."+kind.String()] = "the kind of error"
	}
	for name, code := range typed(t, "..", "NotCause") {
		want["verdict."+code] = name
	}
	for name, code := range scimTypes(t) {
		want["error."+code] = name
	}
	for name, code := range faultKinds(t) {
		want["fault."+code] = name
	}
	for code, name := range want {
		if words.English[code] == "" {
			t.Errorf("%s has no words: add %q to the catalogue", name, code)
		}
	}
}

// scimTypes are the error types of RFC 7644.
func scimTypes(t *testing.T) map[string]string { return typed(t, "../../scim", "ErrorType") }

func faultKinds(t *testing.T) map[string]string { return typed(t, "../mapping", "FaultKind") }

// typed are the string constants of a type.
func typed(t *testing.T, folder, name string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, file := range files(t, folder) {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if of, ok := spec.Type.(*ast.Ident); ok && of.Name == name {
				for i, v := range spec.Values {
					if text, ok := literal(v); ok {
						out[spec.Names[i].Name] = text
					}
				}
			}
			return true
		})
	}
	if len(out) == 0 {
		t.Fatalf("%s has no constant of the type %s", folder, name)
	}
	return out
}

// TestArgumentsAreWritten: a template speaks of nothing that the core does not say.
func TestArgumentsAreWritten(t *testing.T) {
	t.Parallel()
	written := map[string]bool{}
	for _, file := range files(t, "..") {
		ast.Inspect(file, func(n ast.Node) bool {
			if text, ok := n.(ast.Expr); ok {
				if name, ok := literal(text); ok {
					written[name] = true
				}
			}
			return true
		})
	}
	for code, template := range words.English {
		for _, name := range words.Arguments(template) {
			switch {
			case !words.Knows(name):
				t.Errorf("%s: there is no argument %q", code, name)
			case !written[name]:
				t.Errorf("%s: nothing writes the argument %q", code, name)
			}
		}
	}
}

// TestTemplatesAreWhole: brackets are closed, sentences end, and every group is one that something says.
func TestTemplatesAreWhole(t *testing.T) {
	t.Parallel()
	for code, template := range words.English {
		if strings.Count(template, "[") != strings.Count(template, "]") || strings.Count(template, "{") != strings.Count(template, "}") {
			t.Errorf("%s: %q is not whole", code, template)
		}
		sentence := provisioning.Statement{Code: code}.IsSentence()
		if ends := strings.HasSuffix(template, ".") || strings.HasSuffix(template, "].") || strings.HasSuffix(template, "]") || strings.HasSuffix(template, "{detail}"); sentence && !ends {
			t.Errorf("%s: %q does not end", code, template)
		}
	}
}

func TestSay(t *testing.T) {
	t.Parallel()
	kept := provisioning.Statement{Code: "reason.kept", Args: map[string]string{"who": "kim@example.com", "would": "suspend", "cause": provisioning.CauseDeactivated,
		"because": "admin", "settings": "own", "connection": "entra", "version": "4"}}
	want := `kim@example.com was not suspended, although the client says that the account is not active, because it is an administrator, and the settings of connection "entra" (version 4) keep such accounts.`
	if got := words.English.Say(kept, nil); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	hidden := words.English.Say(kept, func(string) string { return "k•••1a2b" })
	if strings.Contains(hidden, "kim") || !strings.HasPrefix(hidden, "k•••1a2b was not suspended, although") {
		t.Errorf("hidden: %s", hidden)
	}
	for _, s := range []provisioning.Statement{{Code: "reason.nothing"}, {Code: "reason.kept"}, {Code: "reason.held", Args: map[string]string{"who": "x", "cause": "y", "settings": "none"}}} {
		if words.English.Check(s) == nil {
			t.Errorf("%v: nothing is missing", s)
		}
	}
}
