package provisioning

import (
	"context"
	"fmt"
	"strings"
)

// Statement says something as a code with arguments: package words makes a sentence of it. What of the arguments may tell
// of a person is known there.
type Statement struct {
	Code string            `json:"code"` // the group and the code, such as "reason.created"
	Args map[string]string `json:"args,omitempty"`
}

// IsSentence reports whether it stands for itself, and not within another one.
func (s Statement) IsSentence() bool {
	group, _, _ := strings.Cut(s.Code, ".")
	switch group {
	case "reason", "link", "quirk", "verdict", "answer":
		return true
	default:
		return false
	}
}

// Chain is why an entry says what it says: link by link from what was asked to what the host application sees.
type Chain struct {
	Entry     Entry
	Position  int64     // in the tenant's journal; 0 where it has none yet
	Statement Statement // of the whole
	Links     []Link

	recorded *recorded
}

// Link is one station of a decision.
type Link struct {
	Kind      LinkKind
	Outcome   string // in one word, as a program may test it
	Rule      *Rule  // the setting that decided here; nil where none did
	Inputs    []Input
	Statement Statement
}

// LinkKind is what a link tells of.
type LinkKind string

// The links, in their order in a chain. A chain has those that there is something to be said of.
const (
	LinkSource    LinkKind = "source"    // the request, run or person
	LinkQuirk     LinkKind = "quirk"     // what was repaired of the request
	LinkMatch     LinkKind = "match"     // which resource was meant
	LinkMapping   LinkKind = "mapping"   // what became of an attribute on the way to the host application
	LinkScope     LinkKind = "scope"     // whether the connection manages it
	LinkRole      LinkKind = "role"      // which role it has
	LinkPolicy    LinkKind = "policy"    // what the settings say of the cause
	LinkGuard     LinkKind = "guard"     // whether it is protected
	LinkTolerance LinkKind = "tolerance" // how many left already
	LinkEffect    LinkKind = "effect"    // what changed
	LinkSeen      LinkKind = "seen"      // what the host application sees
)

// Rule is where a setting stands, and what it says.
type Rule struct {
	Connection string `json:"connection"`
	Version    int64  `json:"settingsVersion"`
	Path       string `json:"path"` // as in a settings document
	Value      any    `json:"value,omitempty"`
}

// Input is something that a link went by.
type Input struct {
	Name  string // a path of an attribute, or what it is
	Value any
}

// Why explains an entry. NotFound.
func (s *Service) Why(ctx context.Context, tenant, entry string) (Chain, error) {
	return View(ctx, s.store, tenant, func(r Reader) (Chain, error) {
		if err := r.Snapshot(); err != nil {
			return Chain{}, err
		}
		e, err := entryOf(r, tenant, entry)
		if err != nil {
			return Chain{}, err
		}
		return s.explain(r, e)
	})
}

func entryOf(r Reader, tenant, id string) (Entry, error) {
	if _, err := tenantOf(r, tenant); err != nil {
		return Entry{}, err
	}
	var found *Entry
	err := r.Entries(EntryQuery{ID: id, Limit: 1}, func(e Entry) error {
		found = &e
		return nil
	})
	if err == nil && found == nil {
		err = &Error{Kind: NotFound, Attribute: "id", Detail: fmt.Sprintf("the log has no entry %q; look it up in the log", id)}
	}
	if err != nil {
		return Entry{}, err
	}
	return *found, nil
}

// WithoutInputs is the chain without what it would be decided on again: a group may have very many members.
func (c Chain) WithoutInputs() Chain {
	c.recorded = nil
	return c
}

func (c *Chain) lacks() Statement {
	if c.recorded == nil {
		return Statement{Code: "lacks." + lacksDecision}
	}
	return Statement{Code: "lacks." + c.recorded.lacks}
}
