package api

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"

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

// sealedToken is what a next token begins with, decoded, that hides its id. No id does.
var sealedToken = []byte{0}

// nextPurpose is what such a token is sealed for, and under which name.
const nextPurpose = "next"

// nextOf is an id of a member as a next token. One that no resource has is what a client wrote: who may not see values gets it sealed,
// and has no other token read, since where a page goes on behind a token of its own making would tell letter by letter what it has.
func (c *call) nextOf(id string) (string, error) {
	text := []byte(id)
	if c.hidden != nil {
		sealed, err := c.nexts.Seal(c.tenant(), nextPurpose, text)
		if err != nil {
			return "", err
		}
		text = slices.Concat(sealedToken, sealed)
	}
	return hex.EncodeToString(text), nil
}

var errNotSealed = errors.New("api: a next token is not sealed")

// idOf is the id of a next token; one that is none is a fault of that parameter.
func (c *call) idOf(next string) (string, error) {
	text, err := hex.DecodeString(next)
	if sealed, hides := bytes.CutPrefix(text, sealedToken); err == nil && hides {
		text, err = c.nexts.Open(c.tenant(), nextPurpose, sealed)
	} else if err == nil && next != "" && c.hidden != nil {
		err = errNotSealed
	}
	if err != nil {
		p := newProblem(http.StatusUnprocessableEntity, codes[provisioning.Invalid], requestFaults[http.StatusUnprocessableEntity])
		p.Errors = []Fault{{Location: "query.next", Message: "expected the next of an answer"}}
		return "", p
	}
	return string(text), nil
}

// pageOfMembers answers with the first limit members, and where to go on if there are more.
func (c *call) pageOfMembers(items []Member, limit int) (*listed[Member], error) {
	if len(items) <= limit {
		return page(c, items, ""), nil
	}
	next, err := c.nextOf(items[limit-1].ID)
	if err != nil {
		return nil, err
	}
	return page(c, items[:limit], next), nil
}
