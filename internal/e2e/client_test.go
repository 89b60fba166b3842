package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	gocmp "github.com/google/go-cmp/cmp"

	"meibo/internal/drill"
	"meibo/scim/endpoint"
)

// answer is what came back.
type answer struct {
	status      int
	correlation string
	body        string
	retryAfter  string
}

// id is that of the resource that the body is.
func (a answer) id() string {
	var body struct{ ID string }
	_ = json.Unmarshal([]byte(a.body), &body) // "" where it is none
	return body.ID
}

// send sends one request; target is below the tenant's SCIM base. An error says that no answer came.
func (c *tenant) send(ctx context.Context, method, target, body string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+target, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	if body != "" {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	res, err := c.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header.Get(endpoint.CorrelationHeader), string(data), res.Header.Get("Retry-After")}, err
}

// writer is a client that remembers its answered writes. It is safe for concurrent use.
type writer struct {
	*tenant
	mu     sync.Mutex
	writes map[string]drill.Write // by correlation id
}

func (c *tenant) newWriter() *writer { return &writer{tenant: c, writes: map[string]drill.Write{}} }

// write sends a write, which must be answered with one of the statuses, if any are named.
func (w *writer) write(ctx context.Context, method, target, body string, statuses ...int) (answer, error) {
	a, err := w.send(ctx, method, target, body)
	if err != nil {
		return a, err
	}
	kind, resource, _ := strings.Cut(strings.TrimPrefix(target, "/"), "/")
	if resource == "" && a.status == http.StatusCreated {
		resource = a.id()
	}
	w.mu.Lock()
	w.writes[a.correlation] = drill.Write{CorrelationID: a.correlation, Method: method, Status: a.status, ResourceID: resource,
		Path: "/t/" + w.name + "/scim/v2" + target}
	w.mu.Unlock()
	if len(statuses) > 0 && !slices.Contains(statuses, a.status) {
		return a, fmt.Errorf("%s of %s was answered %d, not %v: %s", method, kind, a.status, statuses, a.body)
	}
	return a, nil
}

// wantJournalled fails unless the writes and the entries that have a request are the same.
func (w *writer) wantJournalled() {
	w.t.Helper()
	if journalled := w.journalled(); !maps.Equal(w.writes, journalled) { // the difference is slow to compute
		w.t.Errorf("by correlation id (-answered +journalled):\n%s", gocmp.Diff(w.writes, journalled))
	}
}
