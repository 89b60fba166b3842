package api_test

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"

	"meibo/web/api"
)

const committed = "../../docs/openapi.json"

// document reads the API's document as a tool would that knows OpenAPI and not us.
func document(t *testing.T) *openapi3.T {
	t.Helper()
	data, err := api.Document()
	if err != nil {
		t.Fatal(err)
	}
	d, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// documented is the document, read once.
var documented = sync.OnceValues(func() (*openapi3.T, error) {
	data, err := api.Document()
	if err != nil {
		return nil, err
	}
	return openapi3.NewLoader().LoadFromData(data)
})

// wantDocumented fails where an answer of an operation is none that the document allows.
func wantDocumented(t *testing.T, method, path string, w *httptest.ResponseRecorder) {
	t.Helper()
	d, err := documented()
	if err != nil {
		t.Fatal(err)
	}
	all := d.Paths.Map()
	_, concrete := all[strings.TrimPrefix(path, api.Base)] // which goes before a template (OpenAPI 3.1, paths object)
	for template, item := range all {
		if concrete && strings.Contains(template, "{") {
			continue
		}
		o := item.GetOperation(method)
		if matched, _ := filepath.Match(variables.ReplaceAllString(template, "*"), strings.TrimPrefix(path, api.Base)); !matched || o == nil {
			continue
		}
		answer := o.Responses.Status(w.Code)
		if answer == nil {
			t.Errorf("%s %s: %d is not in the document", method, template, w.Code)
			return
		}
		media, _, _ := strings.Cut(w.Header().Get("Content-Type"), ";")
		if media != "application/json" && media != "application/problem+json" || w.Body.Len() == 0 {
			return
		}
		content := answer.Value.Content.Get(media)
		var value any
		if content == nil || json.Unmarshal(w.Body.Bytes(), &value) != nil {
			t.Errorf("%s %s: %d %s is not in the document: %s", method, template, w.Code, media, w.Body)
			return
		}
		if err := content.Schema.Value.VisitJSON(value); err != nil {
			t.Errorf("%s %s: %d: %v in %s", method, template, w.Code, err, w.Body)
		}
		return
	}
}

var variables = regexp.MustCompile(`\{[a-z]+\}`)

// TestDocument: what is committed is what the code declares.
func TestDocument(t *testing.T) {
	t.Parallel()
	want, err := api.Document()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(committed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("docs/openapi.json is not what the code declares; run make generate (-code +file):\n%s", diff)
	}
}

func TestDocumentIsValid(t *testing.T) {
	t.Parallel()
	d := document(t)
	if err := d.Validate(t.Context()); err != nil {
		t.Error(err)
	}
	if d.OpenAPI != "3.1.0" {
		t.Errorf("OpenAPI %s", d.OpenAPI)
	}
}

// TestDocumentIsPrecise: each operation names its roles and its security, each parameter and each text of a body is
// bounded, and every status that a caller without a key, a role or patience meets is declared.
func TestDocumentIsPrecise(t *testing.T) {
	t.Parallel()
	for path, item := range document(t).Paths.Map() {
		for method, o := range item.Operations() {
			name := method + " " + path
			if roles, ok := o.Extensions["x-meibo-roles"].([]any); !ok || len(roles) == 0 {
				t.Errorf("%s can be called by nobody", name)
			}
			if o.Security == nil || o.Summary == "" || o.OperationID == "" || len(o.Tags) != 1 {
				t.Errorf("%s lacks security, summary, id or tag", name)
			}
			for _, status := range []int{401, 403, 422, 429, 500, 503} {
				if r := o.Responses.Status(status); r == nil || r.Value.Content.Get("application/problem+json") == nil {
					t.Errorf("%s does not declare the problem of %d", name, status)
				}
			}
			for _, p := range o.Parameters {
				if s := p.Value.Schema.Value; !bounded(s) {
					t.Errorf("%s: parameter %s has no bounds", name, p.Value.Name)
				}
			}
			if o.RequestBody != nil {
				for property, s := range o.RequestBody.Value.Content.Get("application/json").Schema.Value.Properties {
					if !bounded(s.Value) {
						t.Errorf("%s: %s of the body has no bounds", name, property)
					}
				}
			}
		}
	}
}

// bounded reports whether a schema says what is too much.
func bounded(s *openapi3.Schema) bool {
	switch {
	case s.Type.Includes("boolean"), s.Type.Includes("object"), s.Type.Includes("array"):
		return true
	case s.Type.Includes("integer"):
		return s.Min != nil
	default:
		return s.Format != "" || s.Pattern != "" || len(s.Enum) > 0 || s.MaxLength != nil
	}
}
