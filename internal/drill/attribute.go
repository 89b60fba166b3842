package drill

import (
	"fmt"
	"strings"
)

// The target side of Entra's default mapping for users. Paths are spelt as Entra sends them.
const (
	coreUser       = "urn:ietf:params:scim:schemas:core:2.0:User"
	coreGroup      = "urn:ietf:params:scim:schemas:core:2.0:Group"
	enterpriseUser = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

	workMail    = `emails[type eq "work"].value`
	primaryRole = `roles[primary eq "True"].value`
)

func workAddress(sub string) string { return `addresses[type eq "work"].` + sub }
func phone(kind string) string      { return `phoneNumbers[type eq "` + kind + `"].value` }
func enterprise(attr string) string { return enterpriseUser + ":" + attr }

// mapping lists the string attributes of the default mapping in the order in which they are sent; active and manager are apart.
var mapping = compile(
	"userName", "externalId", "displayName", "title", "preferredLanguage",
	"name.givenName", "name.familyName", "name.formatted",
	workMail,
	workAddress("formatted"), workAddress("streetAddress"), workAddress("locality"),
	workAddress("region"), workAddress("postalCode"), workAddress("country"),
	phone("work"), phone("mobile"), phone("fax"),
	primaryRole,
	enterprise("employeeNumber"), enterprise("department"),
)

// attribute is a compiled target path: urn:attr, attr, attr.sub or attr[key eq "value"].sub.
type attribute struct {
	path       string
	urn        string // schema extension, or ""
	name       string
	key, value string // the element wanted of a multi-valued attribute, or ""
	sub        string // or ""
}

func compile(paths ...string) []attribute {
	all := make([]attribute, len(paths))
	for i, path := range paths {
		a := attribute{path: path, name: path}
		if rest, ok := strings.CutPrefix(path, enterpriseUser+":"); ok {
			a.urn, a.name = enterpriseUser, rest
		} else if name, rest, ok := strings.Cut(path, "["); ok {
			cond, sub, _ := strings.Cut(rest, "].")
			key, value, _ := strings.Cut(cond, " eq ")
			a.name, a.key, a.value, a.sub = name, key, strings.Trim(value, `"`), sub
		} else if name, sub, ok := strings.Cut(path, "."); ok {
			a.name, a.sub = name, sub
		}
		all[i] = a
	}
	return all
}

// resource is a decoded JSON object as the server sent it.
type resource map[string]any

// read finds the attribute in a resource; nil means it is not there.
func (a attribute) read(res resource) any {
	holder := map[string]any(res)
	if a.urn != "" {
		holder, _ = res[a.urn].(map[string]any)
	}
	v := holder[a.name]
	if a.key != "" {
		v = element(v, a.key, a.value)
	}
	if a.sub == "" {
		return v
	}
	complexValue, _ := v.(map[string]any)
	return complexValue[a.sub]
}

// element is the first value of a list whose key has the value; Entra compares the boolean primary with the word "True".
func element(list any, key, value string) any {
	values, _ := list.([]any)
	for _, v := range values {
		if e, ok := v.(map[string]any); ok && strings.EqualFold(fmt.Sprint(e[key]), value) {
			return e
		}
	}
	return nil
}

// difference is one mapped attribute that the server does not show as it was sent.
type difference struct {
	fault     fault
	path      string
	want, got any
}

// differences compares every mapped attribute but manager, byte for byte.
func (p *person) differences(res resource) []difference {
	var ds []difference
	for _, a := range mapping {
		want, sent := p.attrs[a.path]
		if !sent {
			continue // Entra sends no nulls and clears nothing, so it does not look either
		}
		if d, differs := compare(a.path, want, a.read(res)); differs {
			ds = append(ds, d)
		}
	}
	if got := res["active"]; got != p.active {
		ds = append(ds, difference{kindOfBool(got), "active", p.active, got})
	}
	return ds
}

// managerDifference compares the reference, which Entra writes in a request of its own.
func (p *person) managerDifference(res resource) []difference {
	ext, _ := res[enterpriseUser].(map[string]any)
	got := ext["manager"]
	var want string
	if p.manager != nil {
		want = p.manager.id
	}
	path := enterprise("manager")
	switch m := got.(type) {
	case nil:
		if want == "" {
			return nil
		}
		return []difference{{echoMissing, path, want, nil}}
	case string:
		return []difference{{echoManagerString, path, map[string]any{"value": want}, m}}
	case map[string]any:
		switch v := m["value"]; {
		case v == want && want != "":
			return nil
		case want == "":
			return []difference{{echoUnexpected, path, nil, m}}
		case v == nil:
			return []difference{{echoMissing, path + ".value", want, nil}}
		default:
			return []difference{{echoChanged, path + ".value", want, v}}
		}
	default:
		return []difference{{echoType, path, want, got}}
	}
}

// differences of a group: displayName and externalId. Members are read apart, since Entra never asks for them.
func (t *team) differences(res resource) []difference {
	var ds []difference
	for _, m := range [][2]string{{"displayName", t.name}, {"externalId", t.objectID}} {
		if d, differs := compare(m[0], m[1], res[m[0]]); differs {
			ds = append(ds, d)
		}
	}
	return ds
}

func compare(path, want string, got any) (difference, bool) {
	d := difference{path: path, want: want, got: got}
	s, isString := got.(string)
	switch {
	case got == nil:
		d.fault = echoMissing
	case !isString:
		d.fault = echoType
	case s == want:
		return difference{}, false
	case strings.EqualFold(s, want):
		d.fault = echoCase
	case strings.TrimSpace(s) == strings.TrimSpace(want):
		d.fault = echoTrimmed
	default:
		d.fault = echoChanged
	}
	return d, true
}

func kindOfBool(got any) fault {
	switch got.(type) {
	case nil:
		return echoMissing
	case string:
		return echoBoolString
	case bool:
		return echoChanged
	default:
		return echoType
	}
}
