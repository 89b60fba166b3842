package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"meibo/scim"
)

// Writer writes rows to a file.
type Writer interface {
	// Write writes a row that says everything.
	Write(Row) error
	// Close ends the file and leaves what is below open.
	Close() error
}

// Reader reads the rows of a file.
type Reader interface {
	// Next reads a row with its faults; io.EOF after the last. A *Fault as the error ends the file: what follows
	// could not be read.
	Next() (Row, error)
}

// Format is how a file is written.
type Format string

// The formats.
const (
	CSV    Format = "csv"
	NDJSON Format = "ndjson"
)

// NewWriter writes rows of these types in a format.
func NewWriter(w io.Writer, f Format, types ...scim.ResourceType) (Writer, error) {
	switch f {
	case CSV:
		return NewCSVWriter(w, types...)
	case NDJSON:
		return NewNDJSONWriter(w), nil
	default:
		return nil, fmt.Errorf("there is no format %q; choose csv or ndjson", string(f))
	}
}

// NewReader reads a file in the format that its first bytes tell: NDJSON begins with a brace.
func NewReader(r io.Reader) (Reader, error) {
	head := make([]byte, 512)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	head = head[:n]
	whole := io.MultiReader(bytes.NewReader(slices.Clone(head)), r)
	if bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n"), []byte("{")) {
		return NewNDJSONReader(whole), nil
	}
	return NewCSVReader(whole)
}
