//go:build race

package provisioning_test

// raceDetector says that everything takes several times as long.
const raceDetector = true
