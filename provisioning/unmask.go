package provisioning

import (
	"context"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of the reason for which somebody sees values that are masked.
const (
	MinUnmaskReason = 8
	MaxUnmaskReason = 500
)

// ReasonUnmasked says that somebody saw personal values who usually does not; args: what, because.
const ReasonUnmasked = "unmasked"

// isVisible reports whether a text shows anything to whoever reads it: not only blanks, and what is drawn as nothing at all.
func isVisible(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) && r != brailleBlank && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r)
	})
}

const brailleBlank = '\u2800' // a symbol without a dot

// Unmask notes that somebody is about to see personal values that are masked for them, of the request in the origin, and why. Invalid
// for a reason that says too little.
func (s *Service) Unmask(ctx context.Context, o Origin, because string) error {
	because = strings.TrimSpace(because)
	if n := utf8.RuneCountInString(because); n < MinUnmaskReason || n > MaxUnmaskReason || !isVisible(because) {
		return &Error{Kind: Invalid, Attribute: "unmask", Detail: fmt.Sprintf("say in %d to %d characters why values must be seen, such as the number of the case", MinUnmaskReason, MaxUnmaskReason)}
	}
	e := originEntry(o)
	e.Action, e.Outcome = ActionOther, Success
	e.Reason = Reason{Code: ReasonUnmasked, Args: map[string]string{"what": o.Request.Method + " " + o.Request.Path, "because": because}}
	stamps := s.stamps()
	err := s.store.Update(ctx, o.Tenant, func(tx Tx) error {
		if _, err := tenantOf(tx, o.Tenant); err != nil {
			return err
		}
		stamps.put(&e, 0)
		return tx.Commit(Batch{Entries: []Entry{e}})
	})
	if err == nil {
		s.decided(o.Tenant, e)
	}
	return err
}
