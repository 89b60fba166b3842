package exchange

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Whatever is recorded comes out of Write as it went in, but for the space within bodies.
func TestWriteWhatWasRead(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../scim/endpoint/testdata/*/*.txt")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d recorded exchanges, %v", len(files), err)
	}
	blank := strings.NewReplacer(" ", "", "\n", "", "\t", "")
	sameBody := cmp.FilterPath(func(p cmp.Path) bool { n := p.Last().String(); return n == ".Body" || n == ".Answer" },
		cmp.Comparer(func(a, b string) bool { return blank.Replace(a) == blank.Replace(b) }))
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := Parse(string(text))
		if err != nil {
			t.Fatalf("%s:%v", file, err)
		}
		written, err := Write(want)
		if err != nil && strings.Contains(err.Error(), "no JSON") {
			continue // a body that was sent broken on purpose
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		got, err := Parse(written)
		if err != nil {
			t.Fatalf("%s, written: %v\n%s", file, err, written)
		}
		if diff := cmp.Diff(want, got, sameBody, cmpopts.IgnoreFields(Turn{}, "Line"), cmpopts.IgnoreFields(Entry{}, "Line"), cmpopts.IgnoreFields(Effect{}, "Line"),
			cmpopts.IgnoreFields(Connection{}, "Line")); diff != "" {
			t.Errorf("%s (-read +written and read):\n%s", file, diff)
		}
	}
}

func TestWriteFaults(t *testing.T) {
	t.Parallel()
	for name, turn := range map[string]*Turn{
		"line break in a target": {Method: "GET", Target: "/Users\n> DELETE /Users", Status: 200},
		"line break in a header": {Method: "GET", Target: "/Users", Headers: []Header{{"If-Match", "*\r< 200"}}, Status: 200},
		"body that is no JSON":   {Method: "POST", Target: "/Users", Body: "< 200", Status: 400},
		"blank in a field":       {Method: "POST", Target: "/Users", Status: 400, Journal: &Entry{Action: "create", Outcome: "failure", Fields: []Pair{{"name", "a b"}}}},
	} {
		if text, err := Write(Conversation{Turns: []*Turn{turn}}); err == nil {
			t.Errorf("%s: %s", name, text)
		}
	}
}
