//go:build !race

package e2e

// raceDetector says that the race detector is on, which makes SQLite in Go five times slower.
const raceDetector = false
