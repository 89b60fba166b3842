package campaign

import (
	"database/sql"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"meibo/internal/testkit"
	"meibo/store/storetest"
)

// How a campaign is written:
//
//	func TestSomething(t *testing.T) {
//		concurrently(t)                                     // in parallel in the short form only
//		each(t, func(t *testing.T, db database) {           // on SQLite and on PostgreSQL
//			f := report(t, "something", db.name)            // a row of docs/reliability.md, written when t ends
//			s := start(t, db.fresh(t))                      // the built binary, serving a tenant with a token
//			c := s.client()                                 // speaks SCIM as Entra does, without retries
//			for range times(5, 1000) {                      // short form, full form
//				a := c.createUser(map[string]any{"userName": "ada@example.com"})
//				switch a.outcome { case acknowledged: …; case refused: …; case unknown: …; case unsent: … }
//				s.kill(); s.restart()
//			}
//			f.done, f.times, f.seen = "killed and restarted", n, "0 of 12,345 acknowledged writes lost"
//		})
//	}
//
// server_test.go has the server, client_test.go the client, report_test.go the table.

// full asks for the full form of every campaign.
var full = flag.Bool("full", false, "run the campaigns in full, one after the other, and write docs/reliability.md")

// share makes the numbers of the full form smaller, to try a campaign; the table is not written then.
var share = flag.Float64("share", 1, "with -full, the share of the full numbers to run; below 1 nothing is written")

// patience bounds every single thing that a campaign waits for, on a machine with two busy cores.
const patience = time.Minute

// times chooses a number by form.
func times(short, long int) int {
	if *full {
		return max(short, int(float64(long)**share))
	}
	return short
}

// bar is a bound of time by form: the short one, beside other tests on a busy machine, looks for what hangs alone.
func bar(d time.Duration) time.Duration {
	if *full {
		return d
	}
	return 5 * d
}

// concurrently lets a test run at the same time as others, in the short form alone: the full one takes figures.
func concurrently(t *testing.T) {
	t.Helper()
	if !*full {
		t.Parallel()
	}
}

// binary is the program under test, built by TestMain without the race detector: what ships is what breaks.
var binary string

func TestMain(m *testing.M) {
	flag.Parse()
	if runtime.GOOS != "linux" {
		fmt.Println("the campaigns need Linux, whose /proc they read")
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "meibo-campaign-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "meibo")
	build := exec.Command("go", "build", "-buildvcs=false", "-o", binary, "meibo/cmd/meibo")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	// What was chosen for the tests' own memory is not for the program's.
	if err := os.Unsetenv("GOGC"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// database is one of the two that the server runs on.
type database struct {
	name  string
	fresh func(*testing.T) string // URL of one that nothing is in yet, as sqlite and freshPostgres say
}

var databases = []database{
	{"SQLite", sqlite},
	{"PostgreSQL", freshPostgres},
}

// freshPostgres is a database of a cluster that the tests share in the short form, which has the schema already; the
// figures of the full one are those of a cluster that serves nobody else.
func freshPostgres(t *testing.T) string {
	if *full {
		return postgres(t).Database(t)
	}
	return storetest.PostgreSQL(t)
}

// each runs a campaign on both databases.
func each(t *testing.T, run func(t *testing.T, db database)) {
	t.Helper()
	for _, db := range databases {
		t.Run(db.name, func(t *testing.T) {
			concurrently(t)
			run(t, db)
		})
	}
}

// sqlite is the URL of a file, which in the full form is not there yet and in the short one has the schema.
func sqlite(t *testing.T) string {
	if *full {
		return "sqlite:" + filepath.Join(t.TempDir(), "meibo.db")
	}
	return storetest.SQLite(t)
}

// postgres is a cluster of t's own, as durable as PostgreSQL is by default, whose processes t may kill: Stop and Start,
// Kill, Postmaster. Without PostgreSQL on the machine t is skipped, as testkit says.
func postgres(t *testing.T) *testkit.Cluster { return testkit.NewCluster(t) }

// behind opens a database behind the server's back, to alter it; package witness reads it.
func behind(t testing.TB, databaseURL string) *sql.DB {
	t.Helper()
	driver, source := "pgx", databaseURL
	if path, isFile := strings.CutPrefix(databaseURL, "sqlite:"); isFile {
		file := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: "_pragma=busy_timeout(5000)"}
		driver, source = "sqlite", file.String()
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
