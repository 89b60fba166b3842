package supportpack

import (
	"regexp"
	"strings"

	"meibo/provisioning"
	"meibo/provisioning/settings"
)

// keys are those of a settings document by path, with [] for any element of a list.
var keys = func() map[string]provisioning.SettingsKey {
	out := map[string]provisioning.SettingsKey{}
	for _, k := range provisioning.SettingsKeys() {
		out[k.Path] = k
	}
	return out
}()

// settings are a connection's with pseudonyms, as a document. Comments are not in it.
func (p *pseudonyms) settings(s provisioning.Settings) (any, error) {
	s.Matters.Impact = provisioning.ImpactSettings{} // an address of the customer's, and nobody to ask where a pack is replayed
	document, err := decode(settings.FormatJSON(s))
	if err != nil {
		return nil, err
	}
	return p.setting("", document), nil
}

var (
	index  = regexp.MustCompile(`\[[^\]]*\]`)
	period = regexp.MustCompile(`^[0-9]+[smhd]?$`)
)

// setting is the value at a path of a settings document. What is not known to be plain is personal.
func (p *pseudonyms) setting(path string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, element := range v {
			out[name] = p.setting(strings.TrimPrefix(path+"."+name, "."), element)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = p.setting(path+"[]", element)
		}
		return out
	case string:
		return p.settingText(index.ReplaceAllString(path, "[]"), v)
	default:
		return v
	}
}

func (p *pseudonyms) settingText(path, s string) string {
	name := strings.TrimSuffix(path[strings.LastIndexByte(path, '.')+1:], "[]")
	switch {
	case len(keys[path].Choices) > 0 || period.MatchString(s) && name != "users" && name != "groups":
		return s
	case name == "domains" || name == "verifiedDomains":
		return p.domain(s)
	case name == "filter" || name == "expression" || name == "target" || name == "source" || name == "stableKey" || name == "attributes" ||
		strings.HasPrefix(path, "mapping.") && strings.HasSuffix(path, "[]"): // or a row in its short form
		return p.expression(s)
	case name == "characters":
		return p.sentence(s)
	case strings.HasPrefix(path, "roles.") && (name == "default" || name == "names" || name == "guarded" || name == "role"):
		return p.role(s)
	case path == "preset" || path == "protocol.patchResponse" || path == "protocol.unknownMembers":
		return s
	default:
		return p.value(s)
	}
}
