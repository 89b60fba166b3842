package provisioning

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"meibo/scim"
)

// PersonWhy is why a user or group, or one of its attributes, is what it is.
type PersonWhy struct {
	Resource  Resource
	Name      string // effective userName or displayName
	Attribute string // "" for the state
	Value     any    // of the attribute now, or the state
	Since     time.Time
	Statement Statement
	Link      *Link // how the attribute comes to its value now; nil for the state and the role
	Chain     Chain // of the entry that decided it
}

// WhyPerson explains the state of a user or group, or with an attribute, as in a filter, or "role", why the host application
// sees that value. NotFound; Invalid for an attribute that there is none of; Gone where the log does not reach back that far.
func (s *Service) WhyPerson(ctx context.Context, tenant string, t scim.ResourceType, id, attribute string) (PersonWhy, error) {
	return View(ctx, s.store, tenant, func(r Reader) (PersonWhy, error) {
		if err := r.Snapshot(); err != nil {
			return PersonWhy{}, err
		}
		if _, err := tenantOf(r, tenant); err != nil {
			return PersonWhy{}, err
		}
		x, err := r.Account(t, id, References{})
		if err != nil {
			return PersonWhy{}, err
		}
		return s.whyPerson(r, x, attribute)
	})
}

func (s *Service) whyPerson(r Reader, x Resource, attribute string) (PersonWhy, error) {
	if err := erased(r, PastQuery{Type: x.Type, ID: x.ID}); err != nil {
		return PersonWhy{}, err
	}
	own, err := versionsOf(r, EntryQuery{Resource: x.ID}, x.Type)
	if err != nil {
		return PersonWhy{}, err
	}
	if own = sinceBaseline(own); len(own) == 0 {
		return PersonWhy{}, &Error{Kind: Gone, Attribute: "id", Detail: "the log has nothing about it any more"}
	}
	doc, err := viewOf(&x)
	if err != nil {
		return PersonWhy{}, err
	}
	p := PersonWhy{Resource: x, Attribute: attribute, Name: cmp.Or(nameOf(x.Type, doc.seen()), x.ID)}
	value, err := watched(x.Type, attribute)
	if err != nil {
		return PersonWhy{}, err
	}
	decisive, err := lastChange(own, value)
	if err != nil {
		return PersonWhy{}, err
	}
	e, err := fullEntry(r, own[decisive].ID)
	if err != nil {
		return PersonWhy{}, err
	}
	p.Since = e.At
	if p.Chain, err = s.explain(r, e); err != nil {
		return PersonWhy{}, err
	}
	latest := e
	if last := own[len(own)-1]; last.ID != e.ID {
		if latest, err = fullEntry(r, last.ID); err != nil {
			return PersonWhy{}, err
		}
	}
	return p, s.answer(r, &p, latest)
}

func fullEntry(r Reader, id string) (e Entry, err error) {
	err = r.Entries(EntryQuery{ID: id, Limit: 1}, func(found Entry) error {
		e = found
		return nil
	})
	return e, err
}

// watched reads of a fold what a question is about.
func watched(t scim.ResourceType, attribute string) (func(*fold) any, error) {
	switch attribute {
	case "":
		return func(f *fold) any { return string(f.state()) }, nil
	case "active":
		return func(f *fold) any { return f.state().in() }, nil
	case "role":
		return func(f *fold) any { return f.row[PathRole] }, nil
	}
	p, err := scim.ParsePath(scim.Standard(t), attribute)
	if err != nil || p.Attr == nil {
		return nil, &Error{Kind: Invalid, Attribute: "attribute", Err: err,
			Detail: "there is no such attribute; name one as in a filter, such as displayName, name.givenName or emails[type eq \"work\"].value"}
	}
	return func(f *fold) any { return valueAt(t, attribute, f.effective()) }, nil
}

// lastChange is the place of the entry with which a value became what it is.
func lastChange(own []Entry, value func(*fold) any) (int, error) {
	f, place := newFold(&own[0]), 0
	var was any
	for i := range own {
		if err := f.follow(&own[i]); err != nil {
			return 0, err
		}
		if is := value(f); i == 0 || !scim.Equal(was, is) {
			place, was = i, is
		}
	}
	return place, nil
}

// answer says how the value comes about now; latest is the entry that made the resource what it is.
func (s *Service) answer(r Reader, p *PersonWhy, latest Entry) error {
	x := &p.Resource
	at := p.Since.UTC().Format(time.RFC3339)
	switch p.Attribute {
	case "", "active":
		p.Value = string(x.State)
		p.Statement = p.Chain.say("answer.state", "who", p.Name, "state", string(x.State), "at", at)
		return nil
	case "role":
		p.Value = x.RoleName()
		code := "answer.role"
		if overrides, _ := overridesOf(x); overrides[overrideRole] != nil {
			code = "answer.role.chosen"
		}
		p.Statement = p.Chain.say(code, "who", p.Name, "role", x.RoleName(), "at", at)
		return nil
	}
	c, err := s.record(r, &latest)
	if err != nil {
		return err
	}
	t := teller{r: r, recorded: c, chain: Chain{Entry: latest}}
	t.common = t.commonArgs()
	doc, err := viewOf(x)
	if err != nil {
		return err
	}
	p.Value = valueAt(x.Type, p.Attribute, doc.seen())
	if t.after == nil {
		return &Error{Kind: Gone, Attribute: "id", Detail: "the log does not reach back far enough to tell"}
	}
	was, _, err := t.views()
	if err != nil {
		return err
	}
	all, err := t.productions(was)
	if err != nil {
		return err
	}
	link := Link{Kind: LinkMapping, Outcome: "asserted", Inputs: []Input{{p.Attribute, p.Value}},
		Statement: t.say("link.mapping.asserted", "attribute", p.Attribute, "value", valueText(p.Value))}
	for _, one := range all {
		if one.Target == p.Attribute || isPartOf(one.Target, p.Attribute) || isPartOf(p.Attribute, one.Target) {
			link = t.tellProduction(one)
		}
	}
	p.Link = &link
	p.Statement = p.Chain.say("answer.attribute", "who", p.Name, "attribute", p.Attribute, "value", valueText(p.Value), "at", at)
	return nil
}

// isPartOf reports whether a path is below another one.
func isPartOf(path, whole string) bool {
	rest, ok := strings.CutPrefix(path, whole)
	return ok && rest != "" && strings.ContainsRune(".[:", rune(rest[0]))
}

// say is a statement with what the chain's own statement has.
func (c *Chain) say(code string, pairs ...string) Statement {
	t := teller{common: c.Statement.Args}
	return t.say(code, append(pairs, "variant", "")...)
}

// person is somebody whom people may mean.
type person struct {
	Resource
	doc view
	now bool // called so now
}

// maxNamed bounds how many entries are read to find out who is meant.
const maxNamed = 500

// persons are the users whom a text may mean: by id, userName of now or of some time, mail address or externalId of now. Those who
// are meant most likely come first.
func persons(r Reader, text string) ([]person, error) {
	var ids []string
	note := func(id string) {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	folded := scim.FoldFull.Apply(text)
	if uuidForm.MatchString(folded) {
		note(folded)
	}
	for _, q := range []AccountQuery{{Effective: folded}, {ExternalID: text}} {
		q.Type, q.Connection, q.Removed = scim.User, -1, true
		if err := r.Accounts(q, func(x Resource) error { note(x.ID); return nil }); err != nil {
			return nil, err
		}
	}
	for _, q := range []EntryQuery{{Name: text}, {Mail: text}, {ExternalID: text}} {
		q.Limit = maxNamed
		page, err := r.EntryPage(q)
		if err != nil {
			return nil, err
		}
		for _, e := range page.Entries {
			if e.ResourceType == scim.User {
				note(e.ResourceID)
			}
		}
	}
	var out []person
	for _, id := range ids {
		x, err := r.Account(scim.User, id, References{})
		if KindOf(err) == NotFound && err != nil {
			continue
		}
		if err != nil {
			return nil, err
		}
		doc, err := viewOf(&x)
		if err != nil {
			return nil, err
		}
		out = append(out, person{x, doc, x.ID == folded || calledSo(doc, folded, text)})
	}
	slices.SortStableFunc(out, func(a, b person) int { return cmp.Compare(a.rank(), b.rank()) })
	return out, nil
}

// calledSo reports whether a user is called by a text now.
func calledSo(doc view, folded, text string) bool {
	for _, a := range []scim.Attributes{doc.asserted, doc.seen()} {
		if scim.FoldFull.Apply(nameOf(scim.User, a)) == folded || a["externalId"] == text || slices.Contains(addressesOf(a), folded) {
			return true
		}
	}
	return false
}

// rank is the lower the more likely somebody is meant.
func (p *person) rank() int {
	switch {
	case p.now && p.State.in() && p.Visible:
		return 0
	case p.now && p.Visible:
		return 1
	case p.now && p.State != Removed:
		return 2
	case p.now:
		return 3
	case p.State.in():
		return 4
	default:
		return 5
	}
}

// called is what people call them.
func (p *person) called() string {
	return cmp.Or(nameOf(scim.User, p.doc.seen()), nameOf(scim.User, p.doc.asserted), p.ID)
}

// FindPerson is the id of the user whom a text means most likely: an id, a userName of now or of some time, a mail
// address or an externalId of now. NotFound.
func (s *Service) FindPerson(ctx context.Context, tenant, text string) (string, error) {
	return View(ctx, s.store, tenant, func(r Reader) (string, error) {
		if _, err := tenantOf(r, tenant); err != nil {
			return "", err
		}
		all, err := persons(r, text)
		if err == nil && len(all) == 0 {
			err = &Error{Kind: NotFound, Attribute: "user", Detail: "nobody is or was called so; `why-not` says why"}
		}
		if err != nil {
			return "", err
		}
		return all[0].ID, nil
	})
}
