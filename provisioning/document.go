package provisioning

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"meibo/scim"
)

// decoded reads a stored document. The store returns what Encode wrote, so a failure is damage.
func decoded(t scim.ResourceType, doc []byte) (scim.Attributes, error) {
	a, err := scim.Standard(t).Decode(doc)
	if err != nil {
		return nil, fmt.Errorf("stored document is damaged: %w", err)
	}
	return a, nil
}

func nameAttribute(t scim.ResourceType) string {
	if t == scim.Group {
		return "displayName"
	}
	return "userName"
}

// nameOf is the attribute that a resource is called by.
func nameOf(t scim.ResourceType, a scim.Attributes) string {
	name, _ := a[nameAttribute(t)].(string)
	return name
}

// indexOf derives what a resource is found by from its asserted attributes. Without a mapping the
// effective userName is the asserted one.
func indexOf(t scim.ResourceType, a scim.Attributes) Index {
	ix := Index{Name: scim.FoldFull.Apply(nameOf(t, a))}
	ix.ExternalID, _ = a["externalId"].(string)
	ix.Display, _ = a["displayName"].(string)
	if t != scim.User {
		return ix
	}
	ix.EffectiveName = ix.Name
	if enterprise, ok := a[scim.EnterpriseUserSchema].(map[string]any); ok {
		if manager, ok := enterprise["manager"].(map[string]any); ok {
			ix.Manager, _ = manager["value"].(string)
		}
	}
	ix.Emails = emailsOf(a)
	return ix
}

// maxKeyBytes bounds what is looked up through an index, folded: PostgreSQL takes no index row of
// more than 2,704 bytes, and a character can take four and grow when it is folded.
const maxKeyBytes = 2400

// maxDocument bounds what is stored of one resource, beside a group's members: PATCH can add to it
// for ever, a page holds a thousand of them, and each entry repeats what changed.
const maxDocument = 256 << 10

// checkSize refuses a resource that is too large, or has values too long to be found again.
func checkSize(r *Resource) error {
	if len(r.Asserted) > maxDocument {
		return &Error{Kind: Invalid, Type: string(scim.InvalidValue),
			Detail: fmt.Sprintf("the resource would take more than %d bytes; remove values that are no longer needed", maxDocument)}
	}
	keys := map[string]string{nameAttribute(r.Type): r.Index.Name, "externalId": r.Index.ExternalID}
	for _, e := range r.Index.Emails {
		if len(e.Value) > maxKeyBytes {
			keys["emails.value"] = e.Value
		}
	}
	for attribute, key := range keys {
		if len(key) > maxKeyBytes {
			return tooLong(attribute)
		}
	}
	return nil
}

func tooLong(attribute string) *Error {
	return &Error{Kind: Invalid, Type: string(scim.InvalidValue), Attribute: attribute,
		Detail: fmt.Sprintf("%s: a value takes more than %d bytes and could not be looked up; shorten it", attribute, maxKeyBytes)}
}

func emailsOf(a scim.Attributes) []Email {
	list, _ := a["emails"].([]any)
	out := make([]Email, 0, len(list))
	folded := func(e map[string]any, name string, f scim.Folding) string {
		s, _ := e[name].(string)
		return f.Apply(s)
	}
	for _, v := range list {
		e, ok := v.(map[string]any)
		if !ok {
			continue
		}
		primary, _ := e["primary"].(bool)
		out = append(out, Email{
			Value:   folded(e, "value", scim.FoldFull),
			Type:    folded(e, "type", scim.FoldASCII),
			Display: folded(e, "display", scim.FoldASCII),
			Primary: primary,
		})
	}
	return out
}

// diff lists the attributes in which two documents differ, extension attributes one by one where
// they can be told apart by a path, in the order of the document's keys.
func diff(before, after scim.Attributes) []AttributeChange {
	var out []AttributeChange
	for _, name := range unionKeys(before, after) {
		old, new := before[name], after[name]
		if !isURN(name) {
			out = appendChange(out, name, old, new)
			continue
		}
		oldExt, plain := extensionOf(old)
		newExt, stillPlain := extensionOf(new)
		if !plain || !stillPlain {
			out = appendChange(out, name+":", old, new)
			continue
		}
		for _, sub := range unionKeys(oldExt, newExt) {
			out = appendChange(out, name+":"+sub, oldExt[sub], newExt[sub])
		}
	}
	return out
}

// extensionOf is the value of an extension's URN as an object, nil for none. It is false for what
// clients may send under a URN that no schema describes and a path cannot take apart: a value that
// is no object, and an object with a name that is empty or has a colon.
func extensionOf(v any) (map[string]any, bool) {
	object, ok := v.(map[string]any)
	for name := range object {
		if name == "" || isURN(name) {
			return nil, false
		}
	}
	return object, ok || v == nil
}

func appendChange(out []AttributeChange, path string, old, new any) []AttributeChange {
	if scim.Equal(old, new) {
		return out
	}
	return append(out, AttributeChange{Path: path, Old: old, New: new})
}

func unionKeys[M ~map[string]any](a, b M) []string {
	keys := make([]string, 0, len(a)+len(b))
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, both := a[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// isURN reports whether a top-level key is the URN of an extension: no attribute name has a colon
// (RFC 7643 §2.1).
func isURN(key string) bool { return strings.Contains(key, ":") }

// rowDiff lists what changes beside the documents, and what a person overrides.
func rowDiff(before, after *Resource) []AttributeChange {
	var old Resource
	if before != nil {
		old = *before
	}
	var out []AttributeChange
	if old.State != after.State {
		out = append(out, AttributeChange{Path: PathState, Old: unlessZero(string(old.State)), New: unlessZero(string(after.State))})
	}
	if old.Visible != after.Visible || before == nil {
		var was any
		if before != nil {
			was = old.Visible
		}
		out = append(out, AttributeChange{Path: PathVisible, Old: was, New: after.Visible})
	}
	if before != nil && old.Connection != after.Connection {
		out = append(out, AttributeChange{Path: PathOwner, Old: number(old.Connection), New: number(after.Connection)})
	}
	if old.Role != after.Role {
		out = append(out, AttributeChange{Path: PathRole, Old: unlessZero(old.Role), New: unlessZero(after.Role)})
	}
	if old.Protected != after.Protected {
		out = append(out, AttributeChange{Path: PathProtected, Old: unlessFalse(old.Protected), New: unlessFalse(after.Protected)})
	}
	if !old.PurgeAt.Equal(after.PurgeAt) {
		out = append(out, AttributeChange{Path: PathPurgeAt, Old: instant("", old.PurgeAt).New, New: instant("", after.PurgeAt).New})
	}
	if !bytes.Equal(old.Overrides, after.Overrides) {
		was, _ := overridesOf(&old)
		is, _ := overridesOf(after)
		for _, path := range unionKeys(was, is) {
			out = appendChange(out, PathOverride+path, was[path], is[path])
		}
	}
	return out
}

// number is an integer as JSON has it, and as it comes back from the journal.
func number(n int64) json.Number { return json.Number(strconv.FormatInt(n, 10)) }

func unlessFalse(b bool) any {
	if !b {
		return nil
	}
	return b
}
