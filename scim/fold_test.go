package scim

import (
	"strings"
	"testing"
	"unicode"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

func TestFolding(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, ascii, full string }{
		{"", "", ""},
		{"abc", "abc", "abc"},
		{"AZ[`az{", "az[`az{", "az[`az{"},
		{"Straße", "straße", "strasse"},
		{"STRASSE", "strasse", "strasse"},
		{"ẞ", "ẞ", "ss"},
		{"ΟΔΟΣ", "ΟΔΟΣ", "οδοσ"},
		{"οδος", "οδος", "οδοσ"},
		{"É", "É", "é"},
		{"E\u0301", "e\u0301", "é"},
		{"\u212a", "\u212a", "k"}, // Kelvin
		{"ﬁn", "ﬁn", "fin"},
		{"Ａ", "Ａ", "a"}, // fullwidth
		{"ﾔ", "ﾔ", "ヤ"}, // halfwidth
		{"İ", "İ", "i\u0307"},
		{"ı", "ı", "ı"}, // no language is special
		{"\U0001f600", "\U0001f600", "\U0001f600"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			if got := FoldNone.Apply(tt.text); got != tt.text {
				t.Errorf("FoldNone: %q", got)
			}
			if got := FoldASCII.Apply(tt.text); got != tt.ascii {
				t.Errorf("FoldASCII: %q, want %q", got, tt.ascii)
			}
			if got := FoldFull.Apply(tt.text); got != tt.full {
				t.Errorf("FoldFull: %q, want %q", got, tt.full)
			}
		})
	}
}

// A folded form is stored and printed; folding it again must not change it.
func TestFoldingOfACharacterIsFinal(t *testing.T) {
	t.Parallel()
	const changing = 0x30000 // no character from here on has case or a decomposition
	for r := range rune(changing) {
		text := string(r)
		folded := FoldFull.Apply(text)
		if folded == text {
			continue
		}
		if again := FoldFull.Apply(folded); again != folded {
			t.Errorf("%U: %+q, then %+q", r, folded, again)
		}
	}
	var rest strings.Builder
	for r := rune(changing); r <= unicode.MaxRune; r++ {
		rest.WriteRune(r)
	}
	if FoldFull.Apply(rest.String()) != rest.String() {
		t.Errorf("a character from %U on folds", changing)
	}
}

func TestFoldingOfTextIsFinal(t *testing.T) {
	t.Parallel()
	// Characters that combine, decompose or fold to several.
	tricky := []rune("aAsſßẞéÉ\u0301\u0345\u0308\u0307\u0323ΐᾳᾼΩΩᾧﬁﬃİıΣςⅷǅ가\u1100\u1161\u11a8ﾔﾞ\u3099㎏\u2126\u1e9b\u0f73\u0344")
	text := rapid.StringOf(rapid.OneOf(rapid.SampledFrom(tricky), rapid.Rune()))
	rapid.Check(t, func(t *rapid.T) {
		s := text.Draw(t, "text")
		folded := FoldFull.Apply(s)
		if again := FoldFull.Apply(folded); again != folded {
			t.Errorf("%+q folds to %+q, then %+q", s, folded, again)
		}
		if decomposed := FoldFull.Apply(norm.NFD.String(s)); decomposed != folded {
			t.Errorf("%+q folds to %+q, decomposed to %+q", s, folded, decomposed)
		}
		if ascii := FoldASCII.Apply(s); FoldASCII.Apply(ascii) != ascii || len(ascii) != len(s) {
			t.Errorf("%+q folds to %+q in ASCII", s, ascii)
		}
	})
}

func TestFoldingAllocatesOnlyForChanges(t *testing.T) {
	for _, f := range []Folding{FoldNone, FoldASCII, FoldFull} {
		if n := testing.AllocsPerRun(100, func() { f.Apply("alice@example.com") }); n != 0 {
			t.Errorf("folding %d allocates %v times for a folded text", f, n)
		}
	}
}
