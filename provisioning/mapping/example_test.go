package mapping_test

import (
	"fmt"

	"meibo/provisioning/mapping"
	"meibo/scim"
)

func Example() {
	table, err := mapping.Compile(scim.Standard(scim.User), []mapping.Row{
		{Target: "userName", Expression: `ToLower(userName)`, Required: true},
		{Target: "displayName", Expression: `Join(" ", name.familyName, name.givenName)`, MaxLength: 40},
		{Target: "preferredLanguage", Constant: "ja-JP", AtCreation: true},
	}, mapping.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := table.Map(mapping.Input{
		Asserted:  scim.Attributes{"userName": "Taro@example.jp", "name": map[string]any{"familyName": "山田", "givenName": "太郎"}},
		Created:   true,
		Overrides: map[string]any{"displayName": "Taro Yamada"},
	})
	fmt.Println(result.Effective["userName"], result.Effective["displayName"], result.Effective["preferredLanguage"], err)
	// Output: taro@example.jp Taro Yamada ja-JP <nil>
}

func ExampleCompile() {
	_, err := mapping.Compile(scim.Standard(scim.User), []mapping.Row{
		{Target: "userName", Expression: `toLower(userName)`},
		{Target: "nickName", Source: "emails.value"},
		{Target: "title", Constant: "x", Characters: "[a-"},
	}, mapping.Options{})
	fmt.Println(err)
	// Output:
	// row 1, expression: line 1, column 1: there is no function toLower; names have their case: write ToLower; see docs/mapping.md for what an expression may have
	// row 2, source: emails.value has any number of values, and nickName has one; name a sub-attribute of one element, or write an expression
	// row 3, characters: the regular expression cannot be read: missing closing ]: [a-; write a regular expression in RE2 syntax such as [a-z0-9.]+
}
