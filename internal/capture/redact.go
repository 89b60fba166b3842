package capture

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// hidden stands where a secret was.
const hidden = "***"

// secretWords are parts of the names of attributes whose values are secrets.
var secretWords = []string{"password", "passwd", "secret", "token", "authorization", "credential", "privatekey", "apikey", "bearer"}

// ownSecrets are the tokens and keys of this server, wherever they stand.
var ownSecrets = regexp.MustCompile(`(?i)meibo(key)?_[A-Za-z0-9_-]{16,}|bearer\s+[^\s"']+`)

// redact takes the secrets out of an exchange, for good. What was a secret in the request is none in the answer either,
// which may quote it.
func (x *Exchange) redact() {
	x.Target = redactTarget(x.Target)
	for _, headers := range []map[string]string{x.Headers, x.Answered} {
		for name, value := range headers {
			headers[name] = ownSecrets.ReplaceAllString(value, hidden)
		}
	}
	for _, secret := range x.Request.redact() {
		x.Answer.hide(secret)
	}
	x.Answer.redact()
}

// shortestQuote is the length from which a secret of a request is looked for in its answer: shorter ones stand in any text.
const shortestQuote = 4

// hide takes a text out of a body, as it is and as JSON writes it.
func (b *Body) hide(secret string) {
	if len(secret) < shortestQuote {
		return
	}
	quoted, _ := json.Marshal(secret) // strings always marshal
	twice, _ := json.Marshal(strings.Trim(string(quoted), `"`))
	for _, form := range []string{strings.Trim(string(twice), `"`), strings.Trim(string(quoted), `"`), secret} {
		if bytes.Contains(b.Text, []byte(form)) {
			b.Text = bytes.ReplaceAll(b.Text, []byte(form), []byte(hidden))
			b.Note = cmp.Or(b.Note, secretNote)
		}
	}
}

// knownParameters are the query parameters whose values are kept (RFC 7644 §3.4.2); administrators append others to the
// address that they give to a client, keys among them.
var knownParameters = []string{"filter", "startindex", "count", "attributes", "excludedattributes", "sortby", "sortorder", "cursor"}

func redactTarget(target string) string {
	path, query, _ := strings.Cut(target, "?")
	if query != "" {
		parts := strings.Split(query, "&")
		for i, part := range parts {
			name, value, given := strings.Cut(part, "=")
			plain, err := url.QueryUnescape(name)
			text, bad := url.QueryUnescape(value)
			if given && (err != nil || bad != nil || !slices.Contains(knownParameters, strings.ToLower(plain)) || mentionsSecret([]byte(text)) || ownSecrets.MatchString(text)) {
				parts[i] = name + "=" + hidden
			}
		}
		path += "?" + strings.Join(parts, "&")
	}
	return ownSecrets.ReplaceAllString(path, hidden)
}

// redact takes the secrets out of a body, and returns those that were texts.
func (b *Body) redact() (secrets []string) {
	switch {
	case !b.isText(): // compressed, or in another encoding: nothing would be found in it
		b.Text, b.Note = nil, "not kept: it is no text in UTF-8"
		return nil
	case mentionsSecret(b.Text):
		secrets = b.redactValues()
	}
	if ownSecrets.Match(b.Text) {
		b.Text = ownSecrets.ReplaceAll(b.Text, []byte(hidden))
	}
	return secrets
}

// isText reports whether a body is text in UTF-8, but for a character that it was cut off in.
func (b *Body) isText() bool {
	whole := b.Text
	for n := 0; !b.IsWhole() && n < utf8.UTFMax && !utf8.Valid(whole) && len(whole) > 0; n++ {
		whole = whole[:len(whole)-1]
	}
	return utf8.Valid(whole) && bytes.IndexByte(whole, 0) < 0
}

// redactValues hides the values of secret attributes. What cannot be read is not kept at all.
func (b *Body) redactValues() []string {
	v, err := decodeOne(b.Text)
	if err != nil {
		b.Text, b.Note = nil, "not kept: it may hold a secret, and is no whole JSON document"
		return nil
	}
	var h hiding
	v = h.value(v)
	if h.found {
		b.Text, _ = json.Marshal(v) // what was decoded always encodes
		b.Note = secretNote
	}
	return h.secrets
}

var errNotOne = errors.New("not one JSON document")

func decodeOne(text []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err = d.Decode(&v); err == nil && d.InputOffset() < int64(len(bytes.TrimRight(text, " \t\r\n"))) {
		err = errNotOne
	}
	return v, err
}

// mentionsSecret reports whether a text may name a secret attribute. An escaped character may be part of a name, and some
// letters beyond ASCII count as ones of it where names are compared.
func mentionsSecret(text []byte) bool {
	lower := bytes.ToLower(bytes.ToUpper(text))
	escaped := func(code string) bool { return bytes.Contains(lower, []byte(code)) }
	return escaped(`\u00`) || escaped(`\u017f`) || escaped(`\u212a`) || slices.ContainsFunc(secretWords, func(word string) bool { return bytes.Contains(lower, []byte(word)) })
}

// hiding replaces the values of secret attributes.
type hiding struct {
	found   bool
	secrets []string // those that were texts
	depth   int      // of documents within texts
}

// maxNested bounds how deep documents are looked for in texts; what lies deeper is hidden.
const maxNested = 4

func (h *hiding) value(v any) any {
	switch v := v.(type) {
	case []any:
		for i, e := range v {
			v[i] = h.value(e)
		}
	case map[string]any:
		h.object(v)
	case string:
		return h.text(v)
	}
	return v
}

// object hides in an object. A PATCH operation has the attribute's name in its path.
func (h *hiding) object(o map[string]any) {
	bySibling := false
	for name, value := range o {
		text, _ := value.(string)
		bySibling = bySibling || (strings.EqualFold(name, "path") || strings.EqualFold(name, "name") || strings.EqualFold(name, "type")) && isSecret(text)
	}
	for name, value := range o {
		switch {
		case isSecret(name), bySibling && strings.EqualFold(name, "value"):
			o[name] = h.hide(value)
		default:
			o[name] = h.value(value)
		}
	}
}

func (h *hiding) hide(v any) any {
	h.found = true
	switch v := v.(type) {
	case string:
		h.secrets = append(h.secrets, v)
	case map[string]any:
		for _, e := range v {
			h.hide(e)
		}
	case []any:
		for _, e := range v {
			h.hide(e)
		}
	}
	return hidden
}

// text hides in a text: one that is a document itself, a path or filter with a secret in quotes, a token of ours that was
// written in escapes.
func (h *hiding) text(s string) string {
	out := ownSecrets.ReplaceAllString(s, hidden)
	if mentionsSecret([]byte(out)) {
		switch inner, err := decodeOne([]byte(out)); {
		case err == nil && h.depth < maxNested:
			h.depth++
			before := h.found
			h.found = false
			if inner = h.value(inner); h.found {
				data, _ := json.Marshal(inner) // what was decoded always encodes
				out = string(data)
			}
			h.found = h.found || before
			h.depth--
		case err == nil:
			out = hidden
		default:
			out = literals.ReplaceAllStringFunc(out, func(literal string) string {
				h.secrets = append(h.secrets, strings.Trim(literal, `"`))
				return `"` + hidden + `"`
			})
		}
	}
	h.found = h.found || out != s
	return out
}

// literals are the texts in a path or a filter.
var literals = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

func isSecret(name string) bool {
	plain := strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(strings.ToUpper(name)))
	return slices.ContainsFunc(secretWords, func(word string) bool { return strings.Contains(plain, word) })
}
