// Package campaign breaks the program that ships, on purpose and often: it kills and stops the server and its database
// under load, and holds what clients were told against what is stored.
//
// It has tests alone. `go test` runs each campaign in a short form; `make campaign` runs all of them in full, one after
// the other, and writes what was seen into docs/reliability.md. They need Linux, whose /proc they read.
package campaign
