package scim_test

import (
	"fmt"

	"meibo/scim"
)

// A filter is resolved against the definition of a resource type, so it prints with the names of
// the schema and with its values folded as they compare.
func ExampleParseFilter() {
	users := scim.Standard(scim.User)
	for _, text := range []string{
		`USERNAME Eq "Ada@Example.com" AND active eq "True"`,
		`emails[type eq work].value co "@example"`,
		`manager eq "0a21f0f2"`,
		`title ne ""`,
	} {
		f, err := scim.ParseFilter(users, text)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(scim.FormatFilter(f))
	}
	// Output:
	// userName eq "ada@example.com" and active eq true
	// emails[type eq "work"].value co "@example"
	// urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq "0a21f0f2"
	// not (title eq null)
}

// An error says where the fault is and what to write instead.
func ExampleParseFilter_error() {
	users := scim.Standard(scim.User)
	for _, text := range []string{`userName is "ada"`, `favouriteColour eq "red"`, `active gt true`, `(title pr`} {
		_, err := scim.ParseFilter(users, text)
		fmt.Println(err)
	}
	// Output:
	// invalidFilter: position 10: expected an operator (eq, ne, co, sw, ew, gt, ge, lt, le, pr), found 'i'
	// invalidFilter: favouriteColour: position 1: User has no such attribute
	// invalidFilter: position 1: gt does not fit active, which is of type boolean; use one of eq, ne, pr
	// invalidFilter: position 10: expected "and", "or" or ")", found the end
}

// A parsed filter is a tree that other code can walk, here for the attributes it names.
func ExampleFilter() {
	f, err := scim.ParseFilter(scim.Standard(scim.User), `title pr and not (emails.type eq "home" or userName sw "x")`)
	if err != nil {
		fmt.Println(err)
		return
	}
	var walk func(scim.Filter)
	walk = func(f scim.Filter) {
		switch f := f.(type) {
		case *scim.Logical:
			for _, t := range f.Terms {
				walk(t)
			}
		case *scim.Not:
			walk(f.Term)
		case *scim.ValuePath:
			fmt.Println(f.Path)
			walk(f.Term)
		case *scim.Present:
			fmt.Println(f.Path)
		case *scim.Compare:
			fmt.Println(f.Path)
		}
	}
	walk(f)
	// Output:
	// title
	// emails.type
	// userName
}

func ExampleMatch() {
	ada := scim.Attributes{
		"userName": "ada@example.com",
		"emails": []any{
			map[string]any{"type": "work", "value": "ada@example.com"},
			map[string]any{"type": "home", "value": "ada@home.example"},
		},
	}
	for _, text := range []string{
		`emails[type eq "work" and value ew "home.example"]`,       // no single element is both
		`emails.type eq "work" and emails.value ew "home.example"`, // one element each
		`nickName ne "countess"`,                                   // nothing is not "countess"
		`nickName lt "z"`,                                          // nor is it less than "z"
		`emails[type eq "other"] or emails[type eq "home"].value pr`,
		`not (userName eq "ADA@EXAMPLE.COM")`,
	} {
		f, err := scim.ParseFilter(scim.Standard(scim.User), text)
		fmt.Println(err == nil && scim.Match(f, ada))
	}
	// Output:
	// false
	// true
	// true
	// false
	// true
	// false
}

func ExampleParsePath() {
	p, err := scim.ParsePath(scim.Standard(scim.User), `EMAILS[Type eq "work"].Value`)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p)
	fmt.Println(p.Attr, p.Sub, scim.FormatFilter(p.Filter))
	// Output:
	// emails[type eq "work"].value
	// emails emails.value type eq "work"
}
