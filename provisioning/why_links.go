package provisioning

import (
	"cmp"
	"strconv"
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
