// Package transfer takes a directory out of meibo and brings one in: as CSV for people and their spreadsheets, as
// NDJSON for programs. docs/export-import.md describes both formats for those who write such files.
//
//	Export ─▶ Row ─▶ Writer ─▶ file ─▶ Reader ─▶ Row ─▶ Plan ─▶ Apply
//
// # Invariants
//
//   - What a Writer wrote, a Reader reads back as an equal Row, whatever the row holds. (TestRoundTrip)
//   - No cell of a CSV file begins with a character that a spreadsheet takes for a formula. (TestCellsAreNoFormulas)
//   - An export that is imported into an empty tenant gives an identical export. (TestExportImportExport)
//   - A plan that was looked at is applied as it was, or not at all. (TestWorldMoved)
//   - What was broken off goes on when it is begun again, and nothing is done twice. (TestInterruptedImport)
//   - Files of any length are written and read in the memory of one row and, for groups, of its members. (TestMemoryIsThatOfARow)
package transfer
