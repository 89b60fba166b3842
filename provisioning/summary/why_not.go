package summary

import (
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// WhyNot is why somebody is not there, or not as expected.
type WhyNot struct {
	Sentence string    `json:"sentence" doc:"The most likely cause."`
	Healthy  bool      `json:"healthy" doc:"Nothing is wrong with the person."`
	User     *Identity `json:"user,omitempty" doc:"Who was found; absent for nobody."`
	State    string    `json:"state,omitempty" enum:"active,suspended,held,removed"`
	JobID    string    `json:"jobId,omitempty" doc:"Name of the connection that owns the account."`
	Since    time.Time `json:"since" doc:"How far back the log goes."`
	Causes   []Cause   `json:"causes" doc:"The most likely one first; the last word where there is none is healthy."`
}

// Cause is one cause, with what shows it.
type Cause struct {
	Cause     string            `json:"cause" enum:"neverSent,refused,mappingFailed,asked,ignored,outOfScope,held,withheld,delayed,deactivated,deleted,byPerson,aged,erased,renamed,anotherConnection,userNameFrozen,paused,silent,healthy"`
	Sentence  string            `json:"sentence"`
	Arguments map[string]string `json:"args,omitempty" doc:"Of the sentence."`
	Entry     string            `json:"entry,omitempty" doc:"Id of the entry of the log that shows it."`
	Matter    string            `json:"matter,omitempty" doc:"Id of the matter that waits for a person."`
	At        time.Time         `json:"at,omitempty,omitzero" doc:"When last."`
	Times     int               `json:"times,omitempty" minimum:"0" doc:"How often it was asked for."`
	Rule      *Rule             `json:"rule,omitempty" doc:"The setting that decided."`
}

// WhyNotOf is the view of an examination.
func WhyNotOf(w provisioning.WhyNot, s Speaker) WhyNot {
	out := WhyNot{Healthy: w.Healthy, Since: w.Since.UTC(), Causes: make([]Cause, len(w.Causes))}
	if w.User != nil {
		out.User = &Identity{w.User.ID, w.User.Name, string(scim.User)}
		out.State, out.JobID = string(w.User.State), w.User.Connection
	}
	for i, d := range w.Causes {
		out.Causes[i] = Cause{Cause: string(d.Cause), Sentence: s.Say(d.Statement), Arguments: d.Statement.Args, Entry: d.Entry, Matter: d.Matter, At: d.At, Times: d.Times, Rule: ruleOf(d.Rule)}
	}
	out.Sentence = out.Causes[0].Sentence
	return out
}

// PersonWhy is why a user or group, or one of its attributes, is what it is.
type PersonWhy struct {
	Sentence  string    `json:"sentence"`
	Identity  Identity  `json:"identity"`
	Attribute string    `json:"attribute,omitempty" doc:"Absent where the state was asked for."`
	Value     any       `json:"value" doc:"null for none."`
	Since     time.Time `json:"since"`
	Link      *Link     `json:"link,omitempty" doc:"How the attribute comes to its value now."`
	Chain     Chain     `json:"chain" doc:"Of the entry of the log that decided it."`
}

// PersonWhyOf is the view of an answer.
func PersonWhyOf(tenant string, p provisioning.PersonWhy, s Speaker) (PersonWhy, error) {
	chain, err := WhyOf(tenant, p.Chain, s)
	out := PersonWhy{Sentence: s.Say(p.Statement), Identity: Identity{p.Resource.ID, p.Name, string(p.Resource.Type)},
		Attribute: p.Attribute, Value: p.Value, Since: p.Since.UTC(), Chain: chain}
	if p.Link != nil {
		out.Link = &linksOf([]provisioning.Link{*p.Link}, s)[0]
	}
	return out, err
}
