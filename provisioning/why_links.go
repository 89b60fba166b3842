package provisioning

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"meibo/provisioning/mapping"
	"meibo/scim"
)

// explain tells an entry's chain.
func (s *Service) explain(r Reader, e Entry) (Chain, error) {
	t := teller{r: r, chain: Chain{Entry: e}}
	var err error
	if t.recorded, err = s.record(r, &t.chain.Entry); err != nil {
		return Chain{}, err
	}
	t.chain.recorded = t.recorded
	t.common = t.commonArgs()
	t.chain.Statement = t.whole()
	for _, tell := range []func() error{t.tellSource, t.tellMatch, t.tellMapping, t.tellScope, t.tellRole, t.tellPolicy, t.tellEffect, t.tellSeen} {
		if err := tell(); err != nil {
			return Chain{}, err
		}
	}
	return t.chain, nil
}

// teller tells a chain, link by link.
type teller struct {
	*recorded
	r      Reader
	chain  Chain
	common map[string]string // arguments that any statement may use
}

// say makes a statement of a code and of pairs of a name and a value; what is empty is left out.
func (t *teller) say(code string, pairs ...string) Statement {
	args := make(map[string]string, len(t.common)+len(pairs)/2)
	for name, v := range t.common {
		args[name] = v
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if args[pairs[i]] = pairs[i+1]; pairs[i+1] == "" {
			delete(args, pairs[i])
		}
	}
	return Statement{Code: code, Args: args}
}

// link adds a link that says something.
func (t *teller) link(kind LinkKind, outcome string, rule *Rule, inputs []Input, code string, pairs ...string) {
	t.chain.Links = append(t.chain.Links, Link{kind, outcome, rule, inputs, t.say(code, pairs...)})
}

// rule is where the settings that decided say something.
func (t *teller) rule(path string, value any) *Rule {
	return &Rule{Connection: t.entry.ConnectionName, Version: t.rules.Version, Path: path, Value: value}
}

// called is what people call the resource, as far as the entry tells.
func (t *teller) called() string {
	e := t.entry
	if t.before != nil && e.ResourceName == "" {
		if doc, err := viewOf(&t.before.Resource); err == nil {
			return cmp.Or(nameOf(e.ResourceType, doc.seen()), e.ResourceID)
		}
	}
	return cmp.Or(e.ResourceName, e.ResourceID, "it")
}

func (t *teller) commonArgs() map[string]string {
	e := t.entry
	_, actor := InitiatorOf(e.Actor)
	args := map[string]string{"who": t.called(), "actor": actor, "connection": e.ConnectionName, "version": strconv.FormatInt(t.rules.Version, 10),
		"type": string(e.ResourceType), "id": e.ResourceID, "source": string(t.said()), "settings": "own"}
	switch {
	case e.Connection == 0:
		args["settings"] = "none"
	case t.rules.Version == 0:
		args["settings"] = "first"
	}
	for name, v := range args {
		if v == "" {
			delete(args, name)
		}
	}
	return args
}

// said is the source in the catalogue's words.
func (t *teller) said() source {
	switch t.source {
	case sourceUndo, sourceSide, sourceMember:
		return sourceRun
	case "":
		return sourcePerson
	default:
		return t.source
	}
}

// whole is the sentence for all of it: the reason, with what it names.
func (t *teller) whole() Statement {
	e := t.entry
	args := []string{}
	for name, v := range e.Reason.Args {
		args = append(args, name, v)
	}
	arg := e.Reason.Args
	code, variant := e.Reason.Code, ""
	switch code {
	case ReasonCreated:
		if e.Version > 0 && t.after != nil && t.after.State != Active {
			args = append(args, "state", string(t.after.State), "cause", t.newcomerCause())
		}
	case ReasonRestored:
		args = append(args, "by", e.MatchedBy)
		if e.MatchedBy == matchedByID {
			variant = "id"
		}
	case ReasonAdopted:
		switch {
		case e.Connection == 0:
			variant = "released"
		case arg["by"] == matchedByPerson:
			variant = "person"
		}
	case ReasonHeld:
		variant = arg["cause"]
	case ReasonKept:
		because, role := t.because(arg["because"])
		args = append(args, "because", because, "role", role, "would", cmp.Or(arg["policy"], "refused"))
		if arg["cause"] == CauseMembers {
			variant = CauseMembers
		}
	case ReasonIgnored:
		if t.byWord(arg["cause"]) {
			variant = "person"
		}
	case ReasonTolerance:
		args = append(args, "would", cmp.Or(arg["policy"], "members"))
		if e.Outcome == Warning {
			variant = "held"
		}
	case ReasonByPerson:
		switch {
		case e.Actor == Schedule:
			variant = "time"
		case arg["cause"] == CauseImport:
			variant = "file"
		case arg["cause"] != "":
			variant = "allowed"
		}
		args = append(args, "cause", cmp.Or(arg["cause"], CauseAgeing))
	case ReasonPurged:
		if arg["cause"] == "" {
			variant = "person"
		}
	case ReasonRefused:
		args = append(args, "error", codeOf(e.Error), "detail", e.Error.Detail)
	case ReasonSecondPerson:
		args = append(args, "what", arg["what"])
	case reasonDeparturesAllowed:
		args = append(args, "counted", arg["kind"])
	}
	if arg["kind"] != "" {
		args = append(args, "kind", arg["kind"])
	}
	return t.say("reason."+code, append(args, "variant", variant)...)
}

// because splits why a guard keeps something into a code and the role that it may be.
func (t *teller) because(text string) (code, role string) {
	role, isRole := strings.CutPrefix(text, "role ")
	switch {
	case role == RoleAdmin:
		return "admin", role
	case isRole:
		return "role", role
	case text == "protected by a person":
		return "person", ""
	default:
		return "settings", ""
	}
}

// newcomerCause is why what is new is not effective.
func (t *teller) newcomerCause() string {
	if doc, err := viewOf(&t.after.Resource); err == nil {
		return cmp.Or(t.rules.cause(t.entry.ResourceType, doc.asserted, t.after.Resource.Groups), CauseImport)
	}
	return CauseImport
}

// byWord reports whether a person, and not the policy, had a departure ignored.
func (t *teller) byWord(cause string) bool {
	return cause == CauseMembers || t.rules.policy(t.entry.ResourceType, cause) != IgnorePolicy
}

// tellSource tells who wanted it, and what was repaired of the request.
func (t *teller) tellSource() error {
	e := t.entry
	req := e.Request
	args := []string{"job", e.Correlation}
	inputs := []Input{{"actor", e.Actor}, {"correlationId", e.Correlation}}
	if req != nil {
		args = append(args, "method", req.Method, "path", req.Path, "answer", strconv.Itoa(req.Status), "dialect", req.Dialect)
		inputs = append(inputs, Input{"method", req.Method}, Input{"path", req.Path}, Input{"status", req.Status})
	}
	code := "link.source." + cmp.Or(string(t.source), string(sourcePerson))
	if t.source == sourceSide || t.source == sourceMember {
		args = append(args, "other", e.Reason.Args["by"])
	}
	t.link(LinkSource, cmp.Or(string(t.source), string(sourcePerson)), nil, inputs, code, args...)
	if req != nil {
		for _, q := range req.Quirks {
			t.link(LinkQuirk, q, nil, nil, "quirk."+q)
		}
	}
	return nil
}

// tellMatch tells which resource was meant.
func (t *teller) tellMatch() error {
	e := t.entry
	outcome, rule, inputs := e.MatchedBy, (*Rule)(nil), []Input(nil)
	args := []string{"by", e.MatchedBy}
	switch {
	case e.ResourceType == "" || t.source == sourceSide || t.source == sourceMember:
		return nil
	case e.Reason.Code == ReasonAdoption:
		return t.tellQuestion()
	case e.Reason.Code == ReasonNotFound:
		outcome = "none"
	case e.MatchedBy == "" && e.Version > 0 && t.before == nil:
		outcome = "new"
		for _, by := range append([]string{t.rules.Settings.Matching.StableKey}, t.rules.Settings.Matching.Attributes...) {
			if e.ResourceType == scim.User && by != "" {
				inputs = append(inputs, Input{by, t.assertedAt(by)})
			}
		}
	case e.MatchedBy == "":
		return nil
	case e.MatchedBy == matchedByID || e.MatchedBy == matchedByPerson:
		inputs = []Input{{"id", e.ResourceID}}
	case t.before != nil && t.before.Connection == e.Connection:
		outcome, rule = "stableKey", t.rule("matching.stableKey", t.rules.Settings.Matching.StableKey)
		inputs = []Input{{e.MatchedBy, t.assertedAt(e.MatchedBy)}}
	default:
		outcome, rule = "adopted", t.rule("matching.adoption", string(t.rules.Settings.Matching.Adoption))
		inputs = []Input{{e.MatchedBy, t.assertedAt(e.MatchedBy)}}
	}
	t.link(LinkMatch, outcome, rule, inputs, "link.match."+outcome, args...)
	return nil
}

// tellQuestion tells whose account it may be.
func (t *teller) tellQuestion() error {
	e := t.entry
	var question *Matter
	err := t.r.Matters(MatterQuery{Connection: e.Connection, Kind: MatterAdoption}, func(m Matter) error {
		if m.Name == e.ResourceName && !m.Opened.After(e.At) && (question == nil || m.Entry == e.ID) {
			question = &m
		}
		return nil
	})
	inputs := []Input{}
	candidates := ""
	if question != nil {
		for _, id := range question.Candidates {
			inputs = append(inputs, Input{"candidate", id})
		}
		candidates = strings.Join(question.Candidates, ", ")
		inputs = append(inputs, Input{"matter", question.ID})
	}
	t.link(LinkMatch, "asked", t.rule("matching.adoption", string(t.rules.Settings.Matching.Adoption)), inputs, "link.match.asked",
		"by", e.Reason.Args["by"], "candidates", candidates)
	return err
}

// assertedAt is what was asserted at a path; nil for nothing.
func (t *teller) assertedAt(path string) any {
	if t.after == nil {
		return nil
	}
	p, err := scim.ParsePath(scim.Standard(t.entry.ResourceType), path)
	doc, failed := viewOf(&t.after.Resource)
	if err != nil || failed != nil {
		return nil
	}
	return mapping.Value(doc.asserted, p)
}

// tellMapping tells how what changed of the effective attributes came to its value.
func (t *teller) tellMapping() error {
	if t.after == nil || t.entry.Version == 0 || t.entry.Reason.Code == ReasonPurged || t.entry.Reason.Code == ReasonBaseline {
		return nil
	}
	was, is, err := t.views()
	if err != nil {
		return err
	}
	all, err := t.productions(was)
	if err != nil {
		return err
	}
	for _, p := range all {
		if t.before != nil && scim.Equal(valueAt(t.entry.ResourceType, p.Target, was.seen()), valueAt(t.entry.ResourceType, p.Target, is.seen())) {
			continue // it is as it was
		}
		if t.before == nil && p.Value == nil {
			continue
		}
		t.chain.Links = append(t.chain.Links, t.tellProduction(p))
	}
	return nil
}

// views are the documents before and after.
func (t *teller) views() (was, is view, err error) {
	if t.before != nil {
		if was, err = viewOf(&t.before.Resource); err != nil {
			return was, is, err
		}
	}
	is, err = viewOf(&t.after.Resource)
	return was, is, err
}

// production is how an effective attribute comes to its value.
type production struct {
	mapping.Explained
	text string // of the row
}

// How an effective userName comes to its value, beside what rows say of it.
const (
	howLocal     mapping.How = "local"     // what comes before the @
	howFrozen    mapping.How = "frozen"    // the one of the creation stays
	howTombstone mapping.How = "tombstone" // the one before the client's own word for the deleted stays
	howUndone    mapping.How = "undone"    // an undo left it
)

// productions are how those effective attributes come to their values of which a rule or a person has a say.
func (t *teller) productions(was view) ([]production, error) {
	typ, after := t.entry.ResourceType, &t.after.Resource
	is, err := viewOf(after)
	if err != nil {
		return nil, err
	}
	overrides, err := overridesOf(after)
	if err != nil {
		return nil, err
	}
	chosen, undone := splitOverrides(overrides)
	var out []production
	table := t.rules.mapping[typ]
	if table == nil && len(chosen) > 0 {
		table = unmapped[typ]
	}
	if table != nil {
		rows := t.rules.Settings.mappingRows(typ)
		in := mapping.Input{Asserted: is.asserted, Current: was.seen(), Created: t.before == nil || len(was.seen()) == 0, Overrides: chosen, Now: t.entry.At.UTC()}
		for _, e := range table.Explain(in) {
			p := production{Explained: e}
			if e.Row >= 0 {
				p.text = rows[e.Row].says()
			}
			out = append(out, p)
		}
	}
	for path := range undone {
		out = slices.DeleteFunc(out, func(p production) bool { return p.Target == path })
		out = append(out, production{Explained: mapping.Explained{Row: -1, Target: path, How: howUndone, Value: valueAt(typ, path, is.seen())}})
	}
	if p, differs := t.nameProduction(was, is, chosen, out); differs {
		out = append(slices.DeleteFunc(out, func(p production) bool { return p.Target == "userName" }), p)
	}
	slices.SortStableFunc(out, func(a, b production) int { return cmp.Or(cmp.Compare(a.Row, b.Row), cmp.Compare(a.Target, b.Target)) })
	return out, nil
}

// nameProduction is how an effective userName departs from what the rows make of it.
func (t *teller) nameProduction(was, is view, chosen map[string]any, rows []production) (production, bool) {
	if _, set := chosen["userName"]; set || t.entry.ResourceType != scim.User {
		return production{}, false
	}
	mapped, effective := nameOf(scim.User, is.asserted), nameOf(scim.User, is.seen())
	for _, p := range rows {
		if name, ok := p.Value.(string); ok && p.Target == "userName" {
			mapped = name
		}
	}
	if mapped == effective || slices.ContainsFunc(rows, func(p production) bool { return p.Target == "userName" && p.How == howUndone }) {
		return production{}, false
	}
	p := production{Explained: mapping.Explained{Row: -1, Target: "userName", Value: effective, Reads: []mapping.Read{{Path: "userName", Value: nameOf(scim.User, is.asserted)}}}}
	u := t.rules.Settings.Mapping.UserName
	local, _, _ := strings.Cut(mapped, "@")
	switch {
	case u.Mode == LocalUserName && local == effective:
		p.How, p.text = howLocal, "mapping.userName.mode"
	case u.Frozen:
		p.How, p.text = howFrozen, "mapping.userName.frozen"
	default:
		p.How = howTombstone
	}
	return p, true
}

// says is a row in short.
func (r MappingRow) says() string {
	switch {
	case r.Expression != "":
		return r.Expression
	case r.Source != "":
		return r.Source
	case r.Constant != nil:
		return inJSON(r.Constant)
	default:
		return "nothing"
	}
}

// valueAt is what a path selects; nil for nothing, and for a path that is none.
func valueAt(t scim.ResourceType, path string, a scim.Attributes) any {
	if urn, whole := strings.CutSuffix(path, ":"); whole {
		return a[urn]
	}
	p, err := scim.ParsePath(scim.Standard(t), path)
	if err != nil || p.Attr == nil {
		return nil
	}
	return mapping.Value(a, p)
}

// tellProduction tells how one effective attribute comes to its value.
func (t *teller) tellProduction(p production) Link {
	var rule *Rule
	section := "mapping.users"
	if t.entry.ResourceType == scim.Group {
		section = "mapping.groups"
	}
	switch {
	case p.Row >= 0 && p.How != mapping.HowOverride:
		rule = t.rule(fmt.Sprintf("%s[%d]", section, p.Row), p.text)
	case p.How == howLocal, p.How == howFrozen:
		rule = t.rule(p.text, nil)
	}
	var inputs []Input
	var reads []string
	for _, read := range p.Reads {
		inputs = append(inputs, Input{read.Path, read.Value})
		reads = append(reads, read.Path+" = "+inJSON(read.Value))
	}
	args := []string{"attribute", p.Target, "value", valueText(p.Value), "row", strconv.Itoa(p.Row + 1), "rule", p.text, "reads", strings.Join(reads, ", ")}
	if p.Guess {
		args = append(args, "variant", "guess")
	}
	if p.Fault != nil {
		args = append(args, "fault", string(p.Fault.Kind))
	}
	return Link{LinkMapping, string(p.How), rule, append(inputs, Input{"effective", p.Value}), t.say("link.mapping."+string(p.How), args...)}
}

// valueText is a value for a sentence.
func valueText(v any) string {
	if v == nil {
		return "nothing"
	}
	return inJSON(v)
}

func inJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

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

// tellEffect tells what changed.
func (t *teller) tellEffect() error {
	e := t.entry
	switch {
	case e.ResourceType == "":
		return nil
	case e.Error != nil && e.Outcome == Failure:
		t.link(LinkEffect, "refused", nil, nil, "link.effect.refused", "error", codeOf(e.Error), "detail", e.Error.Detail, "answer", t.answered())
		return nil
	case e.Version == 0:
		t.link(LinkEffect, "nothing", nil, nil, "link.effect.nothing")
		return nil
	}
	var paths []string
	var inputs []Input
	for _, d := range e.Diff {
		paths = append(paths, d.Path)
		inputs = append(inputs, Input{d.Path, map[string]any{"old": d.Old, "new": d.New}})
	}
	m := e.Members
	joined, left := len(m.Add)+len(m.AssertedAdd)+len(m.EffectiveAdd), len(m.Remove)+len(m.AssertedRemove)+len(m.EffectiveRemove)
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	t.link(LinkEffect, "changed", nil, inputs, "link.effect.changed", "number", strconv.FormatInt(e.Version, 10), "attributes", strings.Join(paths, ", "),
		"added", number(joined), "removed", number(left))
	return nil
}

// answered is the status of the answer; "" where there is none.
func (t *teller) answered() string {
	if t.entry.Request == nil || t.entry.Request.Status == 0 {
		return ""
	}
	return strconv.Itoa(t.entry.Request.Status)
}

// tellSeen tells what the host application sees of it.
func (t *teller) tellSeen() error {
	if t.after == nil || t.entry.Version == 0 {
		return nil
	}
	position, err := positionOf(t.r, t.entry)
	if err != nil {
		return err
	}
	at := ""
	if position > 0 {
		at = strconv.FormatInt(position, 10)
		t.chain.Position = position
	}
	state := t.after.State
	is, err := viewOf(&t.after.Resource)
	if err != nil {
		return err
	}
	inputs := []Input{{"state", string(state)}, {"attributes", map[string]any(is.seen())}}
	if t.entry.ResourceType == scim.User {
		inputs = append(inputs, Input{"role", t.after.RoleName()})
	} else {
		inputs = append(inputs, Input{"members", t.after.MemberCount})
	}
	if t.before != nil && t.before.State != state {
		inputs = append(inputs, Input{"before", string(t.before.State)})
	}
	t.link(LinkSeen, string(state), nil, inputs, "link.seen.state", "state", string(state), "position", at)
	return nil
}

// positionOf finds the position of an entry: positions come in about the order of time. 0 where it has none, or where it was not
// found near its time.
func positionOf(r Reader, e *Entry) (int64, error) {
	_, head, err := r.Changes(0, 1)
	if err != nil {
		return 0, err
	}
	from := e.At.Add(-writeTimeout)
	low, high := int64(0), head // what is not after low is from before that time
	for low < high {
		middle := low + (high-low)/2
		found, _, err := r.Changes(middle, 1)
		if err != nil {
			return 0, err
		}
		if len(found) == 0 || !found[0].Entry.At.Before(from) {
			high = middle
		} else {
			low = found[0].Position
		}
	}
	until := e.At.Add(writeTimeout)
	for range maxPositionPages {
		page, _, err := r.Changes(low, positionPage)
		if err != nil || len(page) == 0 {
			return 0, err
		}
		for _, p := range page {
			if p.Entry.ID == e.ID {
				return p.Position, nil
			}
		}
		last := page[len(page)-1]
		if low = last.Position; last.Entry.At.After(until) {
			return 0, nil
		}
	}
	return 0, nil
}

const (
	positionPage     = 500
	maxPositionPages = 20 // a minute of very many writes
)
