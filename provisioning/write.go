package provisioning

import (
	"context"
	"errors"
	"slices"
	"strings"

	"meibo/scim"
)

// Condition is what a client demands of the version it changes (RFC 7232); nil demands nothing.
// It is not called for a resource that does not exist.
type Condition func(version int64) bool

// Body is a whole resource as a client asserts it.
type Body struct {
	Attributes scim.Attributes
	Members    []scim.Member // of a group
	HasMembers bool          // the body named members, if only to empty them
}

func (b Body) members() scim.MemberChange {
	if !b.HasMembers {
		return scim.MemberChange{}
	}
	return scim.MemberChange{Replace: true, Add: b.Members}
}

// Create makes a resource, or restores the invisible account with an equal stable key. Conflict
// names the unique attribute that is taken.
func (s *Service) Create(ctx context.Context, o Origin, t scim.ResourceType, b Body) (Result, error) {
	name, id := nameOf(t, b.Attributes), s.newID()
	members := scim.MemberChange{Add: b.Members} // nothing to replace in a new group
	return s.Apply(ctx, o, Intent{Action: ActionCreate, Type: t, Name: name, Want: func(r Reader, rules *Rules) (Facts, Desired, error) {
		f, err := s.candidates(r, o, rules, t, b.Attributes)
		if err != nil {
			return Facts{}, Desired{}, err
		}
		if f.Members, err = memberFacts(r, o, "", members); err != nil {
			return Facts{}, Desired{}, err
		}
		return f, Desired{ID: id, Asserted: b.Attributes, Members: members}, nil
	}})
}

// Replace is PUT. As with PATCH, active and members that the body does not name stay as they are.
// NotFound, Precondition, or what Create can answer.
func (s *Service) Replace(ctx context.Context, o Origin, t scim.ResourceType, id string, b Body, c Condition, refs References) (Result, error) {
	in := Intent{Action: ActionUpdate, Type: t, ID: id, Name: nameOf(t, b.Attributes)}
	if t == scim.User && !isActive(b.Attributes) {
		in.Action = ActionDisable
	}
	members := b.members()
	in.Want = func(r Reader, rules *Rules) (Facts, Desired, error) {
		f, err := s.stored(r, o, c, ResourceQuery{Scope: o.scope(t), ID: id, References: refs,
			MemberFacts: namedMembers(members), AllMembers: members.Replace})
		if err != nil {
			return Facts{}, Desired{}, err
		}
		desired := b.Attributes
		if _, named := desired["active"]; !named && f.Asserted["active"] != nil {
			desired = withAttribute(desired, "active", f.Asserted["active"])
		}
		return s.renamed(r, o, rules, f, Desired{Asserted: desired, Members: members, Returns: b.Attributes["active"] == true})
	}
	return s.Apply(ctx, o, in)
}

// Patch applies the operations of a PATCH in order, all or none. NotFound, Precondition, Invalid,
// or Conflict.
func (s *Service) Patch(ctx context.Context, o Origin, t scim.ResourceType, id string, ops []scim.Operation, po scim.PatchOptions, c Condition, refs References) (Result, error) {
	def := scim.Standard(t)
	named := membersOf(def, ops, po)
	in := Intent{Action: asked(ops), Type: t, ID: id}
	in.Want = func(r Reader, rules *Rules) (Facts, Desired, error) {
		q := ResourceQuery{Scope: o.scope(t), ID: id, References: refs, MemberFacts: namedMembers(named), AllMembers: named.Replace}
		f, err := s.stored(r, o, c, q)
		if err != nil {
			return Facts{}, Desired{}, err
		}
		patched, err := def.Patch(f.Asserted, ops, po)
		if errors.Is(err, scim.ErrMembersNeeded) {
			f, patched, err = s.patchList(r, o, c, q, ops, po)
		}
		if err != nil {
			return Facts{}, Desired{}, err
		}
		active, _ := saysActive(ops)
		return s.renamed(r, o, rules, f, Desired{Asserted: patched.Attributes, Members: patched.Members, Returns: active})
	}
	return s.Apply(ctx, o, in)
}

// patchList is the rare PATCH whose operations depend on the group's member list.
func (s *Service) patchList(r Reader, o Origin, c Condition, q ResourceQuery, ops []scim.Operation, po scim.PatchOptions) (Facts, scim.Patched, error) {
	q.AllMembers = true
	f, err := s.stored(r, o, c, q)
	if err != nil {
		return Facts{}, scim.Patched{}, err
	}
	po.Members, po.MembersKnown = assertedMembers(f.Open), true
	patched, err := scim.Standard(q.Scope.Type).Patch(f.Asserted, ops, po)
	if err != nil {
		return Facts{}, scim.Patched{}, err
	}
	f.Members, err = memberFacts(r, o, q.ID, patched.Members)
	return f, patched, err
}

// Delete is DELETE: afterwards the client finds nothing. NotFound or Precondition.
func (s *Service) Delete(ctx context.Context, o Origin, t scim.ResourceType, id string, c Condition) error {
	_, err := s.Apply(ctx, o, Intent{Action: ActionDelete, Type: t, ID: id, Want: func(r Reader, _ *Rules) (Facts, Desired, error) {
		f, err := s.stored(r, o, c, ResourceQuery{Scope: o.scope(t), ID: id})
		return f, Desired{Presence: Absent}, err
	}})
	return err
}

// stored are the facts of a resource addressed by id.
func (s *Service) stored(r Reader, o Origin, c Condition, q ResourceQuery) (Facts, error) {
	current, err := r.Resource(q)
	if err != nil {
		return Facts{}, err
	}
	if c != nil && !c(current.Version) {
		return Facts{}, &Error{Kind: Precondition,
			Detail: "the resource has another version than the request demands; read it again and repeat the request"}
	}
	asserted, err := decoded(current.Type, current.Asserted)
	return Facts{Current: &current, Asserted: asserted, Members: current.MemberFacts, Open: current.OpenMembers,
		HasOpen: q.AllMembers, HasGroups: q.References.Groups}, err
}

// renamed adds the facts that a change of name needs: of the asserted one, or of an effective one
// that was kept apart and may follow it again.
func (s *Service) renamed(r Reader, o Origin, rules *Rules, f Facts, d Desired) (Facts, Desired, error) {
	t := f.Current.Type
	d.Type = t
	name := scim.FoldFull.Apply(nameOf(t, d.Asserted))
	if name == f.Current.Index.Name && f.Current.Effective == nil && rules.mapsNothing(t) {
		return f, d, nil
	}
	q := s.candidateQuery(o, t, name, "")
	if t == scim.User {
		var err error
		if q.Effective, err = rules.effectiveName(meant{current: f.Current, asserted: f.Asserted}, d); err != nil {
			return f, d, err
		}
		if name == f.Current.Index.Name && q.Effective == f.Current.Index.EffectiveName {
			return f, d, nil
		}
	}
	var err error
	f.Candidates, err = r.Candidates(q)
	return f, d, err
}

// candidates are the facts of a create.
func (s *Service) candidates(r Reader, o Origin, rules *Rules, t scim.ResourceType, a scim.Attributes) (Facts, error) {
	q := s.candidateQuery(o, t, scim.FoldFull.Apply(nameOf(t, a)), "")
	q.Presume = true
	if t == scim.User {
		q.ExternalID, q.Stable = rules.externalKey(a), rules.namedKey(a)
		if slices.Contains(rules.Settings.Matching.Attributes, matchedByEmails) {
			q.Emails = addressesOf(a)
		}
		if !rules.mapsNothing(t) {
			var err error
			if q.Effective, err = rules.effectiveName(meant{}, Desired{Type: t, Asserted: a, Now: s.Now()}); err != nil {
				return Facts{}, err
			}
		}
	}
	c, err := r.Candidates(q)
	if err != nil {
		return Facts{}, err
	}
	strangers := c.Mail
	if c.Effective != nil {
		strangers = append(slices.Clone(strangers), *c.Effective)
	}
	kept, err := s.kept(r, o, strangers...)
	return Facts{Candidates: c, Kept: kept}, err
}

// kept are the ids of those whom the rules of another owner protect.
func (s *Service) kept(r Reader, o Origin, accounts ...Resource) (map[string]bool, error) {
	var kept map[string]bool
	for _, x := range accounts {
		if x.Connection == 0 || x.Connection == o.Connection.ID {
			continue
		}
		owner, err := connectionByID(r, x.Connection)
		if err != nil {
			return nil, err
		}
		rules, err := s.rules(r, owner)
		if err != nil {
			return nil, err
		}
		if rules.protects(&x) {
			if kept == nil {
				kept = map[string]bool{}
			}
			kept[x.ID] = true
		}
	}
	return kept, nil
}

func (s *Service) candidateQuery(o Origin, t scim.ResourceType, name, external string) CandidateQuery {
	if t == scim.Group && !o.Connection.Settings.UniqueGroupNames {
		name = ""
	}
	return CandidateQuery{Scope: o.scope(t), Name: name, ExternalID: external}
}

// memberFacts reads what is known of the ids that a change names; group is "" for a new one.
func memberFacts(r Reader, o Origin, group string, c scim.MemberChange) ([]MemberFact, error) {
	ids := namedMembers(c)
	if len(ids) == 0 {
		return nil, nil
	}
	return r.MemberFacts(o.Connection.ID, group, ids)
}

// membersOf is what a patch does to members, so that their facts are read with the group itself.
// Member operations do not depend on the stored attributes; those that depend on the stored list
// are found out by Patch. A faulty patch names nothing: Patch will say what is wrong with it.
func membersOf(def *scim.Definition, ops []scim.Operation, po scim.PatchOptions) scim.MemberChange {
	if def.Type != scim.Group {
		return scim.MemberChange{}
	}
	patched, err := def.Patch(scim.Attributes{"displayName": "-"}, ops, po)
	if err != nil {
		return scim.MemberChange{}
	}
	return patched.Members
}

// asked is the journal's word for what the operations of a PATCH ask for, should nothing come of it.
func asked(ops []scim.Operation) JournalAction {
	if active, says := saysActive(ops); says && !active {
		return ActionDisable
	}
	return ActionUpdate
}

// saysActive is what the operations of a PATCH say last of whether the user is active, and whether they say anything.
func saysActive(ops []scim.Operation) (active, says bool) {
	for _, op := range ops {
		value := op.Value
		if o, ok := value.(map[string]any); ok && op.Path == "" {
			value = o["active"]
		} else if !strings.EqualFold(op.Path, "active") {
			continue
		}
		if b, ok := value.(bool); ok {
			active, says = b, true
		}
	}
	return active, says
}
