// Package capture keeps requests with their answers as they went over the wire, for people who have to see what a
// client really sent: without secrets, compressed, sealed, bounded in size and for a limited time.
//
// An endpoint records; a Recorder writes in the background what was recorded, many at once, and never holds a request up.
package capture

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"
)

// MaxBody is how much of a body is kept, in bytes.
const MaxBody = 64 << 10

// Exchange is one request with its answer.
type Exchange struct {
	Tenant      string    `json:"-"`
	Correlation string    `json:"-"`
	Connection  int64     `json:"-"`
	At          time.Time `json:"-"` // when it arrived

	Method   string            `json:"method"`
	Target   string            `json:"target"`           // path and query, as they came
	Headers  map[string]string `json:"headers,omitzero"` // those of KeptHeaders
	Duration time.Duration     `json:"duration"`         // nanoseconds
	Status   int               `json:"status"`
	Answered map[string]string `json:"answered,omitzero"` // headers of the answer
	Request  Body              `json:"request"`
	Answer   Body              `json:"answer"`
}

// Body is what of a body is kept.
type Body struct {
	Text []byte `json:"-"`
	Size int    `json:"size"`           // of the whole one, in bytes
	Note string `json:"note,omitempty"` // why Text is not all of it
}

// KeptHeaders are the headers of a request that are kept; one that may hold a secret is not among them.
var KeptHeaders = []string{"Content-Type", "Accept", "If-Match", "If-None-Match", "User-Agent"}

// NewBody takes what is to be kept of a body, in a copy.
func NewBody(whole []byte) Body {
	b := Body{Text: bytes.Clone(whole[:min(len(whole), MaxBody)]), Size: len(whole)}
	if b.Size > len(b.Text) {
		b.Note = cutNote
	}
	return b
}

const (
	cutNote    = "cut off at 64 KiB"
	secretNote = "secrets were taken out"
)

// IsWhole reports whether Text is all of the body, but for secrets.
func (b Body) IsWhole() bool { return b.Note == "" || b.Note == secretNote }

// weight is how much memory an exchange takes, about.
func (x *Exchange) weight() int {
	return 1<<10 + len(x.Target) + len(x.Request.Text) + len(x.Answer.Text)
}

// encode writes what is sealed: the parts with their lengths, compressed.
func (x *Exchange) encode() ([]byte, error) {
	meta, err := json.Marshal(x)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	w := writers.Get().(*flate.Writer)
	defer writers.Put(w)
	w.Reset(&out)
	var length [binary.MaxVarintLen64]byte
	for _, part := range [][]byte{meta, x.Request.Text, x.Answer.Text} {
		_, _ = w.Write(length[:binary.PutUvarint(length[:], uint64(len(part)))]) // a Buffer takes everything
		_, _ = w.Write(part)
	}
	err = w.Close()
	return out.Bytes(), err
}

var writers = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(nil, flate.BestSpeed) // fails for unknown levels only
	return w
}}

var errEncoding = errors.New("a captured request that is not written as this version writes them")

// decode reads what encode wrote.
func decode(data []byte) (x Exchange, err error) {
	plain, err := io.ReadAll(flate.NewReader(bytes.NewReader(data)))
	if err != nil {
		return x, errors.Join(errEncoding, err)
	}
	var parts [3][]byte
	for i := range parts {
		n, read := binary.Uvarint(plain)
		if read <= 0 || n > uint64(len(plain)-read) {
			return x, errEncoding
		}
		parts[i], plain = plain[read:][:n], plain[read:][n:]
	}
	if err := json.Unmarshal(parts[0], &x); err != nil {
		return x, errors.Join(errEncoding, err)
	}
	x.Request.Text, x.Answer.Text = parts[1], parts[2]
	return x, nil
}
