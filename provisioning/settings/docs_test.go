package settings_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"meibo/provisioning"
	"meibo/provisioning/settings"
)

var fenced = regexp.MustCompile("(?ms)^```(yaml|json)\n(.*?)^```$")

// ours tells a document from other YAML and JSON: it begins with one of our sections or a comment before it.
var ours = regexp.MustCompile(`\A(#[^\n]*\n)*(\{\s*"?)?(preset|protocol|matching|scope|mapping|deletion|roles|guard|tolerance|matters)"?:`)

// TestDocuments: every document that the documentation shows is sound.
func TestDocuments(t *testing.T) {
	t.Parallel()
	pages, _ := filepath.Glob("../../docs/*.md")
	n := 0
	for _, page := range append(pages, "../../README.md") {
		for _, block := range fenced.FindAllStringSubmatch(string(read(t, page)), -1) {
			if !ours.MatchString(block[2]) {
				if strings.HasSuffix(page, "settings.md") {
					t.Errorf("%s shows what is no document:\n%s", page, block[2])
				}
				continue
			}
			n++
			if _, err := settings.Parse([]byte(block[2])); err != nil {
				t.Errorf("%s: %v\n%s", page, err, block[2])
			}
		}
	}
	if n < 8 {
		t.Errorf("only %d documents were found", n)
	}
}

// TestGeneratedTables: what docs/settings.md says of presets and keys is what the code says.
func TestGeneratedTables(t *testing.T) {
	t.Parallel()
	const page = "../../docs/settings.md"
	text := string(read(t, page))
	for name, table := range map[string]string{"presets": presetTable(), "keys": keyTable()} {
		open, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
		before, rest, ok := strings.Cut(text, open)
		_, after, closed := strings.Cut(rest, end)
		if !ok || !closed {
			t.Fatalf("%s has no place for %s", page, name)
		}
		text = before + open + table + end + after
	}
	golden(t, page, text)
}

func presetTable() string {
	var b strings.Builder
	presets := provisioning.Presets()
	b.WriteString("| |")
	for _, p := range presets {
		if p == provisioning.PresetDefault {
			p = "(default)"
		}
		fmt.Fprintf(&b, " %s |", p)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(presets)) + "\n")
	tolerance := func(t provisioning.Tolerance) string {
		s := fmt.Sprintf("%d %%", t.Share)
		if t.Count > 0 {
			s += fmt.Sprintf(", at most %d", t.Count)
		}
		if t.Floor > 0 {
			s += fmt.Sprintf(", at least %d", t.Floor)
		}
		if t.From > 0 {
			s += fmt.Sprintf(", from %d members on", t.From)
		}
		return s
	}
	for _, row := range []struct {
		title string
		cell  func(provisioning.Settings) string
	}{
		{"user: `active` false", func(s provisioning.Settings) string { return string(s.Deletion.Users.Deactivated) }},
		{"user: DELETE", func(s provisioning.Settings) string { return string(s.Deletion.Users.Deleted) }},
		{"user: out of scope", func(s provisioning.Settings) string { return string(s.Deletion.Users.Scope) }},
		{"group: DELETE", func(s provisioning.Settings) string { return string(s.Deletion.Groups.Deleted) }},
		{"group: out of scope", func(s provisioning.Settings) string { return string(s.Deletion.Groups.Scope) }},
		{"can be restored for", func(s provisioning.Settings) string { return s.Deletion.Grace.String() }},
		{"purged then by", func(s provisioning.Settings) string {
			return map[provisioning.PurgeMode]string{provisioning.PurgeAsk: "a person", provisioning.PurgeAuto: "a job"}[s.Deletion.Purge]
		}},
		{"matched by", func(s provisioning.Settings) string { return strings.Join(s.Matching.Attributes, ", ") }},
		{"another owner's account", func(s provisioning.Settings) string { return string(s.Matching.Adoption) }},
		{"userName of the creation stays", func(s provisioning.Settings) string {
			return map[bool]string{true: "yes", false: "no"}[s.Mapping.UserName.Frozen]
		}},
		{"tolerance", func(s provisioning.Settings) string { return string(s.Tolerance.Mode) }},
		{"… of users, of groups", func(s provisioning.Settings) string { return tolerance(s.Tolerance.Users) }},
		{"… of a group's members", func(s provisioning.Settings) string { return tolerance(s.Tolerance.Members) }},
		{"administrators", func(s provisioning.Settings) string {
			return map[provisioning.GuardMode]string{provisioning.GuardAccept: "kept", provisioning.GuardRefuse: "refused"}[s.Guard.Mode]
		}},
	} {
		fmt.Fprintf(&b, "| %s |", row.title)
		for _, p := range presets {
			s, _ := p.Settings()
			fmt.Fprintf(&b, " %s |", row.cell(s))
		}
		b.WriteString("\n")
	}
	return b.String()
}

func keyTable() string {
	var b strings.Builder
	b.WriteString("| key | default | meaning |\n|---|---|---|\n")
	defaults := map[string]string{}
	// What departs from nothing at all is everything.
	for _, c := range (provisioning.Settings{}).Diff(provisioning.DefaultSettings()) {
		defaults[c.Path] = strings.NewReplacer("[", "", "]", "").Replace(fmt.Sprint(c.New))
	}
	for _, k := range provisioning.SettingsKeys() {
		if strings.HasSuffix(k.Path, "[]") {
			continue // its list says enough
		}
		doc := strings.ReplaceAll(k.Doc, "|", "\\|")
		if k.Choices != nil {
			doc += " One of `" + strings.Join(k.Choices, "`, `") + "`."
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Path, defaults[k.Path], doc)
	}
	return b.String()
}
