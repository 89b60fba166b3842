//go:build race

package drill

// underRace shortens the planted faults: they play with one worker, where the race detector finds nothing and takes ten times as long.
const underRace = true
