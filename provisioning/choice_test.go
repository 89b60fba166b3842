package provisioning_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// TestReadChoicesBroken: a file that is no CSV is named by its line, wherever in a line it breaks.
func TestReadChoicesBroken(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rows string
		line int
	}{
		"a quote in the first value":   {"a\"b,allow\n", 2},
		"a quote in the second value":  {"a,al\"low\n", 2},
		"a quote that is never closed": {"a,allow\n\"b,allow\n", 3},
		"text behind a quote":          {"a,allow\n\"b\"c,allow\n", 3},
	} {
		_, err := provisioning.ReadChoices(strings.NewReader("matter,choice\n" + tc.rows))
		faults, ok := errors.AsType[provisioning.ChoiceFaults](err)
		if !ok || len(faults) != 1 || faults[0].Line != tc.line {
			t.Errorf("%s: %v; want one fault in line %d", name, err, tc.line)
		}
	}
}

// TestLinkedOnce: an account that answered one question is no answer to another one that was asked before. Who links it is told what
// did; once its client has asked again, it is a question about the account as it is now.
func TestLinkedOnce(t *testing.T) {
	t.Parallel()
	eachDirectory(t, nil, func(d *directory) {
		for _, name := range []string{"other", "third"} {
			if _, err := d.CreateConnection(d.Context(), d.admin(), name); err != nil {
				d.Fatal(err)
			}
		}
		ann := func(name string) scim.Attributes {
			a := named(name)
			a["emails"] = []any{map[string]any{"value": "ann@example.com"}}
			return a
		}
		id := d.createAs("other", ann("ann"))
		asks := func(connection, name string) provisioning.Matter {
			d.Helper()
			d.clock.Advance(time.Minute)
			_, err := d.Create(d.Context(), d.client(connection), scim.User, provisioning.Body{Attributes: ann(name)})
			wantKind(d.T, err, provisioning.Conflict, "link")
			for _, m := range d.matters(provisioning.MatterQuery{Kind: provisioning.MatterAdoption, Status: provisioning.MatterOpen}) {
				if m.Name == name {
					return m
				}
			}
			d.Fatalf("nothing was asked about %s", name)
			return provisioning.Matter{}
		}
		link := func(m provisioning.Matter) error {
			d.clock.Advance(time.Minute)
			_, err := d.Resolve(d.Context(), d.admin(), m.ID, provisioning.Resolution{Status: provisioning.MatterLinked})
			return err
		}
		wantOwner := func(connection, name string) {
			d.Helper()
			if x := d.account(id); x.Connection != d.client(connection).Connection.ID || d.effective(id, "userName") != name {
				d.Errorf("it is %v of connection %d, want %s of %s", d.effective(id, "userName"), x.Connection, name, connection)
			}
		}
		one, two, three := asks("default", "one"), asks("default", "two"), asks("third", "three")
		if err := link(one); err != nil {
			d.Fatal(err)
		}
		for _, m := range []provisioning.Matter{two, three} {
			err := link(m)
			wantKind(d.T, err, provisioning.Conflict, id)
			wantKind(d.T, err, provisioning.Conflict, "admin linked it by the matter "+one.ID)
			if m, err := d.Matter(d.Context(), "acme", m.ID); err != nil || m.Status != provisioning.MatterOpen {
				d.Errorf("the question is %s, %v", m.Status, err)
			}
		}
		wantOwner("default", "one")
		if err := link(asks("third", "three")); err != nil {
			d.Fatalf("once it was asked again: %v", err)
		}
		wantOwner("third", "three")
		wantKind(d.T, link(two), provisioning.Conflict, three.ID)
	})
}
