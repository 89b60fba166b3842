package campaign

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
)

// framingMutations lie about where the body ends.
func framingMutations() []mutation {
	const family = "framing"
	library := func(name string, status int, spoil func(s *shot)) mutation {
		return mutation{
			family: family, name: name, fits: writing, status: status, by: byLibrary, spoil: func(_ *rand.Rand, s *shot) { spoil(s); s.parting = true },
		}
	}
	length := func(name, value string) mutation {
		return library("Content-Length "+name, 400, func(s *shot) { s.addHeader("Content-Length", value) })
	}
	coding := func(name, value string, status int) mutation {
		return library("Transfer-Encoding "+name, status, func(s *shot) { s.addHeader("Transfer-Encoding", value) })
	}
	endpoint := func(name string, spoil func(rng *rand.Rand, s *shot)) mutation {
		return badRequest(family, name, "invalidSyntax", writing, func(rng *rand.Rand, s *shot) { spoil(rng, s); s.parting = true })
	}
	// rawChunks sends a body in a transfer coding of the mutation's own.
	rawChunks := func(name string, chunks func(body string) string) mutation {
		return endpoint(name, func(_ *rand.Rand, s *shot) {
			body := s.body()
			s.addHeader("Transfer-Encoding", "chunked")
			s.raw = append(s.head(), chunks(body)...)
			s.halfClose = true
		})
	}
	return []mutation{
		length("negative", "-1"), length("a word", "many"), length("with a sign", "+5"), length("hexadecimal", "0x10"), length("a fraction", "1.5"),
		length("beyond 64 bits", "99999999999999999999"), length("a list", "5, 6"),
		length("with a blank", "5 5"), length("not ASCII", "\xd9\xa3"), length("empty quotes", `""`),
		library("Content-Length twice", 400, func(s *shot) {
			s.addHeader("Content-Length", fmt.Sprint(len(s.body())))
			s.addHeader("Content-Length", fmt.Sprint(len(s.body())-1))
		}),
		coding("unknown", "gzip", 501), coding("unknown and chunked", "gzip, chunked", 501), coding("identity", "identity", 501),
		coding("misspelt", "xchunked", 501), coding("twice in one", "chunked, chunked", 501), coding("empty", "", 501),
		coding("in quotes", `"chunked"`, 501),
		library("Transfer-Encoding twice", 501, func(s *shot) {
			s.addHeader("Transfer-Encoding", "chunked")
			s.addHeader("Transfer-Encoding", "chunked")
		}),
		endpoint("Content-Length too small", func(rng *rand.Rand, s *shot) { s.addHeader("Content-Length", fmt.Sprint(1+rng.IntN(len(s.body())-1))) }),
		endpoint("Content-Length too large", func(_ *rand.Rand, s *shot) {
			s.addHeader("Content-Length", fmt.Sprint(len(s.body())+1))
			s.halfClose = true
		}),
		endpoint("Content-Length zero", func(_ *rand.Rand, s *shot) { s.addHeader("Content-Length", "0") }),
		endpoint("no length", func(_ *rand.Rand, s *shot) {
			body := s.body()
			s.tree, s.text = nil, ""
			s.raw = append(s.head(), body...)
		}),
		endpoint("chunked and a length, not chunked", func(_ *rand.Rand, s *shot) {
			s.addHeader("Content-Length", fmt.Sprint(len(s.body())))
			s.addHeader("Transfer-Encoding", "chunked")
			s.halfClose = true
		}),
		rawChunks("no chunk", func(string) string { return "" }),
		rawChunks("no last chunk", func(body string) string { return strings.TrimSuffix(string(chunked(body, 1000)), "0\r\n\r\n") }),
		rawChunks("size that is none", func(body string) string { return "zz\r\n" + body + "\r\n0\r\n\r\n" }),
		rawChunks("negative size", func(body string) string { return "-5\r\n" + body + "\r\n0\r\n\r\n" }),
		rawChunks("size too large", func(body string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body)+10, body) }),
		rawChunks("size too small", func(body string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body)-1, body) }),
		rawChunks("size beyond 64 bits", func(body string) string { return "fffffffffffffffff\r\n" + body + "\r\n0\r\n\r\n" }),
		rawChunks("no line feed", func(body string) string { return fmt.Sprintf("%x\r%s\r0\r\r", len(body), body) }),
		rawChunks("last chunk first", func(body string) string { return "0\r\n\r\n" + body }),
		rawChunks("long extension", func(body string) string { return "5;" + strings.Repeat("x", 20_000) + "\r\n" + body }),
		rawChunks("endless size", func(string) string { return strings.Repeat("0", 20_000) + "1\r\n" }),

		{family: family, name: "chunked", fits: writing, status: 411, spoil: func(rng *rand.Rand, s *shot) { s.chunk(1 + rng.IntN(100)) }},
		{family: family, name: "chunks of a byte", fits: writing, status: 411, spoil: func(_ *rand.Rand, s *shot) { s.chunk(1) }},
		{family: family, name: "chunked with trailers", fits: writing, status: 400, spoil: func(_ *rand.Rand, s *shot) {
			s.chunk(50)
			s.raw = append(bytes.TrimSuffix(s.raw, []byte("\r\n")), "Authorization: Bearer x\r\nX-Torture: 1\r\n\r\n"...)
		}},
		{family: family, name: "chunked and a length", fits: writing, status: 400, spoil: func(_ *rand.Rand, s *shot) {
			s.addHeader("Content-Length", "7")
			s.chunk(50)
			s.parting = true
		}},
		{family: family, name: "the same length twice", fits: writing, status: 400, spoil: func(_ *rand.Rand, s *shot) {
			s.addHeader("Content-Length", fmt.Sprint(len(s.body())))
			s.addHeader("Content-Length", fmt.Sprint(len(s.body())))
		}},
		{family: family, name: "body of a read", fits: readsOnly, status: 400, spoil: func(_ *rand.Rand, s *shot) { s.text = strings.Repeat("{", 1000) }},
	}
}

// lineMutations spoil the lines of the head.
func lineMutations() []mutation {
	const family = "line"
	library := func(name string, status int, change func(s *shot)) mutation {
		return mutation{
			family: family, name: name, fits: anyShot, status: status, by: byLibrary,
			spoil: func(_ *rand.Rand, s *shot) { change(s); s.fresh, s.parting = true, true },
		}
	}
	version := func(name, proto string, status int) mutation {
		return library("version "+name, status, func(s *shot) { s.proto = proto })
	}
	header := func(name, line string) mutation {
		return library("field "+name, 400, func(s *shot) {
			head := s.head()
			s.raw = append(append(bytes.TrimSuffix(head, []byte("\r\n")), line+"\r\n\r\n"...), s.body()...)
		})
	}
	host := func(name, value string) mutation {
		return library("Host "+name, 400, func(s *shot) { s.setHeader("Host", value) })
	}
	rewritten := func(name string, status int, change func(head string) string) mutation {
		return library(name, status, func(s *shot) { s.raw = append([]byte(change(string(s.head()))), s.body()...) })
	}
	tolerated := func(name string, fits func(*shot) bool, change func(s *shot)) mutation {
		return mutation{family: family, name: name, fits: fits, status: 400, spoil: func(_ *rand.Rand, s *shot) { change(s) }}
	}
	return []mutation{
		version("none", "", 400), version("of nothing", "HTTP", 400), version("word", "HTTP/x", 400), version("lower case", "http/1.1", 400),
		version("of another protocol", "FTP/1.1", 400), version("of one number", "HTTP/1", 400),
		version("of three numbers", "HTTP/1.1.1", 400), version("large", "HTTP/10.10", 400), version("negative", "HTTP/-1.1", 400),
		version("with a blank", "HTTP/1.1 x", 400), version("0.9", "HTTP/0.9", 505), version("2", "HTTP/2.0", 505), version("3", "HTTP/3.0", 505),
		version("9", "HTTP/9.9", 505),
		header("without colon", "torture"), header("without name", ": torture"), header("with a blank in its name", "X Torture: x"),
		header("with a blank before the colon", "X-Torture : x"), header("with NUL", "X-Torture: a\x00b"),
		header("with a control character", "X-Torture: a\x01b"),
		header("with NUL in its name", "X\x00T: x"), header("beyond ASCII in its name", "X-Tört: x"), header("in brackets", "X(T): x"),
		header("with a carriage return", "X-Torture: a\rb"), header("of a request line", "GET / HTTP/1.1"),
		header("with a delete character", "X-Torture: \x7f"),
		host("empty name", "\x00"), host("with a path", "a/b"), host("with a blank", "a b"), host("of two", "a, b"), host("of SQL", `a"b`),
		host("with an address", "user@a\\b"),
		library("no Host", 400, func(s *shot) { s.dropHeader("Host") }), library("two Hosts", 400, func(s *shot) { s.addHeader("Host", s.at.host) }),
		rewritten("no request line", 400, func(head string) string { _, rest, _ := strings.Cut(head, "\r\n"); return rest }),
		rewritten("empty line first", 400, func(head string) string { return "\r\n" + head }),
		rewritten("blank first", 400, func(head string) string { return " " + head }),
		rewritten("two blanks", 400, func(head string) string { return strings.Replace(head, " ", "  ", 1) }),
		rewritten("tabs for blanks", 400, func(head string) string { return strings.Replace(head, " ", "\t", 2) }),
		rewritten("line alone", 400, func(head string) string { line, _, _ := strings.Cut(head, " "); return line + "\r\n\r\n" }),
		rewritten("folded at the start", 400, func(head string) string { return strings.Replace(head, "\r\n", "\r\n ", 1) }),
		rewritten("NUL first", 400, func(head string) string { return "\x00" + head }),
		rewritten("mark first", 400, func(head string) string { return "\ufeff" + head }),
		rewritten("carriage returns alone", 400, func(head string) string { return strings.ReplaceAll(head, "\r\n", "\r") + "\r\n\r\n" }),

		tolerated("absolute address", keeps, func(s *shot) { b := *s.at; b.base = "http://" + b.host + b.base; s.at = &b }),
		tolerated("absolute address of another", keeps, func(s *shot) { b := *s.at; b.base = "http://evil.example" + b.base; s.at = &b }),
		tolerated("version 1.0", keeps, func(s *shot) { s.proto = "HTTP/1.0"; s.parting = true }),
		tolerated("version 1.0 without Host", keeps, func(s *shot) { s.proto = "HTTP/1.0"; s.dropHeader("Host"); s.parting = true }),
		tolerated("Host of another", keeps, func(s *shot) { s.setHeader("Host", "evil.example") }),
		tolerated("Host empty", keeps, func(s *shot) { s.setHeader("Host", "") }),
		tolerated("line feeds alone", keeps, func(s *shot) { s.raw = append(bytes.ReplaceAll(s.head(), []byte("\r\n"), []byte("\n")), s.body()...) }),
		tolerated("folded field", keeps, func(s *shot) { s.addHeader("X-Torture", "a\r\n b") }),
		tolerated("empty field", keeps, func(s *shot) { s.addHeader("X-Torture", "") }),
		tolerated("names in lower case", keeps, func(s *shot) {
			for i := range s.headers {
				s.headers[i].name = strings.ToLower(s.headers[i].name)
			}
		}),
		tolerated("connection ends", keeps, func(s *shot) { s.addHeader("Connection", "close, keep-alive, x"); s.parting = true }),
		tolerated("bytes beyond ASCII in a value", keeps, func(s *shot) { s.addHeader("X-Torture", "\xff\x80東京") }),
	}
}

// garbageMutations send no HTTP at all.
func garbageMutations() []mutation {
	const family = "garbage"
	bytesOf := func(name string, status int, by author, data func(rng *rand.Rand, s *shot) []byte) mutation {
		return mutation{family: family, name: name, fits: anyShot, status: status, by: by, spoil: func(rng *rand.Rand, s *shot) {
			s.raw = data(rng, s)
			s.fresh, s.parting, s.halfClose = true, true, true
			s.method = http.MethodGet
		}}
	}
	fixed := func(name, data string) mutation {
		return bytesOf(name, 400, byLibrary, func(*rand.Rand, *shot) []byte { return []byte(data) })
	}
	return []mutation{
		fixed("TLS", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n"), fixed("SSH", "SSH-2.0-OpenSSH_9.9\r\n"),
		fixed("SMTP", "EHLO evil.example\r\n"), fixed("SOCKS", "\x05\x01\x00\r\n\r\n"), fixed("Redis", "*1\r\n$4\r\nPING\r\n"),
		fixed("empty lines", "\r\n\r\n\r\n\r\n"), fixed("line feeds", "\n\n\n\n"), fixed("a word", "torture\r\n\r\n"),
		fixed("JSON", "{\"userName\":\"kim\"}\r\n\r\n"), fixed("proxy", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n"),
		fixed("NULs", strings.Repeat("\x00", 1000)+"\r\n\r\n"),
		bytesOf("of chance", 400, byLibrary, func(rng *rand.Rand, _ *shot) []byte {
			data := make([]byte, 1+rng.IntN(2000))
			for i := range data {
				data[i] = byte(0x80 + rng.IntN(0x80)) // none of them ends a line or is a method's letter
			}
			return append(data, "\r\n\r\n"...)
		}),
		bytesOf("without end", http.StatusRequestHeaderFieldsTooLarge, byLibrary, func(rng *rand.Rand, _ *shot) []byte { return bytes.Repeat([]byte{byte(0x80 + rng.IntN(0x80))}, 80<<10) }),
		bytesOf("nothing", 0, bySilence, func(*rand.Rand, *shot) []byte { return []byte{} }),
		bytesOf("half a head", 400, byLibrary, func(rng *rand.Rand, s *shot) []byte { head := s.head(); return head[:1+rng.IntN(len(head)-3)] }),
		bytesOf("HTTP/2", http.StatusNotFound, byFront, func(*rand.Rand, *shot) []byte { return []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") }),
		bytesOf("OPTIONS of the server", http.StatusNotFound, byFront, func(_ *rand.Rand, s *shot) []byte {
			return []byte("OPTIONS * HTTP/1.1\r\nHost: " + s.at.host + "\r\n\r\n")
		}),
		bytesOf("CONNECT", http.StatusNotFound, byFront, func(*rand.Rand, *shot) []byte {
			return []byte("CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n")
		}),
	}
}

// sizeMutations send more than there is room for.
func sizeMutations() []mutation {
	const family = "size"
	large := func(name string, fits func(*shot) bool, size int, send func(s *shot)) mutation {
		return mutation{family: family, name: name, fits: both(writing, fits), status: http.StatusRequestEntityTooLarge, rare: true, spoil: func(_ *rand.Rand, s *shot) {
			s.text = strings.Replace(s.body(), "{", `{"x":"`+strings.Repeat("x", size)+`",`, 1)
			send(s)
			s.parting = true
		}}
	}
	whole := func(*shot) {}
	inChunks := func(s *shot) { s.chunk(64 << 10) }
	announced := func(size int64) func(s *shot) {
		return func(s *shot) { s.addHeader("Content-Length", fmt.Sprint(size)) }
	}
	refused := func(name, typ, member string) mutation {
		m := badRequest(family, name, typ, both(writing, aGroup), func(_ *rand.Rand, s *shot) { s.text = strings.Replace(s.body(), "{", "{"+member+",", 1) })
		m.rare = true
		return m
	}
	return []mutation{
		large("body of a user", aUser, 1<<20, whole), large("body of a user in chunks", aUser, 1<<20, inChunks),
		large("body of a group", aGroup, 16<<20, whole), large("body of a group in chunks", aGroup, 16<<20, inChunks),
		large("body of a user announced", aUser, 10, announced(1<<20+1)), large("body of a group announced", aGroup, 10, announced(16<<20+1)),
		large("body without measure announced", anyShot, 10, announced(1<<62)),
		refused("too many values", "invalidValue", `"x":[`+strings.Repeat("0,", 1_000_000)+`0]`),
		badRare(family, "work without measure", "invalidValue", both(isPatching, aUser), func(_ *rand.Rand, s *shot) {
			many := make([]any, 4000)
			for i := range many {
				many[i] = jsonObject{"type": "t", "value": fmt.Sprint(i)}
			}
			s.appendOperation(patchOp("add", "ims", many))
			for range 2000 {
				s.appendOperation(patchOp("replace", `ims[type eq "none" and value eq "none"].display`, "x"))
			}
		}),
		{family: family, name: "many values", fits: both(writing, aUser), status: 413, rare: true, spoil: func(_ *rand.Rand, s *shot) {
			s.text = strings.Replace(s.body(), "{", `{"x":[`+strings.Repeat("0,", 500_000)+`0],`, 1)
		}},
		{family: family, name: "large but allowed", fits: both(writing, aGroup), status: 413, rare: true, spoil: func(_ *rand.Rand, s *shot) {
			s.text = strings.Replace(s.body(), "{", `{"x":"`+strings.Repeat("x", 2<<20)+`",`, 1)
		}},
	}
}

func badRare(family, name, typ string, fits func(*shot) bool, spoil func(*rand.Rand, *shot)) mutation {
	m := badRequest(family, name, typ, fits, spoil)
	m.rare = true
	return m
}
