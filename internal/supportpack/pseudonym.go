package supportpack

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"regexp"
	"strings"
	"unicode"
)

// pseudonyms gives each personal value another one that looks like it: a word a word, digits as many digits, a mail address
// one at another domain. The same text gets the same pseudonym wherever it stands, whatever its case, and no two share one,
// so that what was equal, began alike or was put together of others still is. Without the key nobody can tell what was
// what. It is not safe for concurrent use.
type pseudonyms struct {
	key   []byte
	given map[string]string // by kind and folded text
	taken map[string]bool
	// kept are ids that name entries and requests, and nobody.
	kept map[string]bool
	// known are the folded words and long numbers that were met in personal places: they are replaced in sentences, too.
	known   map[string]bool
	domains map[string]bool // folded
}

func newPseudonyms(key []byte) *pseudonyms {
	return &pseudonyms{key: key, given: map[string]string{}, taken: map[string]bool{}, kept: map[string]bool{}, known: map[string]bool{}, domains: map[string]bool{}}
}

const uuidForm = `[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`

// pieces are what a personal value is made of; the rest is punctuation and stays.
var pieces = regexp.MustCompile(uuidForm + `|(?i:https?)://[^\s/"']+|@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+|\p{Han}+|\p{Hiragana}+|[\p{Katakana}ー]+|[\p{L}\p{M}]+|\p{N}+`)

// value is the pseudonym of a personal value.
func (p *pseudonyms) value(s string) string {
	if isBoolean(s) {
		return s
	}
	if p.domains[strings.ToLower(s)] {
		return p.domain(s)
	}
	if schemaURN.MatchString(s) {
		return p.urn(s)
	}
	return pieces.ReplaceAllStringFunc(s, p.piece)
}

// urn is the name of a schema: it names an attribute and nobody, but for words that were met in a personal place.
func (p *pseudonyms) urn(s string) string {
	return labels.ReplaceAllStringFunc(s, func(word string) string {
		if folded := strings.ToLower(word); p.known[folded] && !attributeNames[folded] && !urnWords[folded] {
			return p.word(word)
		}
		return word
	})
}

var urnWords = set("urn ietf params scim schemas extension core enterprise api messages error listresponse patchop user group microsoft entra custom")

func isBoolean(s string) bool { return strings.EqualFold(s, "true") || strings.EqualFold(s, "false") }

var uuidOnly = regexp.MustCompile(`^` + uuidForm + `$`)

func (p *pseudonyms) piece(s string) string {
	switch scheme, host, isURL := strings.Cut(s, "://"); {
	case uuidOnly.MatchString(s):
		return p.uuid(s)
	case isURL:
		return scheme + "://" + p.domain(host)
	case s[0] == '@':
		return "@" + p.domain(s[1:])
	case unicode.IsNumber(firstRune(s)):
		return p.number(s)
	default:
		return p.word(s)
	}
}

func firstRune(s string) rune {
	for _, r := range s {
		return r
	}
	return 0
}

// domain is the pseudonym of a domain: its labels' under the top-level domain that is nobody's (RFC 2606).
func (p *pseudonyms) domain(s string) string {
	if strings.Contains(s, ".") {
		p.domains[strings.ToLower(s)] = true
	}
	return strings.ToLower(labels.ReplaceAllStringFunc(s, p.piece)) + ".invalid"
}

var labels = regexp.MustCompile(`[\p{L}\p{M}]+|\p{N}+`)

// uuid keeps the version, and the ids of entries and requests.
func (p *pseudonyms) uuid(s string) string {
	folded := strings.ToLower(s)
	if p.kept[folded] {
		return s
	}
	return p.choose("uuid", folded, func(sum []byte) string {
		const digits = "0123456789abcdef"
		out := []byte(folded)
		for i, n := 0, 0; i < len(out); i++ {
			if out[i] == '-' || i == 14 { // the version
				continue
			}
			out[i] = digits[sum[n%len(sum)]>>(4*(n/len(sum)))&15]
			n++
		}
		out[19] = digits[8|sum[31]&3] // the variant
		return string(out)
	})
}

// number has as many digits, the first of which is zero if it was.
func (p *pseudonyms) number(s string) string {
	if len(s) > 3 {
		p.known[s] = true
	}
	return p.choose("number", s, func(sum []byte) string {
		out := make([]byte, len([]rune(s)))
		for i := range out {
			out[i] = '0' + (sum[i%len(sum)]+byte(i/len(sum)))%10
		}
		switch {
		case s[0] == '0':
			out[0] = '0'
		case out[0] == '0':
			out[0] = '1' + sum[len(sum)-1]%9
		}
		return string(out)
	})
}

// syllables are what words are made of, by script.
var (
	consonants, vowels = []rune("bdfghjklmnprstvz"), []rune("aeiou")
	han                = []rune("田山川木村林森石井上中下大小高松竹梅原野島崎谷沢池橋本藤佐伊加清水金子岡西東南北新古青赤白黒星月光雪風海空")
	hiragana           = []rune("あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわ")
	katakana           = []rune("アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワ")
)

// word is another word of the same script, written in the same case.
func (p *pseudonyms) word(s string) string {
	folded := strings.ToLower(s)
	if !common[folded] {
		p.known[folded] = true
	}
	other := p.choose("word", folded, func(sum []byte) string { return spell(folded, sum) })
	switch upper := strings.ToUpper(s); {
	case s == upper && s != folded && len([]rune(s)) > 1:
		return strings.ToUpper(other)
	case unicode.IsUpper(firstRune(s)):
		first := firstRune(other)
		return string(unicode.ToUpper(first)) + strings.TrimPrefix(other, string(first))
	default:
		return other
	}
}

func spell(like string, sum []byte) string {
	var from []rune
	switch r := firstRune(like); {
	case unicode.Is(unicode.Han, r):
		from = han
	case unicode.Is(unicode.Hiragana, r):
		from = hiragana
	case unicode.Is(unicode.Katakana, r):
		from = katakana
	}
	var out strings.Builder
	for i := range 4 {
		n := int(binary.BigEndian.Uint16(sum[2*i:]))
		if from != nil {
			out.WriteRune(from[n%len(from)])
			continue
		}
		out.WriteRune(consonants[n%len(consonants)])
		out.WriteRune(vowels[n/len(consonants)%len(vowels)])
	}
	return out.String()
}

// choose gives what was given before, or what make makes of a keyed hash and nothing else has. Where all of few are
// taken, as of the single digits, some are shared.
func (p *pseudonyms) choose(kind, text string, spell func(sum []byte) string) string {
	id := kind + "\x00" + text
	if given, ok := p.given[id]; ok {
		return given
	}
	var name string
	for try := range 64 {
		mac := hmac.New(sha256.New, p.key)
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(try)))
		mac.Write([]byte(id))
		if name = spell(mac.Sum(nil)); !p.taken[kind+name] && name != text {
			break
		}
	}
	p.given[id], p.taken[kind+name] = name, true
	return name
}

// sentences are what of a sentence may tell of somebody.
var sentences = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d)|` + uuidForm + `|[^\s"'<>()@,;:]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*|(?i:https?)://[^\s"']+|[\p{L}\p{M}]+|\p{N}+`)

// sentence replaces what may tell of somebody in words of our own: what stands in quotes, addresses, ids, long numbers,
// what is not written in ASCII, and every word that was met in a personal place.
func (p *pseudonyms) sentence(s string) string {
	return sentences.ReplaceAllStringFunc(s, func(part string) string {
		switch inner := strings.Trim(part, `"`); {
		case part[0] == '"' && ours(inner):
			return part
		case part[0] == '"':
			return `"` + p.value(inner) + `"`
		case len(part) > 19 && part[4] == '-' && part[10] == 'T' && !uuidOnly.MatchString(part):
			return part
		case strings.ContainsAny(part, "@:-") || p.known[strings.ToLower(part)] || !isASCII(part) || len(part) > 4 && unicode.IsNumber(firstRune(part)):
			return p.value(part)
		default:
			return part
		}
	})
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

// ours reports whether a quoted text is a word of the protocol or of this program.
func ours(s string) bool { return common[strings.ToLower(s)] || attributeNames[strings.ToLower(s)] }

// attributeNames are the standard ones (RFC 7643), folded.
var attributeNames = set(`schemas id externalId meta userName name formatted familyName givenName middleName honorificPrefix honorificSuffix displayName nickName
	profileUrl title userType preferredLanguage locale timezone active password emails phoneNumbers ims photos addresses groups entitlements roles x509Certificates
	value display type primary streetAddress locality region postalCode country members employeeNumber costCenter organization division department manager
	mail user group op path operations filter`)

// common are words that tell nobody apart, though a displayName may have them. In sentences they stay.
var common = set(`a an and or of the to in for is it its was were be by with no not on at as who what has have this that one only from there here
	user users group groups name names role roles member members account accounts connection tenant request entry value values attribute team all everyone admin ordinary
	active suspended removed held withheld true false add remove replace delete create update disable success failure skipped warning other already another resource`)

func set(words string) map[string]bool {
	out := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		out[strings.ToLower(word)] = true
	}
	return out
}
