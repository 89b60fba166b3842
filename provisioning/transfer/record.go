package transfer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

const (
	maxCell   = 1 << 20 // bytes of a cell; a resource takes a quarter of that at most
	maxRecord = 4 << 20 // bytes of a record
)

// records reads CSV as RFC 4180 has it, and keeps what is in quotes byte for byte: encoding/csv changes line ends
// there, and a street address would not come back as it was.
type records struct {
	in    *bufio.Reader
	line  int // of the next byte
	begun bool
}

// record is one record with the line that it begins on.
type record struct {
	line  int
	cells []string
}

func newRecords(r io.Reader) *records { return &records{in: bufio.NewReaderSize(r, 64<<10), line: 1} }

// next reads a record; io.EOF at the end. Empty lines are passed over. A *Fault of it is fatal: where one record ends
// wrongly, nobody knows where the next begins.
func (r *records) next() (record, error) {
	if !r.begun {
		r.begun = true
		if err := r.begin(); err != nil {
			return record{}, err
		}
	}
	for {
		rec := record{line: r.line}
		err := r.read(&rec)
		if err != nil || len(rec.cells) > 1 || rec.cells[0] != "" {
			return rec, err
		}
	}
}

// begin passes over the mark that says UTF-8, and refuses those of other encodings.
func (r *records) begin() error {
	head, err := r.in.Peek(3)
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return r.fatal("the file is in UTF-16; save it as UTF-8 (in spreadsheets: “CSV UTF-8”)")
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		_, err = r.in.Discard(3)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return err
}

func (r *records) fatal(format string, args ...any) *Fault {
	return &Fault{Line: r.line, Detail: fmt.Sprintf(format, args...), Fatal: true}
}

// read reads the cells of one record.
func (r *records) read(rec *record) error {
	size := 0
	for {
		cell, more, err := r.cell()
		if err != nil {
			if errors.Is(err, io.EOF) && len(rec.cells) > 0 {
				rec.cells = append(rec.cells, "") // a comma was the last byte
				return nil
			}
			return err
		}
		rec.cells = append(rec.cells, cell)
		if size += len(cell); size > maxRecord {
			return r.fatal("the record takes more than %d bytes; look for a quote that is not closed", maxRecord)
		}
		if !more {
			return nil
		}
	}
}

// cell reads a cell and what ends it; more tells that another follows. io.EOF where there is nothing.
func (r *records) cell() (cell string, more bool, err error) {
	c, err := r.in.ReadByte()
	if err != nil {
		return "", false, err
	}
	var b []byte
	if c == '"' { // elsewhere in a cell a quote is one: people write titles like emails[type eq "work"].value
		if b, err = r.quoted(); err != nil {
			return "", false, err
		}
		c, err = r.in.ReadByte()
	} else {
		for ; err == nil && c != ',' && c != '\n' && c != '\r'; c, err = r.in.ReadByte() {
			if b = append(b, c); len(b) > maxCell {
				return "", false, r.tooLarge()
			}
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return "", false, err
	}
	if fault := r.check(b); fault != nil {
		return "", false, fault
	}
	if err != nil {
		return string(b), false, nil
	}
	more, err = r.separator(c)
	return string(b), more, err
}

// quoted reads a cell from behind its first quote to behind its last.
func (r *records) quoted() ([]byte, error) {
	var b []byte
	began := r.line
	for {
		c, err := r.in.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil, &Fault{Line: began, Detail: "a cell that begins on this line has no closing quote", Fatal: true}
		}
		if err != nil {
			return nil, err
		}
		if c == '"' {
			if next, err := r.in.Peek(1); err != nil || next[0] != '"' {
				return b, nil
			}
			_, _ = r.in.Discard(1) // it was there to be peeked at
		}
		if c == '\n' {
			r.line++
		}
		if b = append(b, c); len(b) > maxCell {
			return nil, r.tooLarge()
		}
	}
}

// separator tells what c, which follows a cell, means.
func (r *records) separator(c byte) (more bool, err error) {
	if c == '\r' {
		if c, err = r.in.ReadByte(); err != nil || c != '\n' {
			return false, r.fatal("a carriage return without a line feed; end lines with both, and put cells that hold one in quotes")
		}
	}
	switch c {
	case ',':
		return true, nil
	case '\n':
		r.line++
		return false, nil
	default:
		return false, r.fatal("text after a closing quote; write quotes inside a cell twice")
	}
}

func (r *records) check(cell []byte) *Fault {
	switch {
	case bytes.IndexByte(cell, 0) >= 0:
		return r.fatal("a NUL character; the file is not text, or in UTF-16: save it as UTF-8")
	case !utf8.Valid(cell):
		return r.fatal("the text is not UTF-8; save the file as UTF-8 (in spreadsheets: “CSV UTF-8”)")
	}
	return nil
}

func (r *records) tooLarge() *Fault {
	return r.fatal("a cell takes more than %d bytes; look for a quote that is not closed", maxCell)
}
