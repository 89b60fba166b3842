// Package sheet writes CSV for people's spreadsheets, and reads back what it made safe: RFC 4180 in UTF-8 with a byte order
// mark, in which no cell can be taken for a formula.
package sheet
