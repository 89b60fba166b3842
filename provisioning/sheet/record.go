package sheet

import "strings"

// Begin is what a file begins with: the mark by which spreadsheets know UTF-8.
const Begin = "\ufeff"

// Append appends a record of cells, each made safe.
func Append(b []byte, cells []string) []byte {
	for i, cell := range cells {
		if i > 0 {
			b = append(b, ',')
		}
		cell = Safe(cell)
		if !strings.ContainsAny(cell, ",\"\r\n") && strings.TrimSpace(cell) == cell {
			b = append(b, cell...)
			continue
		}
		b = append(b, '"')
		b = append(b, strings.ReplaceAll(cell, `"`, `""`)...)
		b = append(b, '"')
	}
	return append(b, "\r\n"...)
}
