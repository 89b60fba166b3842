package provisioning

import (
	"meibo/provisioning/mapping"
	"meibo/scim"
)

func (s Settings) mappingRows(t scim.ResourceType) []MappingRow {
	if t == scim.Group {
		return s.Mapping.Groups
	}
	return s.Mapping.Users
}

// compileMapping makes the rows of a type ready for use. Its error is mapping.Problems. The first verified domain is what
// DefaultDomain() stands for.
func (s Settings) compileMapping(t scim.ResourceType) (*mapping.Table, error) {
	rows := make([]mapping.Row, 0, len(s.mappingRows(t)))
	for _, r := range s.mappingRows(t) {
		rows = append(rows, mapping.Row{Target: r.Target, Source: r.Source, Constant: r.Constant, Expression: r.Expression,
			AtCreation: r.Apply == ApplyAtCreation, Default: r.Default, Required: r.Required, MaxLength: r.MaxLength, Characters: r.Characters})
	}
	var o mapping.Options
	if len(s.Matching.VerifiedDomains) > 0 {
		o.DefaultDomain = s.Matching.VerifiedDomains[0]
	}
	return mapping.Compile(scim.Standard(t), rows, o)
}
