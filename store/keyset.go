package store

import "strings"

// Lists that are paged by id are walks along the index of an expression of tenant and id: no look-up by another column
// that also names the tenant can take that index for its own, however little the planner knows of the rows.

// tenantID is the expression for a row of the alias given, "" for none.
func tenantID(alias string) string {
	if alias != "" {
		alias += "."
	}
	return "(" + alias + "tenant || '/' || " + alias + "id)"
}

// within is the condition that the expression is the tenant's, with an id after and before those given; "" for none.
func (s *statement) within(expression, tenant, after, before string) string {
	end := tenant + "0" // what comes after the slash
	if before != "" {
		end = tenant + "/" + before
	}
	return expression + " > " + s.arg(tenant+"/"+after) + " and " + expression + " < " + s.arg(end)
}

// conditions are terms of a where clause.
type conditions struct {
	*statement
	terms []string
}

// compare adds a comparison unless the value is "".
func (c *conditions) compare(column, op, value string) {
	if value != "" {
		c.terms = append(c.terms, column+" "+op+" "+c.arg(value))
	}
}

// and adds a term.
func (c *conditions) and(term string) { c.terms = append(c.terms, term) }

// walk adds the conditions and has the rows come in the order of an index, at most n of them, or all for 0.
//
// Without statistics PostgreSQL expects few rows of a range, and hardly one that satisfies a condition: it would rather read
// the range to its end and sort it. So it does not get to see conditions and limit; see wholeList.
func (c *conditions) walk(order string, n int) {
	limit := ""
	if n > 0 {
		limit = c.number(n)
	}
	if len(c.terms) > 0 {
		terms := strings.Join(c.terms, " and ")
		if c.postgres {
			terms = "case when " + terms + " then true else false end"
		}
		c.add(" and ", terms)
	}
	c.add(" order by ", order)
	switch {
	case limit != "" && c.postgres:
		c.add(" limit (select ", limit, ")")
	case limit != "":
		c.add(" limit ", limit)
	}
}
