// Package spelling finds the name that somebody meant who wrote one that there is not.
package spelling

import "strings"

// Nearest is the known name that takes the fewest edits, without case, if these are few for the length of name; "" for
// none. A prefix that all names may share says nothing of their likeness and does not count for the length.
func Nearest(name, prefix string, known []string) string {
	best, least := "", max(len(strings.TrimPrefix(name, prefix))/3, 2)+1
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the Levenshtein distance in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
