package campaign

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"meibo/internal/testkit"
	"meibo/internal/witness"
)

const (
	writers      = 8
	seed         = 4
	regroupEvery = 10 // rounds
	wholeEvery   = 100
	slowestStart = time.Second     // of the server after a kill
	slowestHeal  = 5 * time.Second // of the server after its database is back
)

// moment is a random time between 20 and 200 milliseconds.
func moment(random *rand.Rand) <-chan time.Time {
	return time.After(20*time.Millisecond + time.Duration(random.Int64N(int64(180*time.Millisecond))))
}

// killing is a campaign of kills on one database that grows from round to round.
type killing struct {
	*verifier
	t       *testing.T
	figures *figures
	random  *rand.Rand
}

func newKilling(t *testing.T, databaseURL, campaign, database string, env ...string) *killing {
	t.Helper()
	f := report(t, campaign, database)
	s := start(t, databaseURL, env...)
	return &killing{verifier: newVerifier(s, newCrew(seed, writers)), t: t, figures: f, random: rand.New(rand.NewPCG(seed, 99))}
}

// prepare begins a round.
func (k *killing) prepare(round int) {
	k.t.Helper()
	if round%regroupEvery != 0 {
		return
	}
	c := k.server.client()
	defer c.close()
	if err := k.crew.regroup(c, round); err != nil {
		k.t.Fatal(err)
	}
}

// conclude ends a round in which the load has ended and the server is well again.
func (k *killing) conclude(round int) {
	k.t.Helper()
	k.crew.resume(k.server.client())
	if err := k.round(k.t.Context()); err != nil {
		k.t.Fatalf("after kill %d: %v", round+1, err)
	}
	k.figures.times = round + 1
	if (round+1)%wholeEvery == 0 {
		k.check(round, false)
		k.t.Logf("%d kills, %d acknowledged changes, %v", round+1, k.total.acknowledged, time.Since(k.figures.began).Round(time.Second))
	}
}

// beside kills the server under load so many times while somebody follows what positions are given. attend has them begin with
// the server there is, and closes its channel once they have seen that gone.
func (k *killing) beside(kills int, attend func(*server) <-chan struct{}) {
	k.t.Helper()
	for round := range kills {
		k.prepare(round)
		done := k.crew.load(nil, k.server.client())
		gone := attend(k.server)
		<-time.After(600 * time.Millisecond) // positions are given every half second
		<-moment(k.random)
		k.server.kill()
		<-done
		<-gone
		k.server.restart()
		k.conclude(round)
	}
	k.figures.times = kills
}

// key makes an API key.
func (k *killing) key(role, holder string) string {
	k.t.Helper()
	return strings.TrimSpace(k.server.run("key", "create", "--tenant", k.server.Tenant, "--role", role, "--holder", holder))
}

// check verifies everything.
func (k *killing) check(round int, anew bool) {
	k.t.Helper()
	if err := k.whole(k.t.Context(), anew); err != nil {
		k.t.Fatalf("all of it, after kill %d: %v", round+1, err)
	}
}

// zeros is what a campaign that has not failed has seen.
func (k *killing) zeros() string {
	return fmt.Sprintf("0 of %d acknowledged changes lost, 0 duplicates, 0 changes without entry, 0 entries without change, integrity clean",
		k.total.acknowledged)
}

// TestKillServer kills the server under load and starts it again.
func TestKillServer(t *testing.T) {
	concurrently(t)
	each(t, func(t *testing.T, db database) {
		k := newKilling(t, db.fresh(t), "kill -9 of the server", db.name)
		k.figures.done = fmt.Sprintf("%d writers, SIGKILL after 20–200 ms, restart, unanswered creations sent again, all that was touched compared", writers)
		kills := times(4, map[string]int{"SQLite": 1000, "PostgreSQL": 100}[db.name])
		var slowest time.Duration
		for round := range kills {
			k.prepare(round)
			done := k.crew.load(nil, k.server.client())
			<-moment(k.random)
			k.server.kill()
			<-done
			restarting := time.Now()
			slowest = max(slowest, k.server.restart())
			if db.name == "PostgreSQL" {
				k.awaitBackends(restarting)
			}
			k.conclude(round)
		}
		k.check(kills, true)
		if slowest > slowestStart && *full {
			t.Errorf("the slowest restart took %v, want at most %v", slowest, slowestStart)
		}
		k.figures.seen = fmt.Sprintf("%s; of %d requests unanswered %d turned out to be done; restart at most %d ms", k.zeros(), k.total.unanswered, k.done, slowest.Milliseconds())
		if k.total.acknowledged == 0 || k.total.unanswered == 0 {
			t.Errorf("nothing was at stake: %+v", k.total)
		}
	})
}

// awaitBackends waits until PostgreSQL has ended what it did for a process that was killed before an instant.
func (k *killing) awaitBackends(killed time.Time) {
	k.t.Helper()
	db, err := witness.Open(k.server.databaseURL)
	if err != nil {
		k.t.Fatal(err)
	}
	defer db.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for left := 1; left > 0; <-tick.C {
		err := db.QueryRowContext(k.t.Context(), `select count(*) from pg_stat_activity
			where datname = current_database() and application_name = 'meibo' and backend_start < $1`, killed).Scan(&left)
		if err != nil {
			k.t.Fatal(err)
		}
	}
}

// blow is a way to hurt PostgreSQL. It returns once the blow has landed; recover brings it back if it does not come by itself.
type blow struct {
	name    string
	strike  func(context.Context, *killing, *testkit.Cluster) error
	recover func(*testkit.Cluster) error
}

var blows = []blow{
	{"SIGKILL of a backend", killBackend, func(*testkit.Cluster) error { return nil }}, // the postmaster restarts all by itself
	{"immediate stop", func(_ context.Context, _ *killing, c *testkit.Cluster) error { return c.Stop("immediate") }, (*testkit.Cluster).Start},
	{"SIGKILL of all", func(_ context.Context, _ *killing, c *testkit.Cluster) error { return c.Kill() }, (*testkit.Cluster).Start},
}

// TestKillPostgres hurts PostgreSQL in three ways in turns. The server stays up, refuses what it cannot do and is well
// again by itself.
func TestKillPostgres(t *testing.T) {
	concurrently(t)
	cluster := postgres(t)
	k := newKilling(t, cluster.Database(t), "kill -9 of the database", "PostgreSQL")
	k.figures.done = fmt.Sprintf("%d writers, after 20–200 ms in turns: SIGKILL of a backend, immediate stop, SIGKILL of the postmaster and all; recovery; "+
		"all that was touched compared", writers)
	kills := times(len(blows), 300)
	var recovery, healing time.Duration
	for round := range kills {
		k.prepare(round)
		stop := make(chan struct{})
		done := k.crew.load(stop, k.server.client())
		<-moment(k.random)
		b := blows[round%len(blows)]
		struck := time.Now()
		if err := errors.Join(b.strike(t.Context(), k, cluster), b.recover(cluster)); err != nil {
			t.Fatalf("%s: %v", b.name, err)
		}
		k.awaitDatabase()
		recovery = max(recovery, time.Since(struck))
		healing = max(healing, k.awaitHealing())
		close(stop)
		<-done
		if !k.server.alive() {
			t.Fatalf("the server ended after %s", b.name)
		}
		k.conclude(round)
	}
	k.check(kills, true)
	if healing > bar(slowestHeal) {
		t.Errorf("the server was well again only %v after the database, want at most %v", healing, slowestHeal)
	}
	if k.total.unanswered > 0 {
		t.Errorf("%d requests were not answered", k.total.unanswered)
	}
	if k.total.acknowledged == 0 || k.total.unavailable == 0 {
		t.Errorf("nothing was at stake: %+v", k.total)
	}
	k.figures.seen = fmt.Sprintf("%s; the server stayed up; %d answers 503 with Retry-After, no other server error, 0 unanswered; well again at most %d ms after "+
		"PostgreSQL, whose own recovery took up to %d ms", k.zeros(), k.total.unavailable, healing.Milliseconds(), recovery.Milliseconds())
}

// killBackend kills one of the backends that work for the server.
func killBackend(ctx context.Context, k *killing, _ *testkit.Cluster) error {
	db, err := witness.Open(k.server.databaseURL)
	if err != nil {
		return err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, `select pid from pg_stat_activity where application_name = 'meibo' order by pid`)
	if err != nil {
		return err
	}
	defer rows.Close()
	var pids []int
	for rows.Next() {
		var pid int
		if err := rows.Scan(&pid); err != nil {
			return err
		}
		pids = append(pids, pid)
	}
	if err := rows.Err(); err != nil || len(pids) == 0 {
		return errors.Join(err, fmt.Errorf("%d backends", len(pids)))
	}
	if err := syscall.Kill(pids[k.random.IntN(len(pids))], syscall.SIGKILL); err != nil {
		return err
	}
	// The postmaster ends all backends, this connection's too.
	return until(ctx, func() bool { return db.PingContext(ctx) != nil })
}

// awaitDatabase waits until PostgreSQL takes connections.
func (k *killing) awaitDatabase() {
	k.t.Helper()
	err := until(k.t.Context(), func() bool {
		db, err := sql.Open("pgx", k.server.databaseURL)
		if err != nil {
			return false
		}
		defer db.Close()
		return db.PingContext(k.t.Context()) == nil
	})
	if err != nil {
		k.t.Fatalf("PostgreSQL does not come back: %v", err)
	}
}

// awaitHealing waits until the server is ready and writes, and returns how long that took.
func (k *killing) awaitHealing() time.Duration {
	k.t.Helper()
	began := time.Now()
	c := k.server.client()
	defer c.close()
	var last answer
	err := until(k.t.Context(), func() bool {
		if last = c.get("/readyz"); last.Status != http.StatusOK {
			return false
		}
		last = c.createGroup(fmt.Sprintf("Well again at %d", time.Now().UnixNano()))
		return last.outcome == acknowledged
	})
	if err != nil {
		k.t.Fatalf("the server is not well again: %v: %v", err, last)
	}
	return time.Since(began)
}

// until looks again and again at something outside this process, for as long as patience lasts.
func until(ctx context.Context, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
