package summary

import (
	"meibo/provisioning"
	"meibo/provisioning/words"
)

// Chain is why an entry says what it says.
type Chain struct {
	Sentence     string       `json:"sentence" doc:"Why, in one sentence."`
	Entry        Entry        `json:"entry"`
	Links        []Link       `json:"links" doc:"From what was asked to what the host application sees."`
	Reevaluation Reevaluation `json:"reevaluation" doc:"What the same inputs come to when they are decided on once more, under the rules that decided then."`
}

// Link is one station of a decision.
type Link struct {
	Kind      string            `json:"kind" enum:"source,quirk,match,mapping,scope,role,policy,guard,tolerance,effect,seen"`
	Outcome   string            `json:"outcome"`
	Sentence  string            `json:"sentence"`
	Code      string            `json:"code" doc:"Of the sentence."`
	Arguments map[string]string `json:"args,omitempty" doc:"Of the sentence."`
	Inputs    []Input           `json:"inputs,omitempty" nullable:"false"`
	Rule      *Rule             `json:"rule,omitempty" doc:"The setting that decided here."`
}

// Input is something that a link went by.
type Input struct {
	Name  string `json:"name"`
	Value any    `json:"value" doc:"null where it had none."`
}

// Rule is where a setting stands.
type Rule struct {
	Connection string `json:"connection,omitempty"`
	Version    int64  `json:"settingsVersion" minimum:"0"`
	Path       string `json:"path" doc:"As in a settings document."`
	Value      any    `json:"value,omitempty"`
}

// Reevaluation is what a decision comes to when it is made once more.
type Reevaluation struct {
	Same        bool     `json:"same"`
	Lacks       string   `json:"lacks,omitempty" doc:"Why it cannot be made once more."`
	Differences []string `json:"differences,omitempty" nullable:"false" doc:"What differs."`
}

// Speaker says statements as sentences.
type Speaker struct {
	Words words.Catalogue
	// Hide stands in for what may tell of a person; nil hides nothing.
	Hide func(string) string
}

// Say is a statement as a sentence.
func (s Speaker) Say(st provisioning.Statement) string { return s.Words.Say(st, s.Hide) }

// WhyOf is the view of a chain.
func WhyOf(tenant string, c provisioning.Chain, s Speaker) (Chain, error) {
	again, err := ReevaluationOf(c, s)
	out := Chain{Sentence: s.Say(c.Statement), Entry: Of(tenant, c.Entry), Links: linksOf(c.Links, s), Reevaluation: again}
	out.Entry.Meibo.Position = c.Position
	return out, err
}

// ReevaluationOf is the view of what a chain comes to once more.
func ReevaluationOf(c provisioning.Chain, s Speaker) (Reevaluation, error) {
	again, err := c.Reevaluate()
	out := Reevaluation{Same: again.Lacks.Code == "" && len(again.Differences) == 0, Differences: again.Differences}
	if again.Lacks.Code != "" {
		out.Lacks = s.Say(again.Lacks)
	}
	return out, err
}

func linksOf(links []provisioning.Link, s Speaker) []Link {
	out := make([]Link, len(links))
	for i, l := range links {
		out[i] = Link{Kind: string(l.Kind), Outcome: l.Outcome, Sentence: s.Say(l.Statement), Code: l.Statement.Code, Arguments: l.Statement.Args}
		for _, in := range l.Inputs {
			out[i].Inputs = append(out[i].Inputs, Input{in.Name, in.Value})
		}
		out[i].Rule = ruleOf(l.Rule)
	}
	return out
}

func ruleOf(r *provisioning.Rule) *Rule {
	if r == nil {
		return nil
	}
	return &Rule{r.Connection, r.Version, r.Path, r.Value}
}
