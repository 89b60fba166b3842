package testkit

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

func TestPostgresGivesFreshDatabases(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"one", "other"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			conn, err := pgx.Connect(ctx, Postgres(t))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(ctx)
			// The same table in both: it is there already only if they share a database.
			if _, err := conn.Exec(ctx, "CREATE TABLE sentinel (id int)"); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestPostgresDropsItsDatabase(t *testing.T) {
	t.Parallel()
	var dsn string
	t.Run("user", func(t *testing.T) { dsn = Postgres(t) })
	if dsn == "" {
		t.Skip(errNoPostgres)
	}
	if conn, err := pgx.Connect(t.Context(), dsn); err == nil {
		conn.Close(t.Context())
		t.Fatal("the database outlived its test")
	}
}

// TestClusterEndsWithItsBinary runs this test binary a second time, kills it while its cluster is up, and waits for
// the cluster's folder to go.
func TestClusterEndsWithItsBinary(t *testing.T) {
	t.Parallel()
	requireBinaries(t)
	child := exec.Command(os.Args[0], "-test.run=^TestHoldCluster$")
	child.Env = append(os.Environ(), "TESTKIT_HOLD=1", "TEST_POSTGRES_DSN=")
	child.Stderr = os.Stderr
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	dir := readFolder(t, stdout)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // it was killed: its error is no news
	if err := awaitRemoval(dir); err != nil {
		t.Fatal(err)
	}
}

// TestHoldCluster is the child of TestClusterEndsWithItsBinary: it prints its cluster's folder and waits to be killed.
func TestHoldCluster(t *testing.T) {
	if os.Getenv("TESTKIT_HOLD") != "1" {
		return
	}
	u, err := url.Parse(Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	os.Stdout.WriteString("folder " + u.Query().Get("host") + "\n")
	os.Stdin.Read(make([]byte, 1))
}

func TestFindBinariesFromPath(t *testing.T) {
	bin := requireBinaries(t)
	// A lone link, as some installations put it into PATH, leads to the folder with the whole set.
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(bin, "initdb"), filepath.Join(dir, "initdb")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	if got, err := findBinaries(); err != nil || !hasBinaries(got) || got == dir {
		t.Errorf("findBinaries() = %q, %v; want the folder that the link leads to", got, err)
	}
}

func TestFailedStartTellsWhy(t *testing.T) {
	t.Parallel()
	bin, dir := t.TempDir(), filepath.Join(t.TempDir(), "cluster")
	if err := os.WriteFile(filepath.Join(bin, "initdb"), []byte("#!/bin/sh\necho disk full >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := runScript(bin, dir, "", nil); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Errorf("runScript with a broken initdb: %v, want its words", err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder of a cluster that did not start is still there: %v", err)
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	if got, want := tail("a\nb\nc\n", 2), "b\nc"; got != want {
		t.Errorf("tail = %q, want %q", got, want)
	}
	if got, want := tail("a\n", 2), "a"; got != want {
		t.Errorf("tail = %q, want %q", got, want)
	}
}

// requireBinaries returns the folder of the installed binaries. They may be missing although TEST_POSTGRES_DSN is set.
func requireBinaries(t *testing.T) string {
	t.Helper()
	bin, err := findBinaries()
	if err != nil {
		t.Skip(err)
	}
	return bin
}

func readFolder(t *testing.T, r interface{ Read([]byte) (int, error) }) string {
	t.Helper()
	buf := make([]byte, 4096)
	n, err := r.Read(buf)
	if err != nil {
		t.Fatalf("the child printed nothing: %v", err)
	}
	dir, ok := strings.CutPrefix(strings.TrimSpace(string(buf[:n])), "folder ")
	if !ok {
		t.Fatalf("the child printed %q", buf[:n])
	}
	return dir
}
