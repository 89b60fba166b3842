package scim_test

import (
	"testing"

	"github.com/elimity-com/scim/schema"

	"meibo/scim"
)

// TestResourceWitness reads resources as another implementation does: what it accepts of
// conforming requests, we accept. They have the shapes of RFC 7643 §8.1 to §8.4.
func TestResourceWitness(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		resource scim.ResourceType
		body     string
	}{
		{"minimal user", scim.User, `{"schemas":["` + scim.UserSchema + `"],"userName":"t.suzuki@example.jp"}`},
		{"full user", scim.User, `{"schemas":["` + scim.UserSchema + `"],"externalId":"suzuki",
			"userName":"t.suzuki@example.jp","displayName":"鈴木 太郎","nickName":"Taro","profileUrl":"https://login.example.jp/taro",
			"name":{"formatted":"Dr. Taro Suzuki","familyName":"Suzuki","givenName":"Taro","middleName":"K","honorificPrefix":"Dr.","honorificSuffix":"PhD"},
			"emails":[{"value":"t.suzuki@example.jp","type":"work","primary":true,"display":"office"},{"value":"taro@home.example","type":"home"}],
			"addresses":[{"type":"work","streetAddress":"1-1 Marunouchi","locality":"Chiyoda","region":"Tokyo","postalCode":"100-0005","country":"JP","formatted":"1-1 Marunouchi\nTokyo"},
				{"type":"home","locality":"Sendai"}],
			"phoneNumbers":[{"value":"+81-3-0000-0000","type":"work"},{"value":"tel:+81-90-0000-0000","type":"mobile"}],
			"ims":[{"value":"taro","type":"xmpp"}],
			"photos":[{"value":"https://photos.example.jp/taro/F","type":"photo"},{"value":"https://photos.example.jp/taro/T","type":"thumbnail"}],
			"userType":"Employee","title":"Guide","preferredLanguage":"ja-JP","locale":"ja-JP","timezone":"Asia/Tokyo","active":true,"password":"t1meMa$heen",
			"entitlements":[{"value":"parking"}],"roles":[{"value":"guide","primary":false}],
			"x509Certificates":[{"value":"MIIBszCCAVmgAwIBAgIUTAro"}]}`},
		{"enterprise user", scim.User, `{"schemas":["` + scim.UserSchema + `","` + scim.EnterpriseUserSchema + `"],"userName":"t.suzuki@example.jp",
			"` + scim.EnterpriseUserSchema + `":{"employeeNumber":"701984","costCenter":"4130","organization":"Tours","division":"Parks","department":"Guides",
				"manager":{"value":"26118915","$ref":"../Users/26118915","displayName":"Jiro Sato"}}}`},
		{"unassigned attributes", scim.User, `{"schemas":["` + scim.UserSchema + `"],"userName":"t","title":null,"emails":[],"name":null}`},
		{"names in another case", scim.User, `{"schemas":["` + scim.UserSchema + `"],"UserName":"t","NAME":{"FamilyName":"S"}}`},
		{"group", scim.Group, `{"schemas":["` + scim.GroupSchema + `"],"displayName":"Guides","externalId":"g",
			"members":[{"value":"2819c223","$ref":"https://example.jp/v2/Users/2819c223","display":"Taro","type":"User"},{"value":"902c246b","type":"User"}]}`},
		{"empty group", scim.Group, `{"schemas":["` + scim.GroupSchema + `"],"displayName":"Guides","members":[]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v, err := scim.ParseJSON([]byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			raw := v.(map[string]any)
			askWitness(t, c.resource, raw)
			if _, err := scim.Standard(c.resource).Validate(raw); err != nil {
				t.Errorf("refused: %v", err)
			}
			if _, _, err := scim.ReadMembers(raw["members"]); err != nil {
				t.Errorf("members refused: %v", err)
			}
		})
	}
}

// askWitness fails where the other implementation refuses the resource: then it is no witness.
func askWitness(t *testing.T, resource scim.ResourceType, raw map[string]any) {
	t.Helper()
	core := schema.CoreUserSchema()
	if resource == scim.Group {
		core = schema.CoreGroupSchema()
	}
	if _, err := core.Validate(raw); err != nil {
		t.Fatalf("the witness refuses it: %v", err)
	}
	if object, ok := raw[scim.EnterpriseUserSchema]; ok {
		if _, err := schema.ExtensionEnterpriseUser().ValidateExtension(object); err != nil {
			t.Fatalf("the witness refuses the extension: %v", err)
		}
	}
}
