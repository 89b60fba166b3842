package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files of testdata/patch anew")

// patchCase is a case of testdata/patch. NAME.json holds it, NAME.golden what comes of it.
type patchCase struct {
	About    string          `json:"about"`
	Type     ResourceType    `json:"type"`
	Resource json.RawMessage `json:"resource"`
	Patch    json.RawMessage `json:"patch"`
	Options  PatchOptions    `json:"options"`
}

func TestPatchGolden(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/patch/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases in testdata/patch (%v)", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := runPatchCase(t, file)
			golden := strings.TrimSuffix(file, ".json") + ".golden"
			if *update {
				if err := os.WriteFile(golden, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatalf("%v; go test -run TestPatchGolden -update writes it", err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("outcome (-golden +got):\n%s", diff)
			}
		})
	}
}

// runPatchCase returns the resource after the PATCH and the change of its members, or the error.
func runPatchCase(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var c patchCase
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		t.Fatal(err)
	}
	d := Standard(c.Type)
	current, err := d.Validate(parseObject(t, c.Resource))
	if err != nil {
		t.Fatalf("resource: %v", err)
	}
	before := d.Encode(current)
	patched, err := patchWith(d, current, parseObject(t, c.Patch), c.Options)
	if !bytes.Equal(before, d.Encode(current)) {
		t.Error("Patch changed its input")
	}
	if err != nil {
		return []byte(patchError(t, err))
	}
	return []byte(differences(d, current, patched.Attributes) + members(patched.Members))
}

// differences lists the top-level attributes that differ, as JSON.
func differences(d *Definition, before, after Attributes) string {
	keys := maps.Clone(before)
	maps.Copy(keys, after)
	var out strings.Builder
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		switch {
		case Equal(before[key], after[key]):
		case after[key] == nil:
			fmt.Fprintf(&out, "%s: unassigned\n", key)
		default:
			fmt.Fprintf(&out, "%s: %s\n", key, encodeOne(d, key, after[key]))
		}
	}
	if out.Len() == 0 {
		return "no attribute differs\n"
	}
	return out.String()
}

// encodeOne is the value of one attribute as the stored document has it.
func encodeOne(d *Definition, key string, v any) string {
	doc := string(d.Encode(Attributes{key: v}))
	_, value, _ := strings.Cut(doc, `"],"`+key+`":`)
	return strings.TrimSuffix(value, "}")
}

func members(c MemberChange) string {
	var out strings.Builder
	if c.Replace {
		out.WriteString("members: replaced\n")
	}
	for _, m := range c.Add {
		fmt.Fprintf(&out, "members: + %s %q\n", m.Value, m.Display)
	}
	for _, id := range c.Remove {
		fmt.Fprintf(&out, "members: - %s\n", id)
	}
	return out.String()
}

func patchWith(d *Definition, current Attributes, raw map[string]any, o PatchOptions) (Patched, error) {
	ops, err := DecodePatch(raw)
	if err != nil {
		return Patched{}, err
	}
	return d.Patch(current, ops, o)
}

func patchError(t *testing.T, err error) string {
	t.Helper()
	if errors.Is(err, ErrMembersNeeded) {
		return "members needed\n"
	}
	if _, ok := errors.AsType[*Error](err); !ok {
		t.Errorf("the error is no *Error: %v", err)
	}
	return "error: " + err.Error() + "\n"
}

func parseObject(t fataler, data []byte) map[string]any {
	t.Helper()
	v, err := ParseJSON(data)
	if err != nil {
		t.Fatalf("ParseJSON: %v", err)
	}
	object, ok := v.(map[string]any)
	if !ok {
		t.Fatalf("not an object: %s", data)
	}
	return object
}
