package campaign

import (
	"math/rand/v2"
	"strings"

	"meibo/scim"
)

// wrongValue is a value of a type that an attribute does not have.
type wrongValue struct {
	name  string
	value any
}

// typeMutations write to each attribute that a client may write, and to each of its
// sub-attributes, values of every type but its own: in a resource, and by PATCH with a path and
// without.
func typeMutations() []mutation {
	var out []mutation
	for _, t := range []scim.ResourceType{scim.User, scim.Group} {
		def := scim.Standard(t)
		for _, a := range def.Core.Attributes {
			out = append(out, attributeMutations(t, "", a)...)
		}
		for _, s := range def.Extensions {
			for _, a := range s.Attributes {
				out = append(out, attributeMutations(t, s.ID, a)...)
			}
		}
	}
	return out
}

func attributeMutations(t scim.ResourceType, urn string, a *scim.Attribute) []mutation {
	if !written(a) {
		return nil
	}
	var out []mutation
	for _, wrong := range wrongValues(a) {
		out = append(out, typeMutation(t, urn, a, nil, wrong))
	}
	for _, sub := range a.SubAttributes {
		if !written(sub) || a.Name == "members" && sub.Name != "value" && sub.Name != "display" {
			continue
		}
		for _, wrong := range wrongValues(sub) {
			out = append(out, typeMutation(t, urn, a, sub, wrong))
		}
	}
	return out
}

// written reports whether a value of the attribute is looked at.
func written(a *scim.Attribute) bool {
	return a.Mutability != scim.ReadOnly && a.Returned != scim.Never
}

func typeMutation(t scim.ResourceType, urn string, a, sub *scim.Attribute, wrong wrongValue) mutation {
	name := string(t) + "." + a.Name
	value := wrong.value
	if sub != nil {
		name += "." + sub.Name
		value = jsonObject{sub.Name: wrong.value}
		if a.MultiValued {
			value = []any{jsonObject{"type": "other", sub.Name: wrong.value}}
		}
	}
	fits := func(s *shot) bool { return s.writes() && s.def.Type == t }
	return badRequest("type", name+": "+wrong.name, "invalidValue", fits, func(rng *rand.Rand, s *shot) { assign(rng, s, urn, a.Name, value) })
}

// assign writes an attribute in the way of the request.
func assign(rng *rand.Rand, s *shot, urn, name string, value any) {
	if s.resource() {
		place(s.tree, urn, name, value)
		return
	}
	op := []string{"add", "replace"}[rng.IntN(2)]
	path, whole := name, jsonObject{}
	if urn != "" {
		path = urn + ":" + name
	}
	place(whole, urn, name, value)
	if rng.IntN(2) == 0 {
		s.appendOperation(patchOp(op, "", whole))
	} else {
		s.appendOperation(jsonObject{"op": op, "path": path, "value": value})
	}
}

// place sets an attribute of a resource, of an extension where urn is not empty.
func place(tree jsonObject, urn, name string, value any) {
	if urn == "" {
		tree[name] = value
		return
	}
	extension, _ := tree[urn].(jsonObject)
	if extension == nil {
		extension = jsonObject{}
		tree[urn] = extension
	}
	extension[name] = value
}

func (s *shot) appendOperation(op any) {
	list, _ := s.tree["Operations"].([]any)
	s.tree["Operations"] = append(list, op)
}

// wrongValues are values that an attribute cannot have. What some clients mean by a wrong type,
// and is repaired, is not among them: see toleratedMutations.
func wrongValues(a *scim.Attribute) []wrongValue {
	list := []wrongValue{{"array of numbers", []any{7, 8}}, {"array in an array", []any{[]any{"x"}}}}
	number, truth, text := wrongValue{"number", 7}, wrongValue{"boolean", true}, wrongValue{"string", "x"}
	odd := wrongValue{"object", jsonObject{"odd": jsonObject{"odder": 1}}}
	switch {
	case a.Type == scim.Boolean:
		list = append(list, number, wrongValue{"zero", 0}, wrongValue{"word", "yes"}, wrongValue{"digit", "1"}, odd)
	case a.Type == scim.Complex && a.Name == "members":
		list = append(
			list, number, truth, odd, wrongValue{"empty value", []any{jsonObject{"value": ""}}}, wrongValue{"no value", []any{jsonObject{"display": "x"}}},
		)
	case a.Type == scim.Complex:
		list = append(list, number, truth)
		if a.Sub("value") == nil {
			list = append(list, text)
		}
	default:
		list = append(list, number, truth, odd, wrongValue{"fraction", 1.5}, wrongValue{"two strings", []any{"x", "y"}})
	}
	return list
}

// valueMutations send values of the right type that the rules of a resource forbid.
func valueMutations() []mutation {
	const family = "value"
	long := strings.Repeat("ä", 1025)
	user := func(s *shot) bool { return s.writes() && s.def.Type == scim.User }
	group := func(s *shot) bool { return s.writes() && s.def.Type == scim.Group }
	set := func(name, typ string, fits func(*shot) bool, attribute string, value any) mutation {
		return badRequest(family, name, typ, fits, func(rng *rand.Rand, s *shot) { assign(rng, s, "", attribute, value) })
	}
	gone := func(name, attribute string, fits func(*shot) bool) mutation {
		return badRequest(family, name, "invalidValue", both(sendsResource, fits), func(_ *rand.Rand, s *shot) { delete(s.tree, attribute) })
	}
	taken := func(name string, fits func(*shot) bool, attribute string, of func(b *sandbox) string) mutation {
		m := badRequest(family, name, "uniqueness", fits, func(rng *rand.Rand, s *shot) { assign(rng, s, "", attribute, of(s.at)) })
		m.status = 409
		return m
	}
	// The last one of a sandbox is no target of a request, so its name is always another's.
	return []mutation{
		set("userName null", "invalidValue", user, "userName", nil), set("userName empty", "invalidValue", user, "userName", ""),
		set("userName too long", "invalidValue", user, "userName", long), set("externalId too long", "invalidValue", user, "externalId", long),
		set("mail too long", "invalidValue", user, "emails", []any{jsonObject{"type": "work", "value": long}}),
		set("two primaries", "invalidValue", user, "emails", []any{jsonObject{"value": "a", "primary": true}, jsonObject{"value": "b", "primary": true}}),
		set("too large a resource", "invalidValue", user, "displayName", strings.Repeat("x", 257<<10)),
		set("displayName null", "invalidValue", group, "displayName", nil), set("displayName empty", "invalidValue", group, "displayName", ""),
		set("displayName too long", "invalidValue", group, "displayName", long),
		set("member never issued", "invalidValue", group, "members", []any{jsonObject{"value": "nobody"}}),
		set("member's id too long", "invalidValue", group, "members", []any{jsonObject{"value": long}}),
		set("member's id as a URL", "invalidValue", group, "members", []any{jsonObject{"value": "https://evil.example/Users/1"}}),
		gone("no userName", "userName", user), gone("no displayName", "displayName", group),
		taken("userName taken", user, "userName", func(b *sandbox) string { return b.users[len(b.users)-1].name }),
		taken("userName taken in capitals", user, "userName", func(b *sandbox) string { return strings.ToUpper(b.users[len(b.users)-1].name) }),
		taken("displayName taken", group, "displayName", func(b *sandbox) string { return b.groups[len(b.groups)-1].name }),
		badRequest(
			family, "attribute in two spellings", "invalidSyntax", both(sendsResource, user), func(_ *rand.Rand, s *shot) { s.tree["USERNAME"] = "other" },
		),
		badRequest(
			family, "members in two spellings", "invalidSyntax", both(sendsResource, group), func(_ *rand.Rand, s *shot) { s.tree["Members"] = []any{} },
		),
		badRequest(family, "extension in two spellings", "invalidSyntax", both(sendsResource, user), func(_ *rand.Rand, s *shot) {
			s.tree["urn:example:Badge"], s.tree["URN:example:badge"] = jsonObject{"a": "b"}, jsonObject{"a": "c"}
		}),
		badRequest(family, "sub-attribute in two spellings", "invalidSyntax", user, func(rng *rand.Rand, s *shot) {
			assign(rng, s, "", "name", jsonObject{"givenName": "a", "GIVENNAME": "b"})
		}),
		badRequest(
			family, "extension that is no object", "invalidValue", both(sendsResource, user),
			func(_ *rand.Rand, s *shot) { s.tree[scim.EnterpriseUserSchema] = "x" },
		),
		badRequest(
			family, "extension that is an array", "invalidValue", both(sendsResource, user),
			func(_ *rand.Rand, s *shot) { s.tree[scim.EnterpriseUserSchema] = []any{jsonObject{}} },
		),

		set("boolean as a word", "", user, "active", "True"), set("optional attribute null", "", user, "title", nil),
		set("optional attribute empty", "", user, "nickName", ""),
		set("bare manager", "", user, scim.EnterpriseUserSchema, jsonObject{"manager": "nobody"}),
		set("one value for a list", "", user, "ims", jsonObject{"value": "x"}),
		set("list of one for a value", "", user, "locale", []any{"en"}), set("mail as a string", "", user, "emails", []any{"kim@contoso.example"}),
		set("read-only attribute", "", both(user, sendsResource), "groups", 7), set("password", "", user, "password", 7),
		set("id of the client's", "", both(user, sendsResource), "id", "mine"), set("meta of the client's", "", both(user, sendsResource), "meta", []any{1}),
		set("schemas that are none", "", sendsResource, "schemas", 7),
		set("unknown extension", "", both(user, sendsResource), "urn:example:Torture", jsonObject{"a": []any{1, "b", nil}}),
		set("injection text", "", user, "displayName", `'; DROP TABLE resource; --`),
		set("markup", "", user, "displayName", `<script>alert(1)</script>{{7*7}}${7*7}`),
		set("text in another direction", "", user, "displayName", "\u202egnp.exe\u200b\ufeff"), set("null among members", "", group, "members", []any{nil}),
	}
}
