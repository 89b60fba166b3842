package summary

import (
	"time"

	"meibo/provisioning"
)

// Verification is what recomputing the audit chain came to.
type Verification struct {
	Sound    bool       `json:"sound" doc:"All that is sealed is as it was sealed."`
	Entries  int64      `json:"entries" minimum:"0" doc:"How many entries were recomputed."`
	From     int64      `json:"from" minimum:"1" doc:"The position that it began at. What was before is purged."`
	Since    *time.Time `json:"since,omitempty" doc:"When the last of what is purged was sealed; absent where nothing is."`
	Purged   int64      `json:"purged,omitempty" doc:"Positions from there on whose entries are purged."`
	Head     *Head      `json:"head,omitempty" doc:"To keep where whoever can write to the database cannot; absent while nothing is sealed."`
	Kept     *Head      `json:"kept,omitempty" doc:"The head that was kept, where it is part of the chain."`
	Unsealed int64      `json:"unsealed,omitempty" doc:"How many newer positions wait for their seal."`
	Fault    *Altered   `json:"fault,omitempty" doc:"The first thing that does not agree."`
}

// Head is an end of the audit chain.
type Head struct {
	Position int64     `json:"position" minimum:"1"`
	Digest   string    `json:"digest" doc:"SHA-256 in hexadecimal digits."`
	At       time.Time `json:"at" doc:"When it was sealed."`
}

// Altered is something in the journal that was altered.
type Altered struct {
	Position int64  `json:"position,omitempty" doc:"Absent for what has none."`
	Entry    string `json:"entry,omitempty" doc:"Id of the entry, where it is known."`
	Detail   string `json:"detail" doc:"What is wrong, for people."`
}

// OfVerification is the view of a verification.
func OfVerification(v provisioning.Verification) Verification {
	out := Verification{Sound: v.Fault == nil, Entries: v.Entries, From: v.From, Purged: v.Purged, Unsealed: v.Unsealed, Head: headOf(v.Head)}
	if !v.Since.IsZero() {
		out.Since = &v.Since
	}
	if v.Kept != nil {
		out.Kept = headOf(*v.Kept)
	}
	if f := v.Fault; f != nil {
		out.Fault = &Altered{f.Position, f.Entry, f.Detail}
	}
	return out
}

func headOf(h provisioning.Head) *Head {
	if h.Position == 0 {
		return nil
	}
	return &Head{h.Position, h.Digest.String(), h.At}
}
