package campaign

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A kill cannot show a flush that is missing: what a process has written outlives it in the kernel's cache. So the
// system calls of the one that writes are traced, and each acknowledgement is held against them. Whether the disk itself
// keeps what it was told to flush is beyond what a program can see.

// call is a system call of a traced process, by the times when it began and ended, in seconds.
type call struct {
	name, text string // name and arguments, with the paths of descriptors and the bytes written
	began      float64
	ended      float64
	failed     bool
}

var (
	callLine    = regexp.MustCompile(`^(\d+) +(\d+\.\d+) (\w+)\((.*)\) += (-?\d+).*$`)
	unfinished  = regexp.MustCompile(`^(\d+) +(\d+\.\d+) (\w+)\((.*) <unfinished \.\.\.>$`)
	resumed     = regexp.MustCompile(`^(\d+) +(\d+\.\d+) <\.\.\. (\w+) resumed>(.*)\) += (-?\d+).*$`)
	flushCalls  = "fsync,fdatasync"
	tracedCalls = "write,pwrite64,writev,pwritev," + flushCalls
)

// readTrace reads what strace -f -ttt -y has written, in the order in which the calls began.
func readTrace(r io.Reader) ([]*call, error) {
	var calls []*call
	pending := map[string]*call{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		line := lines.Text()
		if m := callLine.FindStringSubmatch(line); m != nil {
			at := seconds(m[2])
			calls = append(calls, &call{m[3], m[4], at, at, strings.HasPrefix(m[5], "-")})
		} else if m := unfinished.FindStringSubmatch(line); m != nil {
			c := &call{name: m[3], text: m[4], began: seconds(m[2]), failed: true}
			calls, pending[m[1]] = append(calls, c), c
		} else if m := resumed.FindStringSubmatch(line); m != nil && pending[m[1]] != nil {
			c := pending[m[1]]
			c.text, c.ended, c.failed = c.text+m[4], seconds(m[2]), strings.HasPrefix(m[5], "-")
			delete(pending, m[1])
		}
	}
	return calls, lines.Err()
}

func seconds(text string) float64 {
	s, _ := strconv.ParseFloat(text, 64) // the expression has seen to it
	return s
}

func (c *call) flushes() bool { return strings.Contains(flushCalls, c.name) && !c.failed }

// unflushed lists the acknowledgements that came before a flush. Each acknowledged change has a mark that is nowhere else:
// the first write of it to a file of the database must be followed by a flush of that file, which has ended before the
// instant of the acknowledgement. A mark that is never written has not been flushed either.
func unflushed(calls []*call, file string, acknowledged map[string]float64) (missing []string) {
	for mark, at := range acknowledged {
		if !flushedBefore(calls, file, mark, at) {
			missing = append(missing, mark)
		}
	}
	return missing
}

func flushedBefore(calls []*call, file, mark string, at float64) bool {
	written := -1.0
	for _, c := range calls {
		switch {
		case !strings.Contains(c.text, file):
		case c.flushes() && written >= 0 && c.began >= written:
			if c.ended <= at {
				return true
			}
		case written < 0 && !c.flushes() && strings.Contains(c.text, mark):
			written = c.ended
		}
	}
	return false
}

func TestUnflushed(t *testing.T) {
	t.Parallel()
	const trace = `7 10.000 pwrite64(9</db-wal>, "mark-1 mark-2", 4096, 0) = 4096
7 11.000 fdatasync(9</db-wal>) = 0
7 12.000 pwrite64(9</db-wal>, "mark-3", 4096, 0 <unfinished ...>
8 12.100 write(5<socket:[1]>, "x", 1) = 1
7 12.200 <... pwrite64 resumed>) = 4096
7 13.000 fdatasync(9</db-wal> <unfinished ...>
7 14.000 <... fdatasync resumed>) = 0
7 15.000 pwrite64(9</db-wal>, "mark-4", 4096, 0) = 4096
7 16.000 fdatasync(10</other>) = 0
7 17.000 fdatasync(9</db-wal>) = -1 EIO (Input/output error)
7 18.000 pwrite64(9</db-wal>, "mark-5", 4096, 0) = 4096
`
	calls, err := readTrace(strings.NewReader(trace))
	if err != nil || len(calls) != 9 {
		t.Fatalf("%d calls, %v", len(calls), err)
	}
	for mark, at := range map[string]float64{"mark-1": 11.5, "mark-2": 11.5, "mark-3": 14.5} {
		if missing := unflushed(calls, "db-wal", map[string]float64{mark: at}); len(missing) > 0 {
			t.Errorf("%s was flushed", mark)
		}
	}
	for mark, at := range map[string]float64{"mark-1": 10.5, "mark-3": 13.5, "mark-4": 17.5, "mark-5": 20, "mark-6": 20} {
		if missing := unflushed(calls, "db-wal", map[string]float64{mark: at}); len(missing) == 0 {
			t.Errorf("%s was not flushed", mark)
		}
	}
}

// tracer is an strace that follows a process and what that starts.
type tracer struct {
	t    *testing.T
	cmd  *exec.Cmd
	file string
	ends sync.Once
}

// trace begins to trace a process and its threads, and the processes that it starts from now on. Without strace, or the
// right to trace, the test is skipped, or fails if REQUIRE_STRACE=1.
func trace(t *testing.T, pid int) *tracer {
	t.Helper()
	path, err := exec.LookPath("strace")
	switch {
	case err != nil && os.Getenv("REQUIRE_STRACE") != "1":
		t.Skipf("no strace: install it (Debian: apt-get install strace): %v", err)
	case err != nil:
		t.Fatal(err)
	}
	tr := &tracer{t: t, file: filepath.Join(t.TempDir(), "trace")}
	tr.cmd = exec.Command(path, "-f", "-ttt", "-y", "-s", "262144", "-e", "trace="+tracedCalls, "-o", tr.file, "-p", strconv.Itoa(pid))
	words, err := tr.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.end)
	line, err := bufio.NewReader(words).ReadString('\n') // it says so when it is attached
	switch attached := err == nil && strings.Contains(line, "attached"); {
	case !attached && os.Getenv("REQUIRE_STRACE") != "1":
		t.Skipf("strace may not trace here (ptrace(2), /proc/sys/kernel/yama/ptrace_scope): %q, %v", line, err)
	case !attached:
		t.Fatalf("strace: %q, %v", line, err)
	}
	go func() { _, _ = io.Copy(io.Discard, words) }()
	return tr
}

func (tr *tracer) end() {
	tr.ends.Do(func() {
		_ = tr.cmd.Process.Signal(syscall.SIGINT) // it may be gone with what it traced
		_ = tr.cmd.Wait()                         // by that signal
	})
}

// calls ends the trace and reads it.
func (tr *tracer) calls() []*call {
	tr.t.Helper()
	tr.end()
	text, err := os.ReadFile(tr.file)
	if err != nil {
		tr.t.Fatal(err)
	}
	calls, err := readTrace(bytes.NewReader(text))
	if err != nil || len(calls) == 0 {
		tr.t.Fatalf("%d calls, %v", len(calls), err)
	}
	return calls
}

// writeMarked has clients create users with a mark each, and returns when each was acknowledged. A client sees the answer
// after it was sent, so a flush may seem to be in time by the few microseconds between the two.
func writeMarked(t *testing.T, s *server, clients, each int) map[string]float64 {
	t.Helper()
	acknowledged := map[string]float64{}
	var mu sync.Mutex
	var working sync.WaitGroup
	c := s.client()
	for i := range clients {
		working.Go(func() {
			for j := range each {
				mark := fmt.Sprintf("mark-%03d-%05d.", i, j)
				a := c.createUser(map[string]any{"userName": mark})
				at := float64(time.Now().UnixNano()) / 1e9
				if a.Status != http.StatusCreated {
					t.Errorf("%v", a)
					return
				}
				mu.Lock()
				acknowledged[mark] = at
				mu.Unlock()
			}
		})
	}
	working.Wait()
	c.close()
	return acknowledged
}

// TestFlushBeforeAcknowledgement traces the one that writes, and does so again with a setting that forgoes the flush, where the
// same eyes must find it missing.
func TestFlushBeforeAcknowledgement(t *testing.T) {
	concurrently(t)
	t.Run("SQLite", func(t *testing.T) {
		concurrently(t)
		row := report(t, "a flush before each acknowledgement", "SQLite")
		row.done, row.times = "8 clients create users; the server's system calls traced (fsync, fdatasync)", times(40, 2000)
		check := func(env ...string) (missing, all int) {
			s := start(t, sqlite(t), env...)
			tr := trace(t, s.Process.Pid)
			acknowledged := writeMarked(t, s, 8, row.times/8)
			return len(unflushed(tr.calls(), "meibo.db-wal", acknowledged)), len(acknowledged)
		}
		missing, all := check()
		weak, ofWeak := check("MEIBO_ALLOW_WEAK_DURABILITY=synchronous")
		judgeFlushes(t, row, missing, all, weak, ofWeak, "synchronous=normal")
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		concurrently(t)
		row := report(t, "a flush before each acknowledgement", "PostgreSQL")
		row.done, row.times = "8 clients create users; system calls of PostgreSQL's backends traced (fsync, fdatasync)", times(40, 2000)
		cluster := postgres(t)
		check := func(commit string, env ...string) (missing, all int) {
			pid, err := cluster.Postmaster()
			if err != nil {
				t.Fatal(err)
			}
			direct := cluster.Database(t)
			s := start(t, direct+"&synchronous_commit="+commit, env...)
			s.kill()            // its backends are there already,
			tr := trace(t, pid) // and only those that come now are traced
			s.restart()
			acknowledged := writeMarked(t, s, 8, row.times/8)
			s.kill()
			return len(unflushed(tr.calls(), "/pg_wal/", acknowledged)), len(acknowledged)
		}
		missing, all := check("on")
		weak, ofWeak := check("off", "MEIBO_ALLOW_WEAK_DURABILITY=synchronous_commit")
		judgeFlushes(t, row, missing, all, weak, ofWeak, "synchronous_commit=off")
	})
}

// judgeFlushes demands that no flush is missing, and that some are where they were forgone.
func judgeFlushes(t *testing.T, row *figures, missing, all, weak, ofWeak int, setting string) {
	t.Helper()
	if missing > 0 || all == 0 {
		t.Errorf("%d of %d acknowledgements came before a flush", missing, all)
	}
	if weak <= ofWeak/2 {
		t.Errorf("with %s only %d of %d flushes are found missing: the trace does not see", setting, weak, ofWeak)
	}
	row.seen = fmt.Sprintf("0 of %d acknowledgements before their flush; with %s, allowed by name, %d of %d", all, setting, weak, ofWeak)
}
