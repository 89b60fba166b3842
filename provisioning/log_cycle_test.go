package provisioning

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNarrow(t *testing.T) {
	t.Parallel()
	at := func(minute int) time.Time { return time.Date(2026, 11, 22, 9, minute, 0, 0, time.UTC) }
	client := Cycle{ID: "c", Connection: 7, Kind: CycleKind, Began: at(10), Last: at(20)}
	run := Cycle{ID: "j", Connection: 7, Kind: string(JobUndo), Began: at(10), Last: at(20)}
	for name, tc := range map[string]struct {
		cycle   Cycle
		q, want EntryQuery
		invalid bool
	}{
		"a client's":          {client, EntryQuery{Reason: "kept"}, EntryQuery{Reason: "kept", Connection: 7, Since: at(10), Until: at(20).Add(cycleGap)}, false},
		"within another time": {client, EntryQuery{Connection: 7, Since: at(12), Until: at(15)}, EntryQuery{Connection: 7, Since: at(12), Until: at(15)}, false},
		"around it":           {client, EntryQuery{Since: at(1), Until: at(59)}, EntryQuery{Connection: 7, Since: at(10), Until: at(20).Add(cycleGap)}, false},
		"another connection":  {client, EntryQuery{Connection: 8}, EntryQuery{}, true},
		"a run's":             {run, EntryQuery{Since: at(12)}, EntryQuery{Since: at(12), Correlation: "j"}, false},
		"another run":         {run, EntryQuery{Correlation: "k"}, EntryQuery{}, true},
	} {
		got, err := tc.cycle.narrow(tc.q)
		if tc.invalid != (KindOf(err) == Invalid && err != nil) {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tc.want, got); !tc.invalid && diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// crowd is a Reader in which an address means many.
type crowd struct {
	Reader
	n int
}

func (r crowd) Meant(string, string) ([]string, error) { return make([]string, r.n), nil }

// Whom one follows by an address is kept in memory: so it is for few.
func TestFollowingTooMany(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{maxMeant: "", maxMeant + 1: "invalid"} {
		c, got := newSelection(EntryQuery{Mail: "all@x.example"}), ""
		if err := c.lookUp(crowd{n: n}, []PositionedEntry{{Position: 1}}, 1); err != nil {
			got = KindOf(err).String()
		}
		if got != want {
			t.Errorf("of %d: %q, want %q", n, got, want)
		}
	}
}
