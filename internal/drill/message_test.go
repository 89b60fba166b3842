package drill

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// TestBodies compares with the samples of Microsoft's documentation, byte for byte but for the white space between tokens: the order of keys counts.
func TestBodies(t *testing.T) {
	t.Parallel()
	minimal := &person{active: true, attrs: map[string]string{
		"externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef", "userName": "a@contoso.com", workMail: "a@contoso.com",
		"name.formatted": "G F", "name.familyName": "F", "name.givenName": "G",
	}}
	full := &person{active: true, attrs: map[string]string{
		"displayName": "G F", "title": "R&D", "preferredLanguage": "de-DE", primaryRole: "Admin",
		workAddress("formatted"): "Bldg 1", workAddress("streetAddress"): "1 <Main> St", workAddress("locality"): "Köln",
		workAddress("region"): "NW", workAddress("postalCode"): "50667", workAddress("country"): "DE",
		phone("work"): "1", phone("mobile"): "2", phone("fax"): "3",
		enterprise("employeeNumber"): "0000001", enterprise("department"): "Sales",
	}}
	for path, value := range minimal.attrs {
		full.attrs[path] = value
	}
	roleText, _, err := Default.addRoleText("r", "25", "Role1234")
	if err != nil {
		t.Fatal(err)
	}
	number := enterprise("employeeNumber")
	for file, body := range map[string]any{
		"create_user":      createUser(minimal),
		"create_user_full": createUser(full),
		"create_group":     createGroup(&team{objectID: "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159", name: "displayName"}),

		"default_update": Default.changes(change{path: workMail, value: "x"}, change{path: "name.familyName", value: "F2"},
			change{path: "nickName", value: "Babs", add: true}, change{path: number, value: "A"}),
		"flag_update": Flag.changes(change{path: workMail, value: "x"}, change{path: "displayName", value: "B"},
			change{path: "name.givenName", value: "K"}, change{path: number, value: "A"}),
		"flag_add": Flag.changes(change{path: "nickName", value: "Babs", add: true}),

		"default_disable":          Default.setActive(false, 0),
		"default_disable_tutorial": Default.setActive(false, 1),
		"default_disable_lower":    Default.setActive(false, 2),
		"flag_disable":             Flag.setActive(false, 1),

		"default_manager_add":   Default.setManager("271", "http://h/Users/271", true, 0),
		"default_manager_list":  Default.setManager("x", "http://h/Users/x", true, 3),
		"default_manager_clear": Default.setManager("", "", false, 3),
		"flag_manager_path":     Flag.setManager("271", "", false, 0),
		"flag_manager_pathless": Flag.setManager("271", "", false, 1),

		"default_group_rename":   Default.changes(change{path: "displayName", value: "N"}),
		"flag_group_rename":      Flag.changes(change{path: "displayName", value: "N"}),
		"default_members_add":    Default.addMembers([]string{"u1", "u2"}),
		"default_members_remove": Default.removeMembers([]string{"u1", "u2"}),
		"flag_members_remove":    Flag.removeMembers([]string{"u1", "u2"}),

		"default_role_replace": Default.changes(change{path: primaryRole, value: "Admin"}),
		"default_role_text":    roleText,
		"default_role_assert":  Default.assertRoles([]roleBody{{Primary: true, Type: assignedRole, Display: "Owner", Value: "owner"}}),
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			sample, err := os.ReadFile(filepath.Join("testdata", file+".json"))
			if err != nil {
				t.Fatal(err)
			}
			var want bytes.Buffer
			if err := json.Compact(&want, sample); err != nil {
				t.Fatal(err)
			}
			got, err := encode(body)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != want.String() {
				t.Errorf("got  %s\nwant %s", got, &want)
			}
		})
	}
}

func TestFilterEncoding(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]string{
		equals("userName", "a+b c"):                         `filter=userName%20eq%20%22a%2Bb%20c%22`,
		equals("displayName", `R&D "x" \1`):                 `filter=displayName+eq+%22R%26D+%5C%22x%5C%22+%5C%5C1%22`,
		equals(workMail, "o'neil@x.example"):                `filter=emails%5Btype+eq+%22work%22%5D.value+eq+%22o%27neil%40x.example%22`,
		equals("externalId", "0a21f0f2-8d2a-4f8e-bf98-73"):  `filter=externalId+eq+%220a21f0f2-8d2a-4f8e-bf98-73%22`,
		equals("externalId", "0a21f0f2-8d2a-4f8e-bf98-736"): `filter=externalId%20eq%20%220a21f0f2-8d2a-4f8e-bf98-736%22`,
	} {
		if got := "filter=" + encodeFilter(filter); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", filter, got, want)
		}
	}
}
