package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"meibo/provisioning"
)

// sample fills the parameters of a path.
func sample(path string) string {
	return strings.NewReplacer("{id}", "019aa000-0000-7000-8000-000000000000", "{name}", "default", "{version}", "1").Replace(path)
}

// TestRoles walks every operation with every role, with no key and with one that does not count. Who may not
// call it is told so before anything is looked at, be it as broken as it may.
func TestRoles(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for path, item := range document(t).Paths.Map() {
		for method, o := range item.Operations() {
			name := method + " " + path
			for _, key := range []string{"", "meibokey_unknown"} {
				a := b.do(key, method, sample(path)+"?nonsense=1", "nonsense")
				wantProblem(t, name+" without a key that counts", a, http.StatusUnauthorized)
				if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "Bearer") {
					t.Errorf("%s: WWW-Authenticate %q", name, a.header.Get("WWW-Authenticate"))
				}
			}
			allowed := rolesOf(o)
			for _, role := range provisioning.KeyRoles() {
				a := b.do(string(role), method, sample(path)+"?nonsense=1", "nonsense")
				switch {
				case slices.Contains(allowed, string(role)):
					wantProblem(t, name+" as "+string(role), a, http.StatusUnprocessableEntity)
				default:
					wantProblem(t, name+" as "+string(role), a, http.StatusForbidden)
				}
			}
		}
	}
}

func rolesOf(o *openapi3.Operation) []string {
	var roles []string
	named, _ := o.Extensions["x-meibo-roles"].([]any)
	for _, r := range named {
		role, _ := r.(string)
		roles = append(roles, role)
	}
	return roles
}

// TestWhoMayCallWhat states the roles once more, by hand: a change here is a change of what the product promises.
func TestWhoMayCallWhat(t *testing.T) {
	t.Parallel()
	const (
		everybody = "owner operator support application"
		people    = "owner operator support"
		operators = "owner operator"
		owners    = "owner"
	)
	want := map[string]string{
		"listUsers": everybody, "getUser": everybody, "listGroups": everybody, "getGroup": everybody, "listMembers": everybody,
		"eraseUser": owners, "exportSubject": owners, "differenceUser": people, "differenceGroup": people,
		"listChanges": everybody, "listConnections": people, "listTokens": owners, "createToken": owners, "revokeToken": owners,
		"changeUser": operators, "changeGroup": operators, "listMatters": people, "getMatter": people, "resolveMatter": operators, "resolveMatters": operators, "reopenMatter": operators, "allowDepartures": operators,
		"getSettings": people, "applySettings": operators, "planSettings": operators, "testMapping": operators, "rollbackSettings": operators, "listSettingsVersions": people, "getSettingsVersion": people,
		"exportDirectory": people, "planImport": operators, "importFile": operators,
		"listCycles": people, "getCycle": people, "getConnectionHealth": people, "debugConnection": operators,
		"listLog": people, "explainLogEntry": people, "explainUser": people, "explainGroup": people, "whyNot": people, "getLogEntry": people, "getUserHistory": people, "getGroupHistory": people, "followLog": people, "getSummary": people,
		"getCapture": people, "listCaptures": people, "getCapturedRequest": people, "replay": people,
		"listActs": people, "verifyAudit": people, "planUndo": operators, "undo": operators, "listJobs": people, "getJob": people,
		"listKeys": owners, "createKey": owners, "revokeKey": owners,
	}
	for _, item := range document(t).Paths.Map() {
		for _, o := range item.Operations() {
			if got := strings.Join(rolesOf(o), " "); got != want[o.OperationID] {
				t.Errorf("%s: roles %q, want %q", o.OperationID, got, want[o.OperationID])
			}
			delete(want, o.OperationID)
		}
	}
	for id := range want {
		t.Errorf("there is no operation %s", id)
	}
}

// What is no operation is a problem too.
func TestAddressesAndMethods(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, target := range []string{"", "/", "/nothing", "/users/", "/Users", "//users", "/../keys", "/./keys", "/%75sers"} {
		wantProblem(t, "GET "+target, b.do("owner", http.MethodGet, target, ""), http.StatusNotFound)
	}
	for _, method := range []string{http.MethodHead, http.MethodPut, http.MethodOptions, http.MethodTrace, "BREW"} {
		a := b.do("owner", method, "/keys", "")
		if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "GET, POST" {
			t.Errorf("%s /keys: %d, Allow %q", method, a.status, a.header.Get("Allow"))
		}
	}
	if a := b.do("", http.MethodGet, "/openapi.json", ""); a.status != http.StatusUnauthorized {
		t.Errorf("the document without a key: %d", a.status)
	}
	if a := b.do("application", http.MethodGet, "/openapi.json", ""); a.status != http.StatusOK || !strings.Contains(a.body, `"openapi": "3.1.0"`) {
		t.Errorf("the document: %d", a.status)
	}
	for _, header := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Methods"} {
		if a := b.do("owner", http.MethodOptions, "/users", ""); a.header.Get(header) != "" {
			t.Errorf("%s is sent", header)
		}
	}
}
