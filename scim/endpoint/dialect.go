package endpoint

import (
	"slices"

	"meibo/scim"
)

// patchOptions say what a PATCH may do beyond the RFC, for the sake of every client that needs it:
// these depend on what is stored, so they are no repair of a request. Entra adds and replaces
// through value paths that match nothing yet, and removes sub-attributes one by one.
var patchOptions = scim.PatchOptions{CreateElements: true, PruneElements: true, PrimaryWhenOnly: true}

// repair turns the deviations of identity providers into what the RFC says. Each deviation is a
// quirk with a name, noted here once used, and applies by the shape of the request alone: on every
// connection, whatever the headers claim. A conforming request comes out unchanged and notes
// nothing.
//
// A repair never fails. What it does not recognise it leaves for package scim to judge.
type repair struct{ used []string }

// note records that a quirk was met, each once, in the order met.
func (r *repair) note(quirk string) {
	if !slices.Contains(r.used, quirk) {
		r.used = append(r.used, quirk)
	}
}

// dialect names the way of speaking that the quirks met are typical of; "scim" for none.
func (r *repair) dialect() string {
	for _, q := range r.used {
		if d, ok := quirkDialect[q]; ok {
			return d
		}
	}
	return "scim"
}
