package mapping

import (
	"errors"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/ikawaha/kagome-dict/ipa"
	"github.com/ikawaha/kagome/v2/tokenizer"
	"golang.org/x/text/unicode/norm"
)

var readingFunctions = map[string]function{
	"Kana":     {1, 1, "Kana(name)", kana},
	"Romanize": {1, 1, "Romanize(kana)", romanized},
}

// maxName is how long a name may be that is read, in characters.
const maxName = 200

// kana is a proposal of how a Japanese name is read, in katakana: common names come out right and rare
// ones often wrong without a sign of it. It is nil where some part of the name has no known reading.
func kana(e *evaluation, args []any) (any, error) {
	return proposal(e, args, e.options.Reader)
}

// romanized is a proposal, too: kana do not tell where a long vowel is two.
func romanized(e *evaluation, args []any) (any, error) {
	return proposal(e, args, romanize)
}

func proposal(e *evaluation, args []any, propose func(string) string) (any, error) {
	s, ok, err := textArgument(args, 0, "the name")
	if !ok || s == "" {
		return nil, err
	}
	if utf8.RuneCountInString(s) > maxName {
		return nil, errors.New("the name is too long to be one")
	}
	out := propose(s)
	if out == "" {
		return nil, nil
	}
	e.guessed = true
	return out, nil
}

// loadTokenizer loads kagome with its dictionary, about 170 MB, when the first name is read. Those who
// come meanwhile wait for it; then they read at the same time.
var loadTokenizer = sync.OnceValue(func() *tokenizer.Tokenizer {
	t, err := tokenizer.New(ipa.Dict(), tokenizer.OmitBosEos())
	if err != nil {
		return nil // no dictionary, no readings
	}
	return t
})

// variants are forms of characters in names that the dictionary does not have.
var variants = strings.NewReplacer("髙", "高", "﨑", "崎", "濵", "浜", "𠮷", "吉", "德", "徳", "邊", "辺", "邉", "辺", "廣", "広", "澤", "沢", "眞", "真")

// kagomeReading is the reading of a name by kagome, "" where it does not know all of it.
func kagomeReading(name string) string {
	name = strings.Join(strings.Fields(norm.NFKC.String(name)), " ")
	if reading, ok := toKatakana(name); ok {
		return reading
	}
	t := loadTokenizer()
	if t == nil {
		return ""
	}
	var out strings.Builder
	for _, token := range t.Tokenize(variants.Replace(name)) {
		reading, ok := token.Reading()
		if !ok || reading == "*" {
			if reading, ok = toKatakana(token.Surface); !ok {
				return ""
			}
		}
		out.WriteString(reading)
	}
	return out.String()
}

// toKatakana turns kana and blanks into katakana; ok is false where there is anything else.
func toKatakana(s string) (string, bool) {
	ok := true
	out := strings.Map(func(r rune) rune {
		switch {
		case 'ぁ' <= r && r <= 'ゖ':
			return r + 'ァ' - 'ぁ'
		case unicode.Is(unicode.Katakana, r) || r == 'ー' || r == '・' || r == ' ':
			return r
		}
		ok = false
		return r
	}, s)
	return out, ok
}
