package mapping

import (
	"encoding/json"
	"errors"
	"maps"
)

// App roles arrive as elements of roles, in one of the forms that the three expressions of Entra make:
// the value is the role's, or JSON with its id, value and displayName. The functions of the same names
// understand all of them.
var roleFunctions = map[string]function{
	"SingleAppRoleAssignment":            {1, 1, "SingleAppRoleAssignment(roles)", singleRole},
	"AppRoleAssignmentsComplex":          {1, 1, "AppRoleAssignmentsComplex(roles)", allRoles},
	"AssertiveAppRoleAssignmentsComplex": {1, 1, "AssertiveAppRoleAssignmentsComplex(roles)", allRoles},
}

// singleRole is the value of the only role, or of the one that is primary.
func singleRole(_ *evaluation, args []any) (any, error) {
	roles, err := readRoles(args[0])
	if err != nil || len(roles) == 0 {
		return nil, err
	}
	found := -1
	for i, role := range roles {
		if primary, _ := truth(role["primary"]); primary == true && found < 0 {
			found = i
		}
	}
	if found < 0 && len(roles) > 1 {
		return nil, errors.New("there are several roles and none of them is primary; use AppRoleAssignmentsComplex")
	}
	return roles[max(found, 0)]["value"], nil
}

// allRoles is a list of roles with their values, displays and types.
func allRoles(_ *evaluation, args []any) (any, error) {
	roles, err := readRoles(args[0])
	if err != nil || len(roles) == 0 {
		return nil, err
	}
	out := make([]any, len(roles))
	for i, role := range roles {
		out[i] = role
	}
	return out, nil
}

func readRoles(v any) ([]map[string]any, error) {
	if v == nil {
		return nil, nil
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	roles := make([]map[string]any, 0, len(list))
	for _, element := range list {
		role, ok := element.(map[string]any)
		if s, isText := element.(string); isText {
			role, ok = map[string]any{"value": s}, true
		}
		if !ok {
			return nil, errors.New("each role must be an object or a text")
		}
		roles = append(roles, unpackRole(role))
	}
	return roles, nil
}

// unpackRole replaces a value that is JSON by what it holds.
func unpackRole(role map[string]any) map[string]any {
	var packed struct {
		Value       string `json:"value"`
		DisplayName string `json:"displayName"`
	}
	s, _ := role["value"].(string)
	if len(s) == 0 || s[0] != '{' || json.Unmarshal([]byte(s), &packed) != nil {
		return role
	}
	out := maps.Clone(role)
	delete(out, "value")
	if packed.Value != "" {
		out["value"] = packed.Value
	}
	if packed.DisplayName != "" && out["display"] == nil {
		out["display"] = packed.DisplayName
	}
	return out
}
