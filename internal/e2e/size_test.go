package e2e

import (
	"flag"
	"testing"
)

// full asks for the sizes at which `make rules` plays the tests.
var full = flag.Bool("full", false, "play the tests at full size")

// hasty reports whether a test is to be as small as it can be: beside the race detector, or for who cannot wait.
func hasty() bool { return raceDetector || testing.Short() }

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
