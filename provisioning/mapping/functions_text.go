package mapping

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"
)

// Functions of texts give nil for nil, unless their line says otherwise: what is not there stays so, and
// the row's default and whether it is required decide.
var textFunctions = map[string]function{
	"Append":              {2, 2, "Append(source, suffix)", appendText},
	"ConvertToBase64":     {1, 1, "ConvertToBase64(source)", ofText(toBase64)},
	"ConvertToUTF8Hex":    {1, 1, "ConvertToUTF8Hex(source)", ofText(func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) })},
	"InStr":               {2, 4, "InStr(value1, value2, start, compareType)", inStr},
	"Join":                {2, -1, "Join(separator, source1, source2, …)", joinAll},
	"Left":                {2, 2, "Left(string, numChars)", left},
	"Len":                 {1, 1, "Len(source)", length},
	"Mid":                 {3, 3, "Mid(source, start, length)", mid},
	"NormalizeDiacritics": {1, 1, "NormalizeDiacritics(source)", ofText(normalizeDiacritics)},
	"PCase":               {1, 2, "PCase(source, wordSeparators)", pCase},
	"Redact":              {1, 1, "Redact(value)", func(_ *evaluation, args []any) (any, error) { return args[0], nil }},
	"Replace":             {2, 7, "Replace(source, oldValue, regexPattern, regexGroupName, replacementValue, replacementAttribute, template)", replace},
	"Split":               {2, 2, "Split(source, delimiter)", split},
	"StripSpaces":         {1, 1, "StripSpaces(source)", ofText(func(s string) string { return strings.ReplaceAll(s, " ", "") })},
	"ToLower":             {1, 2, "ToLower(source, culture)", toCase(strings.ToLower, cases.Lower)},
	"ToUpper":             {1, 2, "ToUpper(source, culture)", toCase(strings.ToUpper, cases.Upper)},
	"Word":                {3, 3, "Word(string, wordNumber, delimiters)", word},
}

// textArgument is one argument as a text; ok is false for nil.
func textArgument(args []any, i int, name string) (s string, ok bool, err error) {
	if i >= len(args) || args[i] == nil {
		return "", false, nil
	}
	s, ok = text(args[i])
	if !ok {
		return "", false, fmt.Errorf("%s must be a text, and is %s", name, kindOf(args[i]))
	}
	return s, true, nil
}

// intArgument is one argument as a whole number.
func intArgument(args []any, i int, name string) (int, error) {
	switch v := args[i].(type) {
	case int:
		return v, nil
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int(v), nil
		}
	case string:
		if n, err := strconv.Atoi(v); err == nil {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%s must be a whole number, and is %s", name, kindOf(args[i]))
}

// ofText is a function of one text.
func ofText(f func(string) string) func(*evaluation, []any) (any, error) {
	return func(_ *evaluation, args []any) (any, error) {
		s, ok, err := textArgument(args, 0, "source")
		if !ok {
			return nil, err
		}
		return f(s), nil
	}
}

func appendText(e *evaluation, args []any) (any, error) {
	s, ok, err := textArgument(args, 0, "source")
	if !ok {
		return nil, err
	}
	suffix, _, err := textArgument(args, 1, "suffix")
	if err != nil {
		return nil, err
	}
	return join(e, "", []string{s, suffix})
}

// toBase64 is the text in UTF-16, low byte first, as .NET has it.
func toBase64(s string) string {
	units := utf16.Encode([]rune(s))
	b := make([]byte, 0, 2*len(units))
	for _, u := range units {
		b = append(b, byte(u), byte(u>>8))
	}
	return base64.StdEncoding.EncodeToString(b)
}

// inStr counts characters from 1; 0 where the text does not occur.
func inStr(_ *evaluation, args []any) (any, error) {
	s, _, err := textArgument(args, 0, "value1")
	part, _, err2 := textArgument(args, 1, "value2")
	if err := errors.Join(err, err2); err != nil {
		return nil, err
	}
	start := 1
	if len(args) > 2 && args[2] != nil {
		if start, err = intArgument(args, 2, "start"); err != nil {
			return nil, err
		}
	}
	if start < 1 {
		return nil, errors.New("start must be 1 or more")
	}
	if len(args) > 3 && args[3] == "vbTextCompare" {
		s, part = strings.ToLower(s), strings.ToLower(part)
	}
	runes := []rune(s)
	if start > len(runes) {
		return 0, nil
	}
	rest := string(runes[start-1:])
	i := strings.Index(rest, part)
	if i < 0 {
		return 0, nil
	}
	return start + len([]rune(rest[:i])), nil
}

// joinAll passes over what is nil or empty.
func joinAll(e *evaluation, args []any) (any, error) {
	separator, _, err := textArgument(args, 0, "separator")
	if err != nil {
		return nil, err
	}
	var pieces []string
	for i := range args[1:] {
		list, isList := args[i+1].([]any)
		if !isList {
			list = args[i+1 : i+2]
		}
		for j := range list {
			s, ok, err := textArgument(list, j, "each source")
			if err != nil {
				return nil, err
			}
			if ok && s != "" {
				pieces = append(pieces, s)
			}
		}
	}
	return join(e, separator, pieces)
}

// left gives the whole text for a negative number.
func left(_ *evaluation, args []any) (any, error) {
	s, _, err := textArgument(args, 0, "string")
	if err != nil {
		return nil, err
	}
	n, err := intArgument(args, 1, "numChars")
	if err != nil || n < 0 {
		return s, err
	}
	runes := []rune(s)
	return string(runes[:min(n, len(runes))]), nil
}

// length counts characters; nil has none.
func length(_ *evaluation, args []any) (any, error) {
	s, _, err := textArgument(args, 0, "source")
	return len([]rune(s)), err
}

func mid(_ *evaluation, args []any) (any, error) {
	s, ok, err := textArgument(args, 0, "source")
	if !ok {
		return nil, err
	}
	start, err := intArgument(args, 1, "start")
	if err != nil {
		return nil, err
	}
	n, err := intArgument(args, 2, "length")
	if err != nil {
		return nil, err
	}
	if start < 1 || n < 0 {
		return nil, errors.New("start must be 1 or more, and length 0 or more")
	}
	runes := []rune(s)
	from := min(start-1, len(runes))
	return string(runes[from:][:min(n, len(runes)-from)]), nil
}

// ligatures are the letters that Microsoft's table replaces and no decomposition does.
var ligatures = strings.NewReplacer("æ", "ae", "Æ", "AE", "œ", "oe", "Œ", "OE", "ø", "oe", "Ø", "OE", "ß", "ss", "ı", "i", "ł", "l", "Ł", "L")

// normalizeDiacritics takes the marks from Latin letters alone: others, such as those of kana, part
// one letter from another.
func normalizeDiacritics(s string) string {
	var out strings.Builder
	latin := false
	for _, r := range norm.NFD.String(s) {
		if unicode.Is(unicode.Mn, r) {
			if latin {
				continue
			}
		} else {
			latin = unicode.Is(unicode.Latin, r)
		}
		out.WriteRune(r)
	}
	return ligatures.Replace(norm.NFC.String(out.String()))
}

// pCase takes whatever is neither letter, mark, digit nor apostrophe as the end of a word, unless it is
// told which characters are.
func pCase(e *evaluation, args []any) (any, error) {
	s, ok, err := textArgument(args, 0, "source")
	if !ok {
		return nil, err
	}
	separators, given, err := textArgument(args, 1, "wordSeparators")
	if err != nil {
		return nil, err
	}
	if err := e.spend(len(s) * len(separators) / 8); err != nil {
		return nil, err
	}
	isSeparator := func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) && r != '\'' && r != '’'
	}
	if given {
		isSeparator = func(r rune) bool { return strings.ContainsRune(separators, r) }
	}
	begins := true
	return strings.Map(func(r rune) rune {
		out := unicode.ToLower(r)
		if begins {
			out = unicode.ToTitle(r)
		}
		begins = isSeparator(r)
		return out
	}, s), nil
}

// split takes the blanks from around each part, as Microsoft's example has it.
func split(e *evaluation, args []any) (any, error) {
	s, ok, err := textArgument(args, 0, "source")
	if !ok {
		return nil, err
	}
	delimiter, _, err := textArgument(args, 1, "delimiter")
	if err != nil {
		return nil, err
	}
	if delimiter == "" {
		return nil, errors.New("the delimiter is empty")
	}
	if n := strings.Count(s, delimiter) + 1; n*perElement > e.work {
		return nil, errTooMuch
	}
	var out []any
	for part := range strings.SplitSeq(s, delimiter) {
		out = append(out, strings.TrimSpace(part))
	}
	return out, nil
}

// toCase is the case of a culture where one is named, else the same everywhere.
func toCase(invariant func(string) string, of func(language.Tag, ...cases.Option) cases.Caser) func(*evaluation, []any) (any, error) {
	return func(_ *evaluation, args []any) (any, error) {
		s, ok, err := textArgument(args, 0, "source")
		if !ok {
			return nil, err
		}
		culture, given, err := textArgument(args, 1, "culture")
		if err != nil {
			return nil, err
		}
		if !given || culture == "" {
			return invariant(s), nil
		}
		tag, err := language.Parse(culture)
		if err != nil {
			return nil, errors.New("the culture is none; write one such as ja-JP")
		}
		return of(tag).String(s), nil
	}
}

// word counts words from 1 and gives "" where there are fewer.
func word(e *evaluation, args []any) (any, error) {
	s, _, err := textArgument(args, 0, "string")
	if err != nil {
		return nil, err
	}
	n, err := intArgument(args, 1, "wordNumber")
	if err != nil {
		return nil, err
	}
	delimiters, _, err := textArgument(args, 2, "delimiters")
	if err != nil {
		return nil, err
	}
	if err := e.spend(len(s) * len(delimiters) / 8); err != nil {
		return nil, err
	}
	for w := range strings.FieldsFuncSeq(s, func(r rune) bool { return strings.ContainsRune(delimiters, r) }) {
		if n--; n == 0 {
			return w, nil
		}
	}
	return "", nil
}
