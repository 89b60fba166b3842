package provisioning

import (
	"strings"

	"meibo/provisioning/mapping"
	"meibo/scim"
)

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
		if alike := e.Reason.Args["alike"]; alike != "" {
			outcome, rule = "alike", t.rule("matching.stableKey", t.rules.Settings.Matching.StableKey)
			args = []string{"by", t.rules.Settings.Matching.StableKey, "candidates", strings.ReplaceAll(alike, `"`, "")}
			for _, id := range unfew(alike) {
				inputs = append(inputs, Input{"alike", id})
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
