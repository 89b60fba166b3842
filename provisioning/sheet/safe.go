package sheet

import (
	"strings"
	"unicode/utf8"
)

// formulaStarts are the characters that make a spreadsheet calculate a cell, or look for the formula after them. The
// wide forms count in spreadsheets with an East Asian locale.
const formulaStarts = "=+-@\t\r\n＝＋－＠"

// Safe makes a cell text for a spreadsheet, whatever it begins with: an apostrophe stands before what would be a
// formula, and before an apostrophe that Unsafe would take away.
func Safe(cell string) string {
	if isFormula(cell) || isGuarded(cell) {
		return "'" + cell
	}
	return cell
}

// Unsafe is the inverse of Safe. A cell that nobody made safe stays as it is, 't Hooft for one.
func Unsafe(cell string) string {
	if isGuarded(cell) {
		return cell[1:]
	}
	return cell
}

func isFormula(cell string) bool {
	first, size := utf8.DecodeRuneInString(cell)
	return size > 0 && strings.ContainsRune(formulaStarts, first)
}

// isGuarded reports whether an apostrophe stands before a formula or another apostrophe that does.
func isGuarded(cell string) bool {
	rest, found := strings.CutPrefix(cell, "'")
	return found && (isFormula(rest) || strings.HasPrefix(rest, "'"))
}
