package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"meibo/internal/drill"
)

// hand is the person, and the host application, of a scenario: both use the API, with one key.
type hand struct {
	base, key  string // of /api/v1, and an API key
	connection string // that the drill speaks as; "" for the only one
	client     *http.Client
}

// apiOf is the address of the API of the server whose SCIM base is given.
func apiOf(scimBase string) (string, error) {
	u, err := url.Parse(scimBase)
	if err != nil {
		return "", err
	}
	prefix, _, ok := strings.Cut(u.Path, "/t/")
	if !ok {
		return "", misuse("--key needs meibo's own --url, such as https://host/t/acme/scim/v2: %s has no /t/", scimBase)
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: prefix + "/api/v1"}).String(), nil
}

// Allow implements drill.Person.
func (h hand) Allow(ctx context.Context, n int) error {
	if n > 0 {
		connection, err := h.connectionName(ctx)
		if err != nil {
			return err
		}
		allowance := map[string]any{"kind": "users", "left": n, "until": time.Now().Add(time.Hour)}
		if _, err := h.do(ctx, http.MethodPost, "/connections/"+url.PathEscape(connection)+"/allowances", allowance, nil); err != nil {
			return err
		}
	}
	return h.resolve(ctx, "held", "allowed")
}

// connectionName is the connection whose departures are allowed.
func (h hand) connectionName(ctx context.Context) (string, error) {
	if h.connection != "" {
		return h.connection, nil
	}
	var page struct{ Items []struct{ Name string } }
	if _, err := h.do(ctx, http.MethodGet, "/connections", nil, &page); err != nil {
		return "", err
	}
	if len(page.Items) != 1 {
		return "", fmt.Errorf("the tenant has %d connections; name the one of the token with --connection", len(page.Items))
	}
	return page.Items[0].Name, nil
}

// Reject implements drill.Person.
func (h hand) Reject(ctx context.Context) error {
	if err := h.resolve(ctx, "delayed", "rejected"); err != nil {
		return err
	}
	return h.resolve(ctx, "held", "rejected")
}

// resolve chooses the same for every open matter of a kind.
func (h hand) resolve(ctx context.Context, kind, choice string) error {
	ids, err := h.ids(ctx, "/matters", url.Values{"kind": {kind}, "status": {"open"}})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := h.do(ctx, http.MethodPost, "/matters/"+url.PathEscape(id)+"/resolution", map[string]any{"status": choice}, nil); err != nil {
			return err
		}
	}
	return nil
}

// MakeAdmin implements drill.Person.
func (h hand) MakeAdmin(ctx context.Context, id string) error {
	_, err := h.do(ctx, http.MethodPatch, "/users/"+url.PathEscape(id), map[string]any{"role": "admin"}, nil)
	return err
}

// View implements drill.Host.
func (h hand) View(ctx context.Context, id string) (a drill.Account, found bool, err error) {
	found, err = h.do(ctx, http.MethodGet, "/users/"+url.PathEscape(id), nil, &a)
	return a, found, err
}

// Members implements drill.Host.
func (h hand) Members(ctx context.Context, group string) ([]string, error) {
	return h.ids(ctx, "/groups/"+url.PathEscape(group)+"/members", url.Values{})
}

// ids reads those of a whole list.
func (h hand) ids(ctx context.Context, target string, query url.Values) (ids []string, err error) {
	for {
		var page struct {
			Items []struct{ ID string }
			Next  string
		}
		if _, err := h.do(ctx, http.MethodGet, target+"?"+query.Encode(), nil, &page); err != nil {
			return nil, err
		}
		for _, item := range page.Items {
			ids = append(ids, item.ID)
		}
		if page.Next == "" {
			return ids, nil
		}
		query.Set("next", page.Next)
	}
}

// do sends one request and reads the answer into a value, nil for none; found is false for 404. A 429 is obeyed.
func (h hand) do(ctx context.Context, method, target string, body, into any) (found bool, err error) {
	var sent []byte
	if body != nil {
		if sent, err = json.Marshal(body); err != nil {
			return false, err
		}
	}
	for {
		req, err := http.NewRequestWithContext(ctx, method, h.base+target, bytes.NewReader(sent))
		if err != nil {
			return false, err
		}
		req.Header.Set("Authorization", "Bearer "+h.key)
		if body != nil {
			req.Header.Set("Content-Type", "application/json")
		}
		res, err := h.client.Do(req)
		if err != nil {
			return false, err
		}
		found, wait, err := read(res, into)
		if err != nil || wait == 0 {
			return found, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// read judges an answer of the API; wait says that it has to be asked again.
func read(res *http.Response, into any) (found bool, wait time.Duration, err error) {
	defer res.Body.Close()
	switch {
	case res.StatusCode < http.StatusMultipleChoices && into == nil:
		return true, 0, nil
	case res.StatusCode < http.StatusMultipleChoices:
		return true, 0, json.NewDecoder(io.LimitReader(res.Body, 64<<20)).Decode(into)
	case res.StatusCode == http.StatusNotFound:
		return false, 0, nil
	case res.StatusCode == http.StatusTooManyRequests:
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
		return false, max(time.Duration(seconds)*time.Second, 100*time.Millisecond), nil
	default:
		var problem struct{ Detail string }
		_ = json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&problem) // a proxy's answer has none
		return false, 0, fmt.Errorf("%s %s was answered %s: %s; what a person does needs a key of role operator",
			res.Request.Method, res.Request.URL.Path, res.Status, problem.Detail)
	}
}
