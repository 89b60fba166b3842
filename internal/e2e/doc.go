// Package e2e holds what can be proved of the whole server only: requests over HTTP against the
// endpoint, the core and the store as the binary wires them, on both databases. What a test claims,
// it checks against the rows of the database, which it reads behind the server's back.
//
// It has tests alone.
package e2e
