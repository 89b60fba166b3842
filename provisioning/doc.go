// Package provisioning decides what each change to a directory means, and is the only way to make
// one. It knows no HTTP, no SQL, no logger and no environment.
//
// # The picture
//
//	SCIM request ─┐                       ┌─ Reader: Facts
//	CSV import  ──┤   Desired             │
//	console     ──┼──────────▶ decide ◀───┘
//	Graph pull  ──┘              │ []Change, or an Error
//	                             ▼
//	                          Commit: state + journal, one unit of work
//
// Every writer says what a resource should be (Desired). decide, a pure function, compares that
// with what is (Facts) under the connection's Rules and returns Changes as data. Commit executes
// them together with their journal entries. A preview is decide without commit.
//
// decide runs in a fixed order: match, difference, deletion policy. What is decided per connection
// has its place there: a mapping between match and difference, a guard after every policy.
//
// # Two views
//
// Asserted is what the owning connection wrote and reads back. Effective is what the host
// application sees: mapped attributes, a State, a role. Names are unique in both: asserted ones
// among the visible resources of a connection, effective userNames among the accounts of a tenant
// that are not removed.
//
// # Invariants
//
//   - An acknowledged change has exactly one entry with its request; a change of nothing has a
//     skipped one; a refused one a failure. (internal/e2e: TestAnsweredWritesMatchJournal)
//   - Folding a resource's entries in the order of Version gives its stored state.
//     (internal/e2e: TestJournalFolds)
//   - A unit of work that fails leaves nothing but the entry of its failure.
//     (internal/e2e: TestFailureLeavesOnlyItsEntry)
//   - A closure given to Update may run twice: ids and times are drawn before it. (storetest runs all twice)
//   - No unit of work is open while a host application is asked. (TestDeletionWaitsForTheHost and all beside it)
//   - Unique constraints decide, look-ups only explain. (internal/e2e: TestRacingCreatesAndMembers)
package provisioning
