package words

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"meibo/provisioning"
)

// Catalogue are the words of one language: templates by group and code, such as "reason.created". A code may have
// variants, such as "reason.kept.members"; what has none of its own goes by the template of the code.
type Catalogue map[string]string

// argument is what a template may name.
type argument struct {
	group    string // the value is a code of this group; "" for a value that stands for itself
	personal bool   // the value may tell of a person
	counts   bool   // the value is how often something happened
}

// arguments are all that there are.
var arguments = map[string]argument{
	"who": {personal: true}, "other": {personal: true}, "actor": {personal: true}, "value": {personal: true}, "was": {personal: true},
	"detail": {personal: true}, "key": {personal: true}, "holder": {personal: true}, "members": {personal: true}, "reads": {personal: true},

	"because": {group: "because"}, "cause": {group: "cause"}, "counted": {group: "counted"}, "error": {group: "error"}, "kind": {group: "matter"},
	"policy": {group: "policy"}, "quirk": {group: "quirk"}, "settings": {group: "settings"}, "source": {group: "source"}, "state": {group: "state"},
	"status": {group: "status"}, "then": {group: "would"}, "type": {group: "type"}, "word": {group: "word"}, "would": {group: "would"}, "fault": {group: "fault"},
	"from": {group: "state"}, "why": {group: "reason"},

	"added": {}, "asked": {}, "at": {}, "attribute": {}, "attributes": {}, "by": {}, "candidates": {}, "changes": {}, "connection": {}, "counts": {}, "credential": {}, "dialect": {},
	"entries": {}, "entry": {}, "group": {}, "hint": {}, "id": {personal: true}, "job": {}, "keys": {}, "left": {}, "limit": {}, "matter": {}, "method": {}, "mode": {}, "name": {},
	"number": {}, "of": {}, "opened": {}, "path": {personal: true}, "position": {}, "removed": {}, "role": {}, "row": {}, "rule": {personal: true}, "since": {}, "spent": {}, "tenant": {},
	"times": {group: "times", counts: true}, "until": {}, "version": {}, "what": {}, "answer": {}, "days": {}, "window": {},
}

// Say is the sentence for a statement. hide, if not nil, stands in for values that may tell of a person. What the
// catalogue has no words for is said by its code.
func (c Catalogue) Say(s provisioning.Statement, hide func(string) string) string {
	text, _ := c.say(s, hide)
	if template, ok := c.template(s.Code, s.Args["variant"]); ok && s.IsSentence() {
		return capital(template, text)
	}
	return text
}

// Check says what a statement lacks to be a sentence of the catalogue; nil for nothing.
func (c Catalogue) Check(s provisioning.Statement) error {
	_, missing := c.say(s, nil)
	if len(missing) == 0 {
		return nil
	}
	return fmt.Errorf("statement %s: no words for %s", s.Code, strings.Join(missing, ", "))
}

func (c Catalogue) say(s provisioning.Statement, hide func(string) string) (text string, missing []string) {
	template, ok := c.template(s.Code, s.Args["variant"])
	if !ok {
		_, code, _ := strings.Cut(s.Code, ".")
		return code, []string{s.Code}
	}
	p := phrase{Catalogue: c, args: s.Args, hide: hide}
	p.write(template, 0)
	return p.out.String(), p.missing
}

func (c Catalogue) template(code, variant string) (string, bool) {
	if variant != "" {
		if t, ok := c[code+"."+variant]; ok {
			return t, true
		}
	}
	t, ok := c[code]
	return t, ok
}

// phrase is a template on its way to be words.
type phrase struct {
	Catalogue
	args    map[string]string
	hide    func(string) string
	out     strings.Builder
	missing []string
}

// maxDepth bounds how words of codes may speak in codes.
const maxDepth = 4

func (p *phrase) write(template string, depth int) {
	for template != "" {
		i := strings.IndexAny(template, "[{")
		if i < 0 {
			p.out.WriteString(template)
			return
		}
		p.out.WriteString(template[:i])
		closing := map[byte]string{'[': "]", '{': "}"}[template[i]]
		inner, rest, _ := strings.Cut(template[i+1:], closing)
		switch {
		case closing == "}":
			p.argument(inner, depth)
		case p.has(inner):
			p.write(inner, depth)
		}
		template = rest
	}
}

// has reports whether all arguments of a part are there.
func (p *phrase) has(part string) bool {
	return !slices.ContainsFunc(Arguments(part), func(name string) bool { return p.args[name] == "" })
}

func (p *phrase) argument(name string, depth int) {
	value, a := p.args[name], arguments[name]
	switch {
	case value == "":
		p.missing = append(p.missing, "argument "+name)
		p.out.WriteString("…")
	case a.personal && p.hide != nil:
		p.out.WriteString(p.hide(value))
	case a.group == "" || depth == maxDepth:
		p.out.WriteString(value)
	default:
		template, ok := p.template(a.group+"."+value, p.args["variant"])
		switch {
		case !ok && a.counts:
			template = value + p.Catalogue[a.group+".many"]
		case !ok:
			p.missing = append(p.missing, a.group+"."+value)
			template = value
		}
		p.write(template, depth+1)
	}
}

// Arguments are the names of those that a template speaks of, in their order.
func Arguments(template string) []string {
	var names []string
	for {
		_, after, ok := strings.Cut(template, "{")
		if !ok {
			return names
		}
		name, rest, _ := strings.Cut(after, "}")
		names, template = append(names, name), rest
	}
}

// capital begins a sentence with a capital letter, unless it begins with a value that is as it is.
func capital(template, text string) string {
	if names := Arguments(template); strings.HasPrefix(template, "{") && arguments[names[0]].group == "" {
		return text
	}
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + text[size:]
}

// Knows reports whether templates may name an argument.
func Knows(argument string) bool {
	_, ok := arguments[argument]
	return ok
}
