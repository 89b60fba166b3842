package supportpack

import (
	"bytes"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// keptUnder are the values that are no secret of anybody's under some names of attributes, folded.
var keptUnder = map[string]map[string]bool{
	"op":           set("add remove replace"),
	"type":         set("work home other mobile fax pager photo thumbnail user group direct indirect WindowsAzureActiveDirectoryRole DirectoryRole"),
	"resourcetype": set("User Group"),
	"scimtype":     set("uniqueness invalidFilter tooMany mutability invalidSyntax invalidPath noTarget invalidValue invalidVers sensitive"),
}

var (
	schemaURN  = regexp.MustCompile(`^urn:[A-Za-z0-9:._-]+$`)
	identifier = regexp.MustCompile(`^[A-Za-z$][A-Za-z0-9_$-]*$`)
	etag       = regexp.MustCompile(`^(\*|(W/)?"[0-9]+"(, ?(W/)?"[0-9]+")*)$`)
	countNames = set("totalResults startIndex itemsPerPage count status")
)

// document replaces what is personal in a JSON value that was decoded with json.Number. name is that of the attribute
// that has it.
func (p *pseudonyms) document(name string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, element := range v {
			out[p.attribute(key)] = p.document(key, element)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, element := range v {
			out[i] = p.document(name, element)
		}
		return out
	case string:
		return p.text(strings.ToLower(name), v)
	case json.Number:
		return p.figure(strings.ToLower(name), v)
	case float64:
		return p.figure(strings.ToLower(name), json.Number(strings.TrimSuffix(strings.TrimRight(jsonNumber(v), "0"), ".")))
	default: // booleans and null
		return v
	}
}

func jsonNumber(v float64) string {
	data, _ := json.Marshal(v) // finite: it was decoded
	if s := string(data); strings.Contains(s, ".") {
		return s
	}
	return string(data) + "."
}

// attribute is the name of one, or a path that a client writes in the place of one.
func (p *pseudonyms) attribute(name string) string {
	switch {
	case schemaURN.MatchString(name):
		return p.urn(name)
	case identifier.MatchString(name) && (attributeNames[strings.ToLower(name)] || !p.known[strings.ToLower(name)]):
		return name
	default:
		return p.expression(name)
	}
}

func (p *pseudonyms) text(name, s string) any {
	switch {
	case keptUnder[name][strings.ToLower(s)]:
		return s
	case name == "path":
		return p.expression(s)
	case name == "version" && etag.MatchString(s):
		return s
	case name == "created", name == "lastmodified":
		if _, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return s
		}
	case name == "detail":
		return p.sentence(s)
	case name == "status" && len(s) == 3 && number.MatchString(s):
		return s
	case name == "preferredlanguage", name == "locale": // a word of another form would be refused
		return "en-US"
	case name == "timezone":
		return "Etc/UTC"
	}
	if len(s) > 1 && (s[0] == '{' || s[0] == '[') { // a document within a text, as Entra writes roles
		if inner, err := decode([]byte(s)); err == nil {
			return string(encode(p.document(name, inner)))
		}
	}
	return strings.ReplaceAll(p.value(s), "{{", "{ {") // which a recording would take for a variable
}

var number = regexp.MustCompile(`^[0-9]+$`)

func (p *pseudonyms) figure(name string, n json.Number) json.Number {
	if countNames[name] {
		return n
	}
	return json.Number(labels.ReplaceAllStringFunc(n.String(), func(digits string) string {
		if !number.MatchString(digits) {
			return digits // an exponent
		}
		return p.number(digits)
	}))
}

// quoted are the texts in filters, paths and expressions.
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?`)

// expression replaces the texts in a filter, a path or a mapping expression, and keeps the names in it.
func (p *pseudonyms) expression(s string) string {
	var out strings.Builder
	for s != "" {
		at := quoted.FindStringIndex(s)
		if at == nil {
			at = []int{len(s), len(s)}
		}
		out.WriteString(p.names(s[:at[0]]))
		out.WriteString(p.literal(s[at[0]:at[1]]))
		s = s[at[1]:]
	}
	return out.String()
}

func (p *pseudonyms) literal(s string) string {
	inner := strings.Trim(s, `"'`)
	if len(s) < 2 || inner == "" || keptUnder["type"][strings.ToLower(inner)] {
		return s
	}
	var plain string
	if json.Unmarshal([]byte(`"`+inner+`"`), &plain) != nil {
		plain = inner
	}
	return s[:1] + strings.Trim(string(encode(p.value(plain))), `"`) + s[:1]
}

var (
	bare     = regexp.MustCompile(uuidForm + `|[^\s()\[\]]*@[^\s()\[\]]*|[\p{L}\p{M}\p{N}_$]+`)
	operator = set("eq ne co sw ew pr gt ge lt le and or not true false null")
)

// names are the words of an expression outside its texts. What was met in a personal place is replaced here, too: clients
// forget quotes.
func (p *pseudonyms) names(s string) string {
	return bare.ReplaceAllStringFunc(s, func(word string) string {
		folded := strings.ToLower(word)
		if attributeNames[folded] || operator[folded] || !p.known[folded] && isASCII(word) && !strings.Contains(word, "@") && !uuidOnly.MatchString(word) {
			return word
		}
		return p.value(word)
	})
}

// target is the path below the tenant's SCIM base, with its query.
func (p *pseudonyms) target(target string) string {
	path, query, _ := strings.Cut(target, "?")
	_, path, found := strings.Cut(path, "/scim/v2")
	if !found || path == "" {
		path = "/"
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if plain, err := url.PathUnescape(s); err == nil && !endpoints[strings.ToLower(plain)] && plain != "" {
			segments[i] = url.PathEscape(p.value(plain))
		}
	}
	path = strings.Join(segments, "/")
	var parameters []string
	for part := range strings.SplitSeq(query, "&") {
		name, value, given := strings.Cut(part, "=")
		plainName, badName := url.QueryUnescape(name)
		plain, badValue := url.QueryUnescape(value)
		if name == "" || !given || badName != nil || badValue != nil || !identifier.MatchString(plainName) || p.known[strings.ToLower(plainName)] {
			continue
		}
		parameters = append(parameters, plainName+"="+url.QueryEscape(p.expression(plain)))
	}
	if len(parameters) > 0 {
		path += "?" + strings.Join(parameters, "&")
	}
	return path
}

var endpoints = set("Users Groups Schemas ResourceTypes ServiceProviderConfig serviceConfiguration Me Bulk .search User Group")

func decode(data []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	err = d.Decode(&v)
	if err == nil && d.More() {
		err = errTrailing
	}
	return v, err
}

func encode(v any) []byte {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // what was decoded encodes
	return bytes.TrimSpace(out.Bytes())
}

// plain is a value as JSON decodes it.
func plain(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	out, _ := decode(data)
	return out
}
