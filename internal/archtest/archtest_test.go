package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const module = "meibo"

func TestImportDirection(t *testing.T) {
	t.Parallel()
	problems, err := check(os.DirFS("../.."), rows)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
}

// TestCheck plants one breach a case into a small module.
func TestCheck(t *testing.T) {
	t.Parallel()
	table := []row{
		{pkg: "core", imports: []string{text}, pure: true},
		{pkg: "core/edge", imports: []string{"meibo/core"}},
		{pkg: "store", imports: []string{gorm}},
		{pkg: "config"},
		{pkg: "cmd/meibo", imports: []string{"*"}, environment: true},
	}
	sound := map[string]string{
		"core/a.go":          `package core; import ("strings"; "golang.org/x/text/cases"); var _ = cases.Fold; var _ = strings.Cut`,
		"core/a_test.go":     `package core_test; import ("os"; "meibo/core"; "github.com/google/go-cmp/cmp"); var _ = os.Args`,
		"core/edge/a.go":     `package edge; import ("meibo/core"; "net/http"; "time"); var _ = time.Now`,
		"config/a_test.go":   `package config_test; import "meibo/config"`,
		"core/testdata/x.go": `package broken; import "meibo/config"`,
		"store/a.go":         `package store; import "gorm.io/gorm"`,
		"cmd/meibo/a.go":     `package main; import ("os"; "meibo/config"; "example.com/any"); var _ = os.Getenv("A")`,
		"tools/go.mod":       `module tools`,
		"tools/a.go":         `package tools; import "gorm.io/gorm"`,
	}
	tests := []struct {
		name, file, source string
		want               string // empty: sound
	}{
		{name: "sound"},
		{"unknown package", "new/a.go", `package new`,
			`package new is unknown: add a row for it to internal/archtest/rules_test.go`},
		{"package without code", "store/a.go", "",
			`package store has no Go file: remove its row from internal/archtest/rules_test.go`},
		{"outward import", "core/b.go", `package core; import "meibo/core/edge"`,
			`core/b.go imports meibo/core/edge, which its row does not list`},
		{"package below an allowed one", "core/edge/b.go", `package edge; import "meibo/core/inner"`,
			`core/edge/b.go imports meibo/core/inner, which its row does not list`},
		{"foreign module", "core/b.go", `package core; import "golang.org/x/textile"`,
			`core/b.go imports golang.org/x/textile, which its row does not list`},
		{"GORM outside its room", "core/b_test.go", `package core; import "gorm.io/gorm"`,
			`core/b_test.go imports gorm.io/gorm, which belongs to store alone`},
		{"configuration outside the binary", "core/edge/b.go", `package edge; import "meibo/config"`,
			`core/edge/b.go imports meibo/config, which belongs to cmd/meibo alone`},
		{"test import", "core/edge/b_test.go", `package edge; import "meibo/store"`,
			`core/edge/b_test.go imports meibo/store, which its row does not list`},
		{"test kit in the product", "core/edge/b.go", `package edge; import "meibo/internal/testkit"`,
			`core/edge/b.go imports meibo/internal/testkit, which its row does not list`},
		{"environment", "core/edge/b.go", `package edge; import sys "os"; var _, _ = sys.LookupEnv("A")`,
			`core/edge/b.go uses os.LookupEnv: only packages whose row says so read the environment`},
		{"environment handed on", "core/edge/b.go", `package edge; import "os"; var getenv = os.Getenv`,
			`core/edge/b.go uses os.Getenv: only packages whose row says so read the environment`},
		{"input and output in the core", "core/b.go", `package core; import "net/http"`,
			`core/b.go imports net/http, but its package is pure`},
		{"clock in the core", "core/b.go", `package core; import "time"; var now = time.Now()`,
			`core/b.go calls time.Now: its package is pure and is given the time`},
		{name: "clock as a default", file: "core/b.go", source: `package core; import "time"; var now = time.Now`},
		{"sleep", "core/edge/b_test.go", `package edge; import "time"; func f() { time.Sleep(1) }`,
			`core/edge/b_test.go uses time.Sleep: wait for a signal instead`},
		{"dot import", "core/b.go", `package core; import . "strings"`,
			`core/b.go imports strings with a dot, which hides what it uses`},
		{"C", "core/edge/b.go", `package edge; import "C"`,
			`core/edge/b.go imports C, which its row does not list`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			files := fstest.MapFS{}
			for name, source := range sound {
				files[name] = &fstest.MapFile{Data: []byte(source)}
			}
			if tt.source != "" {
				files[tt.file] = &fstest.MapFile{Data: []byte(tt.source)}
			} else {
				delete(files, tt.file)
			}
			got, err := check(files, table)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			if tt.want != "" {
				want = []string{tt.want}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// check compares every Go file of the module in tree with table and returns one sentence for each breach, in order.
func check(tree fs.FS, table []row) ([]string, error) {
	known := map[string]row{}
	for _, r := range table {
		known[r.pkg] = r
	}
	packages, err := sourceFiles(tree)
	if err != nil {
		return nil, err
	}
	var problems []string
	for _, pkg := range slices.Sorted(maps.Keys(packages)) {
		r, ok := known[pkg]
		delete(known, pkg)
		if !ok {
			problems = append(problems, fmt.Sprintf("package %s is unknown: add a row for it to internal/archtest/rules_test.go", pkg))
			continue
		}
		for _, name := range packages[pkg] {
			found, err := checkFile(tree, name, r)
			if err != nil {
				return nil, err
			}
			problems = append(problems, found...)
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(known)) {
		problems = append(problems, fmt.Sprintf("package %s has no Go file: remove its row from internal/archtest/rules_test.go", pkg))
	}
	return problems, nil
}

// sourceFiles lists the module's Go files by package folder. As the go command does, it passes over testdata, folders
// with a leading dot or underscore, and modules of their own.
func sourceFiles(tree fs.FS) (map[string][]string, error) {
	files := map[string][]string{}
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && isForeign(tree, name):
			return fs.SkipDir
		case !d.IsDir() && path.Ext(name) == ".go":
			files[path.Dir(name)] = append(files[path.Dir(name)], name)
		}
		return nil
	})
	return files, err
}

func isForeign(tree fs.FS, dir string) bool {
	base := path.Base(dir)
	if base == "testdata" || base == "node_modules" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") {
		return true
	}
	_, err := fs.Stat(tree, path.Join(dir, "go.mod"))
	return err == nil
}

// checkFile compares one file with its package's row.
func checkFile(tree fs.FS, name string, r row) ([]string, error) {
	source, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := goFile{name: name, row: r, isTest: strings.HasSuffix(name, "_test.go")}
	local := map[string]string{} // name in this file → import path
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		f.checkImport(imported, spec.Name)
		local[localName(imported, spec.Name)] = imported
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			f.checkUse(qualified(n, local))
		case *ast.CallExpr:
			f.checkCall(qualified(n.Fun, local))
		}
		return true
	})
	return f.problems, nil
}

// qualified returns "import/path.Name" for a name of an imported package, and "" for any other expression.
func qualified(expr ast.Expr, local map[string]string) string {
	selector, ok := expr.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	pkg, ok := selector.X.(*ast.Ident)
	if !ok || local[pkg.Name] == "" {
		return ""
	}
	return local[pkg.Name] + "." + selector.Sel.Name
}

func localName(imported string, alias *ast.Ident) string {
	if alias != nil {
		return alias.Name
	}
	return path.Base(imported)
}

// goFile collects the breaches of one file.
type goFile struct {
	name     string
	row      row
	isTest   bool
	problems []string
}

func (f *goFile) report(format string, args ...any) {
	f.problems = append(f.problems, f.name+" "+fmt.Sprintf(format, args...))
}

func (f *goFile) checkImport(imported string, alias *ast.Ident) {
	if alias != nil && alias.Name == "." {
		f.report("imports %s with a dot, which hides what it uses", imported)
	}
	if owners, ok := exclusiveOwners(imported); ok && !slices.Contains(owners, f.row.pkg) && !f.isOwnTest(imported) {
		f.report("imports %s, which belongs to %s alone", imported, strings.Join(owners, ", "))
		return
	}
	switch {
	case isStandard(imported):
		if f.row.pure && !f.isTest && slices.Contains(impure, imported) {
			f.report("imports %s, but its package is pure", imported)
		}
	case !f.allows(imported):
		f.report("imports %s, which its row does not list", imported)
	}
}

func (f *goFile) checkUse(function string) {
	switch {
	case function == "time.Sleep":
		f.report("uses time.Sleep: wait for a signal instead")
	case !f.isTest && !f.row.environment && slices.Contains(environmentReaders, function):
		f.report("uses %s: only packages whose row says so read the environment", function)
	}
}

// checkCall looks at calls alone: a clock as the default of an option is not yet read.
func (f *goFile) checkCall(function string) {
	if !f.isTest && f.row.pure && slices.Contains(clockReaders, function) {
		f.report("calls %s: its package is pure and is given the time", function)
	}
}

func (f *goFile) allows(imported string) bool {
	if f.isOwnTest(imported) {
		return true
	}
	allowed := f.row.imports
	if f.isTest {
		allowed = slices.Concat(allowed, f.row.tests, testImports)
	}
	return slices.ContainsFunc(allowed, func(entry string) bool { return entry == "*" || covers(entry, imported) })
}

// isOwnTest reports whether this is an external test package that imports the package it tests.
func (f *goFile) isOwnTest(imported string) bool {
	return f.isTest && imported == path.Join(module, f.row.pkg)
}

func exclusiveOwners(imported string) (owners []string, ok bool) {
	for entry, owners := range exclusive {
		if covers(entry, imported) {
			return owners, true
		}
	}
	return nil, false
}

// covers reports whether an entry of the table means the imported package: exactly if it is ours, as a folder if not.
func covers(entry, imported string) bool {
	if entry == imported {
		return true
	}
	return !isOurs(entry) && strings.HasPrefix(imported, entry+"/")
}

func isOurs(imported string) bool {
	return imported == module || strings.HasPrefix(imported, module+"/")
}

// isStandard reports whether the import path is the standard library's: those have no dot in their first element.
func isStandard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !isOurs(imported) && imported != "C" && !strings.Contains(first, ".")
}
