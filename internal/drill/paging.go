package drill

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
)

// list asks for one page and checks what it says about itself.
func (d *drill) list(ctx context.Context, e endpoint, startIndex, count int) (page, bool) {
	query := fmt.Sprintf("startIndex=%d&count=%d", startIndex, count)
	if e == groups {
		query = "excludedAttributes=members&" + query
	}
	a, ok := d.send(ctx, request{kind: e.kind("page"), method: http.MethodGet, path: e.path(""), query: query})
	if !ok {
		return page{}, false
	}
	if a.status != http.StatusOK {
		d.report(a, searchStatus, "200 with a ListResponse", describe(a))
		return page{}, false
	}
	p, ok := d.page(a)
	if !ok {
		return p, false
	}
	if p.itemsPerPage != len(p.resources) {
		d.report(a, listItemsPerPage, strconv.Itoa(len(p.resources)), strconv.Itoa(p.itemsPerPage))
	}
	if p.startIndex != startIndex && len(p.resources) > 0 {
		d.report(a, listStartIndex, strconv.Itoa(startIndex), strconv.Itoa(p.startIndex))
	}
	if len(p.resources) > count {
		d.report(a, listItemsPerPage, fmt.Sprintf("at most %d resources", count), strconv.Itoa(len(p.resources)))
	}
	if e == groups {
		d.withoutMembers(a, p.resources...)
	}
	return p, true
}

// walks pages through both endpoints as account discovery does, twice each in pages of different sizes.
func (d *drill) walks(ctx context.Context) {
	listed, left := map[endpoint][]string{}, map[endpoint][]string{}
	note := func(e endpoint, id string, state presence) {
		switch state {
		case linked:
			listed[e] = append(listed[e], id)
		case deleted:
			left[e] = append(left[e], id)
		}
	}
	for _, p := range d.everybody() {
		note(users, p.id, p.state)
	}
	for _, t := range d.company.teams {
		note(groups, t.id, t.state)
	}
	each(ctx, d, "paging", []endpoint{users, groups}, func(ctx context.Context, e endpoint) {
		d.walkTwice(ctx, e, listed[e], left[e])
	})
}

// walkTwice expects every known object in a walk and none that left.
func (d *drill) walkTwice(ctx context.Context, e endpoint, known, left []string) {
	size := min(max(len(known)/10, 3), 100)
	first, ok := d.walk(ctx, e, size)
	if !ok {
		return
	}
	walked := make(map[string]bool, len(first))
	for _, id := range first {
		walked[id] = true
	}
	for _, id := range known {
		if !walked[id] {
			d.report(nil, listGap, fmt.Sprintf("%s %s in a walk by %d", e, id, size), "missed")
		}
	}
	for _, id := range left {
		if walked[id] && !slices.Contains(known, id) {
			d.report(nil, deleteListed, "nothing that was deleted", id)
		}
	}
	second, ok := d.walk(ctx, e, max(size*2/3, 2))
	if ok && !slices.Equal(first, second) {
		d.report(nil, listOrder, fmt.Sprintf("the same %d %s in the same order", len(first), e), "another order in the second walk")
	}
}

// walk reads page after page until one is empty, whatever totalResults says, and returns the ids in the order seen.
func (d *drill) walk(ctx context.Context, e endpoint, size int) ([]string, bool) {
	var order []string
	seen, totals := map[string]bool{}, map[int]bool{}
	for {
		p, ok := d.list(ctx, e, len(order)+1, size)
		if !ok {
			return nil, false
		}
		totals[p.total] = true
		fresh := 0
		for _, res := range p.resources {
			id, _ := res["id"].(string)
			if seen[id] {
				d.report(nil, listDuplicate, fmt.Sprintf("each of the %s once", e), "twice: "+id)
				continue
			}
			seen[id] = true
			fresh++
		}
		for _, res := range p.resources {
			id, _ := res["id"].(string)
			order = append(order, id)
		}
		if fresh == 0 { // the end, or a server that answers the same page for ever
			if !totals[len(seen)] || len(totals) > 1 {
				d.report(nil, listTotal, fmt.Sprintf("%d %s on every page", len(seen), e), fmt.Sprint(slices.Sorted(maps.Keys(totals))))
			}
			return order, true
		}
	}
}
