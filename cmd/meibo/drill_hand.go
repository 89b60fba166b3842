package main

import (
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
	"meibo/provisioning"
	"meibo/scim"
)

// ownHand is the person, and the host application, of a scenario on a server of the drill's own.
type ownHand struct {
	service *provisioning.Service
	tenant  string
}

// Allow implements drill.Person.
func (h ownHand) Allow(ctx context.Context, n int) error {
	if n > 0 {
		_, err := h.service.Allow(ctx, commandLine(h.tenant), "", provisioning.BudgetUsers,
			provisioning.Allowance{Left: n, Until: h.service.Now().Add(time.Hour)})
		if err != nil {
			return err
		}
	}
	return h.resolve(ctx, provisioning.MatterHeld, provisioning.MatterAllowed)
}

// Reject implements drill.Person.
func (h ownHand) Reject(ctx context.Context) error {
	if err := h.resolve(ctx, provisioning.MatterDelayed, provisioning.MatterRejected); err != nil {
		return err
	}
	return h.resolve(ctx, provisioning.MatterHeld, provisioning.MatterRejected)
}

// resolve chooses the same for every open matter of a kind.
func (h ownHand) resolve(ctx context.Context, kind provisioning.MatterKind, choice provisioning.MatterStatus) error {
	var ids []string
	q := provisioning.MatterQuery{Kind: kind, Status: provisioning.MatterOpen}
	err := h.service.Matters(ctx, h.tenant, q, func(m provisioning.Matter) error {
		ids = append(ids, m.ID)
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		if _, err := h.service.Resolve(ctx, commandLine(h.tenant), id, provisioning.Resolution{Status: choice}); err != nil {
			return err
		}
	}
	return nil
}

// MakeAdmin implements drill.Person.
func (h ownHand) MakeAdmin(ctx context.Context, id string) error {
	admin := provisioning.RoleAdmin
	_, err := h.service.Act(ctx, commandLine(h.tenant), scim.User, id, provisioning.Act{Role: &admin})
	return err
}

// View implements drill.Host.
func (h ownHand) View(ctx context.Context, id string) (drill.Account, bool, error) {
	x, err := h.service.Account(ctx, h.tenant, scim.User, id)
	switch {
	case err != nil && provisioning.KindOf(err) == provisioning.NotFound:
		return drill.Account{}, false, nil
	case err != nil:
		return drill.Account{}, false, err
	}
	document := x.Effective
	if document == nil {
		document = x.Asserted
	}
	var shown struct{ UserName string }
	err = json.Unmarshal(document, &shown)
	return drill.Account{State: string(x.State), Role: x.RoleName(), UserName: shown.UserName}, true, err
}

// Members implements drill.Host.
func (h ownHand) Members(ctx context.Context, group string) (ids []string, err error) {
	err = h.service.Memberships(ctx, h.tenant, group, func(m provisioning.GroupMember) error {
		ids = append(ids, m.Value)
		return nil
	})
	return ids, err
}

// hostByAPI is the host application of a scenario on a server that runs elsewhere: it reads the API.
type hostByAPI struct {
	base, key string // of /api/v1, and an API key
	client    *http.Client
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

// View implements drill.Host.
func (h hostByAPI) View(ctx context.Context, id string) (drill.Account, bool, error) {
	var a drill.Account
	found, err := h.get(ctx, "/users/"+url.PathEscape(id), &a)
	return a, found, err
}

// Members implements drill.Host.
func (h hostByAPI) Members(ctx context.Context, group string) ([]string, error) {
	var ids []string
	for next := ""; ; {
		var page struct {
			Items []struct{ ID string }
			Next  string
		}
		query := url.Values{"limit": {"1000"}}
		if next != "" {
			query.Set("next", next)
		}
		if _, err := h.get(ctx, "/groups/"+url.PathEscape(group)+"/members?"+query.Encode(), &page); err != nil {
			return nil, err
		}
		for _, m := range page.Items {
			ids = append(ids, m.ID)
		}
		if next = page.Next; next == "" {
			return ids, nil
		}
	}
}

// get reads one answer; found is false for 404. A 429 is obeyed.
func (h hostByAPI) get(ctx context.Context, target string, into any) (found bool, err error) {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.base+target, nil)
		if err != nil {
			return false, err
		}
		req.Header.Set("Authorization", "Bearer "+h.key)
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
	switch res.StatusCode {
	case http.StatusOK:
		return true, 0, json.NewDecoder(io.LimitReader(res.Body, 64<<20)).Decode(into)
	case http.StatusNotFound:
		return false, 0, nil
	case http.StatusTooManyRequests:
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
		return false, max(time.Duration(seconds)*time.Second, 100*time.Millisecond), nil
	default:
		return false, 0, fmt.Errorf("GET %s was answered %s; check the API key and its role", res.Request.URL.Path, res.Status)
	}
}
