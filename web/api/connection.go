package api

import (
	"net/http"
	"slices"
	"time"

	"meibo/internal/auth"
	"meibo/provisioning"
)

// Connection is one client of the tenant.
type Connection struct {
	Name            string    `json:"name" pattern:"^[a-z0-9-]{1,40}$"`
	Kind            string    `json:"kind" enum:"scim"`
	SettingsVersion int64     `json:"settingsVersion" minimum:"0" doc:"Of the settings in force; 0 for the default ones."`
	DebugUntil      time.Time `json:"debugUntil,omitempty,omitzero" doc:"Until when all its requests are captured."`
	Created         time.Time `json:"created"`
}

// Token is a bearer token of a connection without its text.
type Token struct {
	ID       string    `json:"id" format:"uuid"`
	Hint     string    `json:"hint" doc:"Its last characters."`
	State    string    `json:"state" enum:"live,expired,revoked"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires,omitempty,omitzero"`
	Revoked  time.Time `json:"revoked,omitempty,omitzero"`
	LastUsed time.Time `json:"lastUsed,omitempty,omitzero" doc:"Exact to a minute."`
}

// NewToken is what a token is made of.
type NewToken struct {
	Expires time.Time `json:"expires,omitempty,omitzero" doc:"When it ends; without it, never."`
}

// CreatedToken is a token with its text, which is shown this once.
type CreatedToken struct {
	Token
	Text string `json:"token" doc:"Kept nowhere: copy it now."`
}

type connectionInput struct {
	Name string `path:"name" pattern:"^[a-z0-9-]{1,40}$"`
}

type newTokenInput struct {
	Name string `path:"name" pattern:"^[a-z0-9-]{1,40}$"`
	Body NewToken
}

type tokenInput struct {
	Name string `path:"name" pattern:"^[a-z0-9-]{1,40}$"`
	ID   string `path:"id" format:"uuid" pattern:"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"`
}

func (a *api) connectionOperations() {
	const tag = "connections"
	missing := []int{http.StatusNotFound}
	register(a, operation{id: "listConnections", method: http.MethodGet, path: "/connections", tag: tag, roles: people, summary: "List connections"},
		func(c *call, _ *struct{}) (*all[Connection], error) {
			connections, err := c.Service.Connections(c.context(), c.tenant())
			return whole(connections, connectionView), err
		})
	register(a, operation{id: "listTokens", method: http.MethodGet, path: "/connections/{name}/tokens", tag: tag, roles: owners, errors: missing,
		summary: "List the bearer tokens of a connection", description: "Oldest first, those that count no more included."},
		func(c *call, in *connectionInput) (*all[Token], error) {
			tokens, err := c.Service.Credentials(c.context(), c.tenant(), in.Name)
			return whole(tokens, c.token), err
		})
	register(a, operation{id: "createToken", method: http.MethodPost, path: "/connections/{name}/tokens", tag: tag, roles: owners, errors: []int{http.StatusNotFound, http.StatusConflict},
		success: http.StatusCreated, summary: "Create a bearer token for a connection"}, (*call).createToken)
	register(a, operation{id: "revokeToken", method: http.MethodDelete, path: "/connections/{name}/tokens/{id}", tag: tag, roles: owners, errors: missing,
		success: http.StatusNoContent, summary: "Revoke a bearer token", description: "It counts no more within a second. To revoke it again changes nothing."},
		(*call).revokeToken)
}

func connectionView(c provisioning.Connection) Connection {
	return Connection{c.Name, c.Kind, c.SettingsVersion, c.DebugUntil, c.Created}
}

func (c *call) token(t provisioning.Credential) Token {
	return Token{t.ID, t.Hint, c.life(t.Revoked, t.Expires), t.Created, t.Expires, t.Revoked, t.LastUsed}
}

func (c *call) createToken(in *newTokenInput) (*single[CreatedToken], error) {
	if err := c.checkAhead("expires", in.Body.Expires); err != nil {
		return nil, err
	}
	text, hash, hint := auth.NewToken()
	t, err := c.Service.CreateCredential(c.context(), c.origin(), in.Name,
		provisioning.NewCredential{Hash: hash, Hint: hint, Expires: in.Body.Expires})
	if err != nil {
		return nil, err
	}
	return &single[CreatedToken]{CreatedToken{c.token(t), text}}, nil
}

func (c *call) revokeToken(in *tokenInput) (*struct{}, error) {
	tokens, err := c.Service.Credentials(c.context(), c.tenant(), in.Name)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(tokens, func(t provisioning.Credential) bool { return t.ID == in.ID }) {
		return nil, &provisioning.Error{Kind: provisioning.NotFound, Attribute: "id", Detail: "the connection has no token with that id; list its tokens to see their ids"}
	}
	_, err = c.Service.RevokeCredential(c.context(), c.origin(), in.ID)
	return nil, err
}
