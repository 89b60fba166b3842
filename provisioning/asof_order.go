package provisioning

import "time"

// precedence tells of each entry whether it was there when another one was written. Positions are in the order of commits,
// while times are those at which units of work began: one that began earlier may have been committed later, and several
// may have one time.
type precedence struct {
	of  Entry
	odd map[string]bool // of those whose position says otherwise than their time, or whose time is the same
}

// precedenceOf reads the positions of what was written at about the time of an entry. Where that has none yet, all that have one
// come before it; where it has none any longer, only time is known.
func precedenceOf(r Reader, e Entry) (*precedence, error) {
	p := &precedence{of: e, odd: map[string]bool{}}
	low, err := firstPosition(r, e.At.Add(-writeTimeout))
	for met := false; err == nil; {
		var page []PositionedEntry
		if page, _, err = r.Changes(low, positionPage); err != nil || len(page) == 0 {
			break
		}
		for i := range page {
			x := &page[i].Entry
			switch {
			case x.ID == e.ID:
				met = true
			case met && x.At.After(e.At.Add(writeTimeout)):
				return p, nil // what is committed now began after it was
			case !met && x.At.After(e.At.Add(2*writeTimeout)):
				clear(p.odd) // its position is gone
				return p, nil
			case met && !x.At.After(e.At):
				p.odd[x.ID] = false
			case !met && !x.At.Before(e.At):
				p.odd[x.ID] = true
			}
		}
		low = page[len(page)-1].Position
	}
	return p, err
}

// has reports whether an entry was there. None of the unit of work itself was.
func (p *precedence) has(e *Entry) bool {
	if e.ID == p.of.ID || e.At.Equal(p.of.At) && e.Correlation != "" && e.Correlation == p.of.Correlation {
		return false
	}
	if was, odd := p.odd[e.ID]; odd {
		return was
	}
	return earlier(e, &p.of)
}

// firstPosition is a position behind which are all entries of an instant or later. Positions come in about the order of time.
func firstPosition(r Reader, from time.Time) (low int64, err error) {
	_, high, err := r.Changes(0, 1) // what is not after low is from before that time
	for err == nil && low < high {
		middle := low + (high-low)/2
		var found []PositionedEntry
		found, _, err = r.Changes(middle, 1)
		if len(found) == 0 || !found[0].Entry.At.Before(from) {
			high = middle
		} else {
			low = found[0].Position
		}
	}
	return low, err
}
