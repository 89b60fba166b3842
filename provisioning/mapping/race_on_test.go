//go:build race

package mapping

// raceDetector says that the race detector is on: pools then throw away at random what they are given.
const raceDetector = true
