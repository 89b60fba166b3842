package provisioning

import (
	"cmp"
	"slices"
	"time"
)

// BudgetKind is what a tolerance counts.
type BudgetKind string

const (
	BudgetUsers   BudgetKind = "users"   // users leaving active
	BudgetGroups  BudgetKind = "groups"  // groups deleted
	BudgetMembers BudgetKind = "members" // members removed from one group; kept with the group: Resource.Removals
)

// Budget is what a connection has spent of a tolerance, and what a person allowed beyond it. One row;
// claims of concurrent requests are settled by its version.
type Budget struct {
	Connection int64
	Kind       BudgetKind // BudgetUsers or BudgetGroups
	Version    int64      // 0: there is no row yet
	Spent      []Spent
	Allowances []Allowance
}

// Spent is how many departures a part of a window saw.
type Spent struct {
	Until time.Time `json:"until"` // the end of that part: it counts for a whole window after it
	N     int       `json:"n"`
}

// Allowance is what a person lets go beyond the tolerance, or, with Reject, what shall be ignored.
type Allowance struct {
	Cause  string    `json:"cause"` // "" for any
	Left   int       `json:"left"`  // how many more; -1 for any number
	Until  time.Time `json:"until"`
	By     string    `json:"by"`
	Reject bool      `json:"reject,omitempty"`
}

// BudgetQuery asks for what a departure is weighed by.
type BudgetQuery struct {
	Connection int64
	Kind       BudgetKind // "" reads the matters alone
	Resource   string     // whose matters are wanted; "" for nobody's
	Key        string     // matters with this Key are wanted as well; "" for none
}

// DepartureFacts are what a departure is weighed by, beside the resource itself. One statement reads them.
type DepartureFacts struct {
	Budget  Budget
	Present int // users of the connection in state active or held, or its groups that are so
	// Matters are those about the resource that are open, allowed or rejected, and those of the Key that are so, ignored
	// or created; the latest of each kind and cause, and each rejected removal of members, latest first.
	Matters []Matter
}

// LatestMatters keeps the latest matter of each kind and cause, latest first, and each that says of members of its own that they stay.
func LatestMatters(matters []Matter) (kept []Matter) {
	slices.SortFunc(matters, func(a, b Matter) int { return cmp.Compare(b.ID, a.ID) })
	for _, m := range matters {
		ofItsOwn := m.Cause == CauseMembers && m.Status == MatterRejected
		if ofItsOwn || !slices.ContainsFunc(kept, func(k Matter) bool { return k.Kind == m.Kind && k.Cause == m.Cause }) {
			kept = append(kept, m)
		}
	}
	return kept
}
