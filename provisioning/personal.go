package provisioning

import (
	"slices"

	"github.com/google/uuid"

	"meibo/scim"
)

// Personal is all that an entry holds of the values of one user or group. It is the one list of what an erasure takes
// from an entry; what is not in it stays: ids, times, actions, outcomes, codes, paths, and who did it.
type Personal struct {
	Name     string            // userName or displayName at the time, or as it was sent
	Values   []AttributeChange // the differences with their values, where they have any
	Args     map[string]string // of the reason
	Detail   string            // of the error
	Resource string            // what the client put in the place of an id, where that can be no id
	Path     string            // of such a request
	Display  string            // of a member, as the client sent it; the rest is "" then
}

// IsZero reports whether there is nothing personal.
func (p Personal) IsZero() bool {
	return p.Name == "" && len(p.Values)+len(p.Args) == 0 && p.Detail == "" && p.Resource == "" && p.Path == "" && p.Display == ""
}

// Split takes an entry apart: into its skeleton, in which nothing of anybody's values is left, and into what it holds of
// each user and group, by id; "" for an entry that is about none that exists. Whoever is not in the map is not in the entry.
func (e Entry) Split() (skeleton Entry, about map[string]Personal) {
	about = map[string]Personal{}
	own := Personal{Name: e.ResourceName, Args: e.Reason.Args}
	e.ResourceName, e.Reason.Args = "", nil
	id := e.ResourceID
	if e.Error != nil {
		bare := *e.Error
		own.Detail, bare.Detail = bare.Detail, ""
		e.Error = &bare
	}
	if id != "" && uuid.Validate(id) != nil {
		own.Resource, e.ResourceID, id = id, "", ""
		if e.Request != nil {
			bare := *e.Request
			own.Path, bare.Path = bare.Path, ""
			e.Request = &bare
		}
	}
	e.Diff, own.Values = splitDiff(e.Diff)
	if !own.IsZero() {
		about[id] = own
	}
	for _, list := range []*[]scim.Member{&e.Members.Add, &e.Members.AssertedAdd, &e.Members.EffectiveAdd} {
		*list = splitMembers(*list, about)
	}
	return e, about
}

// splitDiff is a difference without its values, and as it is where it has any.
func splitDiff(diff []AttributeChange) (paths, values []AttributeChange) {
	for _, c := range diff {
		paths = append(paths, AttributeChange{Path: c.Path})
		if c.Old != nil || c.New != nil {
			values = diff
		}
	}
	return paths, values
}

// splitMembers are members without their display names, which about gets.
func splitMembers(members []scim.Member, about map[string]Personal) []scim.Member {
	bare := slices.Clone(members)
	for i, m := range bare {
		if m.Display == "" {
			continue
		}
		bare[i].Display = ""
		p := about[m.Value]
		p.Display = m.Display
		about[m.Value] = p
	}
	return bare
}

// Without is the entry without what it holds of some users and groups. The rest is as it was.
func (e Entry) Without(ids ...string) Entry {
	skeleton, about := e.Split()
	for _, id := range ids {
		delete(about, id)
	}
	return skeleton.with(about)
}

// with is Split undone.
func (e Entry) with(about map[string]Personal) Entry {
	id := e.ResourceID
	if own, ok := about[id]; ok {
		e.ResourceName, e.Reason.Args = own.Name, own.Args
		if e.Error != nil {
			whole := *e.Error
			whole.Detail = own.Detail
			e.Error = &whole
		}
		if own.Resource != "" {
			e.ResourceID = own.Resource
		}
		if own.Path != "" && e.Request != nil {
			whole := *e.Request
			whole.Path = own.Path
			e.Request = &whole
		}
		if own.Values != nil {
			e.Diff = own.Values
		}
	}
	for _, list := range []*[]scim.Member{&e.Members.Add, &e.Members.AssertedAdd, &e.Members.EffectiveAdd} {
		whole := slices.Clone(*list)
		for i := range whole {
			if p, ok := about[whole[i].Value]; ok {
				whole[i].Display = p.Display
			}
		}
		*list = whole
	}
	return e
}
