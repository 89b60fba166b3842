package testkit

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Cluster is a PostgreSQL cluster of one test's own, whose processes that test may stop and kill: PostgreSQL gives the
// others a database of a cluster that they share. It is as durable as PostgreSQL is by default.
type Cluster struct {
	server
	bin, dir string
	owner    *syscall.Credential
}

// NewCluster starts a cluster that ends with t, in whatever state t has left it. Where the binaries are missing the
// test is skipped, or fails if REQUIRE_POSTGRES=1; TEST_POSTGRES_DSN does not help here.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	c, err := startCluster("")
	switch {
	case errors.Is(err, errNoPostgres) && os.Getenv("REQUIRE_POSTGRES") != "1":
		t.Skip(err)
	case err != nil:
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(c.lifeline.Close(), awaitRemoval(c.dir)); err != nil {
			t.Errorf("end the cluster: %v", err)
		}
	})
	return c
}

// Database returns the postgres:// URL of a fresh, empty database. It goes with the cluster.
func (c *Cluster) Database(t testing.TB) string {
	t.Helper()
	return c.newDatabase(t, "template0").String()
}

// Start starts the cluster after a Stop or a kill, and returns when it has recovered and takes connections.
func (c *Cluster) Start() error {
	return c.control("-l", filepath.Join(c.dir, "server.log"), "-w", "-t", "60", "start")
}

// Stop stops the cluster in one of pg_ctl's modes: smart, fast or immediate. The last one is a crash that waits for
// the processes to end.
func (c *Cluster) Stop(mode string) error { return c.control("-m", mode, "-w", "-t", "60", "stop") }

// Postmaster returns the id of the cluster's first process, whose children are all others.
func (c *Cluster) Postmaster() (pid int, err error) {
	text, err := os.ReadFile(filepath.Join(c.dir, "data", "postmaster.pid"))
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	return strconv.Atoi(line)
}

// Kill kills the first process and then all others at once, as a power cut would, and returns when they are gone.
func (c *Cluster) Kill() error {
	postmaster, err := c.Postmaster()
	if err != nil {
		return err
	}
	children, err := childrenOf(postmaster)
	if err != nil {
		return err
	}
	for _, pid := range append([]int{postmaster}, children...) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	for _, pid := range append(children, postmaster) {
		if err := await(fmt.Sprintf("process %d to end", pid), func() bool { return !runs(pid) }); err != nil {
			return err
		}
	}
	// Its number may be somebody else's soon, or still that of a process which nobody has buried; with all of them
	// dead these files protect nothing.
	return errors.Join(os.Remove(filepath.Join(c.dir, "data", "postmaster.pid")), os.Remove(filepath.Join(c.dir, ".s.PGSQL.5432.lock")))
}

// childrenOf lists the processes that parent has started; it needs Linux's /proc.
func childrenOf(parent int) (pids []int, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if _, of, ok := processState(pid); ok && of == parent {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// runs reports whether a process is there and no zombie.
func runs(pid int) bool {
	state, _, ok := processState(pid)
	return ok && state != "Z" && state != "X"
}

// processState reads state and parent of a process, as proc(5) has them after the name in brackets.
func processState(pid int) (state string, parent int, ok bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", 0, false
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 2 {
		return "", 0, false
	}
	parent, err = strconv.Atoi(fields[1])
	return fields[0], parent, err == nil
}

// Log returns the last lines of what the cluster has logged.
func (c *Cluster) Log() string {
	text, err := os.ReadFile(filepath.Join(c.dir, "server.log"))
	if err != nil {
		return err.Error()
	}
	return tail(string(text), 30)
}

// control runs pg_ctl, whose words go to a file: a pipe would stay open as long as the server it starts.
func (c *Cluster) control(args ...string) error {
	words, err := os.CreateTemp("", "meibo-pg-ctl-")
	if err != nil {
		return err
	}
	defer words.Close()
	defer os.Remove(words.Name())
	cmd := exec.Command(filepath.Join(c.bin, "pg_ctl"), append([]string{"-D", filepath.Join(c.dir, "data")}, args...)...)
	cmd.Dir = c.dir
	cmd.Stdout, cmd.Stderr = words, words
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: c.owner}
	if err := cmd.Run(); err != nil {
		text, _ := os.ReadFile(words.Name())
		return fmt.Errorf("pg_ctl %s: %w\n%s\n%s", args[len(args)-1], err, tail(string(text), 20), c.Log())
	}
	return nil
}

// startCluster starts a cluster that ends with this process, or when its lifeline is closed. settings are lines of its
// postgresql.conf.
func startCluster(settings string) (*Cluster, error) {
	bin, err := findBinaries()
	if err != nil {
		return nil, err
	}
	owner, err := clusterOwner()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "meibo-pg-")
	if err != nil {
		return nil, err
	}
	lifeline, err := runScript(bin, dir, settings, owner)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	maintenance := &url.URL{
		Scheme:   "postgres",
		User:     url.User("meibo"),
		Path:     "/postgres",
		RawQuery: url.Values{"host": {dir}, "sslmode": {"disable"}}.Encode(),
	}
	return &Cluster{server: server{url: maintenance, lifeline: lifeline}, bin: bin, dir: dir, owner: owner}, nil
}

// awaitRemoval waits until another process has removed dir.
func awaitRemoval(dir string) error {
	return await(dir+" to be removed", func() bool {
		_, err := os.Stat(dir)
		return os.IsNotExist(err)
	})
}

// await looks again and again whether something outside this process, which signals nothing, has come about.
func await(what string, done func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(patience)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			return fmt.Errorf("waited %v in vain for %s", patience, what)
		}
	}
	return nil
}
