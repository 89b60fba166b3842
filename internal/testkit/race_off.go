//go:build !race

package testkit

// RaceDetector says that the race detector is on, which makes everything several times as slow: what chance makes up is
// less of it then.
const RaceDetector = false
