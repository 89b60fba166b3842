package supportpack

import (
	"maps"
	"strings"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// tenantName is what every tenant is called in a pack.
const tenantName = "tenant"

// entry is an entry of the journal with pseudonyms.
func (p *pseudonyms) entry(e provisioning.Entry) provisioning.Entry {
	e.Actor = p.actor(e.Actor)
	e.ResourceID, e.ResourceName = p.value(e.ResourceID), p.value(e.ResourceName)
	if e.Request != nil {
		r := *e.Request
		r.Path = p.requestPath(r.Path)
		e.Request = &r
	}
	e.MatchedBy = p.expression(e.MatchedBy)
	diff := make([]provisioning.AttributeChange, len(e.Diff))
	for i, d := range e.Diff {
		diff[i] = provisioning.AttributeChange{Path: p.expression(d.Path), Old: p.changed(d.Path, d.Old), New: p.changed(d.Path, d.New)}
		if e.ResourceType == "" { // of settings
			diff[i].Old, diff[i].New = p.setting(d.Path, plain(d.Old)), p.setting(d.Path, plain(d.New))
		}
	}
	e.Diff = diff
	e.Members = p.delta(e.Members)
	e.Reason.Args = p.arguments(e.Reason.Args)
	if e.Error != nil {
		fault := *e.Error
		fault.Detail = p.sentence(fault.Detail)
		e.Error = &fault
	}
	return e
}

func (p *pseudonyms) actor(name string) string {
	kind, holder := provisioning.InitiatorOf(name)
	switch {
	case name == provisioning.CommandLine || name == provisioning.Schedule || name == "":
		return name
	case kind == provisioning.InitiatorApplication:
		return provisioning.TokenActor("0000")
	case holder != name:
		return provisioning.KeyActor(p.value(holder))
	default:
		return p.value(name)
	}
}

// changed is a value of a difference. What meibo keeps beside the attributes has words of its own.
func (p *pseudonyms) changed(path string, v any) any {
	if v == nil {
		return nil
	}
	attribute := path
	if own, found := strings.CutPrefix(path, provisioning.PathEffective); found {
		attribute = own
	} else if strings.HasPrefix(path, "meibo.") {
		if s, isText := plain(v).(string); isText && (common[strings.ToLower(s)] || isInstant(s)) {
			return s
		}
	}
	return p.document(attribute[strings.LastIndexAny(attribute, ".:")+1:], plain(v))
}

func isInstant(s string) bool {
	_, err := time.Parse(time.RFC3339Nano, s)
	return err == nil
}

func (p *pseudonyms) delta(d provisioning.MemberDelta) provisioning.MemberDelta {
	ids := func(list []string) (out []string) {
		for _, id := range list {
			out = append(out, p.value(id))
		}
		return out
	}
	members := func(list []scim.Member) (out []scim.Member) {
		for _, m := range list {
			m.Value, m.Display = p.value(m.Value), p.value(m.Display)
			out = append(out, m)
		}
		return out
	}
	return provisioning.MemberDelta{Add: members(d.Add), Remove: ids(d.Remove), AssertedAdd: members(d.AssertedAdd), AssertedRemove: ids(d.AssertedRemove),
		EffectiveAdd: members(d.EffectiveAdd), EffectiveRemove: ids(d.EffectiveRemove)}
}

// plainArguments are those of reasons and statements whose values are codes, counts, times and names of attributes.
var plainArguments = set(`because cause counted error kind policy quirk settings source state status then type word would fault from why variant
	added asked at attribute attributes candidates changes connection counts dialect entries entry job left limit matter method mode
	number of opened path position removed row rule since spent times until version what answer days window last usual failures throttled failed matters`)

// arguments are those of a reason or a statement. What is not known to be plain is personal.
func (p *pseudonyms) arguments(args map[string]string) map[string]string {
	out := maps.Clone(args)
	for name, value := range out {
		switch {
		case name == "hint" || name == "token" || name == "credential":
			out[name] = "0000"
		case name == "role" || name == "asked":
			out[name] = p.role(value)
		case name == "actor" || name == "by" || name == "holder":
			out[name] = p.actor(value)
		case name == "tenant":
			out[name] = tenantName
		case name == "path" || name == "attribute" || name == "attributes" || name == "row" || name == "rule":
			if out[name] = p.expression(value); strings.Contains(value, "/scim/v2") {
				out[name] = p.requestPath(value)
			}
		case plainArguments[strings.ToLower(name)]:
			out[name] = p.sentence(value)
		default:
			out[name] = p.value(value)
		}
	}
	return out
}

func (p *pseudonyms) role(name string) string {
	if common[strings.ToLower(name)] {
		return name
	}
	return p.value(name)
}

// statement is a statement of package provisioning with pseudonyms.
func (p *pseudonyms) statement(s provisioning.Statement) provisioning.Statement {
	s.Args = p.arguments(s.Args)
	return s
}

// plainInputs are those of links whose values are words of our own.
var plainInputs = set("method status cause because state before spent of limit")

// input is a value that a link went by.
func (p *pseudonyms) input(name string, v any) any {
	text, isText := v.(string)
	sides, isObject := v.(map[string]any)
	switch {
	case isObject && len(sides) == 2 && name != "attributes": // a difference
		return map[string]any{"old": p.changed(name, sides["old"]), "new": p.changed(name, sides["new"])}
	case isObject:
		return p.document("", v)
	case isText && name == "actor":
		return p.actor(text)
	case isText && name == "path":
		return p.requestPath(text)
	case isText && (name == "role" || name == "asked"):
		return p.role(text)
	case plainInputs[name]:
		if isText {
			return p.sentence(text)
		}
		return v
	default:
		return p.changed(name, v)
	}
}

func (p *pseudonyms) requestPath(path string) string {
	return "/t/" + tenantName + "/scim/v2" + p.target(path)
}

// chain is a chain with pseudonyms; what it goes by when it is decided again stays.
func (p *pseudonyms) chain(c provisioning.Chain) provisioning.Chain {
	c.Entry, c.Statement = p.entry(c.Entry), p.statement(c.Statement)
	links := make([]provisioning.Link, len(c.Links))
	for i, l := range c.Links {
		l.Statement = p.statement(l.Statement)
		inputs := make([]provisioning.Input, len(l.Inputs))
		for j, in := range l.Inputs {
			inputs[j] = provisioning.Input{Name: p.expression(in.Name), Value: p.input(in.Name, plain(in.Value))}
		}
		l.Inputs = inputs
		if l.Rule != nil {
			rule := *l.Rule
			rule.Value = p.setting(rule.Path, plain(rule.Value))
			l.Rule = &rule
		}
		links[i] = l
	}
	c.Links = links
	return c
}
