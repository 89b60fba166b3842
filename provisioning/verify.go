package provisioning

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Head is an end of the audit chain, for people to keep where whoever can write to the database cannot: what is sealed up to
// there cannot be altered any more without somebody who has it finding out.
type Head struct {
	Position int64 // the last that is sealed; 0 for none
	Digest   Digest
	At       time.Time // when it was sealed
}

// Verification is what recomputing a tenant's audit chain came to.
type Verification struct {
	From     int64     // the first position that was looked at; what was before is purged, and the first seal stands for it
	Since    time.Time // when the entries before From were sealed; zero where From is the beginning
	Entries  int64     // that were looked at
	Purged   int64     // positions from From on whose entries are purged
	Head     Head
	Unsealed int64 // positions behind the head, which are sealed within seconds
	Kept     *Head // the head that the caller kept, where it is part of the chain
	Fault    *ChainFault
}

// ChainFault is the first thing that does not agree.
type ChainFault struct {
	Position int64  // 0 for none
	Entry    string // id; "" for none
	Detail   string // what is wrong, for people
}

// verifyPiece is how many seals are read in one state of the database.
const verifyPiece = 16

// VerifyChain recomputes the audit chain from all that is in the journal, in short reads, and stops at the first fault. head, unless
// it is "", is the digest of a head that was kept: the chain must have it. Invalid for a head that is no digest, NotFound for the tenant.
func (s *Service) VerifyChain(ctx context.Context, tenant, head string) (Verification, error) {
	v := verifier{tenant: tenant, after: math.MinInt64} // whatever seals say of themselves, none is passed over
	if head != "" {
		kept, err := hex.DecodeString(head)
		if err != nil || len(kept) != len(Digest{}) {
			return Verification{}, &Error{Kind: Invalid, Attribute: "head", Detail: "a head is 64 hexadecimal digits, as an earlier verification gave it"}
		}
		v.kept = Digest(kept)
	}
	for more := true; more && v.Fault == nil; {
		err := s.store.View(ctx, tenant, func(r Reader) (err error) {
			if err := r.Snapshot(); err != nil {
				return err
			}
			more, err = v.piece(r)
			return err
		})
		if err != nil {
			return Verification{}, err
		}
	}
	if v.Fault == nil && head != "" && v.Kept == nil {
		v.Fault = &ChainFault{Detail: "the chain does not have the head that was kept: it was made anew since, or the head is of what is purged by now"}
	}
	return v.Verification, nil
}

// verifier is a verification on its way.
type verifier struct {
	Verification
	tenant string
	kept   Digest
	begun  bool
	after  int64 // where the last seal that was read begins
	purged int64 // up to this position entries may be missing, or say something else
	seal   *Seal // that is looked at
	at     int64 // position that was looked at last
}

// piece looks at some seals with their entries, and behind the last at what is not sealed.
func (v *verifier) piece(r Reader) (more bool, err error) {
	if !v.begun {
		if _, err := tenantOf(r, v.tenant); err != nil {
			return false, err
		}
	}
	c, err := r.Chain(v.after, verifyPiece)
	if err != nil {
		return false, err
	}
	h, err := r.Horizon()
	if err != nil {
		return false, err
	}
	v.purged = h.Position
	for i := range c.Seals {
		v.after = c.Seals[i].First
		if err := v.follow(r, &c.Seals[i]); err != nil || v.Fault != nil {
			return false, err
		}
	}
	if len(c.Seals) == verifyPiece {
		return true, nil
	}
	v.Unsealed = max(0, c.Head-v.Head.Position)
	v.begin(v.Head.Position + 1)
	if v.Head.Position > c.Head {
		v.fail(c.Head+1, "", "positions %d to %d are sealed and the journal ends before them: its end was cut off", c.Head+1, v.Head.Position)
		return false, nil
	}
	var since time.Time
	if !h.Cut.IsZero() {
		since = h.Cut.Add(looseAfter)
	}
	loose, err := r.LooseEntry(since)
	if loose != "" {
		v.fail(0, loose, "entry %s stands in the journal without a position: it was put there by hand", loose)
	}
	return false, err
}

// looseAfter is how long after the cut of a purge an entry may have lost its position with those before: positions are in the
// order of commits, and so in that of time but for as long as units of work take.
const looseAfter = 4 * writeTimeout

func (v *verifier) begin(from int64) {
	if !v.begun {
		v.begun, v.From = true, from
	}
}

// follow looks at one seal and its entries.
func (v *verifier) follow(r Reader, s *Seal) error {
	before := v.Head.Position
	if !s.whole() || s.First <= before {
		v.begin(s.First)
		v.fail(before+1, "", misfit, before, s.First, s.Upto)
		return nil
	}
	if !v.begun && s.Upto <= v.purged {
		v.begin(s.Upto + 1)
		v.Since = s.At
		v.reach(s)
		return nil
	}
	v.begin(s.First)
	if s.First > before+1 && s.First > v.purged+1 {
		v.fail(before+1, "", misfit, before, s.First, s.Upto)
		return nil
	}
	v.seal, v.at = s, s.First-1
	err := r.Chained(s.First, s.Upto, func(e ChainedEntry) error {
		v.skip(e.Position)
		if v.Fault == nil {
			v.entry(&e)
		}
		return nil
	})
	if err != nil {
		return err
	}
	v.skip(s.Upto + 1)
	if v.Fault == nil && s.Link(v.tenant, v.Head.Digest) != s.Digest {
		v.fail(s.First, "", "the seal of positions %d to %d does not agree with its entries and the seal before: one of the two seals was altered", s.First, s.Upto)
	}
	if v.Fault == nil {
		v.reach(s)
	}
	return nil
}

const misfit = "behind position %d a seal of positions %d to %d does not go on: a seal was altered, or is gone"

func (v *verifier) reach(s *Seal) {
	v.Head = Head{s.Upto, s.Digest, s.At}
	if !v.kept.IsZero() && v.kept == s.Digest {
		kept := v.Head
		v.Kept = &kept
	}
}

// skip goes over the positions before one, of which there are no entries.
func (v *verifier) skip(to int64) {
	for p := v.at + 1; p < to && v.Fault == nil; p++ {
		if v.seal.Leaf(p).IsZero() {
			continue // it was purged before it was sealed
		}
		if v.Purged++; p > v.purged {
			v.fail(p, "", "the entry at position %d is gone", p)
		}
	}
	v.at = to
}

func (v *verifier) entry(e *ChainedEntry) {
	if e.Position <= v.purged { // it is about to go, or became a baseline
		v.Purged++
		return
	}
	v.Entries++
	salt := v.seal.Salt(e.Position)
	if e.Damaged || e.Traces != nil && !isErased(salt) || e.Leaf(v.tenant, salt) != v.seal.Leaf(e.Position) {
		v.fail(e.Position, e.Entry.ID, "entry %s at position %d is not what was sealed", e.Entry.ID, e.Position)
	}
}

// isErased reports whether a salt is what an erasure leaves of one.
func isErased(salt []byte) bool { return [SaltSize]byte(salt) == [SaltSize]byte{} }

// fail notes the first fault. What was altered may hold anything, and its telling is read on terminals.
func (v *verifier) fail(position int64, entry, format string, args ...any) {
	if v.Fault == nil {
		v.Fault = &ChainFault{position, entry, strings.Map(visible, fmt.Sprintf(format, args...))}
	}
}

// visible is a rune as it may be printed.
func visible(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return utf8.RuneError
}
