package testkit

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// patience bounds everything that waits for a database: a machine with two busy cores needs a while.
const patience = 60 * time.Second

// errNoPostgres says that this machine offers no PostgreSQL at all, the one reason to skip a test.
var errNoPostgres = errors.New("no PostgreSQL for tests: install its server (Debian: apt-get install postgresql) " +
	"or set TEST_POSTGRES_DSN to a postgres:// URL whose user may create databases")

// Postgres returns the postgres:// URL of a fresh, empty database that is dropped when t ends.
//
// The server is the one that TEST_POSTGRES_DSN names, or else a throw-away cluster of this test binary, started from
// the installed binaries at the first call. Without either the test is skipped, or fails if REQUIRE_POSTGRES=1.
func Postgres(t testing.TB) string {
	t.Helper()
	return reach(t).fresh(t, "template0")
}

// PostgresCopy is Postgres with a copy of the database that prepare made of an empty one, once for this test binary: to copy
// is a fraction of the work of making a schema. prepare leaves no connection open.
func PostgresCopy(t testing.TB, prepare func(url string) error) string {
	t.Helper()
	server := reach(t)
	model.once.Do(func() {
		database := server.newDatabase(t, "template0")
		model.name, model.err = strings.TrimPrefix(database.Path, "/"), prepare(database.String())
	})
	if model.err != nil || model.name == "" {
		t.Fatalf("the database to copy was not made: %v", model.err)
	}
	return server.fresh(t, model.name)
}

// model is what PostgresCopy copies. It goes with the cluster; on a server that is not ours it stays behind.
var model struct {
	once sync.Once
	name string
	err  error
}

// reach is the server, or the end of the test.
func reach(t testing.TB) server {
	t.Helper()
	server, err := theServer()
	switch {
	case errors.Is(err, errNoPostgres) && os.Getenv("REQUIRE_POSTGRES") != "1":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	return server
}

// fresh is the URL of a database made of another one, which is dropped when t ends.
func (s server) fresh(t testing.TB, template string) string {
	t.Helper()
	database := s.newDatabase(t, template)
	t.Cleanup(func() {
		// FORCE, since a test that failed may have left a connection open.
		if err := execute(s.url, "DROP DATABASE "+strings.TrimPrefix(database.Path, "/")+" WITH (FORCE)"); err != nil {
			t.Errorf("drop the test database: %v", err)
		}
	})
	return database.String()
}

func (s server) newDatabase(t testing.TB, template string) *url.URL {
	t.Helper()
	name := "meibo_test_" + strings.ToLower(rand.Text())
	if err := execute(s.url, "CREATE DATABASE "+name+" TEMPLATE "+template); err != nil {
		t.Fatalf("create a test database: %v", err)
	}
	database := *s.url
	database.Path = "/" + name
	return &database
}

// server is a running PostgreSQL.
type server struct {
	url *url.URL // of its maintenance database

	// lifeline is the standard input of clusterScript, nil for a server that is not ours. It must stay reachable:
	// a collected pipe closes, and the cluster ends.
	lifeline io.Closer
}

// atRest is a setting of the cluster that many tests share. Autovacuum comes around at moments of its own choosing: for some
// milliseconds its snapshot keeps rows alive that a test has just removed, its statistics hold values and change plans, and
// it locks what others want. None of that is any test's affair.
const atRest = "autovacuum = off"

// theServer is the one server that this test binary uses.
var theServer = sync.OnceValues(func() (server, error) {
	dsn := os.Getenv("TEST_POSTGRES_DSN")
	if dsn == "" {
		c, err := startCluster(atRest)
		if err != nil {
			return server{}, err
		}
		return c.server, nil
	}
	u, err := url.Parse(dsn)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return server{}, errors.New("TEST_POSTGRES_DSN is not a URL of the form postgres://user@host:port/database")
	}
	return server{url: u}, nil
})

func execute(database *url.URL, statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, database.String())
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	return errors.Join(err, conn.Close(ctx))
}

// clusterScript owns a cluster from initdb to removal. It ends when its standard input does, which the kernel sees to
// even if the test binary is killed, so no cluster and no folder outlives its tests.
//
// The cluster listens on a socket in its own folder alone: no port to collide on. Its default collation is a
// linguistic one where the binaries know ICU, so that an ORDER BY that forgets COLLATE "C" fails here first. What is
// settled for durability stays as PostgreSQL has it by default.
const clusterScript = `
set -eu
bin=$1 dir=$2 settings=$3
trap '' PIPE
trap '"$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null 2>&1 || :; rm -rf "$dir"' EXIT
cd "$dir"
icu=
if "$bin/initdb" --help | grep -q icu-locale; then icu='--locale-provider=icu --icu-locale=en'; fi
"$bin/initdb" -D data -U meibo -A trust -E UTF8 --locale=C $icu --no-sync >&2
cat >>data/postgresql.conf <<EOF
unix_socket_directories = '$dir'
listen_addresses = ''
max_connections = 200
shared_buffers = 64MB
$settings
EOF
"$bin/pg_ctl" -D data -l server.log -w -t 60 start >&2 || { cat server.log >&2; exit 1; }
echo ready
cat >/dev/null
`

// runScript runs clusterScript, returns once its server accepts connections, and hands over the script's lifeline.
func runScript(bin, dir, settings string, owner *syscall.Credential) (lifeline io.Closer, err error) {
	if owner != nil {
		if err := os.Chown(dir, int(owner.Uid), int(owner.Gid)); err != nil {
			return nil, err
		}
	}
	messages, err := os.Create(filepath.Join(dir, "script.log"))
	if err != nil {
		return nil, err
	}
	defer messages.Close()

	cmd := exec.Command("/bin/sh", "-c", clusterScript, "testkit", bin, dir, settings)
	cmd.Dir = dir
	cmd.Stderr = messages
	// A group of its own, so that Ctrl-C at the terminal does not end the script before it has cleaned up.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: owner}
	if lifeline, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a PostgreSQL cluster: %w", err)
	}
	// The script's own waits are bounded, so this read ends: with "ready", or at the end of a script that failed.
	if line, err := bufio.NewReader(output).ReadString('\n'); line != "ready\n" {
		err = errors.Join(err, cmd.Wait())
		// Through the open file, whose name the script has already removed.
		log, _ := io.ReadAll(io.NewSectionReader(messages, 0, 1<<20))
		return nil, fmt.Errorf("start a PostgreSQL cluster with %s: %w\n%s", bin, err, tail(string(log), 20))
	}
	return lifeline, nil
}

// findBinaries returns the folder with initdb and pg_ctl: from PATH, or the newest that Debian's packages installed.
func findBinaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		// A link in PATH may stand alone; its target has the whole set beside it.
		if path, err = filepath.EvalSymlinks(path); err == nil && hasBinaries(filepath.Dir(path)) {
			return filepath.Dir(path), nil
		}
	}
	folders, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil {
		return "", err
	}
	folders = slices.DeleteFunc(folders, func(dir string) bool { return !hasBinaries(dir) })
	if len(folders) == 0 {
		return "", errNoPostgres
	}
	return slices.MaxFunc(folders, func(a, b string) int { return cmp.Compare(debianVersion(a), debianVersion(b)) }), nil
}

func hasBinaries(dir string) bool {
	for _, name := range []string{"initdb", "pg_ctl", "postgres"} {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			return false
		}
	}
	return true
}

// debianVersion reads 17 from /usr/lib/postgresql/17/bin, and 0 from what is not a number.
func debianVersion(dir string) int {
	version, _ := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
	return version
}

// clusterOwner names the user that runs the cluster: nil for ourselves, an unprivileged one if we are root, whom
// PostgreSQL refuses.
func clusterOwner() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, err
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, err
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody to run it")
}

// tail returns the last n lines of s.
func tail(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
