package api

import (
	"encoding/hex"
	"net/http"

	"meibo/provisioning"
)

// Page is one piece of a list.
type Page[T any] struct {
	Items []T    `json:"items" doc:"In the order of their ids."`
	Next  string `json:"next,omitempty" doc:"Ask again with it for what follows; absent at the end. A page with a filter may be short, or empty, and still have it."`
}

// listed is the answer with a page.
type listed[T any] struct {
	Link string `header:"Link" doc:"The address of the next page, with rel=next (RFC 8288); absent at the end."`
	Body Page[T]
}

// page answers with items, and with where to go on behind them.
func page[T any](c *call, items []T, next string) *listed[T] {
	if items == nil {
		items = []T{}
	}
	out := &listed[T]{Body: Page[T]{Items: items, Next: next}}
	if next != "" {
		out.Link = c.linkTo(next)
	}
	return out
}

// linkDoc says what linkTo is, as the tag of listed.Link does.
const linkDoc = "The address of the next page, with rel=next (RFC 8288); absent at the end."

// linkTo is the address of the next page.
func (c *call) linkTo(next string) string { return c.linkWith("next", next) }

// linkWith is the address of what follows, which a parameter names.
func (c *call) linkWith(parameter, value string) string {
	r := c.echo.Request().URL
	q := r.Query()
	q.Set(parameter, value)
	c.linkQuery(q)
	return "<" + c.PublicURL + r.EscapedPath() + "?" + q.Encode() + `>; rel="next"`
}

// Whole is a list that comes in one piece.
type Whole[T any] struct {
	Items []T `json:"items"`
}

type all[T any] struct{ Body Whole[T] }

// whole answers with views of everything.
func whole[T, V any](list []T, view func(T) V) *all[V] {
	out := &all[V]{Whole[V]{make([]V, len(list))}}
	for i, item := range list {
		out.Body.Items[i] = view(item)
	}
	return out
}

// token is an id as a next token, whatever characters it has.
func token(id string) string { return hex.EncodeToString([]byte(id)) }

// untoken is the id of a next token; one that is none is a fault of that parameter.
func untoken(next string) (string, error) {
	id, err := hex.DecodeString(next)
	if err != nil {
		p := newProblem(http.StatusUnprocessableEntity, codes[provisioning.Invalid], requestFaults[http.StatusUnprocessableEntity])
		p.Errors = []Fault{{Location: "query.next", Message: "expected the next of an answer"}}
		return "", p
	}
	return string(id), nil
}
