package campaign

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// figures are what a campaign has to tell: a row of the table in docs/reliability.md.
type figures struct {
	t                  testing.TB
	campaign, database string
	began              time.Time

	done  string // what was done each time, without the number
	times int    // how often
	seen  string // what was counted and measured; begins with what had to be zero
}

// report begins the row of a campaign on a database ("SQLite", "PostgreSQL" or "–"); the two name it. It is written when t
// ends, in the full form only, over the row that the last run has left; that t failed is in it. A test fills in the
// other fields as it goes.
func report(t testing.TB, campaign, database string) *figures {
	t.Helper()
	f := &figures{t: t, campaign: campaign, database: database, began: time.Now()}
	t.Cleanup(f.write)
	return f
}

func (f *figures) write() {
	row := f.row(time.Now())
	f.t.Log(row)
	if !*full || *share < 1 || f.t.Skipped() {
		return
	}
	tableLock.Lock()
	defer tableLock.Unlock()
	before, err := os.ReadFile(tableFile)
	if err != nil {
		f.t.Error(err)
		return
	}
	after, err := replaceRow(string(before), row)
	if err == nil {
		err = os.WriteFile(tableFile, []byte(after), 0o644)
	}
	if err != nil {
		f.t.Errorf("%s: %v", tableFile, err)
	}
}

func (f *figures) row(now time.Time) string {
	seen := f.seen
	if f.t.Failed() {
		seen = strings.TrimSuffix("**FAILED**; "+seen, "; ")
	}
	cells := []string{f.campaign, f.database, f.done, strconv.Itoa(f.times), seen, f.began.UTC().Format(time.DateOnly),
		fmt.Sprintf("%.0f", now.Sub(f.began).Seconds())}
	for i, c := range cells {
		cells[i] = strings.NewReplacer("|", "/", "\n", " ").Replace(c)
	}
	return "| " + strings.Join(cells, " | ") + " |"
}

const (
	tableBegin = "<!-- campaigns: written by make campaign -->"
	tableEnd   = "<!-- end of campaigns -->"
	tableHead  = "| campaign | database | what was done | times | what was seen | date | seconds |\n|---|---|---|---|---|---|---|"
)

var (
	tableFile = filepath.Join("..", "..", "docs", "reliability.md")
	tableLock sync.Mutex
)

// replaceRow puts a row into the table of a document, in the order of the rows' text, over the one of the same
// campaign and database.
func replaceRow(document, row string) (string, error) {
	before, rest, ok := strings.Cut(document, tableBegin)
	table, after, closed := strings.Cut(rest, tableEnd)
	if !ok || !closed {
		return "", fmt.Errorf("the lines %q and %q are missing", tableBegin, tableEnd)
	}
	var rows []string
	for line := range strings.Lines(table) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.Contains(tableHead, line) && keyOf(line) != keyOf(row) {
			rows = append(rows, line)
		}
	}
	rows = append(rows, row)
	slices.Sort(rows)
	return before + tableBegin + "\n" + tableHead + "\n" + strings.Join(rows, "\n") + "\n" + tableEnd + after, nil
}

// keyOf is the campaign and the database of a row.
func keyOf(row string) string {
	cells := strings.SplitN(row, "|", 4)
	return strings.Join(cells[:min(3, len(cells))], "|")
}

func TestReplaceRow(t *testing.T) {
	t.Parallel()
	document := "before\n" + tableBegin + "\n" + tableEnd + "\nafter\n"
	for _, row := range []string{
		"| kill | SQLite | a | 1 | b | d | 1 |", "| kill | PostgreSQL | a | 1 | b | d | 1 |", "| kill | SQLite | new | 1 | b | d | 1 |",
	} {
		var err error
		if document, err = replaceRow(document, row); err != nil {
			t.Fatal(err)
		}
	}
	want := "before\n" + tableBegin + "\n" + tableHead + "\n| kill | PostgreSQL | a | 1 | b | d | 1 |\n| kill | SQLite | new | 1 | b | d | 1 |\n" +
		tableEnd + "\nafter\n"
	if document != want {
		t.Errorf("got:\n%s\nwant:\n%s", document, want)
	}
	if _, err := replaceRow("no table", "| a | b |"); err == nil {
		t.Error("a document without the table was taken")
	}
}
