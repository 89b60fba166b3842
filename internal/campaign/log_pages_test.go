package campaign

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

var logEntries = flag.Int("entries", 1_000_000, "how many entries the logs of TestLog and TestPurgeBesideDrill have in the full form, of a tenth as many users")

var logAt = flag.String("log", "", "URL of a database that TestLog shall ask, on which it leaves what it fills an empty one with; else it makes new ones")

const (
	logBar    = 200 * time.Millisecond // p95 of a page
	deepBar   = 1.5                    // the 1,000th page, of the first
	csvMemory = 64 * mib               // more than before, while all is streamed
)

// TestLog asks the log of two years for pages by each filter and by pairs of them. The entries are made by SQL, behind the
// server's back: a fifth of them in ten bursts of an hour, the rest spread; few are failures. What a filter streams is counted
// against plain SQL. The full form holds how long a page takes, the first and the 1,000th, and how much memory a stream does.
func TestLog(t *testing.T) {
	concurrently(t)
	if *logAt != "" {
		db := database{"SQLite", func(*testing.T) string { return *logAt }}
		if !strings.HasPrefix(*logAt, "sqlite:") {
			db.name = "PostgreSQL"
		}
		askLog(t, db)
		return
	}
	each(t, func(t *testing.T, db database) {
		if *full {
			db = roomy(t, db)
		}
		askLog(t, db)
	})
}

func askLog(t *testing.T, db database) {
	f := report(t, "log", db.name)
	l := &logRun{t: t, database: db.name, entries: times(20_000, *logEntries)}
	l.users = l.entries / 10
	l.serve(db.fresh(t))
	l.key = strings.TrimSpace(l.s.run("key", "create", "--tenant", l.s.Tenant, "--role", "operator", "--holder", "support"))
	for _, q := range l.questions() {
		l.ask(q)
	}
	l.deep()
	memory := l.csv()
	f.done, f.times = "pages of the log asked for by each filter and ten pairs, among "+grouped(l.entries)+" entries", l.asked
	f.seen = fmt.Sprintf("%d streams that were not what SQL counts; slowest p95 %v; the 1,000th page at most %.2f times the first; CSV of all in %s more memory",
		l.wrong, l.worst.Round(100*time.Microsecond), l.deepest, inMiB(memory))
	t.Log("\n" + l.String())
	if *full && *share == 1 {
		l.write()
	}
}

// serve serves a database, and fills it unless an earlier run has.
func (l *logRun) serve(databaseURL string) {
	l.t.Helper()
	var filled bool
	if *logAt != "" && behind(l.t, databaseURL).QueryRow("select count(*) > 0 from position_head").Scan(&filled) == nil && filled {
		l.s = (&server{t: l.t, databaseURL: databaseURL, Tenant: "acme"}).another(keepAll)
		settle(l.t, behind(l.t, databaseURL))
		return
	}
	began := time.Now()
	l.s = start(l.t, databaseURL, keepAll)
	l.fill()
	l.t.Logf("filled in %v", time.Since(began).Round(time.Second))
}

type logRun struct {
	t              *testing.T
	database       string
	s              *server
	key            string
	entries, users int

	rows, pages  []string // of the tables
	asked, wrong int
	worst        time.Duration
	deepest      float64
}

// fill makes users, groups, memberships and entries, and waits until the follower has come to the end of them.
func (l *logRun) fill() {
	l.t.Helper()
	db, d := behind(l.t, l.s.databaseURL), spellings(l.database)
	connection := 0
	if err := db.QueryRow("select id from connection").Scan(&connection); err != nil {
		l.t.Fatal(err)
	}
	series := func(n int) string { return fmt.Sprintf(d.series, n) }
	name := "'user' || " + fmt.Sprintf(d.hex, scattered("u"))
	user, group, person := fmt.Sprintf("(n * 7919 %% %d)", l.users), fmt.Sprintf("(n %% %d)", logGroups), fmt.Sprintf("(n / 20 %% %d)", l.users)
	burst, spread := "n / 5 % 10 * 6307200 + n * 37 % 3600", "n * 48271 % 63072000"
	at := fmt.Sprintf(d.at, "case when n % 5 = 0 then "+burst+" else "+spread+" end", "n % 1000000")
	texts := []string{
		fmt.Sprintf(`insert into resource (id, tenant, type, connection, visible, state, role, protected, version, created, modified, asserted, rule_version,
			name, display, manager, external_id, key, eff_key, ext_key, lane)
			select %s, 'acme', 'User', %d, %s, 'active', '', not %[3]s, 1, %[4]s, %[4]s, '{}', 0, %[5]s, '', '', 'x-' || u, '%[2]d:u:' || %[5]s, 'acme/' || %[5]s,
			'%[2]d:u:x-' || u, %[6]d from (select n - 1 as u from %[7]s) as s`, d.uuid(userKind, "u"), connection, d.yes, d.later, name, connection*8, series(l.users)),
		fmt.Sprintf(`insert into resource_value (resource, attr, ord, key, value, type, display, is_primary)
			select %s, 'emails', 0, 'acme/emails:mail' || u, 'mail' || u, 'work', '', %s from (select n - 1 as u from %s) as s`, d.uuid(userKind, "u"), d.yes, series(l.users)),
		fmt.Sprintf(`insert into member (grp, member, valid_from, valid_to, from_entry, to_entry)
			select %s, %s, %s, case when n <= %d then %[3]s end, %[5]s, case when n <= %[4]d then %[6]s end from %s where n %% 20 = 0`,
			d.uuid(groupKind, group), d.uuid(userKind, person), d.later, l.entries*9/10, d.uuid(entryKind, scattered("n")), d.uuid(entryKind, scattered("n + 10")), series(l.entries-10)),
		fmt.Sprintf(`insert into entry (id, tenant, at, connection, connection_name, actor, correlation, request, duration, action, outcome, resource, resource_type,
			resource_name, version, matched_by, diff, members, reason)
			select %s, 'acme', %s, %d, 'default', 'token …1234', case when n > %d and n <= %d then %s else %s end, %s,
			case when n %% 3001 = 0 then 2500000 else 2000 + n * 31 %% 30000 end,
			case when n <= %d then 'create' when n %% 5003 = 0 then 'other' when n %% 211 = 0 then 'delete' when n %% 97 = 0 then 'disable' else 'update' end,
			case when n %% 499 = 0 then 'failure' when n %% 997 = 0 then 'warning' when n %% 41 = 0 then 'skipped' else 'success' end,
			case when n %% 10 = 0 then %s else %s end, case when n %% 10 = 0 then 'Group' else 'User' end,
			case when n %% 10 = 0 then 'group ' || %s else (select %s from (select %s as u) as s) end, 1, 'id', %s, case when n %% 20 = 0 then %s when n %% 20 = 10 then %s end,
			case when n %% 499 = 0 then %s when n %% 997 = 0 then %s else %s end from %s`,
			d.uuid(entryKind, scattered("n")), at, connection, l.entries/2, l.entries/2+l.entries/20, d.uuid(jobKind, "1"), d.uuid(requestKind, scattered("n")),
			fmt.Sprintf(d.json, `'{"method":"' || case when n % 113 = 0 then 'PUT' when n % 7 = 0 then 'POST' else 'PATCH' end || '","path":"/t/acme/scim/v2/Users","dialect":"entra","status":' ||
				case when n % 4990 = 0 then 503 when n % 499 = 0 then 400 + n % 10 else 200 + n % 3 * 2 end || '}'`),
			l.users, d.uuid(groupKind, group), d.uuid(userKind, user), group, name, user,
			fmt.Sprintf(d.json, `'[{"path":"title","old":"Engineer ' || n || '","new":"Manager"},{"path":"displayName","old":"Given Family","new":"Given Other Family"}]'`),
			fmt.Sprintf(d.json, `'{"add":[{"value":"' || `+d.uuid(userKind, person)+` || '","display":"Given Family"}]}'`),
			fmt.Sprintf(d.json, `'{"remove":["' || (select `+d.uuid(userKind, "p")+` from (select (n - 10) / 20 % `+fmt.Sprint(l.users)+` as p) as s) || '"]}'`),
			fmt.Sprintf(d.json, `'{"code":"refused"}'`), fmt.Sprintf(d.json, `'{"code":"kept","args":{"cause":"deleted"}}'`), fmt.Sprintf(d.json, `'{"code":"asserted"}'`), series(l.entries)),
	}
	if l.database != "SQLite" {
		texts = append(texts, fmt.Sprintf("insert into pending (entry) select id from entry where id like '%08x%%'", entryKind))
	}
	fillBy(l.t, db, append(texts, "analyze"))
	settle(l.t, db)
}

// logQuestion is a filter with what it means in SQL; %[1]s in either is a value, where it has several.
type logQuestion struct {
	name, filter, where string
	values              []string
}

func (l *logRun) questions() []logQuestion {
	var ids, names, mails, externals, groups, requests []string
	for i := range 20 {
		u := i*(l.users/40) + 3 // whom entries and memberships are about
		ids = append(ids, fmt.Sprintf("%08x-0000-7000-8000-%012x", userKind, u))
		names = append(names, fmt.Sprintf("USER%012x", uint32(u)*2654435761))
		mails, externals = append(mails, fmt.Sprint("Mail", u)), append(externals, fmt.Sprint("x-", u))
		groups = append(groups, fmt.Sprintf("%08x-0000-7000-8000-%012x", groupKind, i*10))
		requests = append(requests, fmt.Sprintf("%08x-0000-7000-8000-%012x", requestKind, uint32(i+7)*2654435761))
	}
	has, other := "resource = '%[1]s'", "exists (select 1 from resource_value v where v.resource = entry.resource and v.value = lower('%[1]s'))"
	member := `cast(members as text) like '%%"%[1]s"%%'`
	all := []logQuestion{
		{"everything", "", "1 = 1", nil},
		{"time", "since=2024-06-01T00:00:00Z&until=2024-06-08T00:00:00Z", l.between("2024-06-01", "2024-06-08"), nil},
		{"connection", "connection=default", "connection_name = 'default'", nil},
		{"action", "action=%[1]s", "action = '%[1]s'", []string{"create", "update", "disable", "delete", "other"}},
		{"outcome", "outcome=%[1]s", "outcome = '%[1]s'", []string{"success", "failure", "skipped", "warning"}},
		{"reason", "reason=%[1]s", "cast(reason as text) like '%%\"%[1]s\"%%'", []string{"asserted", "refused", "kept"}},
		{"user", "resource=%[1]s", has, ids},
		{"group", "resource=%[1]s", has, groups},
		{"name", "name=%[1]s", "resource_name = lower('%[1]s')", names},
		{"prefix, of few", "prefix=%[1]s", "resource_name like lower('%[1]s') || '%%'", cut(names, 13)},
		{"prefix, of many", "prefix=%[1]s", "lower(resource_name) like '%[1]s%%'", []string{"user", "group 1"}},
		{"mail", "mail=%[1]s", other, mails},
		{"externalId", "externalId=%[1]s", "resource in (select id from resource where external_id = '%[1]s')", externals},
		{"member", "member=%[1]s", member, ids},
		{"method", "method=%[1]s", "cast(request as text) like '%%\"method\":\"%[1]s\"%%'", []string{"POST", "PUT", "PATCH"}},
		{"status", "status=%[1]s", "cast(request as text) like '%%\"status\":%[1]s}%%'", []string{"503", "404", "200"}},
		{"class of status", "status=%[1]sxx", "cast(request as text) like '%%\"status\":%[1]s__}%%'", []string{"2", "4", "5"}},
		{"request", "correlationId=%[1]s", "correlation = '%[1]s'", requests},
		{"run", "correlationId=" + fmt.Sprintf("%08x-0000-7000-8000-%012x", jobKind, 1), "correlation like '" + fmt.Sprintf("%08x", jobKind) + "%%'", nil},
		{"slower", "slower=2000", "duration >= 2000000", nil},
	}
	with := func(a, b string) {
		byName := func(n string) logQuestion {
			return all[slices.IndexFunc(all, func(q logQuestion) bool { return q.name == n })]
		}
		x, y := byName(a), byName(b)
		if len(y.values) > 0 { // one of the two varies
			y.filter, y.where = strings.ReplaceAll(y.filter, "%[1]s", y.values[1]), strings.ReplaceAll(y.where, "%[1]s", y.values[1])
		}
		all = append(all, logQuestion{a + " and " + b, x.filter + "&" + y.filter, x.where + " and " + y.where, x.values})
	}
	for _, pair := range [][2]string{{"user", "outcome"}, {"name", "time"}, {"group", "action"}, {"action", "outcome"}, {"reason", "time"},
		{"status", "method"}, {"prefix, of many", "outcome"}, {"run", "outcome"}, {"connection", "slower"}, {"member", "action"}} {
		with(pair[0], pair[1])
	}
	return all
}

func cut(list []string, n int) (short []string) {
	for _, s := range list {
		short = append(short, s[:n])
	}
	return short
}

func (l *logRun) between(since, until string) string {
	if l.database != "SQLite" {
		return fmt.Sprintf("at >= '%sZ' and at < '%sZ'", since, until)
	}
	return fmt.Sprintf("at >= unixepoch('%s') * 1000000 and at < unixepoch('%s') * 1000000", since, until)
}

// ask takes the times of pages and counts a stream of the same filter.
func (l *logRun) ask(q logQuestion) {
	l.t.Helper()
	values := q.values
	if values == nil {
		values = []string{""}
	}
	fill := func(text, value string) string {
		return strings.ReplaceAll(strings.ReplaceAll(text, "%[1]s", value), "%%", "%")
	}
	var took []time.Duration
	for i := range times(2, 60) {
		_, d := l.page(fill(q.filter, url.QueryEscape(values[i%len(values)])), "")
		took = append(took, d)
	}
	l.asked += len(took)
	slices.Sort(took)
	p50, p95 := took[len(took)/2], took[len(took)*95/100]
	l.worst = max(l.worst, p95)
	l.rows = append(l.rows, fmt.Sprintf("| %s | %.1f | %.1f |", q.name, ms(p50), ms(p95)))
	if p95 > bar(logBar) {
		l.t.Errorf("%s: p95 of a page is %v", q.name, p95)
	}
	var want int
	value := values[len(values)/2]
	where := fill(q.where, value)
	if err := behind(l.t, l.s.databaseURL).QueryRow("select count(*) from entry where " + where).Scan(&want); err != nil {
		l.t.Fatalf("%s: %v", where, err)
	}
	lines := 0
	l.stream("application/x-ndjson", fill(q.filter, url.QueryEscape(value)), func(string) { lines++ })
	if lines != want || want == 0 && !strings.Contains(q.name, " and ") {
		l.wrong++
		l.t.Errorf("%s streams %d entries, and %d are %s", q.name, lines, want, where)
	}
}

// logPage is what a page says that matters here.
type logPage struct {
	Items []struct{ ID string }
	Next  string
}

// page asks for a page of 100.
func (l *logRun) page(filter, next string) (p logPage, took time.Duration) {
	l.t.Helper()
	began := time.Now()
	answer := l.get("application/json", filter+"&next="+next)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	took = time.Since(began)
	if err == nil {
		err = json.Unmarshal(body, &p)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	return p, took
}

// stream calls fn for each line.
func (l *logRun) stream(media, filter string, fn func(string)) {
	l.t.Helper()
	answer := l.get(media, filter)
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Buffer(nil, 1<<20); lines.Scan(); {
		fn(lines.Text())
	}
	if lines.Err() != nil {
		l.t.Fatal(lines.Err())
	}
}

func (l *logRun) get(media, query string) *http.Response {
	l.t.Helper()
	query = strings.TrimSuffix(strings.TrimPrefix(query, "&"), "&next=")
	request, err := http.NewRequestWithContext(l.t.Context(), "GET", l.s.URL+"/api/v1/log?"+strings.TrimSuffix(query, "next="), nil)
	if err != nil {
		l.t.Fatal(err)
	}
	request.Header.Set("Accept", media)
	request.Header.Set("Authorization", "Bearer "+l.key)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		l.t.Fatal(err)
	}
	if answer.StatusCode != 200 {
		body, _ := io.ReadAll(answer.Body)
		l.t.Fatalf("%s: %d %s", query, answer.StatusCode, body)
	}
	return answer
}

// deep compares the first page of some filters with the 1,000th, or where there are fewer with one far on.
func (l *logRun) deep() {
	l.t.Helper()
	for _, q := range []struct{ name, filter string }{{"everything", ""}, {"outcome", "outcome=success"}, {"connection", "connection=default"}, {"prefix", "prefix=user"}} {
		next, n := "", 1
		for found := 100; n < min(1000, l.entries/150) || found < 100; n++ { // a short page is no page to compare with
			p, _ := l.page(q.filter, next)
			if next = p.Next; next == "" {
				l.t.Fatalf("%s has %d pages", q.name, n)
			}
			ahead, _ := l.page(q.filter, next)
			found = len(ahead.Items)
		}
		var first, last []time.Duration
		for range times(3, 50) {
			_, a := l.page(q.filter, "")
			_, b := l.page(q.filter, next)
			first, last = append(first, a), append(last, b)
		}
		a, b := median(first), median(last)
		ratio := float64(b) / float64(a)
		l.deepest = max(l.deepest, ratio)
		l.pages = append(l.pages, fmt.Sprintf("| %s | %s | %.1f | %.1f · %.2f× |", q.name, grouped(n), ms(a), ms(b), ratio))
		if *full && ratio > deepBar {
			l.t.Errorf("%s: page %d takes %.2f times what the first one does", q.name, n, ratio)
		}
	}
}

// csv streams everything and returns how much more memory the server takes meanwhile.
func (l *logRun) csv() int64 {
	l.t.Helper()
	l.page("", "")
	before := l.s.rss()
	l.s.forgetPeak()
	lines := -1 // of names
	l.stream("text/csv", "", func(string) { lines++ })
	if lines < l.entries {
		l.t.Errorf("the CSV has %d lines, of %d entries", lines, l.entries)
	}
	more := l.s.peak() - before
	if more > csvMemory {
		l.t.Errorf("the CSV takes %s more", inMiB(more))
	}
	return more
}

func (l *logRun) String() string {
	return fmt.Sprintf("**%s**, %s entries of %s users, a page of 100 in ms, over HTTP, %s.\n\n| filter | p50 | p95 |\n|---|---|---|\n%s\n\n"+
		"| filter | page | first | that |\n|---|---|---|---|\n%s\n",
		l.database, grouped(l.entries), grouped(l.users), time.Now().UTC().Format(time.DateOnly), strings.Join(l.rows, "\n"), strings.Join(l.pages, "\n"))
}

// write puts the tables between their marks in docs/performance.md.
func (l *logRun) write() {
	l.t.Helper()
	performanceLock.Lock()
	defer performanceLock.Unlock()
	before, err := os.ReadFile(performanceFile)
	if err != nil {
		l.t.Fatal(err)
	}
	name := strings.ToLower(l.database)
	after, err := replaceBetween(string(before), "<!-- log "+name+": written by make campaign -->", "<!-- end of log "+name+" -->", l.String())
	if err == nil {
		err = os.WriteFile(performanceFile, []byte(after), 0o644)
	}
	if err != nil {
		l.t.Errorf("%s: %v", performanceFile, err)
	}
}
