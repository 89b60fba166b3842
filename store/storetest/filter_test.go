package storetest

import (
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"meibo/provisioning"
	"meibo/scim"
	"meibo/scim/scimtest"
	"meibo/store"
)

// TestFiltersSelectTheSame holds what both databases select against scim.Match on the resources as
// a client is shown them: generated filters on generated resources.
func TestFiltersSelectTheSame(t *testing.T) {
	t.Parallel()
	each(t, store.Options{}, func(t *testing.T, s *store.Store) {
		w := newWorld(t, s, "acme")
		w.populate()
		for _, kind := range []scim.ResourceType{scim.User, scim.Group} {
			t.Run(string(kind), func(t *testing.T) {
				shown := w.shown(kind)
				def := scim.Standard(kind)
				filters, found := 0, 0
				rapid.Check(t, func(t *rapid.T) {
					text := scimtest.Filter(def).Draw(t, "filter")
					filters++
					if compareSelection(t, w, shown, kind, text) > 0 {
						found++
					}
				})
				if filters >= 100 && found < filters/4 { // of fewer, chance may find few
					t.Errorf("only %d of %d filters found anything: the generators have drifted apart", found, filters)
				}
			})
		}
	})
}

// compareSelection fails t unless the store selects what scim.Match does, and returns how many that are.
func compareSelection(t interface {
	Fatalf(string, ...any)
	Helper()
}, w *world, shown []scim.Attributes, kind scim.ResourceType, text string) int {
	t.Helper()
	f, err := scim.ParseFilter(scim.Standard(kind), text)
	if err != nil {
		t.Fatalf("the generated filter %s is none: %v", text, err)
	}
	var want []string
	for _, r := range shown {
		if scim.Match(f, r) {
			want = append(want, r["id"].(string))
		}
	}
	page := w.list(provisioning.ListQuery{Scope: w.scope(kind), Filter: f, StartIndex: 1, Count: 1000})
	if got := idsOf(page); !slices.Equal(got, want) || page.Total != len(want) {
		t.Fatalf("filter %s\nselects %v (total %d),\n  wants %v", text, got, page.Total, want)
	}
	return len(want)
}

func idsOf(p provisioning.Page) (ids []string) {
	for _, r := range p.Resources {
		ids = append(ids, r.ID)
	}
	return ids
}

// populate fills the world's own connection with generated resources, and others around it that
// no filter may find.
func (w *world) populate() {
	w.t.Helper()
	ids, instants := scimtest.IDs(), scimtest.Instants()
	var users []provisioning.Resource
	for i := range 80 {
		r := w.generated(scim.User, scimtest.User().Example(i))
		if i < len(ids)-1 {
			r.ID = ids[i]
		}
		r.Created, r.Modified = instants[i%len(instants)], instants[(i/2)%len(instants)]
		if err := w.create(r); err == nil {
			users = append(users, r)
		} else if provisioning.KindOf(err) != provisioning.Conflict {
			w.t.Fatal(err)
		}
	}
	hidden := w.created(w.user("hidden"))
	for i := range 30 {
		r := w.generated(scim.Group, scimtest.Group().Example(i))
		if i == 0 {
			r.ID = ids[len(ids)-1]
		}
		r.Created, r.Modified = instants[i%len(instants)], instants[(i/2)%len(instants)]
		members := []string{users[i].ID, users[(i*7)%len(users)].ID, hidden.ID, "never-issued"}
		if err := w.create(r, slices.Compact(members)...); err != nil && provisioning.KindOf(err) != provisioning.Conflict {
			w.t.Fatal(err)
		}
	}
	w.changed(hidden, func(c *provisioning.Change) { c.After.Visible = false })
}

// generated is a resource with generated attributes, its index as the core derives it.
func (w *world) generated(kind scim.ResourceType, a scim.Attributes) provisioning.Resource {
	name, _ := a["userName"].(string)
	r := w.user(name)
	if kind == scim.Group {
		name, _ = a["displayName"].(string)
		r = w.group(name)
	}
	enterprise, _ := a[scim.EnterpriseUserSchema].(map[string]any)
	if m, ok := enterprise["manager"].(map[string]any); ok {
		delete(m, "$ref") // derived
		delete(m, "displayName")
		r.Index.Manager, _ = m["value"].(string)
	}
	r.Asserted = scim.Standard(kind).Encode(a)
	r.Index.Display, _ = a["displayName"].(string)
	r.Index.ExternalID, _ = a["externalId"].(string)
	list, _ := a["emails"].([]any)
	for _, v := range list {
		e := v.(map[string]any)
		value, _ := e["value"].(string)
		kind, _ := e["type"].(string)
		display, _ := e["display"].(string)
		primary, _ := e["primary"].(bool)
		r.Index.Emails = append(r.Index.Emails, provisioning.Email{Value: scim.FoldFull.Apply(value),
			Type: scim.FoldASCII.Apply(kind), Display: scim.FoldASCII.Apply(display), Primary: primary})
	}
	return r
}

// shown is what a client is shown of each resource of a type, in the order of the list; but
// without the URLs that only the endpoint knows.
func (w *world) shown(kind scim.ResourceType) (all []scim.Attributes) {
	w.t.Helper()
	page := w.list(provisioning.ListQuery{Scope: w.scope(kind), StartIndex: 1, Count: 1000,
		References: provisioning.References{Groups: true, Manager: true}})
	for _, r := range page.Resources {
		a, err := scim.Standard(kind).Decode(r.Asserted)
		w.must(err)
		var doc struct{ Schemas []any }
		w.must(json.Unmarshal(r.Asserted, &doc))
		a["schemas"], a["id"] = doc.Schemas, r.ID
		const format = "2006-01-02T15:04:05.000000Z"
		a["meta"] = map[string]any{"resourceType": string(kind), "version": `W/"1"`, "location": urlOnly,
			"created": r.Created.Format(format), "lastModified": r.Modified.Format(format)}
		var groups, members []any
		for _, g := range r.Groups {
			groups = append(groups, map[string]any{"value": g.ID, "display": g.Display, "type": "direct", "$ref": urlOnly})
		}
		if kind == scim.Group {
			for _, m := range w.members(r.ID) {
				members = append(members, map[string]any{"value": m.Value, "display": m.Display, "type": string(m.Type), "$ref": urlOnly})
			}
		}
		a["groups"], a["members"] = groups, members
		if r.Manager.ID != "" {
			manager := a[scim.EnterpriseUserSchema].(map[string]any)["manager"].(map[string]any)
			manager["displayName"], manager["$ref"] = r.Manager.Display, urlOnly
		}
		all = append(all, a)
	}
	return all
}

// urlOnly stands for a URL with the server's address: it is there, and not being a text satisfies
// no comparison.
const urlOnly = true
