package campaign

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"meibo/internal/testkit"
)

var (
	users     = flag.Int("users", 1_000_000, "how many users the large PostgreSQL store of TestFlat gets in the full form")
	usersLite = flag.Int("users-sqlite", 100_000, "how many users the large SQLite store of TestFlat gets in the full form")
)

// fillers is how many clients fill a store at once.
const fillers = 16

// TestFlat holds that nothing gets slower as a store grows. Two servers are asked in turns by one client: one with 1,000
// users, made anew for each size, and one that fills from empty and is asked whenever it has grown to a size.
//
// On PostgreSQL the large store stays without statistics while it fills: its tables are not vacuumed or analysed, and
// the server's role may use but not analyse them, as a role that does not own its tables. At last it is analysed, and
// asked once more. Only the filling pauses while the stores are asked.
func TestFlat(t *testing.T) {
	concurrently(t)
	each(t, func(t *testing.T, db database) {
		table := &flatTable{database: db.name, small: times(150, 1000)}
		f := report(t, "flat", db.name)
		f.done = "requests of a kind asked of a small store and a large one in turns"
		if db.name == "SQLite" {
			flatSQLite(t, db, table)
		} else {
			flatPostgres(t, db, table)
		}
		f.times, f.seen = table.asked, table.summary()
		t.Log("\n" + table.String())
		if *full {
			table.write(t)
		}
	})
}

func flatSQLite(t *testing.T, db database, table *flatTable) {
	p := populate(t, start(t, db.fresh(t)))
	for _, n := range sizes(times(300, *usersLite)) {
		table.rate(n, p.fill(n, fillers))
		table.compare(t, db, p, fmt.Sprint(grouped(n)), n == *usersLite)
	}
	flatGroups(t, p, table)
}

func flatPostgres(t *testing.T, db database, table *flatTable) {
	cluster := postgres(t) // the same for all stores
	if *full {
		enlarge(t, cluster)
	}
	db.fresh = func(t *testing.T) string { return cluster.Database(t) }
	s := start(t, db.fresh(t))
	owner := s.databaseURL
	admin := behind(t, owner)
	withoutStatistics(t, admin, s)
	p := populate(t, s)
	for _, n := range sizes(times(300, *users)) {
		table.rate(n, p.fill(n, fillers))
		table.compare(t, db, p, grouped(n)+", no statistics", false)
	}
	wantNoStatistics(t, admin)
	flatGroups(t, p, table)

	s.terminate() // and go on as most do
	s.databaseURL = owner
	if _, err := admin.Exec("vacuum analyze"); err != nil {
		t.Fatal(err)
	}
	s.restart()
	p.c = s.client()
	table.compare(t, db, p, grouped(len(p.ids))+", analysed", true)
}

// enlarge gives PostgreSQL memory for the whole of a directory of a million users. What is compared is what a
// request costs, and with less memory it would be what reading the disk costs: with the default each page that
// a look-up reads pushes another one out that must be written first.
func enlarge(t *testing.T, cluster *testkit.Cluster) {
	t.Helper()
	if _, err := behind(t, cluster.Database(t)).Exec("alter system set shared_buffers = '6GB'"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(cluster.Stop("fast"), cluster.Start()); err != nil {
		t.Fatal(err)
	}
}

// sizes are what a store is filled to, one after the other.
func sizes(last int) (all []int) {
	for _, n := range []int{2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000} {
		if n < last {
			all = append(all, n)
		}
	}
	return append(all, last)
}

// grown are the tables that grow with a directory.
var grown = []string{"resource", "resource_value", "member", "entry", "position"}

// withoutStatistics has s serve as a role that does not own the tables, and keeps autovacuum off those that grow. The
// two that rows only pass through need it.
func withoutStatistics(t *testing.T, admin *sql.DB, s *server) {
	t.Helper()
	role := fmt.Sprintf("app_%d", time.Now().UnixNano())
	statements := []string{
		"create role " + role + " login",
		"grant select, insert, update, delete on all tables in schema public to " + role,
		"grant usage on all sequences in schema public to " + role,
	}
	// As wherever a server's own role made the tables, it may sweep those that rows only pass through.
	for _, table := range []string{"tally", "pending"} {
		statements = append(statements, "alter table "+table+" owner to "+role)
	}
	for _, table := range grown {
		statements = append(statements, "alter table "+table+" set (autovacuum_enabled = off)")
	}
	for _, text := range statements {
		if _, err := admin.Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	u, err := url.Parse(s.databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(role)
	s.terminate()
	s.databaseURL = u.String()
	s.restart()
}

// wantNoStatistics makes sure that withoutStatistics did what it says.
func wantNoStatistics(t *testing.T, admin *sql.DB) {
	t.Helper()
	var n int
	if err := admin.QueryRowContext(context.Background(), "select count(*) from pg_statistic s join pg_class c on c.oid = s.starelid where c.relname = any($1)",
		"{"+strings.Join(grown, ",")+"}").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d columns have statistics: %v", n, err)
	}
}

// flatGroups asks what depends on the size of a group.
func flatGroups(t *testing.T, p *populace, table *flatTable) {
	adds := min(times(120, 10_000), len(p.ids))
	var growing pair
	for round := range times(2, 4) {
		grown, fresh := p.group(fmt.Sprint("grown ", round), 0), p.group(fmt.Sprint("fresh ", round), 0)
		for _, id := range p.ids[:adds-100] {
			p.add(grown, id)
		}
		growing.begin()
		for i, id := range p.ids[adds-100 : adds] {
			inTurns(round+i, func(big bool) {
				g := fresh
				if big {
					g = grown
				}
				growing.took(big, p.add(g, id))
			})
		}
		p.wantMembers(grown, adds)
		p.leave(grown, adds)
		p.leave(fresh, adds)
	}
	first, last, ratio := growing.result()
	table.add(t, fmt.Sprintf("last 100 of %s one-member adds against the first 100 of another group", grouped(adds)), 1.2, first, last, ratio)

	members := min(times(200, 100_000), len(p.ids)-1)
	large, small := p.group("large", members), p.group("small", 10)
	newcomer := p.ids[len(p.ids)-1]
	var adding, removing pair
	for round := range rounds() {
		adding.begin()
		removing.begin()
		for i := range times(2, 100) {
			inTurns(round+i, func(big bool) {
				g := small
				if big {
					g = large
				}
				adding.took(big, p.add(g, newcomer))
				removing.took(big, p.remove(g, newcomer))
			})
		}
	}
	p.wantMembers(large, members)
	p.wantMembers(small, 10)
	p.leave(large, members)
	p.leave(small, 10)
	table.asked += times(2, 4)*(adds+100) + 4*rounds()*times(2, 100)
	for i, verb := range []string{"add", "remove"} {
		a, b, ratio := []*pair{&adding, &removing}[i].result()
		table.add(t, fmt.Sprintf("%s one member of a group of %s against one of 10", verb, grouped(members)), 1.2, a, b, ratio)
	}
}

// rounds is how often the two stores are compared; the first does not count.
func rounds() int { return times(2, 6) }

// inTurns does something with the small and the large, in alternating order.
func inTurns(i int, do func(large bool)) {
	do(i%2 == 0)
	do(i%2 != 0)
}

// pair are the times of a question in both stores, by round.
type pair struct{ small, large [][]time.Duration }

func (p *pair) begin() { p.small, p.large = append(p.small, nil), append(p.large, nil) }

func (p *pair) took(large bool, d time.Duration) {
	to := &p.small[len(p.small)-1]
	if large {
		to = &p.large[len(p.large)-1]
	}
	*to = append(*to, d)
}

// result is the median over the rounds, without the first, of the medians in milliseconds and of their ratio.
func (p *pair) result() (small, large, ratio float64) {
	var a, b, r []float64
	for i := 1; i < len(p.small); i++ {
		x, y := ms(median(p.small[i])), ms(median(p.large[i]))
		a, b, r = append(a, x), append(b, y), append(r, y/x)
	}
	return median(a), median(b), median(r)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// flatTable is what TestFlat writes into docs/performance.md.
type flatTable struct {
	database string
	small    int // users of the small store
	asked    int
	columns  []flatColumn
	groups   []flatRow
	rates    []string
	worst    flatRow // by what it takes of its bar
	missed   int
}

// flatColumn are the answers at one size.
type flatColumn struct {
	title string
	rows  []flatRow
}

type flatRow struct {
	name                string
	bar                 float64
	small, large, ratio float64 // milliseconds, and how they compare
}

// compare asks a new small store and the large one in turns. Pages are held to their bar in a store that is full: on
// the way there nothing is vacuumed, and a place in a list is found by way of rows instead of the index alone.
func (f *flatTable) compare(t *testing.T, db database, large *populace, title string, filled bool) {
	s := start(t, db.fresh(t))
	small := populate(t, s)
	small.fill(f.small, fillers)
	column := flatColumn{title: title}
	pairs := make([]pair, len(questions))
	for round := range rounds() {
		for i, q := range questions {
			pairs[i].begin()
			for j := range times(2, 60) {
				inTurns(round+j, func(big bool) {
					p := small
					if big {
						p = large
					}
					pairs[i].took(big, q.ask(p))
					f.asked++
				})
			}
		}
	}
	s.terminate()
	f.columns = append(f.columns, column)
	for i, q := range questions {
		a, b, ratio := pairs[i].result()
		r := flatRow{q.name + " at " + title, q.bar, a, b, ratio}
		if q.bar == listBar && !filled {
			r.bar = math.Inf(1)
		}
		f.judge(t, &f.columns[len(f.columns)-1].rows, r)
	}
}

// add notes a row about groups.
func (f *flatTable) add(t *testing.T, name string, bar, small, large, ratio float64) {
	f.judge(t, &f.groups, flatRow{name, bar, small, large, ratio})
}

// judge keeps a row, and in the full form fails if it is over its bar.
func (f *flatTable) judge(t *testing.T, rows *[]flatRow, r flatRow) {
	*rows = append(*rows, r)
	if f.worst.bar == 0 || r.ratio/r.bar > f.worst.ratio/f.worst.bar {
		f.worst = r
	}
	if r.ratio > r.bar {
		f.missed++
		if *full {
			t.Errorf("%s: %.2f ms against %.2f ms is %.2f times, over %.1f", r.name, r.large, r.small, r.ratio, r.bar)
		}
	}
}

// rate notes how fast a store filled.
func (f *flatTable) rate(n int, perSecond float64) {
	f.rates = append(f.rates, fmt.Sprintf("%s: %.0f/s", grouped(n), perSecond))
}

func (f *flatTable) summary() string {
	return fmt.Sprintf("%d over their bar; nearest: %s, %.2f times of %.1f", f.missed, f.worst.name, f.worst.ratio, f.worst.bar)
}

func (f *flatTable) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**, p50 in ms and how many times what a store of %s users took in the same turns, %s.\n\n| request | bar |",
		f.database, grouped(f.small), time.Now().UTC().Format(time.DateOnly))
	for _, c := range f.columns {
		fmt.Fprintf(&b, " %s |", c.title)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(f.columns)) + "\n")
	for i, q := range questions {
		fmt.Fprintf(&b, "| %s | %.1f |", q.name, q.bar)
		for _, c := range f.columns {
			fmt.Fprintf(&b, " %s |", c.rows[i])
		}
		b.WriteString("\n")
	}
	b.WriteString("\n| members of a group | bar | small | large |\n|---|---|---|---|\n")
	for _, r := range f.groups {
		fmt.Fprintf(&b, "| %s | %.1f | %.2f | %s |\n", r.name, r.bar, r.small, r)
	}
	fmt.Fprintf(&b, "\nUsers created a second by %d clients on the way to a size, server, clients and database on the same machine: %s.\n", fillers, strings.Join(f.rates, ", "))
	return b.String()
}

func (r flatRow) String() string {
	mark := ""
	if r.ratio > r.bar {
		mark = "**"
	}
	return fmt.Sprintf("%.2f · %s%.2f×%s", r.large, mark, r.ratio, mark)
}

var (
	performanceFile = filepath.Join("..", "..", "docs", "performance.md")
	performanceLock sync.Mutex
)

// write puts the table between its marks in docs/performance.md.
func (f *flatTable) write(t *testing.T) {
	t.Helper()
	performanceLock.Lock()
	defer performanceLock.Unlock()
	before, err := os.ReadFile(performanceFile)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.ToLower(f.database)
	after, err := replaceBetween(string(before), "<!-- flat "+name+": written by make campaign -->", "<!-- end of flat "+name+" -->", f.String())
	if err == nil {
		err = os.WriteFile(performanceFile, []byte(after), 0o644)
	}
	if err != nil {
		t.Errorf("%s: %v", performanceFile, err)
	}
}

// replaceBetween replaces what is between two marks of a document.
func replaceBetween(document, begin, end, text string) (string, error) {
	before, rest, ok := strings.Cut(document, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", fmt.Errorf("the lines %q and %q are missing", begin, end)
	}
	return before + begin + "\n" + text + end + after, nil
}

// grouped writes a number with commas.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// TestFlatJudge holds that the comparison tells a slow store from a fast one, and drops the first round.
func TestFlatJudge(t *testing.T) {
	t.Parallel()
	var p pair
	for round, slow := range []time.Duration{50, 13, 14, 12} {
		p.begin()
		for i := range 5 {
			inTurns(i, func(large bool) {
				if large {
					p.took(true, slow*time.Millisecond)
				} else {
					p.took(false, 10*time.Millisecond)
				}
			})
		}
		if len(p.small[round]) != 5 || len(p.large[round]) != 5 {
			t.Fatalf("round %d has %d and %d answers", round, len(p.small[round]), len(p.large[round]))
		}
	}
	small, large, ratio := p.result()
	if small != 10 || large != 13 || ratio != 1.3 {
		t.Errorf("got %v, %v, %v", small, large, ratio)
	}
	table := &flatTable{database: "none", small: 1000}
	table.judge(t, &table.groups, flatRow{"within", 1.4, small, large, ratio})
	if table.missed != 0 {
		t.Error("within its bar, and missed")
	}
	if !*full {
		table.judge(t, &table.groups, flatRow{"beyond", 1.2, small, large, ratio})
		if table.missed != 1 || !strings.Contains(table.String(), "**1.30×**") || !strings.Contains(table.summary(), "beyond") {
			t.Errorf("beyond its bar, and not told: %s, %s", table.summary(), table)
		}
	}
	if got, err := replaceBetween("a<x>old<y>b", "<x>", "<y>", "new"); err != nil || got != "a<x>\nnew<y>b" {
		t.Errorf("%q, %v", got, err)
	}
	if got := grouped(1234567) + grouped(12) + grouped(123456); got != "1,234,56712123,456" {
		t.Error(got)
	}
}

// TestMembersNotRead hides the table of members: what excludes them is answered all the same, and what does not is not.
func TestMembersNotRead(t *testing.T) {
	concurrently(t)
	each(t, func(t *testing.T, db database) {
		s := start(t, db.fresh(t))
		p := populate(t, s)
		p.fill(2, 1)
		g := p.group("Staff", 2)
		if _, err := behind(t, s.databaseURL).Exec("alter table member rename to hidden"); err != nil {
			t.Fatal(err)
		}
		for _, target := range []string{"/Groups/" + g + "?excludedAttributes=members", "/Groups?excludedAttributes=members",
			"/Groups?excludedAttributes=members&filter=" + url.QueryEscape(`displayName eq "staff"`), "/Groups?attributes=displayName"} {
			if a := p.c.get(target); a.Status != 200 || !strings.Contains(string(a.Body), g) {
				t.Errorf("%s: %v", target, a)
			}
		}
		if a := p.c.get("/Groups/" + g); a.Status == 200 && a.outcome == acknowledged {
			t.Errorf("with members: %v", a)
		}
	})
}
