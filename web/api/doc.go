// Package api is the HTTP API for people's tools and for the host application, below /api/v1:
//
//	/users, /groups, /groups/{id}/members   the effective directory: what the host application sees
//	/changes                                the journal in its gapless order, with what each entry changed as it is now
//	/connections, /keys                     administration
//
// A request passes these stations: correlation id → route → API key (Holder) → role → rate limit →
// parameters and body against the OpenAPI document → provisioning.Service → answer. Each operation
// declares the roles that may call it; one that declares none can be called by nobody.
//
// The document is made from the same declarations (Document) and committed as docs/openapi.json.
// Whatever goes wrong is answered as a problem (RFC 9457) that names the fault and never repeats
// what the client sent.
package api
