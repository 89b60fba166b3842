package capture

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// hidden stands where a secret was.
const hidden = "***"

// secretWords are parts of the names of attributes whose values are secrets.
var secretWords = []string{"password", "passwd", "secret", "token", "authorization", "credential", "privatekey", "apikey", "bearer"}

// ownSecrets are the tokens and keys of this server, wherever they stand.
var ownSecrets = regexp.MustCompile(`(?i)meibo(key)?_[A-Za-z0-9_-]{16,}|bearer\s+[^\s"']+`)

// redact takes the secrets out of an exchange, for good.
func (x *Exchange) redact() {
	x.Target = redactTarget(x.Target)
	for _, headers := range []map[string]string{x.Headers, x.Answered} {
		for name, value := range headers {
			headers[name] = ownSecrets.ReplaceAllString(value, hidden)
		}
	}
	x.Request.redact()
	x.Answer.redact()
}

// knownParameters are the query parameters whose values are kept (RFC 7644 §3.4.2); administrators append others to the
// address that they give to a client, keys among them.
var knownParameters = []string{"filter", "startindex", "count", "attributes", "excludedattributes", "sortby", "sortorder", "cursor"}

func redactTarget(target string) string {
	path, query, _ := strings.Cut(target, "?")
	if query != "" {
		parts := strings.Split(query, "&")
		for i, part := range parts {
			name, _, given := strings.Cut(part, "=")
			plain, err := url.QueryUnescape(name)
			if given && (err != nil || !slices.Contains(knownParameters, strings.ToLower(plain))) {
				parts[i] = name + "=" + hidden
			}
		}
		path += "?" + strings.Join(parts, "&")
	}
	return ownSecrets.ReplaceAllString(path, hidden)
}

func (b *Body) redact() {
	if mentionsSecret(b.Text) {
		b.redactValues()
	}
	if ownSecrets.Match(b.Text) {
		b.Text = ownSecrets.ReplaceAll(b.Text, []byte(hidden))
	}
}

// redactValues hides the values of secret attributes. What cannot be read is not kept at all.
func (b *Body) redactValues() {
	d := json.NewDecoder(bytes.NewReader(b.Text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.InputOffset() < int64(len(bytes.TrimRight(b.Text, " \t\r\n"))) {
		b.Text, b.Note = nil, "not kept: it may hold a secret, and is no whole JSON document"
		return
	}
	if hideSecrets(v) {
		b.Text, _ = json.Marshal(v) // what was decoded always encodes
		b.Note = secretNote
	}
}

// mentionsSecret reports whether a body may name a secret attribute. An escaped character may be part of a name.
func mentionsSecret(text []byte) bool {
	lower := bytes.ToLower(text)
	return bytes.Contains(lower, []byte(`\u00`)) || slices.ContainsFunc(secretWords, func(word string) bool { return bytes.Contains(lower, []byte(word)) })
}

// hideSecrets replaces the values of secret attributes in v, and reports whether there were any. A PATCH operation has
// the attribute's name in its path.
func hideSecrets(v any) (found bool) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			found = hideSecrets(e) || found
		}
	case map[string]any:
		for name, value := range v {
			path, _ := value.(string)
			switch {
			case isSecret(name):
				v[name], found = hidden, true
			case (strings.EqualFold(name, "path") || strings.EqualFold(name, "name")) && isSecret(path):
				for other := range v {
					if strings.EqualFold(other, "value") {
						v[other], found = hidden, true
					}
				}
			default:
				found = hideSecrets(value) || found
			}
		}
	}
	return found
}

func isSecret(name string) bool {
	plain := strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(name))
	return slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(plain, word) })
}
