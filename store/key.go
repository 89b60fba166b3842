package store

import (
	"strconv"
	"strings"

	"meibo/provisioning"
	"meibo/scim"
)

// Resources are looked up by single strings that hold their scope: there is one index that could
// serve such a look-up, so no planner has a choice to get wrong, and no scope can meet another's rows.

// stableKey is resource.stable_key; nil where there is none.
func stableKey(r *provisioning.Resource) any {
	if r.Index.Stable == "" || r.Connection == 0 {
		return nil
	}
	return scopedKey(scopeOf(r), r.Index.Stable)
}

// valueOf is the value of a scoped key.
func valueOf(key string) string {
	_, rest, _ := strings.Cut(key, ":")
	_, value, _ := strings.Cut(rest, ":")
	return value
}

// typeCode tells types apart in keys and lanes. Codes are stored: none is ever given another meaning.
// A connection's groups have the lane after its users: groupList counts on it.
func typeCode(t scim.ResourceType) (letter string, number int64) {
	if t == scim.Group {
		return ":g:", 1
	}
	return ":u:", 0
}

// scopedKey is resource.key for a folded name, and resource.ext_key for an externalId. Where group
// names are not unique, key goes on with keySuffix.
func scopedKey(s provisioning.Scope, value string) string {
	letter, _ := typeCode(s.Type)
	return strconv.FormatInt(s.Connection, 10) + letter + value
}

// keySuffix makes the key of a group unique whose name is not.
func keySuffix(id string) string { return "\x01" + id }

// keyEnd is greater than a key with any suffix.
func keyEnd(key string) string { return key + "\x02" }

// effectiveKey is resource.eff_key. A tenant's name has no slash.
func effectiveKey(tenant, name string) string { return tenant + "/" + name }

// valueKey is resource_value.key: a value is looked for in the whole tenant.
func valueKey(tenant, attr, value string) string { return tenant + "/" + attr + ":" + value }

// openKey is matter.open_key.
func openKey(tenant string, connection int64, key string) string {
	return tenant + "/" + strconv.FormatInt(connection, 10) + ":" + key
}

// emails is the one attribute with rows in resource_value.
const emails = "emails"

// laneOf is the number of a scope's list; 8 leaves room for more types.
func laneOf(s provisioning.Scope) int64 {
	_, number := typeCode(s.Type)
	return s.Connection*8 + number
}

// offsetLane is the tally of what a lane's length and its number of present resources differ by: an account that was
// disabled is listed and gone, one that a guard kept is there and not listed.
func offsetLane(lane int64) int64 { return -1 - lane }

// offsetOf is what a resource counts for in the offset lane of its owner.
func offsetOf(r *provisioning.Resource) (lane int64, n int) {
	if r == nil || r.Connection == 0 {
		return 0, 0
	}
	if r.State == provisioning.Active || r.State == provisioning.Held {
		n++
	}
	if r.Visible {
		n--
	}
	return offsetLane(laneOf(scopeOf(r))), n
}

func scopeOf(r *provisioning.Resource) provisioning.Scope {
	return provisioning.Scope{Connection: r.Connection, Type: r.Type}
}

// keys are the columns that follow from a resource's index and whereabouts; nil is null.
type keys struct {
	effectiveName, key, effKey, extKey, lane any
}

func keysOf(tenant string, r *provisioning.Resource) keys {
	var k keys
	if r.Index.EffectiveName != r.Index.Name {
		k.effectiveName = r.Index.EffectiveName
	}
	if r.Visible && r.Connection != 0 {
		k.key, k.lane = scopedKey(scopeOf(r), r.Index.Name), laneOf(scopeOf(r))
	}
	if r.Index.EffectiveName != "" && r.State != provisioning.Removed {
		k.effKey = effectiveKey(tenant, r.Index.EffectiveName)
	}
	if r.Index.ExternalID != "" && r.Connection != 0 {
		k.extKey = scopedKey(scopeOf(r), r.Index.ExternalID)
	}
	return k
}
