package campaign

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
)

// headerMutations spoil what the header fields say of the body and of the answer.
func headerMutations() []mutation {
	const family = "header"
	media := func(name, value string) mutation {
		return mutation{
			family: family, name: "Content-Type " + name, fits: writing, status: http.StatusUnsupportedMediaType,
			spoil: func(_ *rand.Rand, s *shot) { s.setHeader("Content-Type", value) },
		}
	}
	coding := func(value string) mutation {
		return mutation{
			family: family, name: "Content-Encoding " + value, fits: writing, status: http.StatusUnsupportedMediaType,
			spoil: func(_ *rand.Rand, s *shot) { s.setHeader("Content-Encoding", value) },
		}
	}
	with := func(name string, fits func(*shot) bool, status int, by author, field, value string) mutation {
		return mutation{family: family, name: name, fits: fits, status: status, by: by, spoil: func(_ *rand.Rand, s *shot) { s.addHeader(field, value) }}
	}
	out := []mutation{
		media("text", "text/plain"), media("XML", "application/xml"), media("form", "application/x-www-form-urlencoded"),
		media("multipart", "multipart/form-data; boundary=x"),
		media("of a patch", "application/json-patch+json"), media("of a merge", "application/merge-patch+json"),
		media("lines", "application/x-ndjson"), media("of another version", "application/scim+xml"),
		media("half", "application/"), media("other half", "/json"), media("word", "json"), media("star", "*/*"),
		media("two", "application/json, text/plain"), media("semicolon", ";"),
		media("open parameter", "application/json; charset"), media("parameter twice", "application/json; charset=utf-8; charset=utf-8"),
		media("open quote", `application/json; charset="utf-8`),
		media("UTF-16", "application/json; charset=utf-16"), media("Latin-1", "application/scim+json; charset=iso-8859-1"),
		media("unknown charset", "application/json; charset=klingon"),
		media("Shift JIS", "application/json; charset=Shift_JIS"), media("beyond ASCII", "application/jsön"),
		media("long", "application/"+strings.Repeat("j", 10_000)),
		coding("gzip"), coding("deflate"), coding("br"), coding("zstd"), coding("compress"), coding("gzip, gzip"), coding("identity, gzip"),
		coding("x"), coding("*"), coding("aes128gcm"),

		with("Expect unknown", anyShot, http.StatusExpectationFailed, byLibrary, "Expect", "200-ok"),
		with("Expect of another number", anyShot, http.StatusExpectationFailed, byLibrary, "Expect", "101-continue"),
		with("Expect 100-continue", both(writing, keeps), 400, byEndpoint, "Expect", "100-continue"),
		with("Accept absurd", both(anyShot, keeps), 406, byEndpoint, "Accept", "image/png;q=2, ;;, text/*;q=-1, \x80"),
		with("Accept of text", keeps, 406, byEndpoint, "Accept", "text/html"),
		with("Accept-Charset absurd", keeps, 406, byEndpoint, "Accept-Charset", "klingon"),
		with("Accept-Encoding of nothing", keeps, 406, byEndpoint, "Accept-Encoding", "identity;q=0, *;q=0"),
		with("Accept-Language absurd", keeps, 400, byEndpoint, "Accept-Language", strings.Repeat("x-", 3000)),
		with("Range", readsOnly, 416, byEndpoint, "Range", "bytes=99999-1, -, x"),
		with("long value", keeps, 400, byEndpoint, "X-Torture", strings.Repeat("x", 40_000)),
		with("Forwarded", keeps, 400, byEndpoint, "X-Forwarded-Host", "evil.example\", \""),
		with("Cookie", keeps, 400, byEndpoint, "Cookie", "=;;;token=x; \x80"),
		with("Upgrade", keeps, 400, byEndpoint, "Upgrade", "h2c, websocket"),
		with("correlation id of the client's", keeps, 400, byEndpoint, "X-Correlation-Id", "' --"),
		with("Content-Encoding identity", writing, 415, byEndpoint, "Content-Encoding", "identity"),
		with("Content-Type of a read", readsOnly, 415, byEndpoint, "Content-Type", "text/xml; charset=x; charset=y"),
		with("Trailer", both(writing, keeps), 400, byEndpoint, "Trailer", "Content-Length, Host"),

		with("huge", anyShot, http.StatusRequestHeaderFieldsTooLarge, byLibrary, "X-Torture", strings.Repeat("x", 72<<10)),
		{family: family, name: "huge token", fits: anyShot, status: http.StatusRequestHeaderFieldsTooLarge, by: byLibrary, spoil: func(_ *rand.Rand, s *shot) { s.setHeader("Authorization", "Bearer "+strings.Repeat("x", 72<<10)) }},
		{family: family, name: "too many", fits: anyShot, status: http.StatusRequestHeaderFieldsTooLarge, by: byLibrary, spoil: func(_ *rand.Rand, s *shot) {
			for i := range 5000 {
				s.addHeader(fmt.Sprintf("X-%d", i), "torture")
			}
		}},
		{family: family, name: "many", fits: keeps, status: 400, spoil: func(_ *rand.Rand, s *shot) {
			for i := range 500 {
				s.addHeader(fmt.Sprintf("X-%d", i), "torture")
			}
		}},
		{family: family, name: "no Content-Type", fits: writing, status: 415, spoil: func(_ *rand.Rand, s *shot) { s.dropHeader("Content-Type") }},
		{family: family, name: "Content-Type twice", fits: writing, status: 415, spoil: func(_ *rand.Rand, s *shot) { s.addHeader("Content-Type", "application/scim+json") }},
	}
	return out
}

// authMutations take away the right to ask.
func authMutations() []mutation {
	with := func(name string, value func(token string) string) mutation {
		return mutation{
			family: "token", name: name, fits: anyShot, status: http.StatusUnauthorized,
			spoil: func(_ *rand.Rand, s *shot) { s.setHeader("Authorization", value(s.at.token)) },
		}
	}
	fixed := func(name, value string) mutation { return with(name, func(string) string { return value }) }
	change := func(name string, spoil func(s *shot)) mutation {
		return mutation{family: "token", name: name, fits: anyShot, status: http.StatusUnauthorized, spoil: func(_ *rand.Rand, s *shot) { spoil(s) }}
	}
	return []mutation{
		change("none", func(s *shot) { s.dropHeader("Authorization") }), fixed("empty", ""), fixed("scheme alone", "Bearer"),
		fixed("scheme and blank", "Bearer "), fixed("unknown", "Bearer nobody"),
		fixed("Basic", "Basic YWRtaW46YWRtaW4="), fixed("Digest", `Digest username="x"`), fixed("Negotiate", "Negotiate YII="),
		fixed("null", "Bearer null"), fixed("undefined", "Bearer undefined"),
		fixed("JWT without signature", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."), fixed("SQL", "Bearer ' OR '1'='1"),
		fixed("beyond ASCII", "Bearer \x80\xff"), fixed("long", "Bearer "+strings.Repeat("x", 30_000)),
		with("without scheme", func(token string) string { return token }),
		with("of another scheme", func(token string) string { return "Token " + token }),
		with("cut off", func(token string) string { return "Bearer " + token[:len(token)-1] }),
		with("and more", func(token string) string { return "Bearer " + token + "x" }),
		with("and another", func(token string) string { return "Bearer " + token + " x" }),
		with("twice", func(token string) string { return "Bearer " + token + ", Bearer " + token }),
		with("in capitals", func(token string) string { return "Bearer " + strings.ToUpper(token) + "X" }),
		with("in quotes", func(token string) string { return `Bearer "` + token + `"` }),
		with("after a tab", func(token string) string { return "Bearer\t" + token }),
		with("reversed", func(token string) string { return "Bearer " + reversed(token) }),
		with("one letter off", func(token string) string { return "Bearer " + token[:len(token)-1] + "~" }),
		change("two fields, the right one first", func(s *shot) { s.addHeader("Authorization", "Bearer nobody") }),
		change("two fields, the wrong one first", func(s *shot) {
			s.dropHeader("Authorization")
			s.addHeader("Authorization", "Bearer nobody")
			s.addHeader("Authorization", "Bearer "+s.at.token)
		}),
		change("the same twice", func(s *shot) { s.addHeader("Authorization", "Bearer "+s.at.token) }),
		change("in the address", func(s *shot) { s.dropHeader("Authorization"); s.setParam("access_token", s.at.token) }),
		change("in a cookie", func(s *shot) { s.dropHeader("Authorization"); s.addHeader("Cookie", "token="+s.at.token) }),
		change("in another field", func(s *shot) { s.dropHeader("Authorization"); s.addHeader("Proxy-Authorization", "Bearer "+s.at.token) }),
	}
}

func reversed(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

// conditionMutations ask for versions that are not there.
func conditionMutations() []mutation {
	const family = "condition"
	var out []mutation
	for name, tag := range map[string]string{
		"older": `W/"0"`, "newer": `W/"999999999"`, "word": `W/"x"`, "no quotes": `999999999`, "open quote": `W/"1`, "not a tag": `garbage`, "beyond 64 bits": `W/"99999999999999999999"`,
		"star in quotes": `"*"`, "star and a tag": `**`, "commas": `,,,`, "list of wrong ones": `W/"a", "b", c`, "NUL escaped": `W/"%00"`,
		"SQL": `W/"1' OR '1'='1"`, "date": `Mon, 01 Jan 2035 00:00:00 GMT`, "wrong W": `w/"999999"`,
		"negative": `W/"-1"`, "long": `W/"` + strings.Repeat("9", 20_000) + `"`, "beyond ASCII": "W/\"\x80\""} {
		out = append(
			out,
			mutation{
				family: family, name: "If-Match " + name, fits: changesResource, status: http.StatusPreconditionFailed,
				spoil: func(_ *rand.Rand, s *shot) { s.addHeader("If-Match", tag) },
			},
		)
	}
	none := func(name, tag string, fits func(*shot) bool) mutation {
		return mutation{
			family: family, name: "If-None-Match " + name, fits: fits, status: http.StatusPreconditionFailed,
			spoil: func(_ *rand.Rand, s *shot) { s.addHeader("If-None-Match", tag) },
		}
	}
	changing := both(changesResource, keeps)
	return append(out, none("star", "*", changesResource),
		none("star in a list", `W/"x", *`, changesResource),
		none("not a tag", `garbage"`, changing),
		none("of a read", `"`, func(s *shot) bool { return s.shape == getting }),
		mutation{family: family, name: "If-Match empty", fits: changing, status: 412, spoil: func(_ *rand.Rand, s *shot) { s.addHeader("If-Match", "") }},
		mutation{
			family: family, name: "If-Match of a read", fits: readsOnly, status: 412, spoil: func(_ *rand.Rand, s *shot) { s.addHeader("If-Match", `W/"999"`) },
		},
		mutation{
			family: family, name: "If-Unmodified-Since", fits: changing, status: 412,
			spoil: func(_ *rand.Rand, s *shot) { s.addHeader("If-Unmodified-Since", "yesterday") },
		})
}
