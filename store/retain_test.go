package store

import (
	"context"
	"database/sql"
	"maps"
	"testing"
	"time"

	"meibo/provisioning"
)

// purge lets most of what is before a cut go, in batches.
func (b *book) purge(cut time.Time) {
	b.t.Helper()
	var kept []provisioning.Entry
	var gone []string
	changes := []provisioning.JournalChange{{Horizon: &provisioning.Horizon{Cut: cut}}}
	for i, e := range b.entries {
		switch {
		case !e.At.Before(cut) || i == len(b.entries)-1: // the last one has the last position, and stays
			kept = append(kept, e)
		case i%5 > 0:
			gone = append(gone, e.ID)
		default:
			is := e
			is.At, is.Reason, is.Action, is.Request, is.Members = cut.Add(-time.Microsecond), provisioning.Reason{Code: provisioning.ReasonBaseline}, "update", nil, provisioning.MemberDelta{}
			kept = append(kept, is)
			changes = append(changes, provisioning.JournalChange{Rewrite: &provisioning.EntryRewrite{Was: e, Is: is}})
		}
	}
	b.entries = kept
	ctx := context.Background()
	for _, c := range append(changes, provisioning.JournalChange{Drop: gone[:len(gone)/2]}, provisioning.JournalChange{Drop: gone[len(gone)/2:]}) {
		must(b.t, b.s.Update(ctx, "acme", func(tx provisioning.Tx) error {
			return tx.Commit(provisioning.Batch{Journal: []provisioning.JournalChange{c}})
		}))
	}
	for n := 7; n == 7; {
		var err error
		n, err = b.s.DropActivity(ctx, "acme", cut, 7)
		must(b.t, err)
	}
}

// TestPurgeForgets: with an entry goes what it mentions and with the hours before the cut what was counted of them; what is
// there of others stays.
func TestPurgeForgets(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, s *Store, connection int64) {
		b := newBook(t, s, connection)
		b.grow(200, true)
		followAll(t, s)
		before, cut := b.activity(), epoch.Add(2*time.Hour+13*time.Minute)
		mentions := len(b.mentions())
		b.purge(cut)
		want := map[[2]string]bool{}
		for _, e := range b.entries {
			d := e.Members
			d.Add, d.Remove = nil, nil
			for _, member := range membersNamed(d) {
				want[[2]string{member, e.ID}] = true
			}
		}
		if got := b.mentions(); !maps.Equal(got, want) || len(got) == mentions {
			t.Errorf("%d mentions of %d are left, and %d entries mention somebody", len(got), mentions, len(want))
		}
		after := b.activity()
		maps.DeleteFunc(before, func(h tenantHour, _ int) bool { return h.tenant == "acme" && !h.at.Add(time.Hour).After(cut) })
		if !maps.Equal(after, before) {
			t.Errorf("activity is left of %v, want %v", after, before)
		}
	})
}

func (b *book) mentions() map[[2]string]bool {
	b.t.Helper()
	all := map[[2]string]bool{}
	eachRow(b.t, b.s, "select member, entry from mention", func(rows *sql.Rows) error {
		var m [2]string
		err := rows.Scan(&m[0], &m[1])
		all[m] = true
		return err
	})
	return all
}

type tenantHour struct {
	tenant string
	at     time.Time
}

func (b *book) activity() map[tenantHour]int {
	b.t.Helper()
	all := map[tenantHour]int{}
	eachRow(b.t, b.s, "select tenant, hour, cast(sum(n) as bigint) from activity group by tenant, hour", func(rows *sql.Rows) error {
		var h tenantHour
		var at instant
		var n int
		err := rows.Scan(&h.tenant, &at, &n)
		h.at = at.Time.UTC()
		all[h] = n
		return err
	})
	return all
}
