package provisioning

import (
	"context"
	"maps"
	"strings"
	"time"

	"meibo/provisioning/mapping"
	"meibo/scim"
)

// A guess is not kept: it follows from the documents and from the settings that made them. So it costs nothing where no
// row proposes anything, and what a person or the client says in its place needs nothing to be cleared.

// Guesses are the targets of the mapping that have a proposal of Kana or Romanize: what the host application sees of x
// there is what the row of the settings that made it proposes, and nobody asserted or chose it. Nil for none.
func (s *Service) Guesses(ctx context.Context, tenant string, x *Resource) ([]string, error) {
	if x.Effective == nil || x.RuleVersion == 0 || x.Connection == 0 {
		return nil, nil
	}
	if known := s.known(x.Connection, x.RuleVersion); known != nil {
		return known.guesses(x)
	}
	return View(ctx, s.store, tenant, func(r Reader) ([]string, error) { return s.GuessesIn(r, x) })
}

// GuessesIn is Guesses for who reads already.
func (s *Service) GuessesIn(r Reader, x *Resource) ([]string, error) {
	if x.Effective == nil || x.RuleVersion == 0 || x.Connection == 0 {
		return nil, nil
	}
	rules, err := s.rules(r, Connection{ID: x.Connection, SettingsVersion: x.RuleVersion})
	if KindOf(err) == NotFound && err != nil {
		return nil, nil // it came from an owner before
	}
	if err != nil {
		return nil, err
	}
	return rules.guesses(x)
}

func (r *Rules) guesses(x *Resource) ([]string, error) {
	table := r.mapping[x.Type]
	if table == nil || !table.Proposes() {
		return nil, nil
	}
	asserted, err := decoded(x.Type, x.Asserted)
	if err != nil {
		return nil, err
	}
	is, err := effectiveOf(x)
	if err != nil {
		return nil, err
	}
	overrides, err := overridesOf(x)
	if err != nil {
		return nil, err
	}
	chosen, _ := splitOverrides(overrides)
	return table.Guesses(mapping.Input{Asserted: asserted, Current: is, Overrides: chosen, Now: time.Time{}}), nil
}

// guessed names in a reason the proposals that a change writes. was is what was effective; nil for before.
func (r *Rules) guessed(reason Reason, t scim.ResourceType, is derived, was, before scim.Attributes) Reason {
	if was == nil {
		was = before
	}
	var written []string
	for _, target := range is.guesses {
		if table := r.mapping[t]; !scim.Equal(table.Value(target, was), table.Value(target, is.attributes)) {
			written = append(written, target)
		}
	}
	if len(written) == 0 {
		return reason
	}
	args := maps.Clone(reason.Args)
	if args == nil {
		args = map[string]string{}
	}
	args["guessed"] = strings.Join(written, " ")
	reason.Args = args
	return reason
}
