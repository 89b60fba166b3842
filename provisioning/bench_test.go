package provisioning

import (
	"testing"

	"meibo/scim"
)

// entraUser is a user as Entra ID provisions one.
const entraUser = `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
"externalId":"0a1b2c3d-1111-2222-3333-444455556666","userName":"anna.andersson@contoso.example",
"name":{"formatted":"Anna Andersson","familyName":"Andersson","givenName":"Anna"},"displayName":"Anna Andersson","title":"Engineer",
"preferredLanguage":"sv-SE","active":true,
"emails":[{"value":"anna.andersson@contoso.example","type":"work","primary":true}],
"phoneNumbers":[{"value":"+46 8 123 45 67","type":"work"},{"value":"+46 70 123 45 67","type":"mobile"}],
"addresses":[{"type":"work","formatted":"Storgatan 1","streetAddress":"Storgatan 1","locality":"Stockholm","postalCode":"111 22","country":"SE"}],
"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"employeeNumber":"12345","costCenter":"100","department":"Development",
"manager":{"value":"0a1b2c3d-aaaa-bbbb-cccc-444455556666"}}}`

func entraResource(t testing.TB) *Resource {
	t.Helper()
	a, err := scim.Standard(scim.User).Decode([]byte(entraUser))
	if err != nil {
		t.Fatal(err)
	}
	return stored(scim.User, "0190f5e2-0000-7000-8000-000000000001", a)
}

// patchOnce is the pure part of a PATCH: from the stored resource and the operations to what is committed.
func patchOnce(t testing.TB, s *Service, current *Resource, ops []scim.Operation) Batch {
	asserted, err := decoded(current.Type, current.Asserted)
	if err != nil {
		t.Fatal(err)
	}
	patched, err := scim.Standard(scim.User).Patch(asserted, ops, scim.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	o := Origin{Connection: Connection{ID: own}}
	d := Desired{Type: scim.User, Connection: own, Asserted: patched.Attributes, Now: now}
	decision, err := decide(Facts{Current: current, Asserted: asserted}, d, defaultRules)
	if err != nil {
		t.Fatal(err)
	}
	return s.batch(o, Intent{Action: ActionUpdate, Type: scim.User, ID: current.ID}, decision, defaultRules, s.stamps())
}

func BenchmarkPatch(b *testing.B) {
	s, current := New(Options{}), entraResource(b)
	for name, ops := range map[string][]scim.Operation{
		"one": {{Op: "replace", Path: "title", Value: "Manager"}},
		"five": {{Op: "replace", Path: "title", Value: "Manager"}, {Op: "replace", Path: "displayName", Value: "Anna B"},
			{Op: "replace", Path: "name.familyName", Value: "B"}, {Op: "replace", Path: `emails[type eq "work"].value`, Value: "anna.b@contoso.example"},
			{Op: "add", Path: scim.EnterpriseUserSchema + ":department", Value: "Sales"}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				patchOnce(b, s, current, ops)
			}
		})
	}
}

func BenchmarkCreate(b *testing.B) {
	s := New(Options{})
	a, err := scim.Standard(scim.User).Decode([]byte(entraUser))
	if err != nil {
		b.Fatal(err)
	}
	o := Origin{Connection: Connection{ID: own}}
	b.ReportAllocs()
	for b.Loop() {
		decision, err := decide(Facts{}, Desired{ID: s.newID(), Type: scim.User, Connection: own, Asserted: a, Now: now}, defaultRules)
		if err != nil {
			b.Fatal(err)
		}
		s.batch(o, Intent{Action: ActionCreate, Type: scim.User}, decision, defaultRules, s.stamps())
	}
}
