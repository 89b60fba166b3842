// Package drill plays Microsoft Entra ID against any SCIM 2.0 base URL and judges the answers as Entra would score them.
//
// One [Run] is one provisioning job in one PATCH dialect on a synthetic company that its seed alone decides:
//
//	probe ──► initial cycle ──► steady cycle ──► paging ──► incremental cycle ──► steady cycle ──► report
//	           users              GET, compare,    walk the    movers, joiners,     GET, compare,
//	           groups             PATCH what       lists       leavers, groups      PATCH what
//	           references         differs (none)               (Options.Cycles)     differs (none)
//
// With [Options.Scenario] it plays a story instead, between two roll calls that compare what the client sees, and what the
// host application sees ([Host]), with what the rules of [Options.Preset] lead to. What only a person can do is done by a [Person].
//
//	initial cycle ──► roll call ──► the story ──► roll call ──► steady cycle (none) ──► report
//
// Three rules hold all along:
//
//   - What was sent must be read back byte for byte. A steady cycle reads every known object and would send a PATCH for each
//     attribute that differs; on a right server it sends none.
//   - A 429 with Retry-After is an order, not an error: the whole client pauses and repeats that request only.
//   - An object that failed is left alone for the rest of the run, so that one fault does not turn into a hundred.
//
// Each error has a stable name such as "search.empty-not-200"; the list is in fault.go, with what Entra makes of it.
package drill
