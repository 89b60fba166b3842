package scim_test

import (
	"errors"
	"fmt"

	"meibo/scim"
)

// A request body becomes attributes, and attributes become the stored document.
func ExampleDefinition_Validate() {
	body := `{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
		"USERNAME": "hanako@example.com", "title": null, "id": "chosen by the client",
		"emails": [{"type": "work", "value": "hanako@example.com", "primary": true}]}`
	raw, err := scim.ParseJSON([]byte(body))
	if err != nil {
		fmt.Println(err)
		return
	}
	users := scim.Standard(scim.User)
	user, err := users.Validate(raw.(map[string]any))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(string(users.Encode(user)))
	// Output:
	// {"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"hanako@example.com","emails":[{"value":"hanako@example.com","type":"work","primary":true}]}
}

func ExampleDefinition_Patch() {
	users := scim.Standard(scim.User)
	user := scim.Attributes{
		"userName": "hanako@example.com",
		"name":     map[string]any{"familyName": "Yamada", "givenName": "Hanako"},
	}
	patched, err := users.Patch(user, []scim.Operation{
		{Op: "replace", Path: "name.familyName", Value: "Sato"},
		{Op: "add", Value: map[string]any{"nickName": "Hana"}},
	}, scim.PatchOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(patched.Attributes["name"], patched.Attributes["nickName"])
	fmt.Println(user["name"])
	// Output:
	// map[familyName:Sato givenName:Hanako] Hana
	// map[familyName:Yamada givenName:Hanako]
}

// Without options a value path that finds nothing is an error; some clients expect the element.
func ExamplePatchOptions() {
	users := scim.Standard(scim.User)
	user := scim.Attributes{"userName": "hanako@example.com"}
	ops := []scim.Operation{{Op: "add", Path: `emails[type eq "work"].value`, Value: "hanako@example.com"}}

	_, err := users.Patch(user, ops, scim.PatchOptions{})
	if fault, ok := errors.AsType[*scim.Error](err); ok {
		fmt.Println(fault.Type)
	}
	patched, err := users.Patch(user, ops, scim.PatchOptions{CreateElements: true})
	fmt.Println(patched.Attributes["emails"], err)
	// Output:
	// noTarget
	// [map[type:work value:hanako@example.com]] <nil>
}

// Operations on members fold into one change of sets, whatever the size of the group.
func ExamplePatched() {
	groups := scim.Standard(scim.Group)
	patched, err := groups.Patch(scim.Attributes{"displayName": "Sales"}, []scim.Operation{
		{Op: "add", Path: "members", Value: []any{map[string]any{"value": "1"}, map[string]any{"value": "2"}}},
		{Op: "remove", Path: `members[value eq "2"]`},
	}, scim.PatchOptions{})
	change := patched.Members
	fmt.Println(change.Replace, change.Add[0].Value, change.Remove, err)
	// Output:
	// false 1 [2] <nil>
}

func ExampleProjection_Apply() {
	p, err := scim.ParseProjection(scim.Standard(scim.User), "name.givenName", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Apply(scim.Attributes{
		"id":       "1",
		"userName": "hanako@example.com",
		"name":     map[string]any{"familyName": "Yamada", "givenName": "Hanako"},
	}))
	// Output:
	// map[id:1 name:map[givenName:Hanako]]
}
