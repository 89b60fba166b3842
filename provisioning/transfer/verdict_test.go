package transfer

import (
	"strings"
	"testing"

	"meibo/provisioning"
)

func TestVerdictSays(t *testing.T) {
	t.Parallel()
	users := func(v provisioning.Verdict) Verdict {
		v.Kind, v.Share = provisioning.BudgetUsers, 20
		return Verdict{Connection: "entra", Verdict: v}
	}
	tests := []struct {
		v    Verdict
		want string
	}{
		{users(provisioning.Verdict{Leaving: 142, Of: 200, Limit: 40, Stopped: true}), "142 of 200 users of connection entra would leave; a real run would be stopped: 71 % >= 20 %"},
		{users(provisioning.Verdict{Leaving: 30, Of: 60, Limit: 25, Stopped: true}), "30 of 60 users of connection entra would leave; a real run would be stopped: 30 >= 25"},
		{users(provisioning.Verdict{Leaving: 10, Spent: 40, Of: 200, Limit: 40, Stopped: true}), "10 of 200 users of connection entra would leave, and 40 have left already; a real run would be stopped: 25 % >= 20 %"},
		{users(provisioning.Verdict{Leaving: 24, Of: 60, Limit: 25}), "24 of 60 users of connection entra would leave; the tolerance of 25 is not reached"},
		{Verdict{Group: "staff", Verdict: provisioning.Verdict{Kind: provisioning.BudgetMembers, Leaving: 60, Of: 100, Limit: 50, Share: 50, Stopped: true}},
			`60 of 100 members of group "staff" would leave; a real run would be stopped: 60 % >= 50 %`},
	}
	for _, tt := range tests {
		if got := tt.v.String(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

func TestPermits(t *testing.T) {
	t.Parallel()
	stopped := &Plan{Digest: "d", Count: map[Verb]int{}, Verdicts: []Verdict{{Verdict: provisioning.Verdict{Leaving: 30, Stopped: true}}, {Verdict: provisioning.Verdict{Leaving: 99}}}}
	faulty := &Plan{Digest: "d", Count: map[Verb]int{Invalid: 2}}
	tests := []struct {
		name string
		plan *Plan
		by   Permission
		kind provisioning.Kind
		says string // "" permitted
	}{
		{"another plan", stopped, Permission{Plan: "e", Allow: 30}, provisioning.Precondition, "has changed since plan e was made"},
		{"that plan", stopped, Permission{Plan: "d", Allow: 30}, 0, ""},
		{"too many", stopped, Permission{Allow: 29}, provisioning.Conflict, "allow 30 to leave"},
		{"mistakes", faulty, Permission{}, provisioning.Invalid, "2 rows have mistakes"},
		{"mistakes left out", faulty, Permission{SkipInvalid: true}, 0, ""},
	}
	for _, tt := range tests {
		err := tt.plan.Permits(tt.by)
		if (err == nil) != (tt.says == "") || err != nil && (provisioning.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
