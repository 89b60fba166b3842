package campaign

import (
	"database/sql"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"meibo/internal/drill"
)

const (
	purgeAllowed = 1.5 // times the p99 of a drill without a purge
	purgeEdits   = 10  // entries of each user
	purgeYears   = 2   // that the log reaches back
)

// TestPurgeBesideDrill purges half of a log while the server is drilled, in turns with drills alone: a drill's p99 is half as long
// again at most, and no answer is wrong. The log is what a server wrote of one user, many times over.
func TestPurgeBesideDrill(t *testing.T) {
	concurrently(t)
	each(t, func(t *testing.T, db database) {
		if *full {
			db = roomy(t, db)
		}
		f := report(t, "purge beside a drill", db.name)
		p := &purging{t: t, database: db.name, users: times(400, *logEntries) / purgeEdits}
		p.s = start(t, db.fresh(t), keepAll)
		p.db = behind(t, p.s.databaseURL)
		p.fill()
		turns := times(1, 15)
		var alone, beside []time.Duration
		for range turns {
			alone = append(alone, p.turn(0))
			beside = append(beside, p.turn(purgeYears*365*24*time.Hour/2))
			if *full && p.done() && len(beside) < turns {
				t.Errorf("the purge was done in turn %d of %d", len(beside), turns)
				break
			}
		}
		p.await()
		ratio := float64(median(slices.Clone(beside))) / float64(median(slices.Clone(alone)))
		f.done, f.times = "drills beside a purge of half of "+grouped(p.users*purgeEdits)+" entries, in turns with drills alone", turns
		f.seen = fmt.Sprintf("0 wrong answers; p99 beside the purge %.2f times that alone; alone %v, beside it %v", ratio, rounded(alone), rounded(beside))
		p.judge()
		if *full && ratio > purgeAllowed {
			t.Errorf("the purge makes p99 %.2f times as long, %.2f is allowed", ratio, purgeAllowed)
		}
	})
}

// roomy is a database with memory for millions of rows.
func roomy(t *testing.T, db database) database {
	if db.name != "SQLite" {
		cluster := postgres(t)
		enlarge(t, cluster)
		db.fresh = func(t *testing.T) string { return cluster.Database(t) }
	}
	return db
}

type purging struct {
	t        *testing.T
	database string
	s        *server
	db       *sql.DB
	users    int
	turns    int // had
}

// fill has the server write the entries of one user, one of which is a refusal, and puts as many of the same beside them,
// in the order of their times, by SQL.
func (p *purging) fill() {
	p.t.Helper()
	c := p.s.client()
	user := map[string]any{"userName": "template@contoso.example", "displayName": "Template", "emails": []any{map[string]any{"value": "template@contoso.example", "type": "work"}}}
	id := wantOutcome(p.t, c.createUser(user), acknowledged).id()
	for i := range purgeEdits - 2 {
		if i == 3 {
			wantOutcome(p.t, c.createUser(user), refused)
		}
		wantOutcome(p.t, c.set(id, "title", fmt.Sprint("Title ", i)), acknowledged)
	}
	c.close()
	p.stop()
	d := spellings(p.database)
	first := time.Now().AddDate(-purgeYears, 0, 0)
	step := float64(purgeYears*365*24*time.Hour/time.Microsecond) / float64(p.users*purgeEdits)
	at := func(k string) string { return d.moment(first, fmt.Sprintf("((%s) * %d + n) * %f", k, p.users, step)) }
	copied := d.copying(id)
	texts := []string{
		copied.table(p.t, p.db, "resource", "from resource as r cross join "+d.numbers(p.users)+" where r.id = '"+id+"'",
			map[string]string{"created": at("0"), "modified": at(fmt.Sprint(purgeEdits - 1)), "seq": ""}),
		copied.table(p.t, p.db, "resource_value", "from resource_value as r cross join "+d.numbers(p.users)+" where r.resource = '"+id+"'", nil),
		copied.table(p.t, p.db, "entry", "from (select e.*, row_number() over (order by id) - 1 as k from entry as e where resource_name like 'template%') as r cross join "+
			d.numbers(p.users)+" order by k, n",
			map[string]string{"id": d.uuid(entryKind, fmt.Sprintf("k * %d + n", p.users)), "correlation": d.uuid(requestKind, fmt.Sprintf("k * %d + n", p.users)), "at": at("k")}),
	}
	if p.database != "SQLite" {
		texts = append(texts, fmt.Sprintf("insert into pending (entry) select id from entry where id like '%08x%%' order by id", entryKind))
	}
	fillBy(p.t, p.db, append(texts, "analyze"))
	p.s.restart()
	settle(p.t, p.db)
}

func (p *purging) stop() {
	p.t.Helper()
	if status := p.s.terminate(); status != 0 {
		p.t.Fatalf("the server left with %d", status)
	}
}

// turn drills a connection of its own while the log is kept for so long, 0 for ever, and returns the p99 of all answers.
func (p *purging) turn(retention time.Duration) time.Duration {
	p.t.Helper()
	p.s.env[len(p.s.env)-1] = "MEIBO_LOG_RETENTION=" + retention.String()
	p.stop()
	p.s.restart()
	if *full {
		p.drill(20) // warms up
	}
	return p.drill(times(5, 150))
}

// drill drills a connection of its own and returns the p99 of all answers.
func (p *purging) drill(users int) time.Duration {
	p.t.Helper()
	p.turns++
	name := fmt.Sprint("drill-", p.turns)
	p.s.run("connection", "create", "--tenant", p.s.Tenant, "--name", name)
	p.s.untroubled("--connection", name)
	token := strings.TrimSpace(p.s.run("token", "create", "--tenant", p.s.Tenant, "--connection", name))
	w := &stopwatch{}
	report, err := drill.Run(p.t.Context(), drill.Options{BaseURL: p.s.URL + "/t/" + p.s.Tenant + "/scim/v2", Token: token, Users: users, Groups: 3, Members: users,
		Seed: uint64(p.turns), Client: &http.Client{Transport: w, Timeout: patience}})
	if err != nil {
		p.t.Fatal(err)
	}
	if !report.OK() {
		p.t.Errorf("the drill found faults: %v %v %s", report.Faults, report.Errors, report.Stopped)
	}
	slices.Sort(w.took)
	return w.took[len(w.took)*99/100]
}

// stopwatch takes the time of each answer.
type stopwatch struct {
	transport http.Transport
	mu        sync.Mutex
	took      []time.Duration
}

func (w *stopwatch) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	a, err := w.transport.RoundTrip(r)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.took = append(w.took, time.Since(began))
	return a, err
}

// done reports whether the purge has come to its end.
func (p *purging) done() bool {
	p.t.Helper()
	var n int
	if err := p.db.QueryRow("select count(*) from horizon where done = cut").Scan(&n); err != nil {
		p.t.Fatal(err)
	}
	return n > 0
}

// await returns when the purge has come to its end.
func (p *purging) await() {
	p.t.Helper()
	tick, end := time.NewTicker(100*time.Millisecond), time.Now().Add(30*patience)
	defer tick.Stop()
	for ; !p.done(); <-tick.C {
		if time.Now().After(end) {
			p.t.Fatal("the purge comes to no end")
		}
	}
}

// judge looks for what has to be gone, and for what has to be there.
func (p *purging) judge() {
	p.t.Helper()
	for _, look := range []struct {
		what, text string
		want       int
	}{
		{"entries before the cut that are no baselines", "select count(*) from entry, horizon where at < cut and not cast(reason as text) like '%\"baseline\"%'", 0},
		{"baselines", "select count(*) from entry where cast(reason as text) like '%\"baseline\"%'", p.users},
		{"hours before the cut that are counted", "select count(*) from activity, horizon where hour < cut", 0},
	} {
		var n int
		if err := p.db.QueryRow(look.text).Scan(&n); err != nil || n != look.want {
			p.t.Errorf("%s: %d, want %d; %v", look.what, n, look.want, err)
		}
	}
}
