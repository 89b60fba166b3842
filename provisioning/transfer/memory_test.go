package transfer

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"meibo/provisioning"
	"meibo/scim"
)

// crowd is a directory of so many users that are made while they are read.
type crowd struct {
	provisioning.Reader // nil: what an export does not read fails
	users               int
	doc                 []byte
}

func (c *crowd) Snapshot(_ context.Context, _ string, fn func(provisioning.Reader) error) error {
	return fn(crowdReader{c})
}

func (c *crowd) GuessesIn(provisioning.Reader, *provisioning.Resource) ([]string, error) {
	return nil, nil
}

type crowdReader struct{ *crowd }

func (crowdReader) Connections() ([]provisioning.Connection, error) {
	return []provisioning.Connection{{ID: 1, Name: "entra"}}, nil
}

func (r crowdReader) Snapshot() error { return nil }

func (r crowdReader) Accounts(q provisioning.AccountQuery, fn func(provisioning.Resource) error) error {
	next := 0
	if q.After != "" {
		_, _ = fmt.Sscanf(q.After, "%d", &next)
		next++
	}
	for i := next; i < min(r.users, next+q.Limit); i++ {
		if err := fn(provisioning.Resource{ID: fmt.Sprintf("%036d", i), Type: q.Type, Connection: 1, State: provisioning.Active, Visible: true, Asserted: r.doc}); err != nil {
			return err
		}
	}
	return nil
}

// peak is the largest live heap while run runs, measured whenever it calls the function that it is given.
func peak(run func(sample func())) (most uint64) {
	run(func() {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapAlloc)
	})
	return most
}

// Ten times as many users take no more memory, neither written nor read.
func TestMemoryIsThatOfARow(t *testing.T) {
	doc := scim.Standard(scim.User).Encode(scim.Attributes{"userName": "x", "title": strings.Repeat("t", 1000),
		"emails": []any{map[string]any{"type": "work", "value": "x@example.com"}}})
	for _, f := range []Format{CSV, NDJSON} {
		heap := func(users int) uint64 {
			return peak(func(sample func()) {
				in, out := io.Pipe()
				go func() {
					_, err := Export(t.Context(), &crowd{users: users, doc: doc}, "acme", out, ExportOptions{Types: []scim.ResourceType{scim.User}, Format: f})
					out.CloseWithError(err)
				}()
				r, err := NewReader(in)
				if err != nil {
					t.Fatal(err)
				}
				for n := 0; ; n++ {
					row, err := r.Next()
					if err == io.EOF {
						if n != users {
							t.Errorf("%d rows of %d users", n, users)
						}
						return
					}
					if err != nil || len(row.Faults) > 0 {
						t.Fatal(err, row.Faults)
					}
					if n%1000 == 0 {
						sample()
					}
				}
			})
		}
		heap(100) // what is made once
		few, many := heap(2_000), heap(20_000)
		if many > few+256<<10 {
			t.Errorf("%s: %d bytes of heap for 20,000 users, %d for 2,000", f, many, few)
		}
	}
}
