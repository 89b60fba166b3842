package provisioning

import "testing"

// TestSamePerson: a name that people read alike is one person's; none that differs in a letter is.
func TestSamePerson(t *testing.T) {
	t.Parallel()
	rie := KeyActor("Rie Sató")
	for name, one := range map[string]string{
		"as it is":            "Rie Sató",
		"letter case":         "RIE SATÓ",
		"zero width space":    "Rie Sa\u200btó",
		"joiner at the end":   "Rie Sató\u200d",
		"byte order mark":     "\ufeffRie Sató",
		"soft hyphen":         "Rie Sa\u00adtó",
		"direction":           "\u202aRie Sató\u202c",
		"tag":                 "Rie Sató\U000e0041",
		"variation":           "Rie\ufe0f Sató",
		"filler":              "Rie Sató\u3164",
		"grapheme joiner":     "Rie Sat\u034fó",
		"decomposed":          "Rie Sato\u0301",
		"joiner in between":   "Rie Sato\u200d\u0301",
		"full width":          "Ｒｉｅ Sató",
		"no-break space":      "Rie\u00a0Sató",
		"ideographic space":   "Rie\u3000Sató",
		"two blanks":          "Rie  Sató",
		"blank at the end":    "Rie Sató ",
		"blank and invisible": "Rie \u200b Sató",
	} {
		if !samePerson(rie, KeyActor(one)) || !samePerson(KeyActor(one), rie) {
			t.Errorf("%s: %q is another person", name, one)
		}
	}
	for _, other := range []string{KeyActor("Rie Sato"), KeyActor("Rie"), KeyActor(""), KeyActor("RieSató"), "Rie Sató", CommandLine, TokenActor("Rie Sató"), ""} {
		if samePerson(rie, other) {
			t.Errorf("%q is the same person", other)
		}
	}
}
