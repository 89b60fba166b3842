package provisioning

import "context"

// InCycle is q for the entries of one cycle alone. NotFound for the cycle; Invalid where q is about another connection.
func (s *Service) InCycle(ctx context.Context, tenant string, q EntryQuery, cycle string) (EntryQuery, error) {
	c, err := View(ctx, s.store, tenant, func(r Reader) (Cycle, error) { return s.cycle(r, cycle) })
	if err != nil {
		return q, err
	}
	return c.narrow(q)
}

// narrow has a query select entries of the cycle alone. Those of a job carry its id. One of a client is within its time,
// and a little behind the last request: the next cycle of the connection cannot begin before the gap is over.
func (c *Cycle) narrow(q EntryQuery) (EntryQuery, error) {
	if c.Kind != CycleKind {
		if q.Correlation != "" && q.Correlation != c.ID {
			return q, &Error{Kind: Invalid, Attribute: "cycle", Detail: "the entries of a run have its id as their correlation id; leave one of the two out"}
		}
		q.Correlation = c.ID
		return q, nil
	}
	if q.Connection != 0 && q.Connection != c.Connection {
		return q, &Error{Kind: Invalid, Attribute: "cycle", Detail: "the cycle is of another connection; leave one of the two out"}
	}
	q.Connection = c.Connection
	if q.Since.Before(c.Began) {
		q.Since = c.Began
	}
	if end := c.Last.Add(cycleGap); q.Until.IsZero() || q.Until.After(end) {
		q.Until = end
	}
	return q, nil
}
