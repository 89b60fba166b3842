// Package archtest holds the direction of imports: its test parses every Go file of the module and compares it with one
// table, a row for every package (rules_test.go). A second test holds the documents to what is there. Who needs a new import changes a row there, in sight of the reviewer.
package archtest
