package provisioning

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// positioned is a journal that is read by position alone.
type positioned struct {
	Reader
	entries []Entry // position 1 and so on
	gone    int     // how many positions are not there any more
}

func (p positioned) Changes(after int64, limit int) (found []PositionedEntry, head int64, err error) {
	head = int64(len(p.entries))
	for i := max(int(after), p.gone); i < len(p.entries) && len(found) < limit; i++ {
		found = append(found, PositionedEntry{int64(i + 1), p.entries[i]})
	}
	return found, head, nil
}

// TestPrecedence: what was there when an entry was written is told by positions where they are near, and else by time.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	at := func(id string, offset time.Duration) Entry {
		return Entry{ID: id, At: now.Add(offset), Correlation: "of " + id}
	}
	journal := []Entry{at("long ago", -time.Hour), at("quick", time.Millisecond), at("same time before", 0), at("before", -time.Second), at("asked", 0), at("same time after", 0),
		at("slow", -20*time.Second), at("after", time.Second), at("long after", time.Hour)}
	made := at("room", 0)
	made.Correlation = "of asked"
	journal = slices.Insert(journal, 4, made)
	for name, c := range map[string]struct {
		entries []Entry
		gone    int
		want    []string
	}{
		"by position":                    {journal, 0, []string{"long ago", "quick", "same time before", "before"}},
		"as the last":                    {append(slices.Clone(journal[:4]), journal[6], journal[8]), 0, []string{"long ago", "quick", "same time before", "before", "same time after", "after"}},
		"whose position is not any more": {journal, len(journal) - 1, []string{"long ago", "before", "slow"}},
	} {
		p, err := precedenceOf(positioned{entries: c.entries, gone: c.gone}, at("asked", 0))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range c.entries {
			if p.has(&e) {
				got = append(got, e.ID)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
