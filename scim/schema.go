package scim

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/elimity-com/scim/schema"
)

// URNs of the schemas and messages that this server speaks (RFC 7643 §8.7, RFC 7644 §8.2).
const (
	UserSchema           = "urn:ietf:params:scim:schemas:core:2.0:User"
	GroupSchema          = "urn:ietf:params:scim:schemas:core:2.0:Group"
	EnterpriseUserSchema = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
)

// ResourceType is the name of a resource type (RFC 7643 §6): "User" or "Group".
type ResourceType string

// The resource types of RFC 7643 §4.
const (
	User  ResourceType = "User"
	Group ResourceType = "Group"
)

// Type is the data type of an attribute (RFC 7643 §2.3).
type Type string

// The data types of RFC 7643 §2.3. Untyped is our own: the type of whatever lies below an
// extension URN that no schema describes; such values are kept as they were sent.
const (
	String    Type = "string"
	Boolean   Type = "boolean"
	Decimal   Type = "decimal"
	Integer   Type = "integer"
	DateTime  Type = "dateTime"
	Binary    Type = "binary"
	Reference Type = "reference"
	Complex   Type = "complex"
	Untyped   Type = ""
)

// Mutability says who may write an attribute (RFC 7643 §2.2).
type Mutability string

// The mutabilities of RFC 7643 §7.
const (
	ReadWrite Mutability = "readWrite"
	ReadOnly  Mutability = "readOnly"
	Immutable Mutability = "immutable"
	WriteOnly Mutability = "writeOnly"
)

// Returned says when an attribute is part of an answer (RFC 7643 §2.2).
type Returned string

// The return rules of RFC 7643 §7.
const (
	Always    Returned = "always"
	Default   Returned = "default"
	OnRequest Returned = "request"
	Never     Returned = "never"
)

// Attribute is one attribute definition (RFC 7643 §7). A value is immutable once its schema was
// compiled and may be shared freely.
type Attribute struct {
	Name            string       `json:"name"`
	Type            Type         `json:"type"`
	SubAttributes   []*Attribute `json:"subAttributes,omitempty"`
	MultiValued     bool         `json:"multiValued"`
	Description     string       `json:"description"`
	Required        bool         `json:"required"`
	CanonicalValues []string     `json:"canonicalValues,omitempty"`
	CaseExact       bool         `json:"caseExact"`
	Mutability      Mutability   `json:"mutability"`
	Returned        Returned     `json:"returned"`
	Uniqueness      string       `json:"uniqueness"`
	ReferenceTypes  []string     `json:"referenceTypes,omitempty"`

	// Folding is the one comparison rule of this attribute, in Go as in SQL. It follows from
	// CaseExact, but for the key attributes, which compare under full Unicode case folding.
	Folding Folding `json:"-"`

	urn    string     // of an extension; "" in the core schema
	parent *Attribute // nil at the top
	sub    map[string]*Attribute
}

// Sub returns the sub-attribute of that name, compared without ASCII case, or nil.
func (a *Attribute) Sub(name string) *Attribute { return a.sub[foldName(name)] }

// Extension is the URN of the extension that defines the attribute; "" for the core schema and
// the common attributes.
func (a *Attribute) Extension() string { return a.urn }

// Parent is the complex attribute that a is a sub-attribute of, or nil.
func (a *Attribute) Parent() *Attribute { return a.parent }

// String is the attribute's path in its canonical spelling, with the URN of an extension.
func (a *Attribute) String() string {
	switch {
	case a.parent != nil:
		return a.parent.String() + "." + a.Name
	case a.urn != "":
		return a.urn + ":" + a.Name
	default:
		return a.Name
	}
}

// Schema is a schema definition as RFC 7643 §7 writes it in JSON.
type Schema struct {
	ID          string       `json:"id"`
	Name        string       `json:"name"`
	Description string       `json:"description"`
	Attributes  []*Attribute `json:"attributes"`
}

// ParseSchema reads a schema definition in the JSON form of RFC 7643 §7: this is how a schema
// extension enters as data.
func ParseSchema(data []byte) (*Schema, error) {
	var s Schema
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("schema definition: %w", err)
	}
	if s.ID == "" || len(s.Attributes) == 0 {
		return nil, fmt.Errorf("schema definition: id and attributes are required")
	}
	return &s, nil
}

// Definition is everything known about one resource type, compiled into look-up tables: its core
// schema, the common attributes of RFC 7643 §3.1 and its extensions.
type Definition struct {
	Type       ResourceType
	Core       *Schema
	Extensions []*Schema

	attrs map[string]*Attribute // common and core attributes by folded name
	ext   map[string]*extension // by folded URN
	order map[string]int        // rank of a top-level key in an encoded document
}

type extension struct {
	schema *Schema
	attrs  map[string]*Attribute
}

// Attribute returns the common or core attribute of that name, compared without ASCII case, or nil.
func (d *Definition) Attribute(name string) *Attribute { return d.attrs[foldName(name)] }

// ExtensionAttribute returns an attribute of a registered extension, both names compared without
// ASCII case, or nil.
func (d *Definition) ExtensionAttribute(urn, name string) *Attribute {
	if e := d.ext[foldName(urn)]; e != nil {
		return e.attrs[foldName(name)]
	}
	return nil
}

// Extension returns the registered extension of that URN, compared without ASCII case, or nil.
func (d *Definition) Extension(urn string) *Schema {
	if e := d.ext[foldName(urn)]; e != nil {
		return e.schema
	}
	return nil
}

// IsCore reports whether urn names the core schema of this resource type.
func (d *Definition) IsCore(urn string) bool { return foldName(urn) == foldName(d.Core.ID) }

// Compile builds the look-up tables of a resource type from its core schema and its extensions.
// The schemas are owned by the definition from then on.
func Compile(t ResourceType, core *Schema, extensions ...*Schema) (*Definition, error) {
	d := &Definition{Type: t, Core: core, Extensions: extensions,
		attrs: map[string]*Attribute{}, ext: map[string]*extension{}, order: map[string]int{}}
	for _, a := range append(commonAttributes(), core.Attributes...) {
		if err := compile(a, "", nil); err != nil {
			return nil, fmt.Errorf("schema %s: %w", core.ID, err)
		}
		d.attrs[foldName(a.Name)] = a
		d.order[a.Name] = len(d.order)
	}
	for _, s := range extensions {
		e := &extension{schema: s, attrs: map[string]*Attribute{}}
		for _, a := range s.Attributes {
			if err := compile(a, s.ID, nil); err != nil {
				return nil, fmt.Errorf("schema %s: %w", s.ID, err)
			}
			if e.attrs[foldName(a.Name)] != nil {
				return nil, fmt.Errorf("schema %s: attribute %s is defined twice", s.ID, a.Name)
			}
			e.attrs[foldName(a.Name)] = a
		}
		if d.ext[foldName(s.ID)] != nil {
			return nil, fmt.Errorf("schema %s: registered twice", s.ID)
		}
		d.ext[foldName(s.ID)] = e
		d.order[s.ID] = len(d.order)
	}
	return d, nil
}

func compile(a *Attribute, urn string, parent *Attribute) error {
	if a.Name == "" {
		return fmt.Errorf("an attribute has no name")
	}
	switch a.Type {
	case String, Boolean, Decimal, Integer, DateTime, Binary, Reference, Complex:
	default:
		return fmt.Errorf("attribute %s: unknown type %q", a.Name, a.Type)
	}
	a.urn, a.parent = urn, parent
	a.Folding = foldingOf(a)
	a.sub = make(map[string]*Attribute, len(a.SubAttributes))
	for _, s := range a.SubAttributes {
		if err := compile(s, urn, a); err != nil {
			return err
		}
		a.sub[foldName(s.Name)] = s
	}
	return nil
}

// foldingOf holds the comparison rule in one place. References and ids compare exactly whatever
// the definitions say (errata 8462 and the text of RFC 7643 §2.3.7).
func foldingOf(a *Attribute) Folding {
	switch a.String() {
	case "userName", "emails.value":
		return FoldFull
	case "id", "externalId", "members.value", "groups.value", EnterpriseUserSchema + ":manager.value":
		return FoldNone
	}
	switch {
	case a.CaseExact, a.Type == Reference, a.Type == Binary:
		return FoldNone
	default:
		return FoldASCII
	}
}

// commonAttributes are those of RFC 7643 §3.1, which no schema definition lists.
func commonAttributes() []*Attribute {
	simple := func(name string, t Type, m Mutability) *Attribute {
		return &Attribute{Name: name, Type: t, Mutability: m, Returned: Default, Uniqueness: "none", CaseExact: true}
	}
	schemas := simple("schemas", Reference, ReadWrite)
	schemas.MultiValued, schemas.Returned = true, Always
	id := simple("id", String, ReadOnly)
	id.Returned, id.Uniqueness = Always, "server"
	meta := simple("meta", Complex, ReadOnly)
	meta.SubAttributes = []*Attribute{
		simple("resourceType", String, ReadOnly), simple("created", DateTime, ReadOnly),
		simple("lastModified", DateTime, ReadOnly), simple("location", Reference, ReadOnly),
		simple("version", String, ReadOnly),
	}
	return []*Attribute{schemas, id, simple("externalId", String, ReadWrite), meta}
}

// Standard returns the definition of User (with EnterpriseUser) or Group as RFC 7643 gives them.
// Both are compiled once and shared.
func Standard(t ResourceType) *Definition {
	if t == Group {
		return standardGroup()
	}
	return standardUser()
}

var (
	standardUser = sync.OnceValue(func() *Definition {
		d := mustCompile(User, schema.CoreUserSchema(), schema.ExtensionEnterpriseUser())
		// Where the manager is follows from its value; a stored copy would outlive it.
		d.ExtensionAttribute(EnterpriseUserSchema, "manager").Sub("$ref").Mutability = ReadOnly
		return d
	})
	standardGroup = sync.OnceValue(func() *Definition {
		d := mustCompile(Group, schema.CoreGroupSchema())
		// A group is matched by its name as a user is by userName.
		d.Attribute("displayName").Folding = FoldFull
		return d
	})
)

// mustCompile panics only if the pinned library's definitions are not what they are: a fault of
// the build, seen by every test.
func mustCompile(t ResourceType, core schema.Schema, extensions ...schema.Schema) *Definition {
	parse := func(s schema.Schema) *Schema {
		data, err := s.MarshalJSON()
		if err != nil {
			panic(err)
		}
		parsed, err := ParseSchema(data)
		if err != nil {
			panic(err)
		}
		return parsed
	}
	var exts []*Schema
	for _, e := range extensions {
		exts = append(exts, parse(e))
	}
	d, err := Compile(t, parse(core), exts...)
	if err != nil {
		panic(err)
	}
	return d
}

// foldName folds an attribute name or URN for look-up; those are ASCII (RFC 7643 §2.1).
func foldName(s string) string { return strings.ToLower(s) }
