//go:build !race

package provisioning_test

const raceDetector = false
