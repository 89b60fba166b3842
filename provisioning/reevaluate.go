package provisioning

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"meibo/scim"
)

// Reevaluation is what came of a decision that was made once more.
type Reevaluation struct {
	// Lacks says why it cannot be made again; its Code is "" where it was.
	Lacks Statement
	// Again is the entry that it would write; it has no id, time, request or version of the settings.
	Again Entry
	// Differences are in which parts of the entry it comes to something else; none means that it comes to the same.
	Differences []string
}

// Reevaluate decides once more on what the chain has recorded, under the rules that decided then: the resource as its entries
// make it, what was asserted, and the counts of the reason. Nothing is read or written.
func (c *Chain) Reevaluate() (Reevaluation, error) {
	if c.recorded == nil || c.recorded.lacks != "" {
		return Reevaluation{Lacks: c.lacks()}, nil
	}
	again, err := c.recorded.decide()
	if err != nil {
		return Reevaluation{}, fmt.Errorf("decide again on entry %s: %w", c.Entry.ID, err)
	}
	return Reevaluation{Again: again, Differences: differing(&c.Entry, &again)}, nil
}

// differing are the parts in which two entries about one decision differ.
func differing(was, is *Entry) (parts []string) {
	differ := func(part string, same bool) {
		if !same {
			parts = append(parts, part)
		}
	}
	differ("action", was.Action == is.Action)
	differ("outcome", was.Outcome == is.Outcome)
	differ("resource", was.ResourceID == is.ResourceID && was.ResourceType == is.ResourceType)
	differ("version", was.Version == is.Version)
	differ("matchedBy", was.MatchedBy == is.MatchedBy)
	differ("reason", was.Reason.Code == is.Reason.Code && maps.Equal(was.Reason.Args, is.Reason.Args))
	differ("error", cmp.Compare(codeOf(was.Error), codeOf(is.Error)) == 0)
	differ("members", slices.Equal(was.Members.words(), is.Members.words()))
	before, after := changesByPath(was.Diff), changesByPath(is.Diff)
	for _, path := range unionKeys(before, after) {
		a, inA := before[path].(AttributeChange)
		b, inB := after[path].(AttributeChange)
		differ("difference of "+path, inA == inB && scim.Equal(a.Old, b.Old) && scim.Equal(a.New, b.New))
	}
	return parts
}

func codeOf(e *EntryError) string {
	if e == nil {
		return ""
	}
	return e.Code
}

func changesByPath(diff []AttributeChange) map[string]any {
	out := make(map[string]any, len(diff))
	for _, c := range diff {
		out[c.Path] = c
	}
	return out
}

// words are all parts of a change of members, sorted.
func (d MemberDelta) words() []string {
	var out []string
	for view, list := range map[string][]scim.Member{"+": d.Add, "+asserted": d.AssertedAdd, "+effective": d.EffectiveAdd} {
		for _, m := range list {
			out = append(out, strings.Join([]string{view, m.Value, m.Display}, " "))
		}
	}
	for view, list := range map[string][]string{"-": d.Remove, "-asserted": d.AssertedRemove, "-effective": d.EffectiveRemove} {
		for _, id := range list {
			out = append(out, view+" "+id)
		}
	}
	slices.Sort(out)
	return out
}
