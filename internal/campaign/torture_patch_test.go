package campaign

import (
	"math/rand/v2"
	"strings"

	"meibo/scim"
)

// patchMutations spoil the message of a PATCH: its shape, an operation, or where one points to.
func patchMutations() []mutation {
	return append(patchShapes(), patchOperations()...)
}

func patchShapes() []mutation {
	const family = "patch"
	message := func(name, typ string, change func(*rand.Rand, jsonObject)) mutation {
		return badRequest(family, name, typ, isPatching, func(rng *rand.Rand, s *shot) { change(rng, s.tree) })
	}
	operations := func(name string, value any) mutation {
		return message(name, "invalidSyntax", func(_ *rand.Rand, m jsonObject) { m["Operations"] = value })
	}
	schemas := func(name, typ string, value any) mutation {
		return message(name, typ, func(_ *rand.Rand, m jsonObject) { m["schemas"] = value })
	}
	one := jsonObject{"op": "add", "path": "title", "value": "x"}
	return []mutation{
		message("no operations", "invalidSyntax", func(_ *rand.Rand, m jsonObject) { delete(m, "Operations") }),
		message("operations under another name", "invalidSyntax", func(_ *rand.Rand, m jsonObject) { m["ops"] = m["Operations"]; delete(m, "Operations") }),
		message("operations twice", "invalidSyntax", func(_ *rand.Rand, m jsonObject) { m["operations"] = m["Operations"] }),
		operations("operations null", nil), operations("operations an object", one), operations("operations a string", "add"),
		operations("operations a number", 1),
		operations("operation a string", []any{"add"}), operations("operation null", []any{nil}), operations("operation a number", []any{1}),
		operations("operation an array", []any{[]any{one}}), operations("operation empty", []any{jsonObject{}}),
		schemas("schemas a string", "invalidSyntax", scim.PatchOpSchema), schemas("schemas a number", "invalidSyntax", 7),
		schemas("schemas empty", "invalidSyntax", []any{}),
		schemas("schemas of another message", "invalidSyntax", []any{scim.ListResponseSchema}),
		schemas("schemas of a resource", "invalidSyntax", []any{scim.UserSchema}),
		schemas("schemas of numbers", "invalidSyntax", []any{7, nil}),
		message("a resource", "invalidSyntax", func(_ *rand.Rand, m jsonObject) { clear(m); m["userName"] = "x"; m["displayName"] = "x" }),

		message("no schemas", "", func(_ *rand.Rand, m jsonObject) { delete(m, "schemas") }),
		message("operations in lower case", "", func(_ *rand.Rand, m jsonObject) { m["operations"] = m["Operations"]; delete(m, "Operations") }),
		operations("no operation at all", []any{}),
	}
}

func patchOperations() []mutation {
	var out []mutation
	add := func(name, typ string, fits func(*shot) bool, op jsonObject) {
		out = append(out, badRequest("patch", name, typ, both(isPatching, fits), func(_ *rand.Rand, s *shot) { s.appendOperation(op) }))
	}
	for name, op := range map[string]any{"unknown": "merge", "empty": "", "of HTTP": "delete", "a number": 1, "null": nil, "an object": jsonObject{"add": 1},
		"a test": "test", "a move": "move", "with a blank": "add ", "injected": "add'--", "long": strings.Repeat("add", 10_000), "an array": []any{"add"}} {
		add("op "+name, "invalidSyntax", anyShot, jsonObject{"op": op, "path": "externalId", "value": "x"})
	}
	add("no op", "invalidSyntax", anyShot, jsonObject{"path": "externalId", "value": "x"})
	add("op twice", "invalidSyntax", anyShot, jsonObject{"op": "add", "OP": "remove", "path": "externalId", "value": "x"})
	add("value twice", "invalidSyntax", anyShot, jsonObject{"op": "add", "path": "externalId", "value": "x", "Value": "y"})
	for name, path := range map[string]any{"a number": 7, "an array": []any{"externalId"}, "an object": jsonObject{"a": 1}, "a boolean": false} {
		add("path "+name, "invalidSyntax", anyShot, jsonObject{"op": "add", "path": path, "value": "x"})
	}
	add("remove without path", "noTarget", anyShot, jsonObject{"op": "remove"})
	add("remove with an empty path", "noTarget", anyShot, jsonObject{"op": "remove", "path": ""})
	add("remove without path, with a value", "noTarget", anyShot, jsonObject{"op": "remove", "value": jsonObject{"externalId": "x"}})
	for _, op := range []string{"add", "replace"} {
		for name, value := range map[string]any{"nothing": nil, "a string": "x", "a number": 7, "an array": []any{}, "a boolean": true} {
			add(op+" without path: "+name, "invalidValue", anyShot, jsonObject{"op": op, "value": value})
		}
		for _, path := range []string{"id", "meta", "meta.created", "meta.location"} {
			add(op+" "+path, "mutability", anyShot, jsonObject{"op": op, "path": path, "value": "x"})
		}
		add(op+" groups", "mutability", aUser, jsonObject{"op": op, "path": "groups", "value": []any{jsonObject{"value": "x"}}})
		add(op+" what no element fits", "noTarget", aUser, jsonObject{"op": op, "path": `emails[type eq "a" and type eq "b"].value`, "value": "x"})
		add(op+" members never issued", "invalidValue", aGroup, jsonObject{"op": op, "path": "members", "value": []any{jsonObject{"value": "00000000-0000-7000-8000-000000000000"}}})
		add(op+" members without value", "invalidValue", aGroup, jsonObject{"op": op, "path": "members", "value": []any{jsonObject{"display": "x"}}})
		add(op+" members of numbers", "invalidValue", aGroup, jsonObject{"op": op, "path": "members", "value": []any{1, 2}})
		add(op+" a member that is not there", "noTarget", aGroup, jsonObject{"op": op, "path": `members[value eq "nobody"]`, "value": jsonObject{"value": "x"}})
	}
	for _, path := range []string{"id", "meta"} {
		add("remove "+path, "mutability", anyShot, jsonObject{"op": "remove", "path": path})
	}
	add("remove groups", "mutability", aUser, jsonObject{"op": "remove", "path": "groups"})
	add("remove userName", "mutability", aUser, jsonObject{"op": "remove", "path": "userName"})
	add("remove displayName", "mutability", aGroup, jsonObject{"op": "remove", "path": "displayName"})
	add("a member's value", "mutability", aGroup, jsonObject{"op": "replace", "path": `members[value eq "x"].value`, "value": "y"})
	add("members by $ref", "invalidPath", aGroup, jsonObject{"op": "remove", "path": `members[$ref eq "x"]`})

	add("unknown attribute", "", aUser, jsonObject{"op": "replace", "path": "favouriteColour", "value": "blue"})
	add("unknown sub-attribute", "", aUser, jsonObject{"op": "add", "path": "name.favourite", "value": "x"})
	add("unknown names without path", "", aUser, jsonObject{"op": "add", "value": jsonObject{"x": 1, "id": "y"}})
	add("remove what is not there", "", aUser, jsonObject{"op": "remove", "path": `addresses[type eq "moon"]`})
	add("remove an absent member", "", aGroup, jsonObject{"op": "remove", "path": `members[value eq "nobody"]`})
	add("password", "", aUser, jsonObject{"op": "replace", "path": "password", "value": 7})
	add("schemas", "", aUser, jsonObject{"op": "replace", "path": "schemas", "value": 7})
	add("open path", "", aGroup, jsonObject{"op": "remove", "path": `members.value eq "nobody"`})
	add("value path that finds nothing yet", "", aUser, jsonObject{"op": "replace", "path": `ims[type eq "xmpp"].value`, "value": "x"})
	return out
}

func aUser(s *shot) bool  { return s.def != nil && s.def.Type == scim.User }
func aGroup(s *shot) bool { return s.def != nil && s.def.Type == scim.Group }
