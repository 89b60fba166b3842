package scim_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"meibo/scim"
	"meibo/scim/scimtest"
)

// longest is how much ParseFilter reads. A canonical spelling can be longer than its filter, as
// it has the URNs of extensions and no abbreviations.
const longest = 8 << 10

// FuzzFilter holds for any text: what is refused is an *Error, and what is accepted prints,
// reads back equal and matches without harm.
func FuzzFilter(f *testing.F) {
	for _, text := range []string{
		`userName eq "a@b.c"`, `emails[type eq "work" and value co "@x"].value ne "\ud83d\ude00"`,
		`name.FamilyName eq Employee and (emails.Value co example.com or not(emails.Value pr))`,
		`meta.created gt 2015-10-10T14:38:21.8617979-07:00`, `manager eq ""`, `active eq "True"`,
		scim.EnterpriseUserSchema + `:employeeNumber sw "7"`, scimtest.WildSchema + `:a[b eq null].c le 7`,
	} {
		f.Add(text)
	}
	users := []scim.Attributes{nil, scimtest.User().Example(1), scimtest.User().Example(2)}
	f.Fuzz(func(t *testing.T, text string) {
		for _, d := range definitions() {
			filter, err := scim.ParseFilter(d, text)
			if err != nil {
				checkError(t, err, scim.InvalidFilter)
				continue
			}
			for _, r := range users {
				scim.Match(filter, r)
			}
			printed := scim.FormatFilter(filter)
			if len(printed) > longest {
				continue
			}
			if diff := cmp.Diff(filter, parse(t, d, printed), sameAttribute); diff != "" {
				t.Errorf("%q prints as %q, which reads differently (-want +got):\n%s", text, printed, diff)
			}
		}
	})
}

// FuzzPath holds for any text what FuzzFilter does.
func FuzzPath(f *testing.F) {
	for _, text := range []string{
		`userName`, `name.familyName`, `emails[type eq "work"].value`, `members[value eq "1"]`, `members.$ref`,
		scim.EnterpriseUserSchema, scim.EnterpriseUserSchema + `:manager.value`, scim.UserSchema + `:userName`, scimtest.WildSchema + `:a[b eq "c"].d`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, d := range definitions() {
			path, err := scim.ParsePath(d, text)
			if err != nil {
				checkError(t, err, scim.InvalidPath)
				continue
			}
			printed := path.String()
			if len(printed) > longest {
				continue
			}
			again, err := scim.ParsePath(d, printed)
			if err != nil {
				t.Fatalf("%q prints as %q: %v", text, printed, err)
			}
			if diff := cmp.Diff(path, again, sameAttribute); diff != "" {
				t.Errorf("%q prints as %q, which reads differently (-want +got):\n%s", text, printed, diff)
			}
		}
	})
}

func checkError(t *testing.T, err error, want scim.ErrorType) {
	t.Helper()
	e, ok := errors.AsType[*scim.Error](err)
	if !ok || e.Type != want || e.Detail == "" {
		t.Errorf("error %#v, want an *Error of type %s with a detail", err, want)
	}
}
