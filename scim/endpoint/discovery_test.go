package endpoint

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"testing"

	"meibo/provisioning"
	"meibo/scim"
	"meibo/store/storetest"
)

func TestDiscoveryDocuments(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	base := publicURL + "/t/" + d.tenant + "/scim/v2"
	meta := func(kind, path string) map[string]any {
		return map[string]any{"resourceType": kind, "location": base + path}
	}
	userType := map[string]any{
		"schemas": []any{resourceTypeSchema}, "id": "User", "name": "User", "endpoint": "/Users", "schema": scim.UserSchema,
		"description": "<any>", "meta": meta("ResourceType", "/ResourceTypes/User"),
		"schemaExtensions": []any{map[string]any{"schema": scim.EnterpriseUserSchema, "required": false}},
	}
	groupType := map[string]any{
		"schemas": []any{resourceTypeSchema}, "id": "Group", "name": "Group", "endpoint": "/Groups", "schema": scim.GroupSchema,
		"description": "<any>", "meta": meta("ResourceType", "/ResourceTypes/Group"),
	}
	schema := func(id string) map[string]any {
		return map[string]any{"schemas": []any{schemaSchema}, "id": id, "name": "<any>", "description": "<any>",
			"attributes": "<any>", "meta": meta("Schema", "/Schemas/"+id)}
	}
	list := func(resources ...any) map[string]any {
		n := number(len(resources))
		return map[string]any{"schemas": []any{scim.ListResponseSchema}, "totalResults": n, "itemsPerPage": n,
			"startIndex": number(1), "Resources": resources}
	}
	config := map[string]any{
		"schemas": []any{configSchema}, "patch": map[string]any{"supported": true}, "etag": map[string]any{"supported": true},
		"bulk":   map[string]any{"supported": false, "maxOperations": number(0), "maxPayloadSize": number(0)},
		"filter": map[string]any{"supported": true, "maxResults": number(1000)}, "sort": map[string]any{"supported": false},
		"changePassword": map[string]any{"supported": false},
		"authenticationSchemes": []any{map[string]any{"type": "oauthbearertoken", "name": "<any>", "description": "<any>",
			"specUri": "<any>", "primary": true}},
		"meta": meta("ServiceProviderConfig", "/ServiceProviderConfig"),
	}
	for target, want := range map[string]any{
		"/ServiceProviderConfig":                config,
		"/serviceConfiguration":                 config,
		"/ResourceTypes":                        list(userType, groupType),
		"/ResourceTypes/User":                   userType,
		"/ResourceTypes/Group":                  groupType,
		"/ResourceTypes/group":                  groupType,
		"/Schemas":                              list(schema(scim.UserSchema), schema(scim.GroupSchema), schema(scim.EnterpriseUserSchema)),
		"/Schemas?startIndex=2&count=1":         list(schema(scim.UserSchema), schema(scim.GroupSchema), schema(scim.EnterpriseUserSchema)),
		"/Schemas/" + scim.UserSchema:           schema(scim.UserSchema),
		"/Schemas/" + scim.GroupSchema:          schema(scim.GroupSchema),
		"/Schemas/" + scim.EnterpriseUserSchema: schema(scim.EnterpriseUserSchema),
	} {
		a := d.get(target)
		if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/scim+json" {
			t.Errorf("GET %s: %d %s", target, a.status, a.header.Get("Content-Type"))
		}
		for _, problem := range compare(target, want, a.object(t), true) {
			t.Error(problem)
		}
	}
	for _, target := range []string{"/ResourceTypes/Device", "/Schemas/urn:ietf:params:scim:schemas:core:2.0:Device"} {
		mustBeError(t, target, d.get(target), http.StatusNotFound, "")
	}
	for _, target := range []string{"/ServiceProviderConfig", "/serviceConfiguration", "/ResourceTypes", "/Schemas", "/Schemas/" + scim.UserSchema} {
		mustBeError(t, target, d.get(target+"?filter=id%20pr"), http.StatusForbidden, "")
	}
}

// TestDiscoveryHasNoNulls: clients of schema discovery refuse null values and characteristics in
// other spellings.
func TestDiscoveryHasNoNulls(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	known := map[string][]string{
		"type":       {"string", "boolean", "decimal", "integer", "dateTime", "binary", "reference", "complex"},
		"mutability": {"readOnly", "readWrite", "immutable", "writeOnly"},
		"returned":   {"always", "never", "default", "request"},
		"uniqueness": {"none", "server", "global"},
	}
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case nil:
			t.Errorf("%s is null", path)
		case []any:
			for _, e := range v {
				walk(path, e)
			}
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				walk(path+"."+key, v[key])
				if s, isString := v[key].(string); isString && v["multiValued"] != nil && known[key] != nil && !slices.Contains(known[key], s) {
					t.Errorf("%s.%s is %q", path, key, s)
				}
			}
			if v["multiValued"] != nil && v["description"] == nil {
				t.Errorf("%s has no description", path)
			}
		}
	}
	for _, target := range []string{"/Schemas", "/ResourceTypes", "/ServiceProviderConfig"} {
		walk(target, d.get(target).object(t))
	}
}

// TestSchemasTellTheTruth writes a value into every attribute that is announced as writable and
// reads each back; what is announced as read-only does not take the client's.
func TestSchemasTellTheTruth(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	var announced struct{ Resources []*scim.Schema }
	if err := json.Unmarshal(d.get("/Schemas").body, &announced); err != nil {
		t.Fatal(err)
	}
	member := d.create("/Users", user)
	for _, tt := range []struct {
		target string
		urns   []string
	}{{"/Users", []string{scim.UserSchema, scim.EnterpriseUserSchema}}, {"/Groups", []string{scim.GroupSchema}}} {
		body, want := map[string]any{}, map[string]any{}
		for _, s := range announced.Resources {
			if !slices.Contains(tt.urns, s.ID) {
				continue
			}
			sent, shown := body, want
			if s.ID == scim.EnterpriseUserSchema {
				sent, shown = map[string]any{}, map[string]any{}
				body[s.ID], want[s.ID] = sent, shown
			}
			for _, a := range s.Attributes {
				fillIn(a, member, sent, shown)
			}
		}
		data, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		id := d.create(tt.target, string(data))
		for _, problem := range compare(tt.target, want, d.get(tt.target+"/"+id).object(t), false) {
			t.Error(problem)
		}
	}
}

// fillIn puts a value for an announced attribute into what is sent, and what must come back into
// what is shown.
func fillIn(a *scim.Attribute, member string, sent, shown map[string]any) {
	var value, back any
	switch a.Type {
	case scim.Complex:
		in, out := map[string]any{}, map[string]any{}
		for _, sub := range a.SubAttributes {
			fillIn(sub, member, in, out)
		}
		value, back = in, out
	case scim.Boolean:
		value, back = true, true
	case scim.DateTime:
		value, back = "2026-01-31T09:30:00Z", "2026-01-31T09:30:00Z"
	case scim.Binary:
		value, back = "AQID", "AQID"
	default:
		text := "https://example.com/" + a.Name
		if len(a.CanonicalValues) > 0 {
			text = a.CanonicalValues[0]
		}
		if a.Name == "value" {
			text = member // of a group, or a manager; as good as any for others
		}
		value, back = text, text
	}
	if a.MultiValued {
		value, back = []any{value}, []any{back}
	}
	sent[a.Name] = value
	switch {
	case a.Mutability == scim.ReadOnly, a.Name == "$ref", a.Name == "type" && a.Description == "A label indicating the type of resource, e.g., 'User' or 'Group'.":
		// The server's own; it may be there or not.
	default:
		shown[a.Name] = back
	}
}

// TestConfigTellsTheTruth uses, or fails to use, what the configuration announces.
func TestConfigTellsTheTruth(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	id := d.create("/Users", user)
	mustBeError(t, "bulk", d.post("/Bulk", `{}`), http.StatusNotImplemented, "")
	if a := d.patch("/Users/"+id, `{"Operations":[{"op":"replace","path":"title","value":"x"}]}`); a.status != http.StatusOK {
		t.Errorf("patch: %d", a.status)
	}
	if a := d.get("/Users/" + id); a.header.Get("ETag") == "" {
		t.Error("etag: there is none")
	}
	a := d.patch("/Users/"+id, `{"Operations":[{"op":"replace","path":"password","value":"x"}]}`)
	if entries := d.entries(a.correlation()); len(entries) != 1 || entries[0].Outcome != provisioning.Skipped {
		t.Errorf("changePassword: %+v", entries)
	}
	if got := d.get("/Users?filter=userName%20pr").object(t)["totalResults"]; got != number(1) {
		t.Errorf("filter: %v", got)
	}
}
