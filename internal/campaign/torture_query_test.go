package campaign

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
)

// queryMutations spoil the parameters of an address.
func queryMutations() []mutation {
	const family = "query"
	param := func(name, typ string, fits func(*shot) bool, key, value string) mutation {
		return badRequest(family, name, typ, fits, func(_ *rand.Rand, s *shot) { s.setParam(key, value) })
	}
	raw := func(name string, fits func(*shot) bool, query string) mutation {
		return badRequest(family, name, "invalidSyntax", fits, func(_ *rand.Rand, s *shot) { s.params = append(s.params, query) })
	}
	viewed := func(s *shot) bool { return s.def != nil && s.shape != deleting }
	var out []mutation
	for name, value := range map[string]string{
		"a word": "one", "a fraction": "1.5", "an exponent": "1e3", "hexadecimal": "0x10", "a blank": "%20", "a plus": "+5", "with a unit": "10rows",
		"beyond 64 bits": "99999999999999999999", "below 64 bits": "-99999999999999999999", "NaN": "NaN", "full width": "%EF%BC%95",
		"two numbers": "1,2", "quoted": "%225%22", "null": "null",
		"NUL": "1%00", "SQL": "1;--", "not UTF-8": "%FF", "long": strings.Repeat("9", 5000), "underscore": "1_000", "minus": "-", "brackets": "[1]"} {
		for _, key := range []string{"startIndex", "count", "COUNT", "startindex"} {
			typ := "invalidValue"
			if strings.Contains(value, ";") {
				typ = "invalidSyntax"
			}
			m := param(key+" "+name, typ, isListing, key, value)
			m.spoil = func(_ *rand.Rand, s *shot) { s.params = []string{key + "=" + value} }
			out = append(out, m)
		}
	}
	for name, query := range map[string]string{
		"percent alone": "x=%", "percent and a digit": "x=%4", "percent and letters": "x=%zz", "percent in a name": "%=x", "semicolon": "a=b;c=d",
		"percent u": "x=%u0041", "percent at the end": "x=abc%2"} {
		out = append(out, raw(name, viewed, query))
	}
	out = append(out,
		raw("two spellings", isListing, "filter=title+pr&FILTER=title+pr"), raw("two spellings of count", isListing, "cOunt=1&coUnt=2"),
		raw("count twice", isListing, "count=3&count=4&count=5"), raw("filter twice", isListing, "filter=title+pr&filter=title+pr"),
		badRequest(family, "attributes and excludedAttributes", "invalidValue", viewed, func(_ *rand.Rand, s *shot) {
			s.params = []string{"attributes=displayName", "excludedAttributes=meta"}
		}),
		badRequest(
			family, "attributes twice", "invalidSyntax", viewed,
			func(_ *rand.Rand, s *shot) { s.params = []string{"attributes=displayName", "attributes=meta"} },
		),
	)
	listed := both(isListing, func(s *shot) bool { return len(s.params) > 0 })
	for name, p := range map[string][2]string{
		"unknown parameter": {"torture", "1"}, "unknown flag": {"aadOptscim062020", ""}, "sortBy of nothing": {"sortBy", "%27%3B--"},
		"sortOrder of nothing": {"sortOrder", "sideways"},
		"startIndex zero":      {"startIndex", "0"}, "startIndex negative": {"startIndex", "-7"},
		"startIndex beyond the end": {"startIndex", "9223372036854775807"}, "startIndex empty": {"startIndex", ""},
		"count negative": {"count", "-1"}, "count zero": {"count", "0"}, "count beyond the most": {"count", "2147483648"},
		"plus sign": {"count", "%2B5"}, "leading zeros": {"count", "0005"},
		"unknown attributes": {"attributes", "nothing,x.y.z,,,"}, "attributes that are no names": {"attributes", "%27%20OR%201%3D1--,%00,%FF"},
		"broken filter in attributes": {"attributes", "emails%5Btype%20eq%20%22work"},
		"long attributes":             {"attributes", strings.Repeat("a.b,", 4000)}, "unknown parameter's name": {"%27%3B--", "x"},
	} {
		out = append(out, badRequest(family, name, "", listed, func(_ *rand.Rand, s *shot) { s.params = []string{p[0] + "=" + p[1]} }))
	}
	return append(out, badRequest(family, "many parameters", "", listed, func(_ *rand.Rand, s *shot) {
		for i := range 3000 {
			s.params = append(s.params, fmt.Sprintf("x%d=%d", i, i))
		}
	}))
}

// addressMutations spoil the path of an address.
func addressMutations() []mutation {
	const family = "address"
	missing := func(name string, fits func(*shot) bool, change func(*shot)) mutation {
		return mutation{family: family, name: name, fits: fits, status: http.StatusNotFound, spoil: func(_ *rand.Rand, s *shot) { change(s) }}
	}
	answered := func(m mutation, status int, by author) mutation {
		m.status, m.by = status, by
		return m
	}
	id := func(name, id string) mutation {
		return missing("id "+name, namesResource, func(s *shot) { s.path = s.path[:strings.LastIndexByte(s.path, '/')+1] + id })
	}
	wordOfID := func(name string, change func(id string) string) mutation {
		return missing("id "+name, namesResource, func(s *shot) {
			at := strings.LastIndexByte(s.path, '/') + 1
			s.path = s.path[:at] + change(s.path[at:])
		})
	}
	base := func(name string, status int, by author, change func(base string) string) mutation {
		return answered(missing("base "+name, anyShot, func(s *shot) {
			b := *s.at
			b.base = change(b.base)
			s.at = &b
		}), status, by)
	}
	return []mutation{
		id("unknown", "01890000-0000-7000-8000-000000000000"), id("of zeros", "00000000-0000-0000-0000-000000000000"), id("a word", "nobody"),
		id("a number", "7"), id("a star", "*"),
		id("of NUL", "%00"), id("a word with NUL", "a%00b"), id("a word with a slash", "a%2fb"), id("with slashes", "%2F%2F"),
		id("of a percent", "%25"), id("escaped twice", "%2500"), id("not UTF-8", "%ff%fe"),
		id("overlong", "%c0%af"), id("of dots escaped", "%2e%2e"), id("a line feed", "%0a"), id("a header", "x%0d%0aSet-Cookie:%20a=b"),
		id("beyond ASCII", "%E6%9D%B1%E4%BA%AC"),
		id("raw beyond ASCII", "東京"), id("SQL", "'%20OR%20'1'='1"), id("pattern", "%25%25"), id("long", strings.Repeat("x", 5000)),
		id("very long", strings.Repeat("%41", 15_000)),
		id("a tilde", "~root"), id("a matrix", "x;a=b"), id("a colon", "a:b"), id("an at", "a@b"), id("a plus", "+"), id("a fragment", "x%23y"),
		id("a back slash", "..%5c..%5cx"), id("in braces", "{id}"),
		wordOfID("in capitals", strings.ToUpper), wordOfID("cut off", func(id string) string { return id[:len(id)-1] }),
		wordOfID("too long by one", func(id string) string { return id + "0" }),
		wordOfID("with a blank", func(id string) string { return id + "%20" }), wordOfID("and NUL", func(id string) string { return id + "%00" }),
		wordOfID("twice", func(id string) string { return id + "/" + id }),
		wordOfID("and a slash", func(id string) string { return id + "/" }),
		wordOfID("with an ending", func(id string) string { return id + ".json" }),
		wordOfID("without dashes", func(id string) string { return strings.ReplaceAll(id, "-", "") }),
		wordOfID("in dots", func(id string) string { return "../" + id }),
		wordOfID("of the other type's base", func(id string) string { return "x/../" + id }),
		wordOfID("after two slashes", func(id string) string { return "/" + id }),
		missing("of the other type", namesResource, func(s *shot) {
			if strings.HasPrefix(s.path, "/Users/") {
				s.path = "/Groups/" + s.at.users[0].id
			} else {
				s.path = "/Users/" + s.at.groups[0].id
			}
			s.adoptType()
		}),
		missing("unknown route", anyShot, func(s *shot) { s.path = "/Devices" }),
		missing("route in capitals", hasDefinition, func(s *shot) { s.path = strings.ToUpper(s.path) }),
		missing("base alone", anyShot, func(s *shot) { s.path = "" }), missing("base and a slash", anyShot, func(s *shot) { s.path = "/" }),
		missing("deeper", namesResource, func(s *shot) { s.path += "/a/b/c" }),
		missing("two slashes", anyShot, func(s *shot) { s.path = "/" + s.path }),
		missing("a dot", anyShot, func(s *shot) { s.path = "/." + s.path }), missing("dots", anyShot, func(s *shot) { s.path = "/x/.." + s.path }),
		missing("dots escaped", anyShot, func(s *shot) { s.path = "/%2e%2e" + s.path }),
		missing("slash escaped", anyShot, func(s *shot) { s.path = "%2f" + s.path[1:] }),
		missing("name of a file", anyShot, func(s *shot) { s.path = "/.env" }),
		missing("up and up", anyShot, func(s *shot) { s.path = "/../../../../etc/passwd" }),
		missing("unknown schema", anyShot, func(s *shot) { s.method, s.path, s.tree, s.params = "GET", "/Schemas/urn:nothing", nil, nil }),
		missing("unknown resource type", anyShot, func(s *shot) { s.method, s.path, s.tree, s.params = "GET", "/ResourceTypes/Device", nil, nil }),
		base("of another version", 404, byEndpoint, func(b string) string { return strings.Replace(b, "/v2", "/v1", 1) }),
		base("in capitals", 404, byEndpoint, func(b string) string { return strings.Replace(b, "/scim/", "/SCIM/", 1) }),
		base("of an unknown tenant", 401, byEndpoint, func(b string) string { return strings.Replace(b, "/t/", "/t/x", 1) }),
		base("of a tenant in capitals", 401, byEndpoint, func(b string) string { return "/t/" + strings.ToUpper(strings.Split(b, "/")[2]) + "/scim/v2" }),
		base("of a tenant with NUL", 401, byEndpoint, func(b string) string { return "/t/" + strings.Split(b, "/")[2] + "%00/scim/v2" }),
		base("of a tenant that is SQL", 401, byEndpoint, func(string) string { return "/t/'--/scim/v2" }),
		base("of a long tenant", 401, byEndpoint, func(string) string { return "/t/" + strings.Repeat("a", 10_000) + "/scim/v2" }),
		base("without tenant", 401, byEndpoint, func(string) string { return "/t" + "//scim/v2" }),
		base("beside it", 404, byFront, func(string) string { return "/scim/v2" }),
		base("with two slashes", 404, byFront, func(b string) string { return "/" + b }),
		base("with dots", 404, byFront, func(b string) string { return "/x/.." + b }),
		base("escaped", 404, byEndpoint, func(b string) string { return strings.Replace(b, "/scim/", "/%2e/scim/", 1) }),
		answered(missing("percent alone", anyShot, func(s *shot) { s.path += "%" }), 400, byLibrary),
		answered(missing("percent and letters", anyShot, func(s *shot) { s.path += "/%zz" }), 400, byLibrary),
		answered(missing("percent and a digit", anyShot, func(s *shot) { s.path += "%2" }), 400, byLibrary),
		answered(missing("a blank", anyShot, func(s *shot) { s.path += " x" }), 400, byLibrary),
		answered(missing("a control character", anyShot, func(s *shot) { s.path += "\x01" }), 400, byLibrary),
		answered(missing("NUL", anyShot, func(s *shot) { s.path += "\x00" }), 400, byLibrary),
		answered(missing("a tab", anyShot, func(s *shot) { s.path += "\tx" }), 400, byLibrary),
		answered(missing("a delete character", anyShot, func(s *shot) { s.path += "\x7f" }), 400, byLibrary),
		answered(missing("too long", anyShot, func(s *shot) { s.path += strings.Repeat("x", 80<<10) }), 431, byLibrary),
		answered(missing("query too long", anyShot, func(s *shot) { s.setParam("x", strings.Repeat("x", 80<<10)) }), 431, byLibrary),
		missing("lower case", func(s *shot) bool { return s.def != nil && s.shape != deleting }, func(s *shot) { s.path = strings.ToLower(s.path[:3]) + s.path[3:] }),
		missing("slash at the end", isListing, func(s *shot) { s.path += "/" }),
		missing("letters escaped", isListing, func(s *shot) { s.path = "/%55sers"; s.adoptType() }),
	}
}

// adoptType gives a shot whose address now names the other type what belongs to that type.
func (s *shot) adoptType() {
	if s.shape == patching {
		s.tree = patchOf(patchOp("replace", "externalId", "x"))
	}
	if s.shape == putting {
		s.tree = jsonObject{"userName": "x", "displayName": "x"}
	}
	s.params = nil
}

// methodMutations send another method, or pretend to.
func methodMutations() []mutation {
	const family = "method"
	refused := func(name, method string, status int, by author) mutation {
		return mutation{
			family: family, name: name, fits: func(s *shot) bool { return s.def != nil }, status: status, by: by,
			spoil: func(_ *rand.Rand, s *shot) { s.method = method },
		}
	}
	var out []mutation
	for _, method := range []string{
		"TRACE", "TRACK", "OPTIONS", "PROPFIND", "MKCOL", "LINK", "PURGE", "DEBUG", "get", "Post", "GETS", "X", strings.Repeat("A", 1000),
	} {
		out = append(out, refused(method[:min(len(method), 20)], method, 405, byEndpoint))
	}
	for name, method := range map[string]string{
		"empty": "", "with a colon": "GE:T", "with brackets": "G(E)T", "beyond ASCII": "GÉT", "with a comma": "GET,POST", "with a quote": `GE"T`,
		"with NUL": "GE\x00T",
	} {
		out = append(out, refused(name, method, 400, byLibrary))
	}
	wrong := func(name, method string, fits func(*shot) bool) mutation {
		return mutation{family: family, name: name, fits: fits, status: 405, spoil: func(_ *rand.Rand, s *shot) { s.method = method }}
	}
	out = append(out, wrong("PUT of a list", "PUT", func(s *shot) bool { return s.shape == posting || s.shape == listing }),
		wrong("PATCH of a list", "PATCH", func(s *shot) bool { return s.shape == posting || s.shape == listing }),
		wrong("DELETE of a list", "DELETE", func(s *shot) bool { return s.shape == posting || s.shape == listing }),
		wrong("POST to a resource", "POST", namesResource),
		wrong("DELETE of what is only read", "DELETE", func(s *shot) bool { return s.shape == discovering }),
		wrong("POST to what is only read", "POST", func(s *shot) bool { return s.shape == discovering }))
	for _, header := range []string{"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"} {
		out = append(
			out, mutation{family: family, name: header, fits: keeps, status: 405, spoil: func(_ *rand.Rand, s *shot) { s.addHeader(header, "DELETE") }},
		)
	}
	unsupported := func(name, method, path string) mutation {
		return mutation{family: family, name: name, fits: func(s *shot) bool { return s.shape == posting || s.shape == listing }, status: http.StatusNotImplemented,
			spoil: func(_ *rand.Rand, s *shot) { s.method, s.path = method, path }}
	}
	return append(
		out, unsupported("bulk", "POST", "/Bulk"), unsupported("search", "POST", "/.search"),
		unsupported("search of users", "POST", "/Users/.search"), unsupported("me", "GET", "/Me"), unsupported("patch of me", "PATCH", "/Me"),
	)
}
