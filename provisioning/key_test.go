package provisioning_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"meibo/provisioning"
)

func TestKeys(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	n := provisioning.NewAPIKey{Holder: " Ken Tanaka ", Role: provisioning.KeyOwner, Hash: make([]byte, 32), Hint: "abcd", Expires: o.clock.Now().Add(time.Hour)}
	k, err := o.CreateKey(t.Context(), o.origin, n)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := o.Keys(t.Context(), "acme")
	if diff := cmp.Diff([]provisioning.APIKey{k}, stored); diff != "" || err != nil || k.Holder != "Ken Tanaka" {
		t.Fatalf("error %v, keys (-made +stored):\n%s", err, diff)
	}
	o.clock.Advance(time.Minute)
	revoked, err := o.RevokeKey(t.Context(), o.origin, k.ID)
	if err != nil || !revoked.Revoked.Equal(o.clock.Now()) {
		t.Errorf("revoked %+v, error %v", revoked, err)
	}
	again, err := o.RevokeKey(t.Context(), o.origin, k.ID)
	if diff := cmp.Diff(revoked, again); diff != "" || err != nil {
		t.Errorf("revoked again: %v\n%s", err, diff)
	}
	args := map[string]string{"key": k.ID, "hint": "abcd", "holder": "Ken Tanaka", "role": "owner"}
	want := []provisioning.Entry{
		{At: o.clock.Now(), Actor: "command line", Correlation: "c0ffee", Action: provisioning.ActionOther, Outcome: provisioning.Skipped,
			Reason: provisioning.Reason{Code: provisioning.ReasonUnchanged, Args: args}},
		{At: o.clock.Now(), Actor: "command line", Correlation: "c0ffee", Action: provisioning.ActionOther, Outcome: provisioning.Success,
			Reason: provisioning.Reason{Code: provisioning.ReasonKeyRevoked, Args: args},
			Diff:   []provisioning.AttributeChange{{Path: "revoked", New: "2026-11-22T09:01:00Z"}}},
		{At: o.clock.Now().Add(-time.Minute), Actor: "command line", Correlation: "c0ffee", Action: provisioning.ActionOther, Outcome: provisioning.Success,
			Reason: provisioning.Reason{Code: provisioning.ReasonKeyCreated, Args: args},
			Diff:   []provisioning.AttributeChange{{Path: "expires", New: "2026-11-22T10:00:00Z"}}},
	}
	if diff := cmp.Diff(want, o.newest(t, 3), ignoreID, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	sound := provisioning.NewAPIKey{Holder: "intranet", Role: provisioning.KeyApplication, Hash: make([]byte, 32), Hint: "abcd"}
	for name, tc := range map[string]struct {
		edit func(*provisioning.NewAPIKey, *provisioning.Origin)
		kind provisioning.Kind
		says string
	}{
		"no holder":      {func(n *provisioning.NewAPIKey, _ *provisioning.Origin) { n.Holder = " " }, provisioning.Invalid, "belongs to somebody"},
		"control in it":  {func(n *provisioning.NewAPIKey, _ *provisioning.Origin) { n.Holder = "a\nb" }, provisioning.Invalid, "belongs to somebody"},
		"no role":        {func(n *provisioning.NewAPIKey, _ *provisioning.Origin) { n.Role = "" }, provisioning.Invalid, "role cannot be"},
		"over already":   {func(n *provisioning.NewAPIKey, _ *provisioning.Origin) { n.Expires = o.clock.Now() }, provisioning.Invalid, "expiry has passed"},
		"no such tenant": {func(_ *provisioning.NewAPIKey, o *provisioning.Origin) { o.Tenant = "nobody" }, provisioning.NotFound, "does not exist"},
	} {
		n, origin := sound, o.origin
		tc.edit(&n, &origin)
		_, err := o.CreateKey(t.Context(), origin, n)
		t.Run(name, func(t *testing.T) { wantKind(t, err, tc.kind, tc.says) })
	}
	if keys, err := o.Keys(t.Context(), "acme"); len(keys) != 0 || err != nil {
		t.Errorf("keys %v, error %v", keys, err)
	}
}
