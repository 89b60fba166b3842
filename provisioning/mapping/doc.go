// Package mapping derives the effective attributes of a user or group from those that its connection
// asserts. A table of rows is compiled once for each version of a connection's settings; each row
// assigns one attribute from another one, a constant or an expression. docs/mapping.md is the manual
// of it, with every function.
//
//	asserted ──┬──────────────► what no row names
//	           ├─► row 1 ─────► its target
//	           ├─► row 2 ─────► its target        ──► effective
//	           └─ …
//	a person's overrides ─────► their targets, whatever the rows say
//
// # Invariants
//
//   - Deterministic: the same table and input give the same result, at any time and on any machine.
//     There is no clock here (Input has the time) and no chance: Guid and RandomString are refused.
//     TestDeterministic.
//   - Bounded: an expression has at most maxSource characters, maxNodes nodes and no loop of any kind,
//     and may read and write maxWork bytes in all. Whatever is not on the list of allowed syntax is
//     refused when it is compiled. TestBudget, TestRefusedSyntax, FuzzExpression.
//   - Inputs are not changed, and unchanged parts are shared between them and the result. With neither
//     rows nor overrides the effective attributes are the asserted ones. TestInputUnchanged.
//   - Errors name attributes and rules and never a value. TestFaultsHoldNoValues.
package mapping
