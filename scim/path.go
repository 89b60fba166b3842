package scim

// Path is an attribute path (RFC 7644 §3.10, PATH of §3.5.2) resolved against a Definition.
//
//	userName                                  Attr
//	name.familyName                           Attr, Sub
//	emails[type eq "work"]                    Attr, Filter
//	emails[type eq "work"].value              Attr, Filter, Sub
//	urn:…:enterprise:2.0:User:manager.value   URN, Attr, Sub
//	urn:…:enterprise:2.0:User                 URN
//
// Below a URN that no schema describes Attr and Sub are untyped attributes made for the occasion.
type Path struct {
	URN    string     // of an extension in its registered spelling; "" for the core schema
	Attr   *Attribute // nil where the path names a whole extension
	Filter Filter     // of a value path; nil without one
	Sub    *Attribute // nil without one
}
