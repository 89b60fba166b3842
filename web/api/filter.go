package api

import (
	"maps"
	"strconv"
	"strings"
	"time"

	"meibo/provisioning"
	"meibo/scim"
)

// selection is what a list selects: what the store looks up, and what is then asked of each resource.
type selection struct {
	query  provisioning.AccountQuery
	id     string      // asked for by the filter; "" for any
	filter scim.Filter // nil for all
}

func newSelection(t scim.ResourceType, in *listInput) (*selection, error) {
	s := &selection{query: provisioning.AccountQuery{Type: t, Connection: -1, State: provisioning.State(in.State),
		Removed: in.IncludeRemoved || in.State == string(provisioning.Removed), After: in.Next, Limit: in.Limit + 1}}
	if in.Filter == "" {
		return s, nil
	}
	f, err := scim.ParseFilter(scim.Standard(t), in.Filter)
	if err != nil {
		return nil, err
	}
	s.filter, s.query.Limit = f, looked
	s.lookUp(f)
	return s, nil
}

// lookUp has the store find what a filter that names one value selects. The filter itself still
// decides over what is found.
func (s *selection) lookUp(f scim.Filter) {
	switch f := f.(type) {
	case *scim.Logical:
		if f.Or {
			return
		}
		for _, term := range f.Terms {
			s.lookUp(term)
		}
	case *scim.Compare:
		if f.Op != scim.Eq || f.Path.URN != "" || f.Path.Sub != nil || f.Path.Filter != nil {
			return
		}
		switch {
		case f.Path.Attr.Name == "id":
			s.id = f.Value.Text
		case f.Path.Attr.Name == "externalId":
			s.query.ExternalID = f.Value.Text
		case f.Path.Attr.Name == "userName" && s.query.Type == scim.User:
			s.query.Effective = f.Value.Text
		}
	}
}

// rows reads the next resources that may be selected.
func (s *selection) rows(c *call) ([]provisioning.Resource, error) {
	var rows []provisioning.Resource
	if s.id != "" {
		s.query.Limit = 0 // there is nothing behind it
		r, err := c.Service.Account(c.context(), c.tenant(), s.query.Type, s.id)
		if provisioning.KindOf(err) == provisioning.NotFound {
			return nil, nil
		}
		return append(rows, r), err
	}
	err := c.Service.Accounts(c.context(), c.tenant(), s.query, func(r provisioning.Resource) error {
		rows = append(rows, r)
		return nil
	})
	return rows, err
}

// selects decides over a resource that rows has read.
func (s *selection) selects(r *resource) bool {
	switch {
	case r.gone(),
		r.State == provisioning.Removed && !s.query.Removed,
		s.query.State != "" && r.State != s.query.State,
		r.ID <= s.query.After && s.id != "":
		return false
	}
	return s.filter == nil || scim.Match(s.filter, matchable(r))
}

// matchable is a resource as a filter sees it, with what its document does not hold.
func matchable(r *resource) scim.Attributes {
	d := scim.Standard(r.Type)
	schemas := []any{d.Core.ID}
	for name := range r.attributes {
		if strings.Contains(name, ":") {
			schemas = append(schemas, name)
		}
	}
	out := maps.Clone(r.attributes)
	out["id"] = r.ID
	out["schemas"] = schemas
	out["meta"] = map[string]any{
		"resourceType": string(r.Type), "version": `W/"` + strconv.FormatInt(r.Version, 10) + `"`,
		"created": r.Created.Format(time.RFC3339Nano), "lastModified": r.Modified.Format(time.RFC3339Nano),
	}
	return out
}
