package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"meibo/internal/testkit"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"meibo": main}) }

// Each script is a session at the command line, on a database of its own.
func TestScripts(t *testing.T) {
	t.Parallel()
	path := plainProgram(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("MEIBO_DATABASE_URL", "sqlite:"+e.WorkDir+"/meibo.db")
			e.Setenv("PATH", path+e.Getenv("PATH"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": status, "plan": plan, "entry": entry},
	})
}

// plainProgram is what to put before PATH. The scripts start the program hundreds of times, which beside the race detector
// would take most of the time of all tests, for commands that do one thing after the other: there it is one built without it.
func plainProgram(t *testing.T) string {
	t.Helper()
	if !testkit.RaceDetector {
		return ""
	}
	dir := t.TempDir()
	build := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(dir, "meibo"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	return dir + string(os.PathListSeparator)
}

// status N COMMAND… runs a command that must exit with N.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N command [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// The program runs without an environment, as under a bare service manager.
func TestRunWithoutEnvironment(t *testing.T) {
	t.Parallel()
	var out, words lines
	if code := run(context.Background(), []string{"version"}, nil, os.Stdin, &out, &words); code != exitOK || out.text() != version+"\n" {
		t.Errorf("status %d, stdout %q, stderr %q", code, out.text(), words.text())
	}
}

// plan COMMAND… runs a preview and keeps the digest that it ends with in $PLAN.
func plan(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: plan command [args...]")
	}
	ts.Check(ts.Exec(args[0], args[1:]...))
	_, digest, found := strings.Cut(ts.ReadFile("stdout"), "\nplan ")
	if !found {
		ts.Fatalf("there is no plan in the output")
	}
	ts.Setenv("PLAN", strings.TrimSpace(digest))
}

// entry keeps the id of the first entry that a log in JSON prints in $ENTRY.
func entry(ts *testscript.TestScript, neg bool, args []string) {
	var first struct{ ID string }
	line, _, _ := strings.Cut(ts.ReadFile("stdout"), "\n")
	if err := json.Unmarshal([]byte(line), &first); err != nil || neg || len(args) > 0 {
		ts.Fatalf("the output is no log in JSON: %v", err)
	}
	ts.Setenv("ENTRY", first.ID)
}
