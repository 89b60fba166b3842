package mapping

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// romanize writes kana in the Hepburn romanisation of Japanese passports: n before b, m and p is m, long
// vowels are written short, each word begins with a capital. What is no kana stays as it is.
func romanize(s string) string {
	words := strings.Fields(norm.NFKC.String(s))
	for i, word := range words {
		words[i] = capital(romanizeWord(word))
	}
	return strings.Join(words, " ")
}

func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return s
	}
	return string(unicode.ToUpper(r)) + s[n:]
}

// romanizeWord joins syllables. Of ッ, ン and the long vowels the next syllable decides.
func romanizeWord(word string) string {
	syllables := splitSyllables(word)
	var out strings.Builder
	double := false // ッ came before
	for i, s := range syllables {
		next := ""
		if i+1 < len(syllables) {
			next = syllables[i+1].latin
		}
		switch {
		case s.kana == "ッ":
			double = true
			continue
		case s.kana == "ー" || isLongVowel(out.String(), s, next, i+1 == len(syllables)):
		case s.kana == "ン" && next != "" && strings.ContainsRune("bmp", rune(next[0])):
			out.WriteString("m")
		case double && strings.HasPrefix(s.latin, "ch"):
			out.WriteString("t" + s.latin)
		case double && s.latin != "" && s.isKana && !strings.ContainsRune("aiueon", rune(s.latin[0])):
			out.WriteString(s.latin[:1] + s.latin)
		default:
			out.WriteString(s.latin)
		}
		double = false
	}
	return out.String()
}

// isLongVowel reports whether a vowel makes the one before it long: ou, oo and uu. The u of イノウエ
// begins a syllable of its own, as one before エ does nearly always, and so does the o at the end (セノオ).
func isLongVowel(before string, s syllable, next string, last bool) bool {
	switch s.kana {
	case "ウ":
		return strings.HasSuffix(before, "u") || strings.HasSuffix(before, "o") && next != "e"
	case "オ":
		return strings.HasSuffix(before, "o") && !last
	}
	return false
}

// syllable is one or two kana and their Latin letters, or another character as it is.
type syllable struct {
	kana, latin string
	isKana      bool
}

func splitSyllables(word string) []syllable {
	word, _ = toKatakana(word)
	runes := []rune(word)
	var out []syllable
	for i := 0; i < len(runes); i++ {
		if i+1 < len(runes) {
			if latin, ok := hepburn[string(runes[i:i+2])]; ok {
				out = append(out, syllable{string(runes[i : i+2]), latin, true})
				i++
				continue
			}
		}
		kana := string(runes[i])
		latin, ok := hepburn[kana]
		if !ok {
			latin = kana
		}
		out = append(out, syllable{kana, latin, ok})
	}
	return out
}

// hepburn has the Latin letters of each kana, and of the pairs that are one syllable.
var hepburn = syllabary()

func syllabary() map[string]string {
	out := map[string]string{"ン": "n", "ヲ": "o", "ッ": "", "ー": "", "・": "-", "ヴ": "bu", "ヵ": "ka", "ヶ": "ga"}
	rows := []struct{ kana, latin string }{
		{"アイウエオ", "a i u e o"}, {"カキクケコ", "ka ki ku ke ko"}, {"サシスセソ", "sa shi su se so"},
		{"タチツテト", "ta chi tsu te to"}, {"ナニヌネノ", "na ni nu ne no"}, {"ハヒフヘホ", "ha hi fu he ho"},
		{"マミムメモ", "ma mi mu me mo"}, {"ヤユヨ", "ya yu yo"}, {"ラリルレロ", "ra ri ru re ro"}, {"ワヰヱ", "wa i e"},
		{"ガギグゲゴ", "ga gi gu ge go"}, {"ザジズゼゾ", "za ji zu ze zo"}, {"ダヂヅデド", "da ji zu de do"},
		{"バビブベボ", "ba bi bu be bo"}, {"パピプペポ", "pa pi pu pe po"}, {"ァィゥェォ", "a i u e o"}, {"ャュョ", "ya yu yo"},
	}
	for _, row := range rows {
		latin := strings.Fields(row.latin)
		for i, r := range []rune(row.kana) {
			out[string(r)] = latin[i]
		}
	}
	for _, first := range "キギニヒビピミリ" {
		stem := strings.TrimSuffix(out[string(first)], "i")
		addPairs(out, first, stem+"y", "ャa ュu ョo")
	}
	for _, first := range "シジチヂ" {
		addPairs(out, first, strings.TrimSuffix(out[string(first)], "i"), "ャa ュu ョo ェe")
	}
	addPairs(out, 'フ', "f", "ァa ィi ェe ォo")
	addPairs(out, 'テ', "t", "ィi")
	addPairs(out, 'デ', "d", "ィi")
	addPairs(out, 'ウ', "w", "ィi ェe ォo")
	addPairs(out, 'ヴ', "b", "ァa ィi ェe ォo")
	return out
}

// addPairs adds the pairs of a kana with each small one, given with its vowel.
func addPairs(out map[string]string, first rune, stem, small string) {
	for _, pair := range strings.Fields(small) {
		r, n := utf8.DecodeRuneInString(pair)
		out[string([]rune{first, r})] = stem + pair[n:]
	}
}
