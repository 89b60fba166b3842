// Package testkit holds what tests of several packages share: a settable clock and a real PostgreSQL.
// Only test files and storetest import it.
package testkit
