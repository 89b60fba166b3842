package provisioning

// lacking is what decide answers when it cannot decide without further facts: Apply fetches them and has
// it decide again. So what a departure or an adoption is weighed by costs the others nothing.
type lacking struct {
	departure *BudgetQuery // Facts.Departure
	members   bool         // Facts.Open of the resource addressed, the effective ones
	listed    bool         // Facts.Open, all that last
	resource  *Resource    // whose Groups are wanted
	waiting   *Resource    // the matters about it: Facts.Waiting
	holder    string       // who has this effective userName: Facts.Candidates.Effective
	left      *Resource    // why it came into its state: Facts.Left
	taken     *Resource    // the groups that a purge took from it: Facts.Groups
}

func (*lacking) Error() string { return "further facts are needed" }
