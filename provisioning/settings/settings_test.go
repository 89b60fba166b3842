package settings_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"meibo/provisioning"
	"meibo/provisioning/settings"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestPresetsAreOneWord(t *testing.T) {
	t.Parallel()
	for _, p := range provisioning.Presets() {
		t.Run("preset "+string(p), func(t *testing.T) {
			t.Parallel()
			want, ok := p.Settings()
			if !ok {
				t.Fatal("unknown")
			}
			source := ""
			if p != provisioning.PresetDefault {
				source = "preset: " + string(p) + "\n"
			}
			got, err := settings.Parse([]byte(source))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Parse (-want +got):\n%s", diff)
			}
			if back := string(settings.Format(want)); back != source {
				t.Errorf("Format: %q, want %q", back, source)
			}
		})
	}
	if _, ok := provisioning.Preset("mirrors").Settings(); ok {
		t.Error("an unknown preset has settings")
	}
}

// Each file is named for its mistake; what is said about it stands beside it.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	files, _ := filepath.Glob("testdata/bad/*.yaml")
	if len(files) < 20 {
		t.Fatalf("%d files", len(files))
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			_, err := settings.Parse(read(t, path))
			problems, ok := errors.AsType[settings.Problems](err)
			if !ok {
				t.Fatalf("Parse: %v, want Problems", err)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".txt", problems.Error()+"\n")
			if strings.Contains(problems.Error(), "s3cret") {
				t.Errorf("the message shows a password: %v", problems)
			}
			if whole := filepath.Base(path) == "many-at-once.yaml"; len(problems) != 1 && !whole {
				t.Errorf("%d problems of one mistake", len(problems))
			}
			for _, p := range problems {
				if p.Line == 0 || p.What == "" || p.Remedy == "" {
					t.Errorf("line, fault or remedy is missing: %+v", p)
				}
			}
		})
	}
}

// TestGoodFiles: they are sound, say what departs and no more, and every key of the complete one does.
func TestGoodFiles(t *testing.T) {
	t.Parallel()
	files, _ := filepath.Glob("testdata/good/*.yaml")
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			s, err := settings.Parse(read(t, path))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".txt", string(settings.Format(s)))
			roundTrip(t, s)
		})
	}
}

func TestCompleteFileHasEveryKey(t *testing.T) {
	t.Parallel()
	s, err := settings.Parse(read(t, "testdata/good/complete.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	written := map[string]bool{}
	for _, c := range provisioning.DefaultSettings().Diff(s) {
		written[c.Path] = true
	}
	for _, k := range provisioning.SettingsKeys() {
		if !strings.Contains(k.Path, "[]") && !isSection(k.Path) && !written[k.Path] {
			t.Errorf("%s is missing, or as the default has it", k.Path)
		}
	}
}

func isSection(path string) bool {
	return slices.ContainsFunc(provisioning.SettingsKeys(), func(k provisioning.SettingsKey) bool {
		return strings.HasPrefix(k.Path, path+".")
	})
}

// roundTrip holds that settings survive the document and the database's JSON.
func roundTrip(t interface {
	Helper()
	Fatalf(string, ...any)
}, s provisioning.Settings) {
	t.Helper()
	written := settings.Format(s)
	back, err := settings.Parse(written)
	if err != nil {
		t.Fatalf("Format wrote what Parse refuses: %v\n%s", err, written)
	}
	if diff := cmp.Diff(s, back); diff != "" {
		t.Fatalf("read back from\n%s(-want +got):\n%s", written, diff)
	}
	stored, err := json.Marshal(s)
	if err != nil {
		t.Fatalf("%v", err)
	}
	var kept provisioning.Settings
	if err := json.Unmarshal(stored, &kept); err != nil {
		t.Fatalf("%v", err)
	}
	if diff := cmp.Diff(s, kept); diff != "" {
		t.Fatalf("read back from %s (-want +got):\n%s", stored, diff)
	}
	whole := settings.FormatJSON(s)
	again, err := settings.Parse(whole)
	if err != nil {
		t.Fatalf("FormatJSON wrote what Parse refuses: %v\n%s", err, whole)
	}
	if diff := cmp.Diff(s, again); diff != "" {
		t.Fatalf("read back from %s (-want +got):\n%s", whole, diff)
	}
}

// TestJSON: what JSON has and YAML readers refuse, with the lines of JSON.
func TestJSON(t *testing.T) {
	t.Parallel()
	s, err := settings.Parse([]byte("{\n\t\"guard\": {\n\t\t\"users\": [\"\\ud83d\\ude00\", \"a\\/b\"]\n\t},\n\t\"tolerance\": {\"users\": {\"share\": 7}}\n}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"😀", "a/b"}; !slices.Equal(s.Guard.Users, want) || s.Tolerance.Users.Share != 7 {
		t.Errorf("users %q, share %d", s.Guard.Users, s.Tolerance.Users.Share)
	}
	for source, want := range map[string]string{
		"{\n\n\t\"guard\": {\n\"mode\":\n\"refus\"}}":                 `line 4: guard.mode "refus"`,
		"{\n\"guard\": null}":                                         "line 2: guard has no value",
		"{\"guard\":\n{\"mode\": \"accept\",\n\"mode\": \"accept\"}}": "line 3: guard.mode is there twice",
		"{\"tolerance\": {\"users\": {\"share\": 7.5}}}":              `line 1: tolerance.users.share "7.5" is a number where a whole number belongs`,
		"{\"tolerance\": {\"users\": {\"share\": \"7\"}}}":            `line 1: tolerance.users.share "7" is a text where a whole number belongs`,
		"[1]":   "line 1: the document is a list",
		"\"x\"": "line 1: the document is a text",
		"{\"roles\": {\"names\": [\"a\\u0000\"]}}": "line 1: roles.names[0] holds a NUL character",
	} {
		if _, err := settings.Parse([]byte(source)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", source, err, want)
		}
	}
}

// TestHugeDocuments: whatever is sent within the bound is answered soon and shortly.
func TestHugeDocuments(t *testing.T) {
	t.Parallel()
	fill := func(head, piece, tail string) string {
		return head + strings.Repeat(piece, (settings.MaxSize-len(head)-len(tail))/len(piece)) + tail
	}
	for name, source := range map[string]string{
		"over the bound":  strings.Repeat("#", settings.MaxSize+1),
		"brackets":        fill("", "[", ""),
		"nested JSON":     strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"unknown keys":    fill("", "a: 1\n", ""),
		"one long key":    fill("", "x", ": 1"),
		"a key of a line": fill("? ", "x", "\n: 1\n"),
		"empty rows":      fill("mapping: {users: [", "{},", "{}]}"),
		"equal names":     fill("roles: {names: [", "a,", "a]}"),
		"a long filter":   fill("scope: {users: {filter: \"", "(", "\"}}"),
		"a long pattern":  fill("mapping: {users: [{target: title, source: title, characters: \"", "(a", "\"}]}"),
		"deep constant":   fill("mapping: {users: [{target: title, constant: ", "[", ""),
		"billion laughs":  "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n",
		"not UTF-8":       "roles: {default: \"\xff\"}",
		"NUL":             "roles: {default: \"a\x00\"}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := settings.Parse([]byte(source))
			if err == nil || len(err.Error()) > 64<<10 {
				t.Errorf("error of %d bytes", len(fmt.Sprint(err)))
			}
		})
	}
}

// TestParseReplacesLists: a document's list stands instead of the preset's.
func TestParseReplacesLists(t *testing.T) {
	t.Parallel()
	s, err := settings.Parse([]byte("preset: mirror\nmatching: {attributes: []}\n"))
	if err != nil || len(s.Matching.Attributes) != 0 {
		t.Fatalf("attributes %q, %v", s.Matching.Attributes, err)
	}
	if got, want := string(settings.Format(s)), "preset: mirror\nmatching:\n  attributes: []\n"; got != want {
		t.Errorf("Format: %q, want %q", got, want)
	}
}

// TestPublishedSchema: docs has the schema of this very code.
func TestPublishedSchema(t *testing.T) {
	t.Parallel()
	if !bytes.Equal(read(t, "../../docs/settings.schema.json"), settings.Schema()) {
		t.Error("docs/settings.schema.json is another one; run make generate")
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// golden compares with a file, or rewrites it under -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(string(read(t, path)), got); diff != "" {
		t.Errorf("%s differs; if that is meant, run go test ./provisioning/settings -update (-want +got):\n%s", path, diff)
	}
}
