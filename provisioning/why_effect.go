package provisioning

import (
	"strconv"
	"strings"

	"meibo/scim"
)

// tellEffect tells what changed.
func (t *teller) tellEffect() error {
	e := t.entry
	switch {
	case e.ResourceType == "":
		return nil
	case e.Error != nil && e.Outcome == Failure:
		t.link(LinkEffect, "refused", nil, nil, "link.effect.refused", "error", codeOf(e.Error), "detail", e.Error.Detail, "answer", t.answered())
		return nil
	case e.Version == 0:
		t.link(LinkEffect, "nothing", nil, nil, "link.effect.nothing")
		return nil
	}
	var paths []string
	var inputs []Input
	for _, d := range e.Diff {
		paths = append(paths, d.Path)
		inputs = append(inputs, Input{d.Path, map[string]any{"old": d.Old, "new": d.New}})
	}
	m := e.Members
	joined, left := len(m.Add)+len(m.AssertedAdd)+len(m.EffectiveAdd), len(m.Remove)+len(m.AssertedRemove)+len(m.EffectiveRemove)
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	t.link(LinkEffect, "changed", nil, inputs, "link.effect.changed", "number", strconv.FormatInt(e.Version, 10), "attributes", strings.Join(paths, ", "),
		"added", number(joined), "removed", number(left))
	return nil
}

// answered is the status of the answer; "" where there is none.
func (t *teller) answered() string {
	if t.entry.Request == nil || t.entry.Request.Status == 0 {
		return ""
	}
	return strconv.Itoa(t.entry.Request.Status)
}

// tellSeen tells what the host application sees of it.
func (t *teller) tellSeen() error {
	if t.after == nil || t.entry.Version == 0 {
		return nil
	}
	position, err := positionOf(t.r, t.entry)
	if err != nil {
		return err
	}
	at := ""
	if position > 0 {
		at = strconv.FormatInt(position, 10)
		t.chain.Position = position
	}
	state := t.after.State
	is, err := viewOf(&t.after.Resource)
	if err != nil {
		return err
	}
	inputs := []Input{{"state", string(state)}, {"attributes", map[string]any(is.seen())}}
	if t.entry.ResourceType == scim.User {
		inputs = append(inputs, Input{"role", t.after.RoleName()})
	} else {
		inputs = append(inputs, Input{"members", t.after.MemberCount})
	}
	if t.before != nil && t.before.State != state {
		inputs = append(inputs, Input{"before", string(t.before.State)})
	}
	t.link(LinkSeen, string(state), nil, inputs, "link.seen.state", "state", string(state), "position", at)
	return nil
}

// positionOf finds the position of an entry: positions come in about the order of time. 0 where it has none, or where it was not
// found near its time.
func positionOf(r Reader, e *Entry) (int64, error) {
	_, head, err := r.Changes(0, 1)
	if err != nil {
		return 0, err
	}
	from := e.At.Add(-writeTimeout)
	low, high := int64(0), head // what is not after low is from before that time
	for low < high {
		middle := low + (high-low)/2
		found, _, err := r.Changes(middle, 1)
		if err != nil {
			return 0, err
		}
		if len(found) == 0 || !found[0].Entry.At.Before(from) {
			high = middle
		} else {
			low = found[0].Position
		}
	}
	until := e.At.Add(writeTimeout)
	for range maxPositionPages {
		page, _, err := r.Changes(low, positionPage)
		if err != nil || len(page) == 0 {
			return 0, err
		}
		for _, p := range page {
			if p.Entry.ID == e.ID {
				return p.Position, nil
			}
		}
		last := page[len(page)-1]
		if low = last.Position; last.Entry.At.After(until) {
			return 0, nil
		}
	}
	return 0, nil
}

const (
	positionPage     = 500
	maxPositionPages = 20 // a minute of very many writes
)
