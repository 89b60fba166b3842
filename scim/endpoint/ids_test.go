package endpoint

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"meibo/provisioning"
	"meibo/scim"
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

// TestLongValues: what no index can hold is the client's fault or none, never ours, and can be
// searched for all the same.
func TestLongValues(t *testing.T) {
	t.Parallel()
	runes := make([]rune, 1024)
	for i, c := range incompressible(len(runes)) {
		runes[i] = '\U00020000' + c*61 + rune(i%59) // four bytes each
	}
	long := string(runes)
	storetest.Each(t, func(t *testing.T, s provisioning.Store) {
		d := newDirectory(t, s)
		d.connect(provisioning.DefaultConnection, func(s *provisioning.ConnectionSettings) { s.UnknownMembers = provisioning.KeepUnknownMembers })
		group := d.create("/Groups", `{"displayName":"G"}`)
		for _, r := range []request{
			{method: http.MethodPost, target: "/Users", body: `{"userName":"` + long + `"}`},
			{method: http.MethodPost, target: "/Users", body: `{"userName":"a","externalId":"` + long + `"}`},
			{method: http.MethodPost, target: "/Users", body: `{"userName":"b","emails":[{"value":"` + long + `"}]}`},
			{method: http.MethodPost, target: "/Users", body: `{"userName":"c","displayName":"` + long + long + `","title":"` + long + `"}`},
			{method: http.MethodPost, target: "/Users", body: `{"userName":"d","` + scim.EnterpriseUserSchema + `":{"manager":"` + long + `"}}`},
			{method: http.MethodPost, target: "/Users", body: `{"userName":"e","urn:` + long + `":{"x":1}}`},
			{method: http.MethodPost, target: "/Groups", body: `{"displayName":"` + long + `"}`},
			{method: http.MethodPost, target: "/Groups", body: `{"displayName":"H","members":[{"value":"` + long + `"}]}`},
			{method: http.MethodPost, target: "/Groups", body: `{"displayName":"I","members":[{"value":"x","display":"` + long + long + `"}]}`},
			{method: http.MethodPatch, target: "/Groups/" + group, body: `{"Operations":[{"op":"add","path":"members","value":["` + long + `"]}]}`},
			{method: http.MethodPatch, target: "/Groups/" + group, body: `{"Operations":[{"op":"remove","path":"members","value":["` + long + `"]}]}`},
			{method: http.MethodGet, target: "/Users?filter=userName+eq+%22" + url.QueryEscape(long) + "%22"},
			{method: http.MethodGet, target: "/Users?filter=externalId+eq+%22" + url.QueryEscape(long) + "%22"},
			{method: http.MethodGet, target: "/Users?filter=emails.value+eq+%22" + url.QueryEscape(long) + "%22"},
			{method: http.MethodGet, target: "/Users?filter=manager+eq+%22" + url.QueryEscape(long) + "%22"},
			{method: http.MethodGet, target: "/Groups?filter=members+eq+%22" + url.QueryEscape(long) + "%22"},
		} {
			a := d.send(r)
			what := fmt.Sprintf("%s %.60s %.60s", r.method, r.target, r.body)
			if a.status >= 500 || a.status == http.StatusNotFound {
				t.Errorf("%s: %d %.300s", what, a.status, a.body)
			} else if a.status >= 400 {
				mustBeError(t, what, a, http.StatusBadRequest, "invalidValue")
			}
			if n := len(d.entries(a.correlation())); n != 1 && r.method != http.MethodGet {
				t.Errorf("%s: %d journal entries", what, n)
			}
		}
	})
}
