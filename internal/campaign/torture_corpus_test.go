package campaign

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"

	"meibo/scim"
)

// sandbox is a tenant with resources to ask for.
type sandbox struct {
	host   string
	base   string // path of the SCIM base
	token  string
	users  []seeded
	groups []seeded
}

// seeded is a resource that a sandbox began with.
type seeded struct{ id, name string }

func (b *sandbox) user(rng *rand.Rand) seeded  { return b.users[rng.IntN(len(b.users)-1)] }
func (b *sandbox) group(rng *rand.Rand) seeded { return b.groups[rng.IntN(len(b.groups)-1)] }

// wellFormed makes requests that are answered 2xx. unique is part of every name that must be new.
type wellFormed struct {
	name string
	make func(b *sandbox, rng *rand.Rand, unique string) *shot
}

func newShot(b *sandbox, k shape, method, path string, success int) *shot {
	return &shot{shape: k, at: b, method: method, path: path, proto: "HTTP/1.1", success: success, headers: []headerField{
		{"Host", b.host}, {"Authorization", "Bearer " + b.token}, {"Accept", "application/scim+json"}}}
}

func newWrite(b *sandbox, k shape, t scim.ResourceType, method, path string, success int, tree map[string]any) *shot {
	s := newShot(b, k, method, path, success)
	s.def, s.tree = scim.Standard(t), tree
	s.addHeader("Content-Type", "application/scim+json; charset=utf-8")
	return s
}

func newRead(b *sandbox, k shape, t scim.ResourceType, path string, params ...string) *shot {
	s := newShot(b, k, http.MethodGet, path, http.StatusOK)
	s.def, s.params = scim.Standard(t), params
	return s
}

type jsonObject = map[string]any

func patchOf(operations ...any) jsonObject {
	return jsonObject{"schemas": []any{scim.PatchOpSchema}, "Operations": operations}
}

func patchOp(op, path string, value any) any {
	o := jsonObject{"op": op}
	if path != "" {
		o["path"] = path
	}
	if value != nil {
		o["value"] = value
	}
	return o
}

// newcomer is what Entra sends of a user at first.
func newcomer(unique string) jsonObject {
	return jsonObject{
		"schemas":    []any{scim.UserSchema, scim.EnterpriseUserSchema},
		"externalId": "ext-" + unique, "userName": "torture-" + unique + "@contoso.example", "active": true,
		"displayName": "Torture " + unique, "title": "Pilot", "preferredLanguage": "ja-JP",
		"name":                    jsonObject{"givenName": "Tor", "familyName": "Ture", "formatted": "Tor Ture"},
		"emails":                  []any{jsonObject{"type": "work", "value": unique + "@contoso.example", "primary": true}},
		"phoneNumbers":            []any{jsonObject{"type": "mobile", "value": "+81 90 0000 0000"}, jsonObject{"type": "work", "value": "+81 3 0000 0000"}},
		"addresses":               []any{jsonObject{"type": "work", "locality": "東京", "country": "JP", "formatted": "千代田区"}},
		"roles":                   []any{},
		scim.EnterpriseUserSchema: jsonObject{"department": "R&D", "employeeNumber": "7", "organization": "Contoso"},
	}
}

// corpus is every shape of request that clients send.
func corpus() []wellFormed {
	return append(append(userCorpus(), userPatches()...), append(groupCorpus(), readingCorpus()...)...)
}

func userCorpus() []wellFormed {
	return []wellFormed{
		{"POST user", func(b *sandbox, _ *rand.Rand, unique string) *shot {
			return newWrite(b, posting, scim.User, http.MethodPost, "/Users", http.StatusCreated,
				jsonObject{"schemas": []any{scim.UserSchema}, "userName": "min-" + unique, "displayName": "Minimal"})
		}},
		{"POST user as Entra", func(b *sandbox, _ *rand.Rand, unique string) *shot {
			return newWrite(b, posting, scim.User, http.MethodPost, "/Users", http.StatusCreated, newcomer(unique))
		}},
		{"PUT user", func(b *sandbox, rng *rand.Rand, unique string) *shot {
			u, body := b.user(rng), newcomer(unique)
			body["userName"] = u.name
			delete(body, "externalId")
			return newWrite(b, putting, scim.User, http.MethodPut, "/Users/"+u.id, http.StatusOK, body)
		}},
		{"DELETE user", func(b *sandbox, rng *rand.Rand, _ string) *shot {
			s := newShot(b, deleting, http.MethodDelete, "/Users/"+b.user(rng).id, http.StatusNoContent)
			s.def = scim.Standard(scim.User)
			return s
		}},
	}
}

func userPatches() []wellFormed {
	patchUser := func(name string, operations func(unique string) []any) wellFormed {
		return wellFormed{name, func(b *sandbox, rng *rand.Rand, unique string) *shot {
			return newWrite(b, patching, scim.User, http.MethodPatch, "/Users/"+b.user(rng).id, http.StatusOK, patchOf(operations(unique)...))
		}}
	}
	return []wellFormed{
		patchUser("PATCH user as Entra", func(unique string) []any {
			return []any{
				patchOp("Replace", "displayName", "Entra "+unique),
				patchOp("Add", `emails[type eq "work"].value`, unique+"@fabrikam.example"),
				patchOp("Replace", "name.givenName", "Given "+unique),
				patchOp("Add", scim.EnterpriseUserSchema+":department", "Dept "+unique),
				patchOp("Replace", "active", "True"),
			}
		}),
		patchUser("PATCH user as Entra with its flag", func(unique string) []any {
			return []any{patchOp("replace", "", jsonObject{
				"displayName": "Flag " + unique, "name.familyName": "Family " + unique,
				`emails[type eq "work"].value`:            unique + "@flag.example",
				scim.EnterpriseUserSchema + ":department": "Flagged", "active": true,
			})}
		}),
		patchUser("PATCH user as the RFC", func(unique string) []any {
			return []any{
				patchOp("add", "nickName", "Nick "+unique),
				patchOp("replace", "title", "Title "+unique),
				patchOp("remove", `phoneNumbers[type eq "fax"]`, nil),
				patchOp("add", "", jsonObject{"locale": "en-GB", "name": jsonObject{"middleName": "M" + unique}}),
			}
		}),
		patchUser("PATCH user alone", func(unique string) []any { return []any{patchOp("replace", "title", "Alone "+unique)} }),
	}
}

func groupCorpus() []wellFormed {
	change := func(name string, operations func(b *sandbox, rng *rand.Rand) []any) wellFormed {
		return wellFormed{name, func(b *sandbox, rng *rand.Rand, _ string) *shot {
			return newWrite(b, patching, scim.Group, http.MethodPatch, "/Groups/"+b.group(rng).id, http.StatusNoContent, patchOf(operations(b, rng)...))
		}}
	}
	return []wellFormed{
		{"POST group", func(b *sandbox, rng *rand.Rand, unique string) *shot {
			return newWrite(b, posting, scim.Group, http.MethodPost, "/Groups", http.StatusCreated, jsonObject{
				"schemas":     []any{scim.GroupSchema, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"},
				"displayName": "Torture " + unique, "externalId": "ext-" + unique, "members": []any{jsonObject{"value": b.user(rng).id}}})
		}},
		{"PUT group", func(b *sandbox, rng *rand.Rand, _ string) *shot {
			g := b.group(rng)
			return newWrite(b, putting, scim.Group, http.MethodPut, "/Groups/"+g.id, http.StatusOK, jsonObject{
				"schemas": []any{scim.GroupSchema}, "displayName": g.name, "members": []any{jsonObject{"value": b.user(rng).id, "display": "Somebody"}}})
		}},
		change("PATCH group: add a member", func(b *sandbox, rng *rand.Rand) []any {
			return []any{patchOp("Add", "members", []any{jsonObject{"value": b.user(rng).id}})}
		}),
		change("PATCH group: remove a member as Entra", func(b *sandbox, rng *rand.Rand) []any {
			return []any{patchOp("Remove", "members", []any{jsonObject{"value": b.user(rng).id}})}
		}),
		change("PATCH group: remove a member as the RFC", func(b *sandbox, rng *rand.Rand) []any {
			return []any{patchOp("remove", `members[value eq "`+b.user(rng).id+`"]`, nil), patchOp("add", "externalId", "ext")}
		}),
		{"DELETE group", func(b *sandbox, rng *rand.Rand, _ string) *shot {
			s := newShot(b, deleting, http.MethodDelete, "/Groups/"+b.group(rng).id, http.StatusNoContent)
			s.def = scim.Standard(scim.Group)
			return s
		}},
	}
}

func readingCorpus() []wellFormed {
	filtered := func(name string, t scim.ResourceType, path string, filter func(b *sandbox, rng *rand.Rand) string) wellFormed {
		return wellFormed{name, func(b *sandbox, rng *rand.Rand, _ string) *shot {
			return newRead(b, listing, t, path, "filter="+url.QueryEscape(filter(b, rng)))
		}}
	}
	out := []wellFormed{
		{"GET user", func(b *sandbox, rng *rand.Rand, _ string) *shot {
			return newRead(b, getting, scim.User, "/Users/"+b.user(rng).id)
		}},
		{"HEAD user", func(b *sandbox, rng *rand.Rand, _ string) *shot {
			s := newRead(b, getting, scim.User, "/Users/"+b.user(rng).id)
			s.method = http.MethodHead
			return s
		}},
		{"GET parts of a user", func(b *sandbox, rng *rand.Rand, _ string) *shot {
			return newRead(b, getting, scim.User, "/Users/"+b.user(rng).id, "attributes=userName,emails.value,"+scim.EnterpriseUserSchema+":department")
		}},
		{"GET users", func(b *sandbox, _ *rand.Rand, _ string) *shot {
			return newRead(b, listing, scim.User, "/Users", "startIndex=1", "count=10")
		}},
		{"GET group", func(b *sandbox, rng *rand.Rand, _ string) *shot {
			return newRead(b, getting, scim.Group, "/Groups/"+b.group(rng).id)
		}},
		{"GET group without members", func(b *sandbox, rng *rand.Rand, _ string) *shot {
			return newRead(b, getting, scim.Group, "/Groups/"+b.group(rng).id, "excludedAttributes=members")
		}},
		{"GET members of groups", func(b *sandbox, _ *rand.Rand, _ string) *shot {
			return newRead(b, listing, scim.Group, "/Groups", "attributes=members", "startIndex=2", "count=2")
		}},
		filtered("find a user by name", scim.User, "/Users", func(b *sandbox, rng *rand.Rand) string { return `userName eq "` + b.user(rng).name + `"` }),
		filtered("find a user by two", scim.User, "/Users", func(*sandbox, *rand.Rand) string {
			return `(externalId eq "x" or emails[type eq "work"].value eq "y") and not (active eq false)`
		}),
		filtered("find a group", scim.Group, "/Groups", func(b *sandbox, rng *rand.Rand) string { return `displayName eq "` + b.group(rng).name + `"` }),
		filtered("find a membership", scim.Group, "/Groups", func(b *sandbox, rng *rand.Rand) string {
			return fmt.Sprintf(`id eq "%s" and members eq "%s"`, b.group(rng).id, b.user(rng).id)
		}),
	}
	for _, path := range []string{"/ServiceProviderConfig", "/ResourceTypes", "/Schemas", "/Schemas/" + scim.UserSchema} {
		out = append(out, wellFormed{"GET " + path, func(b *sandbox, _ *rand.Rand, _ string) *shot {
			return newShot(b, discovering, http.MethodGet, path, http.StatusOK)
		}})
	}
	return out
}
