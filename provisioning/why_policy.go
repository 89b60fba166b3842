package provisioning

import (
	"cmp"
	"slices"
	"strings"

	"meibo/scim"
)

// tellScope tells whether the connection manages the resource.
func (t *teller) tellScope() error {
	e := t.entry
	filter, section := t.rules.Settings.Scope.Users, "scope.users"
	if e.ResourceType == scim.Group {
		filter, section = t.rules.Settings.Scope.Groups, "scope.groups"
	}
	if filter.IsZero() || t.after == nil || t.source == sourcePerson || t.source == sourceSchedule || t.source == sourceUndo || t.source == sourceSide || t.source == sourceMember {
		return nil
	}
	is, err := viewOf(&t.after.Resource)
	if err != nil {
		return err
	}
	var groups []Reference
	if t.before != nil {
		groups = t.before.Resource.Groups
	}
	outcome := "out"
	if t.rules.scope[e.ResourceType].includes(is.asserted, groups) {
		outcome = "in"
	}
	var inputs []Input
	for _, g := range groups {
		inputs = append(inputs, Input{"groups", cmp.Or(g.Display, g.ID)})
	}
	t.link(LinkScope, outcome, t.rule(section, filter), inputs, "link.scope."+outcome, "rule", filter.says())
	return nil
}

// says is a filter in short.
func (f ScopeFilter) says() string {
	var parts []string
	if f.Filter != "" {
		parts = append(parts, f.Filter)
	}
	if len(f.Domains) > 0 {
		parts = append(parts, "domains "+strings.Join(f.Domains, ", "))
	}
	if len(f.Groups) > 0 {
		parts = append(parts, "groups "+strings.Join(f.Groups, ", "))
	}
	return strings.Join(parts, "; ")
}

// tellRole tells of a role that was given, taken or kept.
func (t *teller) tellRole() error {
	e := t.entry
	i := slices.IndexFunc(e.Diff, func(c AttributeChange) bool { return c.Path == PathRole })
	_, chosen := e.Reason.Args["role"]
	switch {
	case e.Reason.Code == ReasonRoleKept:
		t.link(LinkRole, "kept", t.rule("roles.grantGuarded", false), []Input{{"asked", e.Reason.Args["asked"]}}, "link.role.kept",
			"asked", e.Reason.Args["asked"], "role", e.Reason.Args["role"])
	case i < 0:
	case chosen, t.source == sourcePerson, t.source == sourceFile, t.source == sourceUndo:
		t.link(LinkRole, "chosen", nil, nil, "link.role.chosen", "role", t.after.RoleName())
	default:
		rule := t.rule("roles.default", t.rules.Settings.Roles.Default)
		if t.rules.mapsRoles() {
			rule = t.rule("roles", nil)
		}
		t.link(LinkRole, "given", rule, nil, "link.role.given", "role", t.after.RoleName())
	}
	return nil
}

// tellPolicy tells what the settings say of a departure, and what stood against it.
func (t *teller) tellPolicy() error {
	e, arg := t.entry, t.entry.Reason.Args
	cause := arg["cause"]
	if e.Reason.Code == ReasonImpact {
		defer t.link(LinkPolicy, "asked", t.rule("matters.impact.url", nil), nil, "link.policy.asked")
	}
	if e.Reason.Code == ReasonRoleKept || t.source == sourcePerson && e.Error == nil || t.source == sourceUndo {
		return nil
	}
	policy := t.rules.policy(e.ResourceType, cause)
	if policy != "" && t.source != sourceSchedule {
		t.link(LinkPolicy, string(policy), t.rule(policyPath(e.ResourceType, cause), string(policy)), []Input{{"cause", cause}}, "link.policy.says",
			"cause", cause, "policy", string(policy))
	}
	switch e.Reason.Code {
	case ReasonKept:
		because, role := t.because(arg["because"])
		paths := map[string]string{"admin": "guard.mode", "role": "roles.guarded", "person": "guard.mode", "settings": "guard.users"}
		path := paths[because]
		if because == "settings" && e.ResourceType == scim.Group {
			path = "guard.groups"
		}
		t.link(LinkGuard, "kept", t.rule(path, string(t.rules.Settings.Guard.Mode)), []Input{{"because", arg["because"]}}, "link.guard.kept",
			"because", because, "role", role)
		return nil
	case ReasonTolerance:
		t.tellTolerance(arg)
		return nil
	case ReasonRefused:
		if e.Error != nil && e.Error.Code == string(scim.Mutable) {
			t.link(LinkGuard, "refused", t.rule("guard.mode", string(t.rules.Settings.Guard.Mode)), nil, "link.guard.refused")
		}
		return nil
	case ReasonIgnored:
		if t.byWord(cause) {
			t.link(LinkTolerance, "rejected", nil, nil, "link.tolerance.rejected")
		}
		return nil
	}
	if policy == SuspendPolicy || policy == DeletePolicy || policy == RemoveMembersPolicy {
		t.link(LinkGuard, "clear", t.rule("guard.mode", string(t.rules.Settings.Guard.Mode)), nil, "link.guard.clear")
		if t.source == sourceClient || t.source == sourceRun {
			mode := t.rules.Settings.Tolerance.Mode
			outcome := "passed"
			if mode == ToleranceOff {
				outcome = "off"
			}
			t.link(LinkTolerance, outcome, t.rule("tolerance.mode", string(mode)), nil, "link.tolerance."+outcome)
		}
	}
	return nil
}

// policyPath is where the settings have the policy for a cause.
func policyPath(t scim.ResourceType, cause string) string {
	if t == scim.Group {
		return "deletion.groups." + cause
	}
	return "deletion.users." + cause
}

// tellTolerance tells with which counts a tolerance stopped something.
func (t *teller) tellTolerance(arg map[string]string) {
	outcome := "delayed"
	if t.entry.Outcome == Warning {
		outcome = "held"
	}
	settings := t.rules.Settings.Tolerance
	limits := map[string]Tolerance{string(BudgetUsers): settings.Users, string(BudgetGroups): settings.Groups, string(BudgetMembers): settings.Members}
	inputs := []Input{{"spent", arg["spent"]}, {"of", arg["of"]}, {"limit", arg["limit"]}}
	t.link(LinkTolerance, outcome, t.rule("tolerance."+arg["counted"], limits[arg["counted"]]), inputs, "link.tolerance."+outcome,
		"counted", arg["counted"], "spent", arg["spent"], "of", arg["of"], "limit", arg["limit"], "window", settings.Window.String())
}
