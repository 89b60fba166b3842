package drill

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// endpoint is a resource type's place under the base URL.
type endpoint string

const (
	users  endpoint = "Users"
	groups endpoint = "Groups"
)

func (e endpoint) resourceType() string { return strings.TrimSuffix(string(e), "s") }

// kind is how the report counts a request.
func (e endpoint) kind(what string) string { return strings.ToLower(e.resourceType()) + "." + what }

func (e endpoint) path(id string) string {
	if id == "" {
		return "/" + string(e)
	}
	return "/" + string(e) + "/" + url.PathEscape(id)
}

// page is a decoded ListResponse.
type page struct {
	total, startIndex, itemsPerPage int
	resources                       []resource
}

// search sends a filter as Entra does: members left out for groups, a blank as plus or as %20. ok is false when the answer was no search result.
func (d *drill) search(ctx context.Context, e endpoint, filter, more string) (page, *answer, bool) {
	query := "filter=" + encodeFilter(filter)
	switch {
	case more != "": // attributes, which excludes excludedAttributes (RFC 7644 section 3.9)
		query += "&" + more
	case e == groups:
		query = "excludedAttributes=members&" + query
	}
	a, ok := d.send(ctx, request{kind: e.kind("search"), method: http.MethodGet, path: e.path(""), query: query})
	if !ok {
		return page{}, a, false
	}
	if a.status != http.StatusOK {
		f := searchStatus
		if a.status == http.StatusNotFound {
			f = searchEmptyStatus
		}
		d.report(a, f, "200 with a ListResponse", describe(a))
		return page{}, a, false
	}
	p, ok := d.page(a)
	if e == groups {
		d.withoutMembers(a, p.resources...)
	}
	return p, a, ok
}

// encodeFilter escapes a filter; both spellings of a blank occur on the wire, so a filter's length picks one.
func encodeFilter(filter string) string {
	s := url.QueryEscape(filter)
	if len(filter)%2 == 0 {
		return s
	}
	return strings.ReplaceAll(s, "+", "%20")
}

// equals is the only comparison that Entra sends. The value is a JSON string (RFC 7644 section 3.4.2.2).
func equals(path, value string) string {
	return path + ` eq "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}

// page decodes a list and checks its shape.
func (d *drill) page(a *answer) (page, bool) {
	var p page
	total, hasTotal := a.json["totalResults"].(float64)
	list, hasList := a.json["Resources"].([]any)
	if !contains(a.json["schemas"], listSchema) || !hasTotal || !hasList {
		d.report(a, listShape, "schemas, totalResults and Resources of a ListResponse", describe(a))
		return p, false
	}
	p.total = int(total)
	p.startIndex = number(a.json["startIndex"], 1)
	p.itemsPerPage = number(a.json["itemsPerPage"], len(list))
	for _, v := range list {
		res, ok := v.(map[string]any)
		if !ok {
			d.report(a, listShape, "objects in Resources", describe(a))
			return p, false
		}
		p.resources = append(p.resources, res)
	}
	return p, true
}

func number(v any, fallback int) int {
	if n, ok := v.(float64); ok {
		return int(n)
	}
	return fallback
}

func (d *drill) withoutMembers(a *answer, list ...resource) {
	for _, res := range list {
		if _, shown := res["members"]; shown {
			d.report(a, groupMembersShown, "no members", describe(a))
			return
		}
	}
}

// none expects an empty search; f names the fault of a hit.
func (d *drill) none(ctx context.Context, e endpoint, filter string, f fault) bool {
	p, a, ok := d.search(ctx, e, filter, "")
	if !ok {
		return false
	}
	if p.total != 0 || len(p.resources) != 0 {
		d.report(a, f, "totalResults 0", describe(a))
		return false
	}
	return true
}

// one expects the search to find exactly the object with the id; f names the fault of a miss.
func (d *drill) one(ctx context.Context, e endpoint, filter, id string, f fault) bool {
	p, a, ok := d.search(ctx, e, filter, "")
	if !ok {
		return false
	}
	switch {
	case len(p.resources) == 0:
		d.report(a, f, "the object "+id, "no match")
	case len(p.resources) > 1:
		d.report(a, searchSeveral, "one match", fmt.Sprintf("%d matches", len(p.resources)))
	case p.resources[0]["id"] != id:
		d.report(a, searchWrong, "the object "+id, fmt.Sprint("the object ", p.resources[0]["id"]))
	case p.total != 1:
		d.report(a, listTotal, "1", strconv.Itoa(p.total))
	default:
		return true
	}
	return false
}

// match is the search before a create. id is "" when the object has to be created.
func (d *drill) match(ctx context.Context, e endpoint, path, value string) (id string, ok bool) {
	p, a, ok := d.search(ctx, e, equals(path, value), "")
	if !ok || len(p.resources) == 0 {
		return "", ok
	}
	for _, res := range p.resources {
		if got, _ := res[path].(string); !strings.EqualFold(got, value) {
			d.report(a, searchIgnored, equals(path, value), equals(path, got))
			return "", false
		}
	}
	if len(p.resources) > 1 {
		d.report(a, searchSeveral, "at most one match", fmt.Sprintf("%d matches", len(p.resources)))
		return "", false
	}
	id, _ = p.resources[0]["id"].(string)
	return id, id != ""
}
