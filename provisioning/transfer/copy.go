package transfer

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"slices"
	"strings"

	"meibo/scim"
)

// readIDs reads the ids of a file's resources.
func readIDs(open func() (io.ReadCloser, error)) (map[key]bool, error) {
	ids := map[key]bool{}
	return ids, eachRow(open, func(_ int, row Row) error {
		if row.ID != "" {
			ids[keyOf(row.ID)] = true
		}
		return nil
	})
}

// copied gives the row the ids of a copy in a tenant, wherever one of ids stands in it.
func (r *Row) copied(ids map[key]bool, tenant string) {
	other := func(id string) string {
		if !ids[keyOf(id)] {
			return id
		}
		return copyID(id, tenant)
	}
	r.ID = other(r.ID)
	for i := range r.Members {
		r.Members[i].Value = other(r.Members[i].Value)
	}
	r.Attributes = withManager(r.Attributes, other)
	r.Effective = withManager(r.Effective, other)
	for i, e := range r.edits {
		if e.urn != scim.EnterpriseUserSchema || e.name != "manager" {
			continue
		}
		cells := slices.Clone(e.cells)
		for j, c := range e.parts {
			if c.path.Sub != nil && c.path.Sub.Name == "value" {
				cells[j] = other(cells[j])
			}
		}
		r.edits[i].cells = cells
	}
}

// withManager is a document whose manager has another id.
func withManager[M ~map[string]any](a M, other func(string) string) M {
	extension, _ := a[scim.EnterpriseUserSchema].(map[string]any)
	manager, _ := extension["manager"].(map[string]any)
	id, ok := manager["value"].(string)
	if !ok || other(id) == id {
		return a
	}
	out := maps.Clone(a)
	out[scim.EnterpriseUserSchema] = with(extension, "manager", with(manager, "value", other(id)))
	return out
}

// copyID is the id of a resource's copy in a tenant: a UUID of the same kind and instant, so that copies are in the order
// of their originals. Whatever is no UUID comes back as it is.
func copyID(id, tenant string) string {
	raw, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil || len(raw) != 16 || len(id) != 36 {
		return id
	}
	sum := sha256.Sum256([]byte(tenant + "\x00" + id))
	version, variant := raw[6]&0xf0, raw[8]&0xc0
	copy(raw[6:], sum[:])
	raw[6], raw[8] = raw[6]&0x0f|version, raw[8]&0x3f|variant
	h := hex.EncodeToString(raw)
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-")
}
