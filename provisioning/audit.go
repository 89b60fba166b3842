package provisioning

import "context"

// The audit trail is what people did, and what was done to meibo itself, out of the journal: what an administrator or the
// holder of an API key did, and whatever changed settings, tokens, keys, connections and the like, whoever did it.

// isAudited reports whether an entry belongs to the audit trail.
func (e *Entry) isAudited() bool {
	initiator, _ := InitiatorOf(e.Actor)
	return e.Action == ActionOther || initiator == InitiatorUser
}

const (
	// auditPiece is how many positions one read looks at.
	auditPiece = 1000
	// auditPieces is how many reads one piece of the trail takes at most.
	auditPieces = 20
)

// Audit reads what q selects of the audit trail behind a position, which may be FromTheOldest, in the order of positions, the first limit
// of them. It looks at a bounded number of entries, so that a piece may be short, or empty, and have reached a later position all the same: whoever
// comes back with that misses nothing and is told nothing twice. Before and Limit of q do not count. Gone where some of the entries that follow are kept
// no longer; Invalid as of Follower.After; NotFound for the tenant.
func (s *Service) Audit(ctx context.Context, tenant string, q EntryQuery, after int64, limit int) (Told, error) {
	out, c := Told{Reached: after}, newSelection(q)
	for range auditPieces {
		err := s.store.View(ctx, tenant, func(r Reader) error {
			if _, err := tenantOf(r, tenant); err != nil {
				return err
			}
			return out.acts(r, &c, limit)
		})
		if err != nil || len(out.Entries) == limit || out.Reached >= out.Head {
			return out, err
		}
	}
	return out, nil
}

// acts adds what is selected of one read.
func (t *Told) acts(r Reader, c *selection, limit int) (err error) {
	if t.Reached, err = begin(r, t.Reached); err != nil {
		return err
	}
	upto := t.Reached + auditPiece
	found, head, err := r.Acts(t.Reached, upto)
	if err != nil {
		return err
	}
	if err := unbroken(r, t.Reached, goOn); err != nil {
		return err
	}
	if err := c.lookUp(r, found, head); err != nil {
		return err
	}
	t.Head = head
	for _, e := range found {
		if !c.selects(&e.Entry) || !e.Entry.isAudited() {
			continue
		}
		t.Entries, t.Reached = append(t.Entries, e), e.Position
		if len(t.Entries) == limit {
			return nil
		}
	}
	t.Reached = max(t.Reached, min(upto, head))
	return nil
}
