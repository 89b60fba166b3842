package scim_test

import (
	"testing"

	witness "github.com/scim2/filter-parser/v2"

	"meibo/scim"
)

// TestFilterWitness reads filters as another implementation does: what it accepts, and names
// attributes that exist, we accept.
func TestFilterWitness(t *testing.T) {
	t.Parallel()
	// The examples of RFC 7644, figures of §3.4.2.2 and §3.5.2, and the corners of its grammar.
	filters := []string{
		`userName eq "bjensen"`,
		`name.familyName co "O'Malley"`,
		`userName sw "J"`,
		`urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J"`,
		`title pr`,
		`meta.lastModified gt "2011-05-13T04:42:34Z"`,
		`meta.lastModified ge "2011-05-13T04:42:34Z"`,
		`meta.lastModified lt "2011-05-13T04:42:34Z"`,
		`meta.lastModified le "2011-05-13T04:42:34Z"`,
		`title pr and userType eq "Employee"`,
		`title pr or userType eq "Intern"`,
		`schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"`,
		`userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")`,
		`userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")`,
		`userType eq "Employee" and (emails.type eq "work")`,
		`userType eq "Employee" and emails[type eq "work" and value co "@example.com"]`,
		`emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]`,
		`NAME PR AND NOT (TITLE EQ "test") AND nickName NE "test"`,
		`active eq TRUE or active eq false`, `title eq null`, `not(title pr)`, `( title pr )`,
		`emails[not (type eq "work")]`, `groups.$ref pr or id eq "\"\\\/\n"`,
	}
	d := scim.Standard(scim.User)
	for _, text := range filters {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			if _, err := witness.ParseFilter([]byte(text)); err != nil {
				t.Fatalf("the witness refuses it: %v", err)
			}
			parse(t, d, text)
		})
	}
}
