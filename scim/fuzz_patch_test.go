package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var fuzzUser = `{"userName":"a","externalId":"1","active":true,"name":{"familyName":"f","givenName":"g"},
	"emails":[{"value":"v","type":"work","primary":true},{"value":"w","type":"home"}],
	"roles":[{"value":"r"}],"addresses":[{"locality":"l"}],
	"` + EnterpriseUserSchema + `":{"department":"d","manager":{"value":"m"}},"urn:x:2.0:User":{"a":{"b":[1,"c"]},"d":"e"}}`

// FuzzPatch holds for any body: no harm, the input stays, the outcome is a valid resource, and the
// change of members is one of sets.
func FuzzPatch(f *testing.F) {
	for _, body := range patchBodies(f) {
		f.Add(body, uint8(0))
		f.Add(body, uint8(0xff))
	}
	f.Fuzz(func(t *testing.T, body []byte, options uint8) {
		v, err := ParseJSON(body)
		raw, ok := v.(map[string]any)
		if err != nil || !ok {
			return
		}
		ops, err := DecodePatch(raw)
		if err != nil {
			return
		}
		o := PatchOptions{CreateElements: options&1 != 0, PruneElements: options&2 != 0, PrimaryWhenOnly: options&4 != 0}
		if options&8 != 0 {
			o.Members, o.MembersKnown = []Member{{Value: "a", Display: "A"}, {Value: "b"}}, true
		}
		checkPatch(t, Standard(User), fuzzUser, ops, o)
		checkPatch(t, Standard(Group), `{"displayName":"g","externalId":"1"}`, ops, o)
		checkPatch(t, testDefinition(t), `{"userName":"a","`+testSchema+`":{"badge":"b","tags":["x"],"keys":[{"value":"k"}]}}`, ops, o)
	})
}

// patchBodies are the requests of the golden cases.
func patchBodies(t testing.TB) [][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/patch/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in testdata/patch (%v)", err)
	}
	var bodies [][]byte
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var c patchCase
		if err := json.Unmarshal(data, &c); err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, c.Patch)
	}
	return bodies
}

// fataler is what testing.T and rapid.T have in common.
type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func checkPatch(t fataler, d *Definition, resource string, ops []Operation, o PatchOptions) {
	t.Helper()
	current, err := d.Validate(parseObject(t, []byte(resource)))
	if err != nil {
		t.Fatal(err)
	}
	before := string(d.Encode(current))
	patched, err := d.Patch(current, ops, o)
	if after := string(d.Encode(current)); after != before {
		t.Fatalf("the input changed from\n%s to\n%s", before, after)
	}
	if err != nil {
		if _, ok := errors.AsType[*Error](err); !ok && !errors.Is(err, ErrMembersNeeded) {
			t.Fatalf("neither an *Error nor ErrMembersNeeded: %v", err)
		}
		return
	}
	checkMembers(t, patched.Members)
	valid, err := d.Validate(parseObject(t, d.Encode(patched.Attributes)))
	if err != nil {
		t.Fatalf("the outcome is not valid: %v\n%s", err, d.Encode(patched.Attributes))
	}
	if stored, err := d.Decode(d.Encode(patched.Attributes)); err != nil || !Equal(patched.Attributes, stored) {
		t.Fatalf("the outcome is not read back (%v):\n%s", err, d.Encode(patched.Attributes))
	}
	if !Equal(patched.Attributes, valid) {
		t.Fatalf("the outcome is not as Validate would have it:\n%s\n%s", d.Encode(patched.Attributes), d.Encode(valid))
	}
}

func checkMembers(t fataler, c MemberChange) {
	t.Helper()
	seen := map[string]bool{}
	for _, m := range c.Add {
		if m.Value == "" || seen[m.Value] {
			t.Fatalf("member %q is empty or there twice: %+v", m.Value, c)
		}
		seen[m.Value] = true
	}
	for _, id := range c.Remove {
		if id == "" || seen[id] || c.Replace {
			t.Fatalf("member %q is empty, there twice or removed from nothing: %+v", id, c)
		}
		seen[id] = true
	}
}

// FuzzParseJSON holds for any body: what is accepted is what encoding/json reads, and what only
// ParseJSON refuses is what it says.
func FuzzParseJSON(f *testing.F) {
	for _, body := range []string{
		fuzzUser, ` [1,-0.5e+1,1E999,"\ud83d\ude00\/\b",true,false,null,{}] `, `{"a":1,"\u0061":2}`, `"\u0000"`, `"\ud800\u12G4"`, `[01]`, `{} x`, "\"\xff", `[[[[`, `{"a":nul`,
	} {
		f.Add([]byte(body))
	}
	stricter := regexp.MustCompile(`not valid UTF-8|given twice|half of a surrogate|nested more|NUL character|a number is`)
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := ParseJSON(body)
		want, wantErr := decodeLoosely(body)
		if err == nil {
			if wantErr != nil || !Equal(got, want) {
				t.Fatalf("read as %v; encoding/json: %v, %v", got, want, wantErr)
			}
			return
		}
		checkIsError(t, err)
		if wantErr == nil && !stricter.MatchString(err.Error()) {
			t.Fatalf("%v; encoding/json reads %v", err, want)
		}
		if syntax, ok := errors.AsType[*json.SyntaxError](wantErr); ok && strings.Contains(err.Error(), "not valid JSON") {
			if at := fmt.Sprintf("byte %d:", syntax.Offset); !strings.Contains(err.Error(), at) {
				t.Fatalf("%v; encoding/json: %v at %s", err, wantErr, at)
			}
		}
	})
}

// decodeLoosely is encoding/json's reading of one value and nothing else.
func decodeLoosely(body []byte) (v any, err error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text after the value")
	}
	return v, nil
}

// FuzzResource holds for any body: what is refused is an *Error, and what is accepted is stored and
// read back the same.
func FuzzResource(f *testing.F) {
	f.Add([]byte(fuzzUser))
	for _, body := range []string{
		`{"schemas":["` + GroupSchema + `"],"displayName":"g","members":[{"value":"1","$ref":null}]}`,
		`{"USERNAME":"\ud83d\ude00\u0041","emails":[{"value":"v","primary":true},null,{}],"title":"","id":"x"}`,
		`{"userName":"a","urn:a:b":{"n":[1.50,-0,1e3,null,{"x":null}]},"` + EnterpriseUserSchema + `:department":"d"}`,
		`{"userName":"\u0000"}`, `{"userName":"\ud800"}`, `{"userName":"a"} x`, `[[[[`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		v, err := ParseJSON(body)
		if err != nil {
			checkIsError(t, err)
			if v != nil {
				t.Fatalf("a value beside an error: %v", v)
			}
			return
		}
		raw, ok := v.(map[string]any)
		if !ok {
			return
		}
		if _, _, err := ReadMembers(raw["members"]); err != nil {
			checkIsError(t, err)
		}
		for _, d := range []*Definition{Standard(User), Standard(Group), testDefinition(t)} {
			checkResource(t, d, raw)
		}
	})
}

func checkResource(t *testing.T, d *Definition, raw map[string]any) {
	t.Helper()
	a, err := d.Validate(raw)
	if err != nil {
		checkIsError(t, err)
		return
	}
	doc := d.Encode(a)
	back, err := d.Decode(doc)
	if err != nil {
		t.Fatalf("%v: %s", err, doc)
	}
	if !Equal(a, back) || string(d.Encode(back)) != string(doc) {
		t.Fatalf("stored as %s, which reads differently: %s", doc, d.Encode(back))
	}
	again, err := d.Validate(parseObject(t, doc))
	if err != nil || !Equal(a, again) {
		t.Fatalf("%s is not accepted as it is: %v\n%s", doc, err, d.Encode(again))
	}
	if patched, err := d.Patch(a, nil, PatchOptions{}); err != nil || !Equal(patched.Attributes, a) {
		t.Fatalf("a PATCH without operations: %v\n%s", err, cmp.Diff(a, patched.Attributes))
	}
}

func checkIsError(t *testing.T, err error) {
	t.Helper()
	if _, ok := errors.AsType[*Error](err); !ok {
		t.Fatalf("the error is no *Error: %v", err)
	}
}
