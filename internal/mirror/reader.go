package mirror

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Reader reads a tenant over the API.
type Reader struct {
	Base   string // scheme, host and port
	Key    string // of an application
	Client *http.Client
}

// Full reads everything that there is, after the position that the journal has come to. Its pages are small, so that
// much changes between two.
func (r *Reader) Full(ctx context.Context) (*Mirror, error) {
	m := New()
	var journal struct{ Head int64 }
	if err := r.read(ctx, "/changes?limit=1", &journal); err != nil {
		return nil, err
	}
	m.At = journal.Head
	if err := r.each(ctx, "/users?includeRemoved=true&limit=7", func(id string, item json.RawMessage) { put(m.Users, id, item) }); err != nil {
		return nil, err
	}
	if err := r.each(ctx, "/groups?includeRemoved=true&limit=3", func(id string, item json.RawMessage) { put(m.Groups, id, item) }); err != nil {
		return nil, err
	}
	for group := range m.Groups {
		err := r.each(ctx, "/groups/"+group+"/members?limit=5", func(id string, _ json.RawMessage) { m.join(group, id) })
		if refused, ok := errors.AsType[*Refused](err); ok && refused.Status == http.StatusNotFound {
			continue // purged meanwhile, which the changes tell
		}
		if err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Follow brings a mirror to the head, waiting so many seconds for a first change, and tells hear of each. What was
// applied before an error stays, so that Follow goes on there when it is called again.
func (r *Reader) Follow(ctx context.Context, m *Mirror, wait int, hear func(Item)) error {
	for {
		var page struct {
			Items []Item
			Head  int64
		}
		err := r.read(ctx, fmt.Sprintf("/changes?after=%d&limit=50&wait=%d", m.At, wait), &page)
		if refused, ok := errors.AsType[*Refused](err); ok && refused.Status == http.StatusGone { // it was away for longer than the journal is kept
			whole, err := r.Full(ctx)
			if err != nil {
				return err
			}
			*m = *whole
			continue
		}
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			if err := m.Apply(item); err != nil {
				return err
			}
			hear(item)
		}
		if m.At == page.Head {
			return nil
		}
	}
}

// read reads one answer into a value.
func (r *Reader) read(ctx context.Context, target string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Base+"/api/v1"+target, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+r.Key)
	res, err := r.Client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("GET %s: %w", target, err)
	}
	if res.StatusCode != http.StatusOK {
		return &Refused{target, res.StatusCode, string(data)}
	}
	return json.Unmarshal(data, into)
}

// Refused is an answer other than 200.
type Refused struct {
	Target string
	Status int
	Body   string
}

func (r *Refused) Error() string { return fmt.Sprintf("GET %s: %d %s", r.Target, r.Status, r.Body) }

// each calls fn with the items of a list, page by page.
func (r *Reader) each(ctx context.Context, target string, fn func(id string, item json.RawMessage)) error {
	for next := ""; ; {
		var page struct {
			Items []json.RawMessage
			Next  string
		}
		if err := r.read(ctx, target+next, &page); err != nil {
			return err
		}
		for _, item := range page.Items {
			var named struct{ ID string }
			if err := json.Unmarshal(item, &named); err != nil {
				return err
			}
			fn(named.ID, item)
		}
		if page.Next == "" {
			return nil
		}
		next = "&next=" + page.Next
	}
}
