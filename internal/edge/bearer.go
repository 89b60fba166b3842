package edge

import (
	"net/http"
	"strings"
)

// Bearer is the token of the Authorization header (RFC 6750 §2.1); "" without one, and where there
// are two, of which a proxy in front may have judged the other.
func Bearer(h http.Header) string {
	given := h["Authorization"]
	if len(given) != 1 {
		return ""
	}
	scheme, token, _ := strings.Cut(given[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
