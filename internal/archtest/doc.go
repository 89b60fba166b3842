// Package archtest holds what is written about the whole to what is there. One test parses every Go file of the module
// and compares its imports with one table, a row for every package (rules_test.go): who needs a new import changes a row
// there, in sight of the reviewer. Others hold the documents' links and settings.
package archtest
