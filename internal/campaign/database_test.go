package campaign

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Bounds of what a server does whose database fails.
const (
	slowestNotice = 2 * time.Second // until /readyz says so
	slowestAnswer = 10 * time.Second
	poolSize      = 16 // the server's connections to PostgreSQL, with one more for its probe
)

// fault is a way in which a database fails without being killed.
type fault struct {
	name   string
	strike func() error
	mend   func() error

	silent bool // nothing fails, it only takes for ever
	ready  bool // it is no fault that the server may call one
	reads  bool // reads go on
}

// faulty is a campaign of faults on one database under load.
type faulty struct {
	*killing
	t           *testing.T
	direct      string // URL that no fault is between, "" for SQLite
	descriptors int    // of a server without load
	goroutines  int
	rounds      int
}

func newFaulty(t *testing.T, databaseURL, direct string) *faulty {
	t.Helper()
	s := start(t, databaseURL)
	k := &killing{verifier: newVerifier(s, newCrew(seed, writers)), t: t, figures: &figures{}, random: rand.New(rand.NewPCG(seed, 98))}
	f := &faulty{killing: k, t: t, direct: direct}
	f.descriptors, f.goroutines = s.descriptors(), s.goroutines()
	return f
}

// run has the server under load meet a fault, some times, and judges what clients saw.
func (f *faulty) run(t *testing.T, what fault, database string) {
	t.Helper()
	row := report(t, "the database: "+what.name, database)
	row.times = times(1, 2)
	row.done = fmt.Sprintf("%d writers and a reader; broken for %v; all that was touched compared", writers, what.holding())
	var notice, heal time.Duration
	o := &onlooker{what: what, server: f.server}
	for range row.times {
		noticed, healed := f.suffer(t, what, o)
		notice, heal = max(notice, noticed), max(heal, healed)
	}
	f.check(f.rounds, true)
	f.awaitRest()
	for _, w := range f.crew.writers {
		o.slowest = max(o.slowest, w.slowest)
		w.slowest = 0
	}
	f.judge(t, o, notice, heal)
	row.seen = fmt.Sprintf("0 of %d acknowledged changes lost, 0 half done, integrity clean; %d writes 503 with Retry-After, no other server error; reads: %s; ",
		f.total.acknowledged, f.total.unavailable, o.counts())
	if !what.ready {
		row.seen += fmt.Sprintf("not ready after %d ms; ", notice.Milliseconds())
	}
	row.seen += fmt.Sprintf("well again %d ms after the database; slowest answer %d ms; at most %d descriptors, %d without load",
		heal.Milliseconds(), o.slowest.Milliseconds(), o.descriptors, f.descriptors)
	f.total = tally{}
}

// suffer has the fault come, holds it for a while and mends it, and returns how long the server took to notice it and
// to be well again.
func (f *faulty) suffer(t *testing.T, what fault, o *onlooker) (notice, heal time.Duration) {
	t.Helper()
	f.prepare(f.rounds * regroupEvery)
	f.rounds++
	stop := make(chan struct{})
	done := f.crew.load(stop, f.server.client())
	o.watch()
	<-moment(f.random)
	struck := time.Now()
	if err := what.strike(); err != nil {
		t.Fatalf("%s: %v", what.name, err)
	}
	if !what.ready {
		notice = f.awaitNotice(struck)
	}
	o.broken()
	<-time.After(what.holding())
	if what.ready && f.server.readiness() != http.StatusOK {
		t.Error("the server is not ready, but nothing is broken")
	}
	o.mended()
	if err := what.mend(); err != nil {
		t.Fatalf("mend %s: %v", what.name, err)
	}
	heal = f.awaitHealing()
	close(stop)
	<-done
	o.end()
	if !f.server.alive() {
		t.Fatal("the server ended")
	}
	f.conclude(f.rounds)
	return notice, heal
}

// judge holds what was seen under a fault against the bounds.
func (f *faulty) judge(t *testing.T, o *onlooker, notice, heal time.Duration) {
	t.Helper()
	for what, took := range map[string][2]time.Duration{
		"/readyz to notice": {notice, slowestNotice}, "the server to be well again after its database": {heal, slowestHeal}, "an answer": {o.slowest, slowestAnswer}} {
		if took[0] > bar(took[1]) {
			t.Errorf("%s took %v, want at most %v", what, took[0], bar(took[1]))
		}
	}
	for _, p := range o.problems {
		t.Error(p)
	}
	// Each connection, and each client's, may be there a second time while the first one closes.
	if most := f.most() + poolSize + 1 + 2*(writers+1); o.descriptors > most {
		t.Errorf("the server had %d descriptors, want at most %d", o.descriptors, most)
	}
	if f.total.unanswered > 0 {
		t.Errorf("%d requests were not answered", f.total.unanswered)
	}
	if (f.total.unavailable > 0) == o.what.ready {
		t.Errorf("%d writes were answered 503", f.total.unavailable)
	}
}

// holding is how long a fault lasts after the server has noticed it: in full, for longer than any answer takes.
func (f fault) holding() time.Duration {
	switch {
	case *full:
		return slowestAnswer + 2*time.Second
	case f.silent:
		return 6 * time.Second
	default:
		return time.Second
	}
}

// awaitNotice waits until /readyz says that the server is not ready, and returns when that was.
func (f *faulty) awaitNotice(struck time.Time) time.Duration {
	f.t.Helper()
	if err := until(f.t.Context(), func() bool { return f.server.readiness() == http.StatusServiceUnavailable }); err != nil {
		f.t.Fatalf("the server does not notice: %v", err)
	}
	return time.Since(struck)
}

// awaitRest waits until the server holds no more than it does without load, but for its idle connections to PostgreSQL.
func (f *faulty) awaitRest() {
	f.t.Helper()
	most := f.most()
	var descriptors, goroutines int
	err := until(f.t.Context(), func() bool {
		descriptors, goroutines = f.server.descriptors(), f.server.goroutines()
		return descriptors <= most+2 && goroutines <= f.goroutines+2*(poolSize+1)
	})
	if err != nil {
		f.t.Errorf("without load the server has %d descriptors and %d goroutines, and had %d and %d", descriptors, goroutines, f.descriptors, f.goroutines)
	}
	if n := f.countBackends(); n > poolSize+1 {
		f.t.Errorf("PostgreSQL has %d connections of the server, want at most %d", n, poolSize+1)
	}
}

// most is how many descriptors a server without clients has when it has opened all that it keeps of its database.
func (f *faulty) most() int {
	if f.direct != "" {
		return f.descriptors + poolSize + 1
	}
	return f.descriptors + 4*3 // SQLite's readers, each with its files
}

// countBackends is how many connections of the server PostgreSQL knows.
func (f *faulty) countBackends() (n int) {
	f.t.Helper()
	if f.direct == "" {
		return 0
	}
	if err := query(f.direct, "select count(*) from pg_stat_activity where application_name = 'meibo'", &n); err != nil {
		f.t.Fatal(err)
	}
	return n
}

// query asks PostgreSQL directly, or tells it something when there is no dest.
func query(databaseURL, text string, dest ...any) error {
	db, err := sql.Open("pgx", databaseURL)
	if err != nil {
		return err
	}
	defer db.Close()
	if len(dest) == 0 {
		_, err = db.Exec(text)
		return err
	}
	return db.QueryRow(text).Scan(dest...)
}

// onlooker reads, and looks at the server, while writers write.
type onlooker struct {
	what   fault
	server *server

	stop    chan struct{}
	working sync.WaitGroup

	mu          sync.Mutex
	during      bool // the fault is there, and the server knows
	statuses    map[int]int
	slowest     time.Duration
	descriptors int
	problems    []string
}

func (o *onlooker) watch() {
	o.stop = make(chan struct{})
	if o.statuses == nil {
		o.statuses = map[int]int{}
	}
	c := o.server.client()
	o.working.Go(func() {
		defer c.close()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-o.stop:
				return
			case <-tick.C:
			}
			before := o.phase()
			a := c.page("/Users", 1, 5)
			o.note(a, before && o.phase())
		}
	})
}

func (o *onlooker) phase() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.during
}

func (o *onlooker) broken() { o.set(true) }
func (o *onlooker) mended() { o.set(false) }

func (o *onlooker) set(during bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.during = during
}

// note judges an answer; during says that the fault was there all the time.
func (o *onlooker) note(a answer, during bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.statuses[a.Status]++
	o.slowest = max(o.slowest, a.Took)
	o.descriptors = max(o.descriptors, o.server.descriptors())
	if problem := o.what.misread(a, during); problem != "" && len(o.problems) < 10 {
		o.problems = append(o.problems, fmt.Sprintf("%s: %v", problem, a))
	}
}

// misread says what is wrong with the answer to a read, "" where nothing is.
func (f fault) misread(a answer, during bool) string {
	switch {
	case a.Err != nil:
		return "a read is not answered to the end"
	case a.Status == http.StatusServiceUnavailable && a.Header.Get("Retry-After") == "":
		return "503 without Retry-After"
	case a.Status != http.StatusOK && a.Status != http.StatusServiceUnavailable:
		return "a read is answered neither 200 nor 503"
	case during && f.ready && a.Status != http.StatusOK:
		return "a read fails, though nothing is broken"
	case during && !f.reads && !f.ready && a.Status == http.StatusOK:
		return "a read succeeds without a database"
	default:
		return ""
	}
}

func TestMisread(t *testing.T) {
	t.Parallel()
	ok, soon := answer{Status: 200}, answer{Status: 503, outcome: refused, Header: http.Header{"Retry-After": {"1"}}}
	half, slow, gone := answer{Status: 200, outcome: unknown, Err: io.ErrUnexpectedEOF}, fault{ready: true, reads: true}, fault{}
	for name, tt := range map[string]struct {
		what   fault
		a      answer
		during bool
		right  bool
	}{
		"read before":             {gone, ok, false, true},
		"refused":                 {gone, soon, true, true},
		"read without a database": {gone, ok, true, false},
		"read of a reader":        {fault{reads: true}, ok, true, true},
		"refused for no reason":   {slow, soon, true, false},
		"half an answer":          {slow, half, false, false},
		"no time to come again":   {gone, answer{Status: 503, outcome: refused}, true, false},
		"another error":           {gone, answer{Status: 500, outcome: refused}, false, false},
		"no connection":           {gone, answer{outcome: unsent, Err: io.EOF}, true, false},
	} {
		if problem := tt.what.misread(tt.a, tt.during); (problem == "") != tt.right {
			t.Errorf("%s: %q", name, problem)
		}
	}
}

func (o *onlooker) end() {
	close(o.stop)
	o.working.Wait()
}

func (o *onlooker) counts() string {
	return fmt.Sprintf("%d answered, %d 503", o.statuses[http.StatusOK], o.statuses[http.StatusServiceUnavailable])
}

// TestPostgresFaults lets PostgreSQL and the network before it fail in many ways, one after the other, on one server.
func TestPostgresFaults(t *testing.T) {
	concurrently(t)
	disk := smallDisk(t)
	cluster := postgres(t)
	direct := cluster.Database(t)
	var data, sockets string
	if err := errors.Join(query(direct, "show data_directory", &data), query(direct, "show unix_socket_directories", &sockets)); err != nil {
		t.Fatal(err)
	}
	if disk != "" {
		direct = onDisk(t, direct, data, disk)
	}
	p := newProxy(t, filepath.Join(sockets, ".s.PGSQL.5432"), 50*time.Millisecond)
	through := throughProxy(t, direct, p)
	f := newFaulty(t, through, direct)
	under := func(w weather) func() error {
		return func() error { p.set(w); return nil }
	}
	clear := under(fair)
	faults := []fault{
		{name: "slow network", strike: under(slow), mend: clear, ready: true, reads: true},
		{name: "no answer", silent: true, strike: under(hole), mend: clear},
		{name: "dead connections", silent: true, strike: under(halfOpen), mend: clear},
		{name: "connections reset", strike: under(hail), mend: clear},
		{name: "connections refused", strike: under(closed), mend: clear},
		{name: "stopped", strike: func() error { return cluster.Stop("fast") }, mend: cluster.Start},
		{name: "read-only", reads: true, strike: func() error {
			return errors.Join(query(direct, "alter system set default_transaction_read_only = on"), query(direct, "select pg_reload_conf()"))
		}, mend: func() error {
			writing := direct + "&default_transaction_read_only=off"
			return errors.Join(query(writing, "alter system reset default_transaction_read_only"), query(writing, "select pg_reload_conf()"))
		}},
		{name: "a standby", reads: true, strike: func() error {
			return errors.Join(cluster.Stop("fast"), os.WriteFile(filepath.Join(data, "standby.signal"), nil, 0o644), cluster.Start())
		}, mend: func() error { return query(direct, "select pg_promote()", new(bool)) }},
	}
	if disk != "" {
		faults = append(faults, fullDisk(disk))
	}
	for _, what := range faults {
		if !t.Run(what.name, func(t *testing.T) { f.run(t, what, "PostgreSQL") }) {
			return // what follows would fail for this reason
		}
	}
}

// onDisk makes a database on another disk than the cluster's, with the same URL otherwise.
func onDisk(t *testing.T, direct, data, disk string) string {
	t.Helper()
	info, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	space := filepath.Join(disk, "space")
	owner := info.Sys().(*syscall.Stat_t)
	if err := errors.Join(os.Mkdir(space, 0o700), os.Chown(space, int(owner.Uid), int(owner.Gid))); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(query(direct, "create tablespace small location '"+space+"'"), query(direct, "create database small tablespace small template template0")); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/small"
	return u.String()
}

// throughProxy is a database URL by way of a proxy.
func throughProxy(t *testing.T, direct string, p *proxy) string {
	t.Helper()
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = p.address
	u.RawQuery = "sslmode=disable"
	return u.String()
}

// TestSQLiteFaults takes the disk of an SQLite file, and the file itself.
func TestSQLiteFaults(t *testing.T) {
	concurrently(t)
	home := t.TempDir()
	disk := smallDisk(t)
	if disk != "" {
		home = disk
	}
	folder := filepath.Join(home, "data")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	f := newFaulty(t, "sqlite:"+filepath.Join(folder, "meibo.db"), "")
	faults := []fault{{name: "folder moved away", reads: true,
		strike: func() error { return os.Rename(folder, folder+".away") },
		mend:   func() error { return os.Rename(folder+".away", folder) }}}
	if disk != "" {
		faults = append(faults, fullDisk(disk))
	}
	for _, what := range faults {
		if !t.Run(what.name, func(t *testing.T) { f.run(t, what, "SQLite") }) {
			return
		}
	}
}

// fullDisk fills a disk to the last block.
func fullDisk(disk string) fault {
	filler := filepath.Join(disk, "filler")
	return fault{name: "disk full", reads: true,
		strike: func() error {
			file, err := os.Create(filler)
			if err != nil {
				return err
			}
			defer file.Close()
			for size := 1 << 20; size > 0; size >>= 1 {
				for err == nil {
					_, err = file.Write(make([]byte, size))
				}
				if !errors.Is(err, syscall.ENOSPC) {
					return err
				}
				err = nil
			}
			return nil
		},
		mend: func() error { return os.Remove(filler) }}
}

// smallDisk mounts a disk of its own, "" where that is not permitted. REQUIRE_MOUNT=1 turns that into a failure. Call it
// before anything starts that uses it: it is taken away after all that was started later.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "meibo-disk-") // t.TempDir is closed to the user that PostgreSQL runs as
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.Remove(dir); err != nil {
			t.Error(err)
		}
	})
	words, err := exec.Command("mount", "-t", "tmpfs", "-o", "mode=755,size="+strconv.Itoa(times(96, 512))+"m", "tmpfs", dir).CombinedOutput()
	switch {
	case err != nil && os.Getenv("REQUIRE_MOUNT") != "1":
		t.Logf("no full disk without the right to mount one: %v: %s", err, words)
		return ""
	case err != nil:
		t.Fatalf("mount: %v: %s", err, words)
	}
	t.Cleanup(func() {
		if err := until(context.Background(), func() bool { return exec.Command("umount", dir).Run() == nil }); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}
