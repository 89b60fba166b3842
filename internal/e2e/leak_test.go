package e2e

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"meibo/internal/drill"
	"meibo/store"
)

// TestNothingRunsOn starts, uses and stops the whole server a few times, and finds no goroutine
// that was not there before. It is the one test that is not parallel: until it ends, all others wait.
func TestNothingRunsOn(t *testing.T) {
	for _, db := range databases {
		t.Run(db.name, func(t *testing.T) {
			url := db.fresh(t)
			before := goleak.IgnoreCurrent() // what serves the databases of all tests may stay
			for i, dialect := range []drill.Dialect{drill.Default, drill.Flag, drill.Default} {
				s := newServer(t, db, options{store: store.Options{URL: url}})
				s.newTenant(fmt.Sprintf("round-%d", i)).drill(dialect, drill.Options{Users: 5, Groups: 1, Members: 5, Seed: 3})
				s.stop()
				if err := goleak.Find(before); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
