package endpoint

import (
	"cmp"
	"encoding/json"
	"net/http"
	"strings"

	"meibo/provisioning"
	"meibo/scim"
)

// The schemas of the discovery resources (RFC 7643 §5–7).
const (
	configSchema       = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
	resourceTypeSchema = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
	schemaSchema       = "urn:ietf:params:scim:schemas:core:2.0:Schema"
)

// meta is the meta attribute of a discovery resource.
type meta struct {
	ResourceType string `json:"resourceType"`
	Location     string `json:"location"`
}

type supported struct {
	Supported bool `json:"supported"`
}

type bulkSupport struct {
	Supported      bool `json:"supported"`
	MaxOperations  int  `json:"maxOperations"`
	MaxPayloadSize int  `json:"maxPayloadSize"`
}

type filterSupport struct {
	Supported  bool `json:"supported"`
	MaxResults int  `json:"maxResults"`
}

type authenticationScheme struct {
	Type        string `json:"type"`
	Name        string `json:"name"`
	Description string `json:"description"`
	SpecURI     string `json:"specUri"`
	Primary     bool   `json:"primary"`
}

// providerConfig is what this server can do (RFC 7643 §5).
type providerConfig struct {
	Schemas               []string               `json:"schemas"`
	Patch                 supported              `json:"patch"`
	Bulk                  bulkSupport            `json:"bulk"`
	Filter                filterSupport          `json:"filter"`
	ChangePassword        supported              `json:"changePassword"`
	Sort                  supported              `json:"sort"`
	ETag                  supported              `json:"etag"`
	AuthenticationSchemes []authenticationScheme `json:"authenticationSchemes"`
	Meta                  meta                   `json:"meta"`
}

func (c *call) serviceProviderConfig() error {
	if err := c.unfiltered(); err != nil {
		return err
	}
	return c.json(providerConfig{
		Schemas: []string{configSchema},
		Patch:   supported{true},
		Filter:  filterSupport{Supported: true, MaxResults: maxCount},
		ETag:    supported{true},
		AuthenticationSchemes: []authenticationScheme{{
			Type: "oauthbearertoken", Name: "OAuth Bearer Token", Primary: true,
			Description: "A token of this connection in the Authorization header",
			SpecURI:     "https://www.rfc-editor.org/info/rfc6750",
		}},
		Meta: meta{ResourceType: "ServiceProviderConfig", Location: c.base() + "/ServiceProviderConfig"},
	})
}

type schemaExtension struct {
	Schema   string `json:"schema"`
	Required bool   `json:"required"`
}

// resourceType is a resource type as RFC 7643 §6 describes it.
type resourceType struct {
	Schemas     []string          `json:"schemas"`
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	Endpoint    string            `json:"endpoint"`
	Description string            `json:"description"`
	Schema      string            `json:"schema"`
	Extensions  []schemaExtension `json:"schemaExtensions,omitempty"`
	Meta        meta              `json:"meta"`
}

func (c *call) resourceTypes() error {
	var all []item
	for _, t := range []scim.ResourceType{scim.User, scim.Group} {
		def, id := scim.Standard(t), string(t)
		r := resourceType{Schemas: []string{resourceTypeSchema}, ID: id, Name: id, Endpoint: "/" + id + "s",
			Description: def.Core.Description, Schema: def.Core.ID,
			Meta: meta{ResourceType: "ResourceType", Location: c.base() + "/ResourceTypes/" + id}}
		for _, x := range def.Extensions {
			r.Extensions = append(r.Extensions, schemaExtension{Schema: x.ID})
		}
		all = append(all, item{id, r})
	}
	return c.discovered("resource type", all)
}

// discovery holds the announced schemas: what the definitions say, but for what this server does
// not do.
type discovery struct{ schemas []*scim.Schema }

func newDiscovery() discovery {
	user, group := scim.Standard(scim.User), scim.Standard(scim.Group)
	all := append([]*scim.Schema{user.Core, group.Core}, user.Extensions...)
	var d discovery
	for _, s := range all {
		shown := *s
		shown.Attributes = announced(s.Attributes)
		d.schemas = append(d.schemas, &shown)
	}
	return d
}

// announced are attributes as clients may read them: each characteristic has one of its values, if
// only the default of RFC 7643 §2.2, since clients refuse a schema over an empty one.
func announced(attrs []*scim.Attribute) []*scim.Attribute {
	out := make([]*scim.Attribute, 0, len(attrs))
	for _, a := range attrs {
		if a.Name == "password" {
			continue // taken and dropped; to announce it would be to promise its use
		}
		shown := *a
		shown.Uniqueness = cmp.Or(a.Uniqueness, "none")
		if len(a.SubAttributes) > 0 {
			shown.SubAttributes = announced(a.SubAttributes)
		}
		out = append(out, &shown)
	}
	return out
}

// schemaResource is a schema definition as RFC 7643 §7 describes it.
type schemaResource struct {
	Schemas []string `json:"schemas"`
	*scim.Schema
	Meta meta `json:"meta"`
}

func (c *call) schemaList() error {
	var all []item
	for _, s := range c.schemas.schemas {
		all = append(all, item{s.ID, schemaResource{Schemas: []string{schemaSchema}, Schema: s,
			Meta: meta{ResourceType: "Schema", Location: c.base() + "/Schemas/" + s.ID}}})
	}
	return c.discovered("schema", all)
}

// item is a discovery resource under its id.
type item struct {
	id    string
	value any
}

// discovered answers the one resource that the address names, or all in one page.
func (c *call) discovered(what string, all []item) error {
	if err := c.unfiltered(); err != nil {
		return err
	}
	id := c.id()
	if id == "" {
		return c.json(listOf(all))
	}
	for _, i := range all {
		if strings.EqualFold(i.id, id) {
			return c.json(i.value)
		}
	}
	return &provisioning.Error{Kind: provisioning.NotFound, Detail: "there is no such " + what}
}

// list is a ListResponse of discovery resources; they are few and never paged.
type list struct {
	Schemas      []string `json:"schemas"`
	TotalResults int      `json:"totalResults"`
	StartIndex   int      `json:"startIndex"`
	ItemsPerPage int      `json:"itemsPerPage"`
	Resources    []any    `json:"Resources"`
}

func listOf(all []item) list {
	l := list{Schemas: []string{scim.ListResponseSchema}, TotalResults: len(all), StartIndex: 1, ItemsPerPage: len(all)}
	for _, i := range all {
		l.Resources = append(l.Resources, i.value)
	}
	return l
}

// unfiltered refuses a filter on discovery (RFC 7644 §4).
func (c *call) unfiltered() error {
	params, err := c.parameters()
	if err == nil && params["filter"] != "" {
		err = &provisioning.Error{Kind: provisioning.Forbidden, Detail: "discovery resources cannot be filtered; read them all"}
	}
	return err
}

func (c *call) json(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.send(http.StatusOK, data)
}
