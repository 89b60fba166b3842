package endpoint

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"meibo/provisioning"
	"meibo/store/storetest"
)

// TestIDsInAddresses: what the client escaped is unescaped once, and is one segment.
func TestIDsInAddresses(t *testing.T) {
	t.Parallel()
	d := newDirectory(t, storetest.Open(t))
	for _, tt := range []struct{ segment, id string }{
		{"plain", "plain"},
		{"a%20b", "a b"},
		{"a+b", "a+b"},
		{"%41", "A"},
		{"%2541", "%41"},
		{"a%2Fb", "a/b"},
		{"100%25", "100%"},
		{"..", ".."},
		{"%C3%A4", "ä"},
	} {
		a := d.send(request{method: http.MethodDelete, target: "/Users/" + tt.segment})
		mustBeError(t, tt.segment, a, http.StatusNotFound, "")
		entries := d.entries(a.correlation())
		if len(entries) != 1 || entries[0].ResourceID != tt.id {
			t.Errorf("%s: journal has %+v, want the id %q", tt.segment, entries, tt.id)
		}
	}
}

// incompressible is text that an index cannot make short.
func incompressible(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		sum := sha256.Sum256(fmt.Append(nil, i))
		b.WriteString(base64.RawURLEncoding.EncodeToString(sum[:]))
	}
	return b.String()[:n]
}

// TestIDsThatNoDatabaseKeeps are not found like any other that was never issued, and journalled.
func TestIDsThatNoDatabaseKeeps(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		d := newDirectory(t, s)
		for _, segment := range []string{"%00", "a%00b", "%FF", "%ED%A0%80", "%C3", incompressible(6000), strings.Repeat("%F0%9F%98%80", 2000)} {
			for _, r := range []request{
				{method: http.MethodGet}, {method: http.MethodDelete},
				{method: http.MethodPut, body: user}, {method: http.MethodPatch, body: `{"Operations":[{"op":"add","path":"title","value":"x"}]}`},
			} {
				r.target = "/Users/" + segment
				a := d.send(r)
				what := fmt.Sprintf("%s %.40s", r.method, r.target)
				mustBeError(t, what, a, http.StatusNotFound, "")
				if n := len(d.entries(a.correlation())); n != 1 && r.method != http.MethodGet {
					t.Errorf("%s: %d journal entries", what, n)
				}
			}
		}
	})
}
