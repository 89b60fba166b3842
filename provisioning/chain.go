package provisioning

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"meibo/scim"
)

// The audit chain makes it show when the journal was altered behind meibo's back.
//
//	entry ──Split──▶ skeleton                           ┐
//	            └──▶ values of r1 ─SHA-256 with a salt─▶ ├─SHA-256─▶ leaf of a position ┐
//	            └──▶ values of r2 ─SHA-256 with a salt─▶ │           leaf of the next   ├─SHA-256─▶ digest of a seal
//	row as it is stored ───SHA-256 with a salt─────────▶ ┘                    …         │
//	                                               digest of the seal before ───────────┘
//
// A seal covers some positions in their order. Whoever erases a person drops the salt of their values with the values and
// keeps the digest that both made: so the leaf stays as it was, and nobody can find out what it was made of by trying. The
// digest of the row makes the smallest change of an entry show; it goes, with its salt, at the first erasure.

// Digest is a SHA-256.
type Digest [sha256.Size]byte

// String is the digest in hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether it is none.
func (d Digest) IsZero() bool { return d == Digest{} }

// SaltSize is the length of an entry's salt in bytes.
const SaltSize = 16

// Seal is one link of a tenant's audit chain: the positions from First to Upto, which go on where those of the seal before end.
type Seal struct {
	First, Upto    int64
	At             time.Time // when it was made
	Oldest, Newest time.Time // of its entries; zero where there are none
	Digest         Digest
	Leaves         []byte // a Digest for each position, zero where there was no entry any more
	Salts          []byte // SaltSize bytes for each position; zero where a part of the entry was erased
}

// Leaf is what the seal has for a position that it covers.
func (s *Seal) Leaf(position int64) Digest {
	at := int(position-s.First) * sha256.Size
	return Digest(s.Leaves[at : at+sha256.Size])
}

// Salt is that of the entry at a position that it covers.
func (s *Seal) Salt(position int64) []byte {
	at := int(position-s.First) * SaltSize
	return s.Salts[at : at+SaltSize]
}

// whole reports whether it has a leaf and a salt for each position.
func (s *Seal) whole() bool {
	n := s.Upto - s.First + 1
	return n > 0 && n <= MaxSealed && int64(len(s.Leaves)) == n*sha256.Size && int64(len(s.Salts)) == n*SaltSize
}

// MaxSealed is how many positions a seal covers at most.
const MaxSealed = 512

// NewSeal is the seal of the positions from first to upto with random salts of theirs, before any entry was added. salts are
// SaltSize bytes for each.
func NewSeal(first, upto int64, at time.Time, salts []byte) *Seal {
	return &Seal{First: first, Upto: upto, At: at, Leaves: make([]byte, (upto-first+1)*sha256.Size), Salts: salts}
}

// Add gives an entry that the seal covers its leaf.
func (s *Seal) Add(tenant string, e *ChainedEntry) {
	leaf := e.Leaf(tenant, s.Salt(e.Position))
	copy(s.Leaves[int(e.Position-s.First)*sha256.Size:], leaf[:])
	if at := e.Entry.At; s.Oldest.IsZero() || at.Before(s.Oldest) {
		s.Oldest = at
	}
	if at := e.Entry.At; at.After(s.Newest) {
		s.Newest = at
	}
}

// Link is the digest of the seal behind one with the digest before, which is zero for the first.
func (s *Seal) Link(tenant string, before Digest) Digest {
	c := canonical("meibo seal 1")
	c = c.text(tenant).raw(before[:]).number(s.First).number(s.Upto).instant(s.At).instant(s.Oldest).instant(s.Newest).raw(s.Leaves)
	return sha256.Sum256(c)
}

// ChainedEntry is an entry as the chain sees it.
type ChainedEntry struct {
	PositionedEntry
	Row    Digest // of the row as it is stored, column by column
	Traces Traces // what is left of what was erased; nil for nothing
	// Damaged says that the row cannot be read as an entry.
	Damaged bool
}

// ChainPage is a piece of a tenant's audit chain.
type ChainPage struct {
	Seals []Seal // in their order
	Head  int64  // the last position that is given
}

// Erasure takes out of an entry what it holds of some users and groups, by their ids.
type Erasure struct {
	Entry string // id
	Of    []string
}

// Traces are what erasures leave of the parts of an entry, by whose values they were: "" stands for nobody's, and rowPart for the
// row as it was stored.
type Traces map[string]Trace

// Trace is the digest of a part that was erased, or the salt of one that was not.
type Trace struct {
	Digest []byte `json:"digest,omitempty"`
	Salt   []byte `json:"salt,omitempty"`
}

// rowPart is no id of a resource.
const rowPart = "\nrow"

// Leaf is what the chain has of the entry. salt is the entry's own; it counts for nothing where there are traces.
func (e *ChainedEntry) Leaf(tenant string, salt []byte) Digest {
	skeleton, about := e.Entry.Split()
	c := canonical("meibo entry 1").text(tenant).number(e.Position).skeleton(&skeleton)
	for _, part := range e.parts(about) {
		d := e.part(part, about, salt)
		c = c.text(part).raw(d[:])
	}
	return sha256.Sum256(c)
}

// parts are those that the entry has, or had, in their order.
func (e *ChainedEntry) parts(about map[string]Personal) []string {
	all := map[string]bool{rowPart: true}
	for part := range e.Traces {
		all[part] = true
	}
	for part := range about {
		all[part] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// part is the salted digest of one part.
func (e *ChainedEntry) part(part string, about map[string]Personal, salt []byte) Digest {
	if e.Traces != nil {
		if d := e.Traces[part].Digest; len(d) == sha256.Size {
			if _, back := about[part]; !back { // something was put where an erasure was
				return Digest(d)
			}
		}
		salt = e.Traces[part].Salt
	} else {
		salt = partSalt(salt, part)
	}
	if part == rowPart {
		return sha256.Sum256(canonical("").raw(salt).raw(e.Row[:]))
	}
	values := about[part]
	return sha256.Sum256(canonical("").raw(salt).personal(&values))
}

// partSalt is the salt of one part, out of the entry's.
func partSalt(salt []byte, part string) []byte {
	d := sha256.Sum256(canonical("meibo salt 1").raw(salt).text(part))
	return d[:]
}

// Erase is the entry without what it holds of some users and groups, with the traces that this leaves. salt is the entry's
// own, or nil for an entry that is not sealed, which leaves none. It reports whether there was anything to erase.
func (e *ChainedEntry) Erase(salt []byte, ids ...string) (Entry, Traces, bool) {
	_, about := e.Entry.Split()
	gone := slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		_, has := about[id]
		return !has
	})
	if len(gone) == 0 {
		return e.Entry, e.Traces, false
	}
	if salt == nil && e.Traces == nil {
		return e.Entry.Without(gone...), nil, true
	}
	gone = append(gone, rowPart)
	traces := Traces{}
	for _, part := range e.parts(about) {
		was := e.Traces[part]
		switch {
		case slices.Contains(gone, part) && was.Digest == nil:
			d := e.part(part, about, salt)
			was = Trace{Digest: d[:]}
		case e.Traces == nil:
			was.Salt = partSalt(salt, part)
		}
		traces[part] = was
	}
	return e.Entry.Without(gone...), traces, true
}

// canonicalBytes are what digests are made of: values one behind the other, each with its length or of one length, so that no two
// lists of values come to the same bytes.
type canonicalBytes []byte

func canonical(purpose string) canonicalBytes { return canonicalBytes(nil).text(purpose) }

func (c canonicalBytes) number(n int64) canonicalBytes {
	return binary.BigEndian.AppendUint64(c, uint64(n))
}

func (c canonicalBytes) text(s string) canonicalBytes { return append(c.number(int64(len(s))), s...) }

func (c canonicalBytes) raw(b []byte) canonicalBytes { return append(c.number(int64(len(b))), b...) }

func (c canonicalBytes) instant(t time.Time) canonicalBytes {
	if t.IsZero() {
		return c.text("")
	}
	return c.text("at").number(t.UnixMicro())
}

func (c canonicalBytes) texts(list []string) canonicalBytes {
	c = c.number(int64(len(list)))
	for _, s := range list {
		c = c.text(s)
	}
	return c
}

// skeleton adds what Split leaves of an entry.
func (c canonicalBytes) skeleton(e *Entry) canonicalBytes {
	c = c.text(e.ID).instant(e.At).number(e.Connection).text(e.ConnectionName).text(e.Actor).text(e.Correlation).
		text(string(e.Action)).text(string(e.Outcome)).text(e.ResourceID).text(string(e.ResourceType)).text(e.ResourceName).
		number(e.Version).text(e.MatchedBy).number(e.SettingsVersion).text(e.Reason.Code)
	if r := e.Request; r != nil {
		c = c.text("request").text(r.Method).text(r.Path).text(r.Dialect).texts(r.Quirks).number(int64(r.Status)).number(int64(r.Duration))
	}
	if f := e.Error; f != nil {
		c = c.text("error").text(f.Code).text(f.Detail).text(f.RecommendedAction)
	}
	c = c.changes(e.Diff)
	for _, list := range [][]scim.Member{e.Members.Add, e.Members.AssertedAdd, e.Members.EffectiveAdd} {
		c = c.number(int64(len(list)))
		for _, m := range list {
			c = c.text(m.Value)
		}
	}
	return c.texts(e.Members.Remove).texts(e.Members.AssertedRemove).texts(e.Members.EffectiveRemove)
}

// personal adds what an entry holds of somebody.
func (c canonicalBytes) personal(p *Personal) canonicalBytes {
	c = c.text(p.Name).changes(p.Values).number(int64(len(p.Args)))
	for _, name := range slices.Sorted(maps.Keys(p.Args)) {
		c = c.text(name).text(p.Args[name])
	}
	return c.text(p.Detail).text(p.Resource).text(p.Path).text(p.Display)
}

func (c canonicalBytes) changes(list []AttributeChange) canonicalBytes {
	c = c.number(int64(len(list)))
	for _, d := range list {
		c = c.text(d.Path).value(d.Old).value(d.New)
	}
	return c
}

// value adds a value of a document.
func (c canonicalBytes) value(v any) canonicalBytes {
	switch v := v.(type) {
	case nil:
		return append(c, 'n')
	case bool:
		if v {
			return append(c, 't')
		}
		return append(c, 'f')
	case string:
		return append(c, 's').text(v)
	case json.Number:
		return append(c, 'd').text(string(v))
	case []any:
		c = append(c, 'a').number(int64(len(v)))
		for _, element := range v {
			c = c.value(element)
		}
		return c
	case map[string]any:
		c = append(c, 'o').number(int64(len(v)))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			c = c.text(name).value(v[name])
		}
		return c
	default:
		return c.value(asStored(v))
	}
}

// asStored is a value as it comes back from the journal; nil for what cannot be stored.
func asStored(v any) (out any) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	_ = decoder.Decode(&out) // of what was just written
	return out
}
