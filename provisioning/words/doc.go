// Package words says in plain sentences what the core says in codes: why something was decided, what became of somebody,
// what a client wrote differently. A Catalogue has one template for each code; another language is another table.
//
// A template names its arguments in braces. What stands in brackets is said if all arguments in it are there. An argument
// whose value is a code itself, such as a cause, is said in the words that the same catalogue has for that one.
//
//	"{who} was suspended, because {cause}[, and {settings} say {policy} for that]."
package words
