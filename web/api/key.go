package api

import (
	"net/http"
	"time"

	"meibo/internal/auth"
	"meibo/provisioning"
)

// Key is an API key without its text.
type Key struct {
	ID       string    `json:"id" format:"uuid"`
	Holder   string    `json:"holder" doc:"The person or system that it belongs to."`
	Role     string    `json:"role" enum:"owner,operator,support,application"`
	Hint     string    `json:"hint" doc:"Its last characters."`
	State    string    `json:"state" enum:"live,expired,revoked"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires,omitempty,omitzero"`
	Revoked  time.Time `json:"revoked,omitempty,omitzero"`
	LastUsed time.Time `json:"lastUsed,omitempty,omitzero" doc:"Exact to a minute."`
}

// NewKey is what a key is made of.
type NewKey struct {
	Holder  string    `json:"holder" minLength:"1" maxLength:"100" pattern:"^[^\\x00-\\x20\\x7f-\\xa0][^\\x00-\\x1f\\x7f-\\x9f]*$" doc:"The person or system that it is for."`
	Role    string    `json:"role" enum:"owner,operator,support,application"`
	Expires time.Time `json:"expires,omitempty,omitzero" doc:"When it ends; without it, never."`
}

// CreatedKey is a key with its text, which is shown this once.
type CreatedKey struct {
	Key
	Text string `json:"key" doc:"Kept nowhere: copy it now."`
}

func (a *api) keyOperations() {
	const tag = "keys"
	register(a, operation{id: "listKeys", method: http.MethodGet, path: "/keys", tag: tag, roles: owners,
		summary: "List API keys", description: "Oldest first, those that count no more included."},
		func(c *call, _ *struct{}) (*all[Key], error) {
			keys, err := c.Service.Keys(c.context(), c.tenant())
			return whole(keys, c.key), err
		})
	register(a, operation{id: "createKey", method: http.MethodPost, path: "/keys", tag: tag, roles: owners, success: http.StatusCreated, errors: []int{http.StatusConflict},
		summary: "Create an API key"}, (*call).createKey)
	register(a, operation{id: "revokeKey", method: http.MethodDelete, path: "/keys/{id}", tag: tag, roles: owners, success: http.StatusNoContent,
		errors: []int{http.StatusNotFound}, summary: "Revoke an API key", description: "It counts no more within a second. To revoke it again changes nothing."},
		func(c *call, in *idInput) (*struct{}, error) {
			_, err := c.Service.RevokeKey(c.context(), c.origin(), in.ID)
			return nil, err
		})
}

func (c *call) createKey(in *struct{ Body NewKey }) (*single[CreatedKey], error) {
	if err := c.checkAhead("expires", in.Body.Expires); err != nil {
		return nil, err
	}
	text, hash, hint := auth.NewKey()
	k, err := c.Service.CreateKey(c.context(), c.origin(), provisioning.NewAPIKey{
		Holder: in.Body.Holder, Role: provisioning.KeyRole(in.Body.Role), Expires: in.Body.Expires, Hash: hash, Hint: hint})
	if err != nil {
		return nil, err
	}
	return &single[CreatedKey]{CreatedKey{c.key(k), text}}, nil
}

func (c *call) key(k provisioning.APIKey) Key {
	return Key{k.ID, k.Holder, string(k.Role), k.Hint, c.life(k.Revoked, k.Expires), k.Created, k.Expires, k.Revoked, k.LastUsed}
}

// checkAhead refuses an end that has passed: by the clock, not by the document.
func (c *call) checkAhead(property string, end time.Time) error {
	if end.IsZero() || end.After(c.Now()) {
		return nil
	}
	p := newProblem(http.StatusConflict, codes[provisioning.Conflict], property+" has passed already; name an instant in the future")
	p.Errors = []Fault{{Location: "body." + property, Message: "expected an instant in the future"}}
	return p
}

// life is whether a credential counts.
func (c *call) life(revoked, expires time.Time) string {
	switch {
	case !revoked.IsZero():
		return "revoked"
	case !expires.IsZero() && !c.Now().Before(expires):
		return "expired"
	default:
		return "live"
	}
}
