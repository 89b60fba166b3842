package campaign

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"meibo/scim"
)

// shot is one request of the torture on its way to the wire: well formed as the corpus makes it,
// until a mutation spoils one thing in it. What Go's HTTP client would repair goes out as it is.
type shot struct {
	shape   shape
	at      *sandbox
	def     *scim.Definition // of what the address names; nil for discovery
	method  string
	path    string   // below the SCIM base, escaped
	params  []string // name=value, escaped
	proto   string
	headers []headerField
	tree    map[string]any // the body; nil for none
	text    string         // the body's text once a mutation took it over
	success int            // what the well-formed request is answered

	raw       []byte // all of the bytes, in place of everything above
	halfClose bool   // the client has no more to say after these bytes
	parting   bool   // what comes after the answer is no request any more
	fresh     bool   // the first request of a connection: later on net/http forgives an empty line before it
}

type headerField struct{ name, value string }

// shape is the shape of a well-formed request; mutations choose those that they can spoil.
type shape int

const (
	posting shape = iota
	putting
	patching
	deleting
	getting
	listing
	discovering
)

func (s *shot) writes() bool   { return s.shape == posting || s.shape == putting || s.shape == patching }
func (s *shot) resource() bool { return s.shape == posting || s.shape == putting }

// body is the text of the body, written from its tree the first time.
func (s *shot) body() string {
	if s.text == "" && s.tree != nil {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(s.tree) // a tree of our own always encodes
		s.text = strings.TrimSuffix(b.String(), "\n")
	}
	return s.text
}

// setHeader sets a header headerField in place of one of that name, or adds it.
func (s *shot) setHeader(name, value string) {
	if i := slices.IndexFunc(s.headers, func(f headerField) bool { return strings.EqualFold(f.name, name) }); i >= 0 {
		s.headers[i] = headerField{name, value}
		return
	}
	s.addHeader(name, value)
}

func (s *shot) addHeader(name, value string) { s.headers = append(s.headers, headerField{name, value}) }

func (s *shot) dropHeader(name string) {
	s.headers = slices.DeleteFunc(s.headers, func(f headerField) bool { return strings.EqualFold(f.name, name) })
}

func (s *shot) hasHeader(name string) bool {
	return slices.ContainsFunc(s.headers, func(f headerField) bool { return strings.EqualFold(f.name, name) })
}

// setParam sets a query parameter to an escaped value.
func (s *shot) setParam(name, value string) {
	s.params = slices.DeleteFunc(s.params, func(p string) bool { return strings.HasPrefix(p, name+"=") })
	s.params = append(s.params, name+"="+value)
}

func (s *shot) target() string {
	t := s.at.base + s.path
	if len(s.params) > 0 {
		t += "?" + strings.Join(s.params, "&")
	}
	return t
}

// head is the request line and the header fields, with the empty line. Length and framing of the
// body are added unless a mutation sent its own.
func (s *shot) head() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s %s\r\n", s.method, s.target(), s.proto)
	for _, f := range s.headers {
		fmt.Fprintf(&b, "%s: %s\r\n", f.name, f.value)
	}
	if s.body() != "" && !s.hasHeader("Content-Length") && !s.hasHeader("Transfer-Encoding") {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(s.body()))
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

func (s *shot) bytes() []byte {
	if s.raw == nil {
		s.raw = append(s.head(), s.body()...)
	}
	return s.raw
}

// chunk sends the body in chunks of a size.
func (s *shot) chunk(size int) {
	text := s.body()
	s.setHeader("Transfer-Encoding", "chunked")
	s.raw = append(s.head(), chunked(text, size)...)
}

func chunked(text string, size int) []byte {
	var b bytes.Buffer
	for len(text) > 0 {
		n := min(size, len(text))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, text[:n])
		text = text[n:]
	}
	b.WriteString("0\r\n\r\n")
	return b.Bytes()
}

// impact is what came back. Without an answer the status is 0.
type impact struct {
	status      int
	contentType string
	correlation string
	body        []byte
	took        time.Duration // from the first byte sent to the last one read
}

// gun sends shots over one connection after another, keeping each as long as the server does.
type gun struct {
	address string
	conn    net.Conn
	reader  *bufio.Reader
}

// tortureTimeout bounds one shot; what takes longer than a second has failed long before.
const tortureTimeout = 30 * time.Second

// fire sends one shot and reads its answer. An error is a connection that fails, not one that the
// server closes in silence.
func (g *gun) fire(s *shot) (impact, error) {
	if s.fresh {
		g.drop()
	}
	if err := g.dial(); err != nil {
		return impact{}, err
	}
	began := time.Now()
	if err := g.conn.SetDeadline(began.Add(tortureTimeout)); err != nil {
		return impact{}, err
	}
	sent := g.send(s)
	r, again, err := g.read(s.method)
	r.took = time.Since(began)
	if !again || s.parting || s.halfClose || err != nil {
		g.drop()
	}
	<-sent
	return r, err
}

func (g *gun) dial() (err error) {
	if g.conn != nil {
		return nil
	}
	if g.conn, err = net.DialTimeout("tcp", g.address, tortureTimeout); err != nil {
		return err
	}
	g.reader = bufio.NewReader(g.conn)
	return nil
}

func (g *gun) drop() {
	if g.conn != nil {
		_ = g.conn.Close() // whatever the server thinks of it
		g.conn = nil
	}
}

// send writes the bytes, beside the reader where they are many: the answer may come, and the
// connection end, before they are all through. That is no error: the answer decides.
func (g *gun) send(s *shot) <-chan struct{} {
	done := make(chan struct{})
	conn, data := g.conn, s.bytes()
	write := func() {
		defer close(done)
		if _, err := conn.Write(data); err != nil {
			return
		}
		if half, ok := conn.(*net.TCPConn); ok && s.halfClose {
			_ = half.CloseWrite()
		}
	}
	if len(data) > 32<<10 {
		go write()
	} else {
		write()
	}
	return done
}

// read reads one answer; again says whether the connection can be used for another request.
func (g *gun) read(method string) (r impact, again bool, err error) {
	for {
		answer, err := http.ReadResponse(g.reader, &http.Request{Method: method})
		if silent(err) {
			return r, false, nil
		}
		if err != nil {
			return r, false, fmt.Errorf("read the answer: %w", err)
		}
		if answer.StatusCode == http.StatusContinue {
			continue
		}
		r.status, r.contentType = answer.StatusCode, answer.Header.Get("Content-Type")
		r.correlation = answer.Header.Get("X-Correlation-Id")
		r.body, err = io.ReadAll(answer.Body)
		if err != nil {
			return r, false, fmt.Errorf("read the body of a %d: %w", r.status, err)
		}
		return r, !answer.Close, nil
	}
}

// silent reports whether the server closed the connection without a word.
func silent(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &op) && !op.Timeout()
}

// leaves lists the places of the strings in a body that a client chooses: not the words of the
// message itself.
func leaves(tree any) (set []func(any)) {
	switch tree := tree.(type) {
	case map[string]any:
		for _, key := range sortedNames(tree) {
			if key == "schemas" || key == "op" || key == "path" {
				continue
			}
			if _, ok := tree[key].(string); ok {
				set = append(set, func(v any) { tree[key] = v })
				continue
			}
			set = append(set, leaves(tree[key])...)
		}
	case []any:
		for i, v := range tree {
			if _, ok := v.(string); ok {
				set = append(set, func(v any) { tree[i] = v })
				continue
			}
			set = append(set, leaves(v)...)
		}
	}
	return set
}

func sortedNames(tree map[string]any) []string {
	names := make([]string, 0, len(tree))
	for name := range tree {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// plant writes a fragment of JSON, right or wrong, in the place of some string of the body.
func (s *shot) plant(rng *rand.Rand, fragment string) {
	const mark = "torture-was-here"
	places := leaves(s.tree)
	places[rng.IntN(len(places))](mark)
	s.text = strings.Replace(s.body(), strconv.Quote(mark), fragment, 1)
}

// plantable reports whether the body has a string to plant in.
func (s *shot) plantable() bool { return s.tree != nil && len(leaves(s.tree)) > 0 }
