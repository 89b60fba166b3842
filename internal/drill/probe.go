package drill

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

// probe is what happens before the first cycle: Test Connection, discovery, and a wrong token.
func (d *drill) probe(ctx context.Context) {
	d.bar.begin("connection test", 3)
	d.testConnection(ctx)
	d.bar.step()
	d.wrongToken(ctx)
	d.bar.step()
	d.discovery(ctx)
	d.bar.step()
}

// testConnection searches for a random name by each attribute that may be the matching one. A hit means that the filter was ignored.
func (d *drill) testConnection(ctx context.Context) {
	for _, path := range []string{"userName", "externalId", workMail} {
		d.none(ctx, users, equals(path, guid(d.rng)), searchIgnored)
	}
	d.none(ctx, groups, equals("displayName", guid(d.rng)), searchIgnored)
	d.none(ctx, groups, equals("externalId", guid(d.rng)), searchIgnored)
}

func (d *drill) wrongToken(ctx context.Context) {
	for _, e := range []endpoint{users, groups} {
		a, ok := d.send(ctx, request{
			kind: "auth.wrong-token", method: http.MethodGet, path: e.path(""), token: "not-" + guid(d.rng),
			query: "filter=" + encodeFilter(equals("displayName", guid(d.rng))),
		})
		if ok && a.status != http.StatusUnauthorized {
			d.report(a, authWrongAccepted, "401", describe(a))
		}
	}
}

func (d *drill) discovery(ctx context.Context) {
	if a, ok := d.discover(ctx, "/ServiceProviderConfig", discoveryConfig); ok {
		for _, feature := range []string{"patch", "filter"} {
			if f, _ := a.json[feature].(map[string]any); f["supported"] != true {
				d.report(a, discoveryConfig, feature+".supported true", describe(a))
			}
		}
	}
	if a, ok := d.discover(ctx, "/ResourceTypes", discoveryResourceTypes); ok {
		d.hasResourceTypes(a)
	}
	if a, ok := d.discover(ctx, "/Schemas", discoverySchemas); ok {
		d.hasAttributes(a)
	}
	for _, e := range []endpoint{users, groups} {
		if a, ok := d.list(ctx, e, 1, 1); ok && len(a.resources) > 1 {
			d.report(nil, listItemsPerPage, "at most one resource for count=1", fmt.Sprint(len(a.resources)))
		}
	}
}

func (d *drill) discover(ctx context.Context, path string, f fault) (*answer, bool) {
	a, ok := d.send(ctx, request{kind: "discovery", method: http.MethodGet, path: path})
	if ok && a.status != http.StatusOK {
		d.report(a, f, "200", describe(a))
		return a, false
	}
	return a, ok
}

func (d *drill) hasResourceTypes(a *answer) {
	p, ok := d.page(a)
	if !ok {
		return
	}
	found := map[string]bool{}
	for _, res := range p.resources {
		place, _ := res["endpoint"].(string)
		found[strings.TrimPrefix(place, "/")] = true
	}
	for _, e := range []endpoint{users, groups} {
		if !found[string(e)] {
			d.report(a, discoveryResourceTypes, "an entry for /"+string(e), describe(a))
		}
	}
}

// hasAttributes looks for every mapped attribute, since the gallery's validation demands that each can be discovered.
func (d *drill) hasAttributes(a *answer) {
	p, ok := d.page(a)
	if !ok {
		return
	}
	byID := map[string]resource{}
	for _, res := range p.resources {
		id, _ := res["id"].(string)
		byID[id] = res
	}
	if byID[coreGroup] == nil {
		d.report(a, discoverySchemas, coreGroup, "no such schema")
	}
	for _, m := range mapping {
		schema := coreUser
		if m.urn != "" {
			schema = m.urn
		}
		if m.name == "externalId" {
			continue // common to all resources; RFC 7643 section 7 leaves it out of the schemas
		}
		if !declares(byID[schema]["attributes"], m.name, m.sub) {
			d.report(a, discoverySchemas, schema+" with "+m.path, "no such attribute")
		}
	}
}

// declares looks a name, and a sub-attribute if there is one, up in a schema's attributes.
func declares(attributes any, name, sub string) bool {
	found, _ := element(attributes, "name", name).(map[string]any)
	if found == nil || sub == "" {
		return found != nil
	}
	return declares(found["subAttributes"], sub, "")
}
