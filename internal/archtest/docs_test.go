package archtest

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestReadmeNamesEverySetting compares README.md's table with the example file, which the configuration generates.
func TestReadmeNamesEverySetting(t *testing.T) {
	t.Parallel()
	readme := matches(t, "README.md", `(?m)^\| .(MEIBO_[A-Z_]+). \|`)
	example := matches(t, "meibo.example.yaml", `(?m)^# Environment: (MEIBO_[A-Z_]+) `)
	if len(example) == 0 {
		t.Fatal("meibo.example.yaml names no environment variable")
	}
	if diff := cmp.Diff(example, readme); diff != "" {
		t.Errorf("README.md's settings (-meibo.example.yaml +README.md):\n%s", diff)
	}
}

// TestLinksLead follows the relative links of every document.
func TestLinksLead(t *testing.T) {
	t.Parallel()
	root := os.DirFS("../..")
	for _, document := range documents(t, root) {
		for _, target := range matches(t, document, `\]\(([^)#:]+)\)`) {
			if _, err := fs.Stat(root, path.Join(path.Dir(document), target)); err != nil {
				t.Errorf("%s links to %s, which is not there", document, target)
			}
		}
	}
}

// matches returns what the pattern's group finds in a file of the repository, sorted.
func matches(t *testing.T, name, pattern string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(text), -1) {
		found = append(found, m[1])
	}
	slices.Sort(found)
	return found
}

// documents lists the Markdown files at the root and below docs; the generated notices quote texts of others.
func documents(t *testing.T, root fs.FS) []string {
	t.Helper()
	names, err := fs.Glob(root, "*.md")
	if err != nil {
		t.Fatal(err)
	}
	err = fs.WalkDir(root, "docs", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(name, ".md") {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "THIRD_PARTY_NOTICES.md" })
}
