package e2e

import (
	"flag"
	"os"
	"testing"

	"meibo/internal/testkit"
)

// full asks for the sizes at which `make rules` plays the tests.
var full = flag.Bool("full", false, "play the tests at full size")

// TestMain has what chance decides come out alike in each run, unless a seed is given or the tests are played in full:
// what nobody changed does not fail today and pass tomorrow.
func TestMain(m *testing.M) {
	flag.Parse()
	if seed := flag.Lookup("rapid.seed"); !*full && *chains < 1000 && seed.Value.String() == "0" {
		_ = seed.Value.Set("20261122") // a number it takes
	}
	os.Exit(m.Run())
}

// hasty reports whether a test is to be as small as it can be: beside the race detector, or for who cannot wait.
func hasty() bool { return testkit.RaceDetector || testing.Short() }

// size chooses a number by form: of a hasty run, of `go test`, and of the full one.
func size(hastily, short, whole int) int {
	switch {
	case *full:
		return whole
	case hasty():
		return hastily
	default:
		return short
	}
}
