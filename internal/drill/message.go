package drill

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Request bodies, shaped and ordered as in the samples of Microsoft's documentation (golden files in testdata/).

const (
	patchSchema = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
	listSchema  = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
	errorSchema = "urn:ietf:params:scim:api:messages:2.0:Error"
	// adscimGroup is in no registry; Entra sends it with every group.
	adscimGroup = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
	// assignedRole is the type that Entra gives to an app role assignment.
	assignedRole = "WindowsAzureActiveDirectoryRole"
)

type userBody struct {
	Schemas           []string        `json:"schemas"`
	ExternalID        string          `json:"externalId"`
	UserName          string          `json:"userName"`
	Active            bool            `json:"active"`
	Addresses         []addressBody   `json:"addresses,omitempty"`
	DisplayName       string          `json:"displayName,omitempty"`
	Emails            []mailBody      `json:"emails,omitempty"`
	Meta              metaBody        `json:"meta"`
	Name              nameBody        `json:"name"`
	PhoneNumbers      []phoneBody     `json:"phoneNumbers,omitempty"`
	PreferredLanguage string          `json:"preferredLanguage,omitempty"`
	Roles             []roleBody      `json:"roles"`
	Title             string          `json:"title,omitempty"`
	Enterprise        *enterpriseBody `json:"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User,omitempty"`
}

type mailBody struct {
	Primary bool   `json:"primary"`
	Type    string `json:"type"`
	Value   string `json:"value"`
}

type phoneBody struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

type roleBody struct {
	Primary bool   `json:"primary"`
	Type    string `json:"type"`
	Display string `json:"display,omitempty"`
	Value   string `json:"value"`
}

type addressBody struct {
	Type          string `json:"type"`
	Formatted     string `json:"formatted,omitempty"`
	StreetAddress string `json:"streetAddress,omitempty"`
	Locality      string `json:"locality,omitempty"`
	Region        string `json:"region,omitempty"`
	PostalCode    string `json:"postalCode,omitempty"`
	Country       string `json:"country,omitempty"`
}

type metaBody struct {
	ResourceType string `json:"resourceType"`
}

type nameBody struct {
	Formatted  string `json:"formatted"`
	FamilyName string `json:"familyName"`
	GivenName  string `json:"givenName"`
}

type enterpriseBody struct {
	Department     string `json:"department,omitempty"`
	EmployeeNumber string `json:"employeeNumber,omitempty"`
}

// createUser is the body of a POST: everything but the manager, which is written when both ends of the reference exist.
func createUser(p *person) userBody {
	b := userBody{
		Schemas:           []string{coreUser, enterpriseUser},
		ExternalID:        p.attrs["externalId"],
		UserName:          p.attrs["userName"],
		Active:            p.active,
		DisplayName:       p.attrs["displayName"],
		Meta:              metaBody{"User"},
		Name:              nameBody{p.attrs["name.formatted"], p.attrs["name.familyName"], p.attrs["name.givenName"]},
		PreferredLanguage: p.attrs["preferredLanguage"],
		Roles:             []roleBody{}, // Entra sends the empty list
		Title:             p.attrs["title"],
	}
	if mail, ok := p.attrs[workMail]; ok {
		b.Emails = []mailBody{{true, "work", mail}}
	}
	for _, kind := range []string{"work", "mobile", "fax"} {
		if number, ok := p.attrs[phone(kind)]; ok {
			b.PhoneNumbers = append(b.PhoneNumbers, phoneBody{kind, number})
		}
	}
	if role, ok := p.attrs[primaryRole]; ok {
		b.Roles = []roleBody{{Primary: true, Type: assignedRole, Value: role}}
	}
	address := addressBody{
		Formatted: p.attrs[workAddress("formatted")], StreetAddress: p.attrs[workAddress("streetAddress")],
		Locality: p.attrs[workAddress("locality")], Region: p.attrs[workAddress("region")],
		PostalCode: p.attrs[workAddress("postalCode")], Country: p.attrs[workAddress("country")],
	}
	if address != (addressBody{}) {
		address.Type = "work"
		b.Addresses = []addressBody{address}
	}
	if e := (enterpriseBody{p.attrs[enterprise("department")], p.attrs[enterprise("employeeNumber")]}); e != (enterpriseBody{}) {
		b.Enterprise = &e
	}
	return b
}

type groupBody struct {
	Schemas     []string `json:"schemas"`
	ExternalID  string   `json:"externalId"`
	DisplayName string   `json:"displayName"`
	Meta        metaBody `json:"meta"`
}

// createGroup is the body of a POST. It carries no members: they follow when the users are linked.
func createGroup(t *team) groupBody {
	return groupBody{[]string{coreGroup, adscimGroup}, t.objectID, t.name, metaBody{"Group"}}
}

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path,omitempty"`
	Value any    `json:"value,omitempty"`
}

type patchBody struct {
	Schemas    []string    `json:"schemas"`
	Operations []operation `json:"Operations"`
}

// operationsFirst is the same message with the keys in the order of Microsoft's sample for disabling a user.
type operationsFirst struct {
	Operations []operation `json:"Operations"`
	Schemas    []string    `json:"schemas"`
}

func patch(ops ...operation) patchBody { return patchBody{[]string{patchSchema}, ops} }

// member is an element of a members value. Entra sends the $ref as null.
type member struct {
	Ref   *string `json:"$ref"`
	Value string  `json:"value"`
}

func membersOf(ids []string) []member {
	ms := make([]member, len(ids))
	for i, id := range ids {
		ms[i].Value = id
	}
	return ms
}

// fields is a JSON object that keeps the order of its keys.
type fields []field

type field struct {
	key   string
	value any
}

// MarshalJSON writes the keys in order.
func (fs fields) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, f := range fs {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := encode(f.key)
		if err != nil {
			return nil, err
		}
		value, err := encode(f.value)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// encode is json.Marshal without HTML escapes, which .NET does not write.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("encode request body: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// change is one attribute that a PATCH writes. value is a string or a bool.
type change struct {
	path  string
	value any
	add   bool // Entra believes that it is absent
}

// Dialect is the shape of the PATCH requests that one Entra job sends.
type Dialect string

const (
	// Default has a path per operation, op in Pascal case, booleans as "True" and "False", and removes members with a value list.
	Default Dialect = "default"
	// Flag is what a job with aadOptscim062020 on its tenant URL sends: lower-case op, real booleans, values without a path
	// under dotted and URN keys, and members removed by value path.
	Flag Dialect = "flag"
)

// stream tells the random choices of the dialects apart, so that both can be played on one server.
func (d Dialect) stream() uint64 { return uint64(len(d)) }

// op spells the name of an operation.
func (d Dialect) op(name string) string {
	if d == Flag {
		return strings.ToLower(name)
	}
	return name
}

// changes shapes a PATCH of single attributes.
func (d Dialect) changes(cs ...change) patchBody {
	if d == Flag {
		return patch(flagged(cs)...)
	}
	ops := make([]operation, len(cs))
	for i, c := range cs {
		ops[i] = operation{verb(c.add), c.path, defaultValue(c.value)}
	}
	return patch(ops...)
}

func verb(add bool) string {
	if add {
		return "Add"
	}
	return "Replace"
}

// defaultValue turns booleans into the words that Entra's mapping expressions yield.
func defaultValue(v any) any {
	switch v {
	case true:
		return "True"
	case false:
		return "False"
	default:
		return v
	}
}

// flagged keeps a value path and active in operations of their own and gathers the rest into one value without a path, add and replace apart.
func flagged(cs []change) []operation {
	var ops []operation
	gathered := map[string]fields{}
	for _, c := range cs {
		op := strings.ToLower(verb(c.add))
		if strings.Contains(c.path, "[") || c.path == "active" {
			ops = append(ops, operation{op, c.path, c.value})
			continue
		}
		gathered[op] = append(gathered[op], field{c.path, c.value})
	}
	for _, op := range []string{"add", "replace"} {
		if fs := gathered[op]; fs != nil {
			ops = append(ops, operation{Op: op, Value: fs})
		}
	}
	return ops
}

// setActive shapes enable and disable. variant picks among the spellings that occur on the wire.
func (d Dialect) setActive(active bool, variant int) any {
	b := d.changes(change{path: "active", value: active})
	if d == Flag || variant%3 == 0 {
		return b
	}
	if variant%3 == 1 { // the tutorial's sample: Pascal case with a real boolean, Operations first
		b.Operations[0].Value = active
		return operationsFirst{b.Operations, b.Schemas}
	}
	b.Operations[0].Value = strings.ToLower(fmt.Sprint(b.Operations[0].Value))
	return b
}

// setManager shapes a manager reference; an empty id clears it. ref is the manager's address, which one of the forms carries.
func (d Dialect) setManager(id, ref string, add bool, variant int) patchBody {
	path := enterprise("manager")
	switch {
	case d == Flag && variant%2 == 1:
		return d.changes(change{path, id, add}) // without a path, under the URN key
	case d == Default && variant%4 == 3 && id != "": // the tutorial's example: the bare name and a list of one
		return patch(operation{verb(add), "manager", []member{{&ref, id}}})
	default:
		return patch(operation{d.op(verb(add)), path, id})
	}
}

// addMembers shapes one batch.
func (d Dialect) addMembers(ids []string) patchBody {
	return patch(operation{d.op("Add"), "members", membersOf(ids)})
}

// removeMembers shapes one batch: a value list, or one operation per member under the flag.
func (d Dialect) removeMembers(ids []string) patchBody {
	if d == Default {
		return patch(operation{"Remove", "members", membersOf(ids)})
	}
	ops := make([]operation, len(ids))
	for i, id := range ids {
		ops[i] = operation{Op: "remove", Path: fmt.Sprintf(`members[value eq "%s"]`, id)}
	}
	return patch(ops...)
}

// replaceMembers shapes the whole set, as the web validator sends it.
func (d Dialect) replaceMembers(ids []string) patchBody {
	return patch(operation{d.op("Replace"), "members", membersOf(ids)})
}

// addRoleText is AppRoleAssignmentsComplex: JSON text inside the value.
func (d Dialect) addRoleText(id, value, display string) (patchBody, string, error) {
	text, err := encode(fields{{"id", id}, {"value", value}, {"displayName", display}})
	if err != nil {
		return patchBody{}, "", err
	}
	type bare struct {
		Value string `json:"value"`
	}
	return patch(operation{d.op("Add"), "roles", []bare{{string(text)}}}), string(text), nil
}

// assertRoles is AssertiveAppRoleAssignmentsComplex: the full set.
func (d Dialect) assertRoles(rs []roleBody) patchBody {
	return patch(operation{"replace", "roles", rs})
}
