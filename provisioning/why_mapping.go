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
