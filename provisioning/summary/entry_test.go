package summary_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"meibo/provisioning"
	"meibo/provisioning/summary"
	"meibo/scim"
)

var update = flag.Bool("update", false, "rewrite golden files")

const (
	ken   = "019aa000-0000-7000-8000-000000000001"
	staff = "019aa000-0000-7000-8000-000000000002"
)

func patched(status int, took time.Duration) *provisioning.RequestInfo {
	return &provisioning.RequestInfo{Method: "PATCH", Path: "/t/acme/scim/v2/Users/" + ken, Dialect: "entra", Quirks: []string{"pascalCaseOp", "stringBoolean"}, Status: status, Duration: took}
}

// cases are entries as the core writes them.
var cases = []struct {
	name  string
	entry provisioning.Entry
}{
	{"created", provisioning.Entry{Action: provisioning.ActionCreate, Outcome: provisioning.Success, ResourceID: ken, ResourceType: scim.User, ResourceName: "ken@example.com", Version: 1,
		Request: &provisioning.RequestInfo{Method: "POST", Path: "/t/acme/scim/v2/Users", Status: 201, Duration: 2750 * time.Microsecond},
		Diff: []provisioning.AttributeChange{{Path: "userName", New: "ken@example.com"}, {Path: "externalId", New: "4711"}, {Path: "active", New: true},
			{Path: "name", New: map[string]any{"familyName": "田中", "givenName": "<Ken> & co"}}},
		Reason: provisioning.Reason{Code: provisioning.ReasonCreated}}},
	{"updated", provisioning.Entry{Action: provisioning.ActionUpdate, Outcome: provisioning.Success, ResourceID: ken, ResourceType: scim.User, ResourceName: "ken@example.com", Version: 2, MatchedBy: "id", SettingsVersion: 3,
		Request: patched(200, time.Millisecond), Diff: []provisioning.AttributeChange{{Path: "displayName", Old: "=1+1", New: "Ken"}},
		Reason: provisioning.Reason{Code: provisioning.ReasonAsserted}}},
	{"kept", provisioning.Entry{Action: provisioning.ActionDisable, Outcome: provisioning.Warning, ResourceID: ken, ResourceType: scim.User, ResourceName: "ken@example.com", Version: 3, MatchedBy: "id",
		Request: patched(200, time.Millisecond), Diff: []provisioning.AttributeChange{{Path: "active", Old: true, New: false}},
		Reason: provisioning.Reason{Code: provisioning.ReasonKept, Args: map[string]string{"cause": provisioning.CauseDeactivated, "because": "role", "policy": "suspend"}}}},
	{"out of scope", provisioning.Entry{Action: provisioning.ActionDisable, Outcome: provisioning.Success, ResourceID: ken, ResourceType: scim.User, ResourceName: "ken@example.com", Version: 4, MatchedBy: "id", SettingsVersion: 5,
		Request: patched(200, time.Millisecond), Diff: []provisioning.AttributeChange{{Path: provisioning.PathState, Old: "active", New: "suspended"}},
		Reason: provisioning.Reason{Code: "suspended", Args: map[string]string{"cause": provisioning.CauseScope}}}},
	{"skipped", provisioning.Entry{Action: provisioning.ActionUpdate, Outcome: provisioning.Skipped, ResourceID: ken, ResourceType: scim.User, ResourceName: "ken@example.com", MatchedBy: "id",
		Request: patched(200, time.Millisecond), Reason: provisioning.Reason{Code: provisioning.ReasonUnchanged}}},
	{"taken", provisioning.Entry{Action: provisioning.ActionCreate, Outcome: provisioning.Failure, ResourceType: scim.User, ResourceName: "ken@example.com",
		Request: &provisioning.RequestInfo{Method: "POST", Path: "/t/acme/scim/v2/Users", Status: 409}, Reason: provisioning.Reason{Code: provisioning.ReasonRefused},
		Error: &provisioning.EntryError{Code: string(scim.Uniqueness), Detail: "another resource already has this userName", RecommendedAction: "Find the other resource"}}},
	{"unreadable", provisioning.Entry{Action: provisioning.ActionUpdate, Outcome: provisioning.Failure, ResourceID: ken, ResourceType: scim.User,
		Request: patched(400, 0), Reason: provisioning.Reason{Code: provisioning.ReasonRefused},
		Error: &provisioning.EntryError{Code: string(scim.InvalidPath), Detail: "no attribute has that path", RecommendedAction: "Correct the value"}}},
	{"missing", provisioning.Entry{Action: provisioning.ActionDelete, Outcome: provisioning.Skipped, ResourceID: ken, ResourceType: scim.User,
		Request: &provisioning.RequestInfo{Method: "DELETE", Path: "/t/acme/scim/v2/Users/" + ken, Status: 404}, Reason: provisioning.Reason{Code: provisioning.ReasonNotFound},
		Error: &provisioning.EntryError{Code: "notFound", Detail: "there is no User with that id", RecommendedAction: "Restart provisioning"}}},
	{"unavailable", provisioning.Entry{Action: provisioning.ActionUpdate, Outcome: provisioning.Failure, ResourceID: ken, ResourceType: scim.User,
		Request: patched(503, 0), Reason: provisioning.Reason{Code: provisioning.ReasonRefused},
		Error: &provisioning.EntryError{Code: "unavailable", Detail: "the database is full", RecommendedAction: "Nothing"}}},
	{"members", provisioning.Entry{Action: provisioning.ActionUpdate, Outcome: provisioning.Warning, ResourceID: staff, ResourceType: scim.Group, ResourceName: "staff", Version: 2, MatchedBy: "id",
		Request: &provisioning.RequestInfo{Method: "PATCH", Path: "/t/acme/scim/v2/Groups/" + staff, Status: 204, Duration: 1},
		Members: provisioning.MemberDelta{Add: []scim.Member{{Value: ken, Display: "Ken"}}, Remove: []string{"b"}, EffectiveRemove: []string{"c"}},
		Reason:  provisioning.Reason{Code: provisioning.ReasonMemberGone, Args: map[string]string{"members": "d"}}}},
	{"by a person", provisioning.Entry{Action: provisioning.ActionUpdate, Outcome: provisioning.Success, ResourceID: ken, ResourceType: scim.User, ResourceName: "ken@example.com", Version: 5, MatchedBy: "id",
		Actor: provisioning.KeyActor("Rie Sato"), Request: &provisioning.RequestInfo{Method: "PATCH", Path: "/api/v1/users/" + ken, Status: 200},
		Diff: []provisioning.AttributeChange{{Path: provisioning.PathRole, Old: "ordinary", New: "admin"}}, Reason: provisioning.Reason{Code: provisioning.ReasonByPerson, Args: map[string]string{"what": "role"}}}},
	{"by the clock", provisioning.Entry{Action: provisioning.ActionDelete, Outcome: provisioning.Success, ResourceID: ken, ResourceType: scim.User, Version: 6, Actor: provisioning.Schedule,
		Diff: []provisioning.AttributeChange{{Path: provisioning.PathState, Old: "suspended", New: "removed"}}, Reason: provisioning.Reason{Code: provisioning.ReasonPurged}}},
	{"new token", provisioning.Entry{Action: provisioning.ActionOther, Outcome: provisioning.Success, Actor: provisioning.CommandLine,
		Reason: provisioning.Reason{Code: provisioning.ReasonCredentialCreated, Args: map[string]string{"hint": "x7Qz"}}}},
}

// filled is the entry with what all of them have.
func filled(i int) provisioning.Entry {
	e := cases[i].entry
	e.ID = "019aa000-0000-7000-8000-0000000000" + string(rune('a'+i/10)) + string(rune('0'+i%10))
	e.At = time.Date(2026, 11, 22, 9, 0, i, 123456000, time.FixedZone("JST", 9*3600))
	e.Correlation = "019aa000-0000-7000-8000-00000000ffff"
	if e.Actor == "" {
		e.Actor, e.Connection, e.ConnectionName = provisioning.TokenActor("7f3c"), 1, "hr"
	}
	return e
}

func TestOf(t *testing.T) {
	t.Parallel()
	var lines, list bytes.Buffer
	ndjson := summary.NewNDJSONWriter(&lines)
	rows, err := summary.NewCSVWriter(&list)
	if err != nil {
		t.Fatal(err)
	}
	var all []json.RawMessage
	for i := range cases {
		e := summary.Of("acme", filled(i))
		lines.Reset()
		if err := ndjson.Write(e); err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(lines.Bytes(), []byte("\n")); n != 1 {
			t.Errorf("%s: %d lines", cases[i].name, n)
		}
		all = append(all, bytes.Clone(lines.Bytes()))
		if err := rows.Write(e); err != nil {
			t.Fatal(err)
		}
	}
	var golden bytes.Buffer
	for i, line := range all {
		golden.WriteString("// " + cases[i].name + ": " + summary.Line(summary.Of("acme", filled(i))) + "\n")
		if err := json.Indent(&golden, line, "", "  "); err != nil {
			t.Fatal(err)
		}
	}
	wantGolden(t, "entries.txt", golden.Bytes())
	wantGolden(t, "entries.csv", list.Bytes())
	table, err := csv.NewReader(bytes.NewReader(list.Bytes())).ReadAll()
	if err != nil || len(table) != len(cases)+1 {
		t.Errorf("%d rows, %v", len(table), err)
	}
}

func wantGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got); -update rewrites it:\n%s", name, diff)
	}
}

// No value of a person is in a step: it is told without a mask.
func TestStepsHoldNoValues(t *testing.T) {
	t.Parallel()
	for i, c := range cases {
		steps, err := json.Marshal(summary.Of("acme", filled(i)).Steps)
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range []string{"ken@", "Ken", "4711", "田中", "Rie"} {
			if strings.Contains(string(steps), value) {
				t.Errorf("%s: %s holds %s", c.name, steps, value)
			}
		}
	}
}

func TestAt(t *testing.T) {
	t.Parallel()
	got := summary.At("acme", provisioning.PositionedEntry{Position: 7, Entry: filled(0)})
	want := summary.Of("acme", filled(0))
	want.Meibo.Position = 7
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
