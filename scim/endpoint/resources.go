package endpoint

import (
	"net/http"
	"strings"

	"meibo/provisioning"
	"meibo/scim"
)

// create is POST /Users and POST /Groups (RFC 7644 §3.3).
func (c *call) create(def *scim.Definition) error {
	c.success = http.StatusCreated
	v, err := c.view(def)
	if err != nil {
		return c.refuse(provisioning.ActionCreate, def.Type, "", err)
	}
	body, err := c.resource(def)
	if err != nil {
		return c.refuse(provisioning.ActionCreate, def.Type, "", err)
	}
	res, err := c.Service.Create(c.context(), c.origin(), def.Type, body)
	if err != nil {
		return err
	}
	c.echo.Response().Header().Set("Location", c.location(def.Type, res.Resource.ID))
	if res.Action == provisioning.ChangeRestore || len(body.Members) > 0 {
		return c.answerAgain(v, res.Resource) // there is more to it than what was sent
	}
	v.members = false // a new group has none
	return c.answerWritten(v, res.Resource)
}

// replace is PUT (RFC 7644 §3.5.1).
func (c *call) replace(def *scim.Definition) error {
	c.success = http.StatusOK
	id := c.id()
	v, err := c.view(def)
	if err != nil {
		return c.refuse(provisioning.ActionUpdate, def.Type, id, err)
	}
	body, err := c.resource(def)
	if err != nil {
		return c.refuse(provisioning.ActionUpdate, def.Type, id, err)
	}
	res, err := c.Service.Replace(c.context(), c.origin(), def.Type, id, body, condition(c.echo.Request().Header), v.references())
	if err != nil {
		return err
	}
	return c.answerWritten(v, res.Resource)
}

// patch is PATCH (RFC 7644 §3.5.2).
func (c *call) patch(def *scim.Definition) error {
	c.success = c.patchStatus(def.Type)
	id := c.id()
	v, err := c.view(def)
	if err != nil {
		return c.refuse(provisioning.ActionUpdate, def.Type, id, err)
	}
	ops, err := c.operations(def)
	if err != nil {
		return c.refuse(provisioning.ActionUpdate, def.Type, id, err)
	}
	refs := v.references()
	if c.success == http.StatusNoContent {
		refs = provisioning.References{}
	}
	res, err := c.Service.Patch(c.context(), c.origin(), def.Type, id, ops, patchOptions, condition(c.echo.Request().Header), refs)
	if err != nil {
		return err
	}
	if c.success == http.StatusNoContent {
		c.echo.Response().Header().Set("ETag", etag(res.Resource.Version))
		return c.noContent()
	}
	return c.answerWritten(v, res.Resource)
}

// patchStatus is what the connection wants a PATCH to answer.
func (c *call) patchStatus(t scim.ResourceType) int {
	switch c.caller.Connection.Settings.PatchResponse {
	case provisioning.PatchResource:
		return http.StatusOK
	case provisioning.PatchNone:
		return http.StatusNoContent
	default:
		if t == scim.User {
			return http.StatusOK
		}
		return http.StatusNoContent
	}
}

// delete is DELETE (RFC 7644 §3.6).
func (c *call) delete(def *scim.Definition) error {
	c.success = http.StatusNoContent
	err := c.Service.Delete(c.context(), c.origin(), def.Type, c.id(), condition(c.echo.Request().Header))
	if err != nil {
		return err
	}
	return c.noContent()
}

// get is GET /Users/{id} and GET /Groups/{id} (RFC 7644 §3.4.1).
func (c *call) get(def *scim.Definition) error {
	v, err := c.view(def)
	if err != nil {
		return err
	}
	c.success = http.StatusOK
	return c.answerStored(v, c.id())
}

// list is GET /Users and GET /Groups, with or without a filter (RFC 7644 §3.4.2).
func (c *call) list(def *scim.Definition) error {
	v, err := c.view(def)
	if err != nil {
		return err
	}
	params, err := c.parameters()
	if err != nil {
		return err
	}
	q := provisioning.ListQuery{Scope: c.scope(def.Type), References: v.references(), Brief: true}
	if q.StartIndex, q.Count, err = paging(params); err != nil {
		return err
	}
	if text := strings.TrimSpace(params["filter"]); text != "" {
		if q.Filter, err = scim.ParseFilter(def, text); err != nil {
			return err
		}
	}
	members := v.members && q.Count > 0
	if members {
		if err := c.hold(c.streams); err != nil {
			return err
		}
	}
	return c.Service.List(c.context(), c.caller.Tenant, q, members, func(p provisioning.Page, rows provisioning.MemberRows) error {
		if !members {
			rows = nil
		}
		return c.writePage(v, q.StartIndex, p, rows)
	})
}

// refuse journals a write that could not even be read.
func (c *call) refuse(a provisioning.JournalAction, t scim.ResourceType, id string, err error) error {
	return c.Service.Refuse(c.context(), c.origin(), provisioning.Intent{Action: a, Type: t, ID: id, Name: c.named}, err)
}

func (c *call) scope(t scim.ResourceType) provisioning.Scope {
	return provisioning.Scope{Connection: c.caller.Connection.ID, Type: t}
}

// resource reads the body of a POST or PUT.
func (c *call) resource(def *scim.Definition) (provisioning.Body, error) {
	raw, err := c.object(def.Type)
	if err != nil {
		return provisioning.Body{}, err
	}
	c.repair.resource(def, raw)
	c.named = nameIn(def, raw)
	var body provisioning.Body
	if def.Type == scim.Group {
		if err = onlyOnce(raw, "members"); err != nil {
			return body, err
		}
		if body.Members, body.HasMembers, err = scim.ReadMembers(valueOf(raw, "members")); err != nil {
			return body, err
		}
		c.fewMembers = body.HasMembers && len(body.Members) <= maxCount
	}
	body.Attributes, err = def.Validate(raw)
	return body, err
}

// maxNamed bounds a name in the journal that nobody has checked, in bytes.
const maxNamed = 1024

// nameIn is what a body calls the resource, for the journal, should the rest of it be refused.
func nameIn(def *scim.Definition, raw map[string]any) string {
	attribute := "userName"
	if def.Type == scim.Group {
		attribute = "displayName"
	}
	name, _ := valueOf(raw, attribute).(string)
	if len(name) > maxNamed {
		return ""
	}
	return name
}

// operations reads the body of a PATCH.
func (c *call) operations(def *scim.Definition) ([]scim.Operation, error) {
	raw, err := c.object(def.Type)
	if err != nil {
		return nil, err
	}
	c.repair.patch(def, raw)
	return scim.DecodePatch(raw)
}

// onlyOnce refuses a name that is there in several spellings: which of them counts?
func onlyOnce(raw map[string]any, name string) error {
	n := 0
	for key := range raw {
		if strings.EqualFold(key, name) {
			n++
		}
	}
	if n > 1 {
		return &scim.Error{Type: scim.InvalidSyntax, Path: name, Detail: "the name is given twice; send it once"}
	}
	return nil
}

// valueOf finds a value whatever the case of its name.
func valueOf(raw map[string]any, name string) any {
	if v, ok := raw[name]; ok {
		return v
	}
	for key, v := range raw {
		if strings.EqualFold(key, name) {
			return v
		}
	}
	return nil
}
