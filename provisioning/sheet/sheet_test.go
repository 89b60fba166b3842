package sheet_test

import (
	"encoding/csv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"meibo/provisioning/sheet"
)

// starts are what makes a spreadsheet calculate, written down a second time.
const starts = "=+-@\t\r\n＝＋－＠"

var nasty = []string{"=1+1", "+1", "-1", "@x", "\tx", "\rx", "\nx", "'", "''", "'=", "''=x", "'t Hooft", "＝x", "a\r\nb", "a\rb", `"`, `a "b", c`, " x ", "", "\u00a0x", "\ufeffx", "、"}

func TestSafe(t *testing.T) {
	t.Parallel()
	for cell, want := range map[string]string{"'t Hooft": "'t Hooft", "'+81 3": "+81 3", "'": "'", "'x": "'x"} {
		if got := sheet.Unsafe(cell); got != want {
			t.Errorf("a hand-written %q is read as %q, want %q", cell, got, want)
		}
	}
	for _, cell := range nasty {
		if got := sheet.Unsafe(sheet.Safe(cell)); got != cell {
			t.Errorf("Unsafe(Safe(%q)) = %q", cell, got)
		}
	}
}

// What was appended is read back by who knows CSV and not us, and no cell of it is a formula.
func TestAppend(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cells := rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(nasty), rapid.String()), 2, 9).Draw(t, "cells")
		r := csv.NewReader(strings.NewReader(string(sheet.Append(nil, cells))))
		got, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		for i, cell := range got {
			if cell != "" && strings.ContainsRune(starts, []rune(cell)[0]) {
				t.Errorf("%q is a formula", cell)
			}
			got[i] = sheet.Unsafe(cell)
			cells[i] = strings.ReplaceAll(cells[i], "\r\n", "\n") // as that reader has it
		}
		if diff := cmp.Diff(cells, got); diff != "" {
			t.Error(diff)
		}
	})
}
