package mapping

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// The custom date and time formats of .NET, in English and with the colon and slash as they stand:
// a run of one letter is a specifier, quoted and escaped text and everything else stands for itself.

// field is one part of a format: a specifier of n letters, or text.
type field struct {
	letter byte // 0 for text
	n      int
	text   string
}

const specifiers = "yMdHhmsfFtzK"

// maxFormat is longer than any sensible format.
const maxFormat = 100

func parseFormat(format string) ([]field, error) {
	if len(format) < 2 || len(format) > maxFormat {
		return nil, errors.New("a format must be a custom one such as yyyy-MM-dd")
	}
	var fields []field
	for i := 0; i < len(format); {
		c := format[i]
		switch {
		case strings.IndexByte(specifiers, c) >= 0:
			n := 1
			for i+n < len(format) && format[i+n] == c {
				n++
			}
			fields = append(fields, field{letter: c, n: n})
			i += n
		case c == '\'' || c == '"':
			end := strings.IndexByte(format[i+1:], c)
			if end < 0 {
				return nil, errors.New("a format has a quote that does not end")
			}
			fields = append(fields, field{text: format[i+1 : i+1+end]})
			i += end + 2
		case c == '\\' && i+1 < len(format):
			fields = append(fields, field{text: format[i+1 : i+2]})
			i += 2
		default:
			fields = append(fields, field{text: format[i : i+1]})
			i++
		}
	}
	return fields, nil
}

// goLayouts are the specifiers that Go has, too.
var goLayouts = map[field]string{
	{letter: 'y', n: 2}: "06", {letter: 'y', n: 4}: "2006",
	{letter: 'M', n: 1}: "1", {letter: 'M', n: 2}: "01", {letter: 'M', n: 3}: "Jan", {letter: 'M', n: 4}: "January",
	{letter: 'd', n: 1}: "2", {letter: 'd', n: 2}: "02", {letter: 'd', n: 3}: "Mon", {letter: 'd', n: 4}: "Monday",
	{letter: 'H', n: 2}: "15",
	{letter: 'h', n: 1}: "3", {letter: 'h', n: 2}: "03",
	{letter: 'm', n: 1}: "4", {letter: 'm', n: 2}: "04", {letter: 's', n: 1}: "5", {letter: 's', n: 2}: "05",
	{letter: 't', n: 2}: "PM", {letter: 'z', n: 2}: "-07", {letter: 'z', n: 3}: "-07:00", {letter: 'K', n: 1}: "Z07:00",
}

func formatNet(at time.Time, format string) (any, error) {
	fields, err := parseFormat(format)
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	for _, f := range fields {
		layout, ok := goLayouts[f]
		switch {
		case f.letter == 0:
			out.WriteString(f.text)
		case ok:
			out.WriteString(at.Format(layout))
		case f.letter == 'H' && f.n == 1:
			out.WriteString(strconv.Itoa(at.Hour()))
		case f.letter == 'f' && f.n <= 7:
			out.WriteString(fmt.Sprintf("%09d", at.Nanosecond())[:f.n])
		default:
			return nil, unknownSpecifier(f)
		}
	}
	return out.String(), nil
}

func unknownSpecifier(f field) error {
	return fmt.Errorf("a format has %s, which is not supported", strings.Repeat(string(f.letter), min(f.n, 10)))
}

// errNotInFormat is the error for a date that its format does not describe.
var errNotInFormat = errors.New("the source is no date in its inputFormat")

// dateReader reads a date field by field.
type dateReader struct {
	rest                     string
	year, month, day         int
	hour, minute, second, ns int
	half                     bool // hours count to 12
	pm                       bool
	zone                     *time.Location
}

func parseNet(s, format string) (time.Time, error) {
	fields, err := parseFormat(format)
	if err != nil {
		return time.Time{}, err
	}
	r := dateReader{rest: s, year: 1, month: 1, day: 1, zone: time.UTC}
	for _, f := range fields {
		if err := r.read(f); err != nil {
			return time.Time{}, err
		}
	}
	return r.date()
}

func (r *dateReader) date() (time.Time, error) {
	if r.half {
		if r.hour < 1 || r.hour > 12 {
			return time.Time{}, errNotInFormat
		}
		if r.hour %= 12; r.pm {
			r.hour += 12
		}
	}
	at := time.Date(r.year, time.Month(r.month), r.day, r.hour, r.minute, r.second, r.ns, r.zone)
	if r.rest != "" || at.Day() != r.day || at.Month() != time.Month(r.month) || r.hour > 23 || r.minute > 59 || r.second > 59 || !inRange(at) {
		return time.Time{}, errNotInFormat
	}
	return at, nil
}

// read takes one field from what is left.
func (r *dateReader) read(f field) error {
	switch f.letter {
	case 0:
		rest, ok := strings.CutPrefix(r.rest, f.text)
		if !ok {
			return errNotInFormat
		}
		r.rest = rest
		return nil
	case 'y':
		return r.readYear(f)
	case 'M':
		if f.n >= 3 {
			return r.readName(f, &r.month)
		}
		return r.number(f, &r.month)
	case 'd':
		if f.n >= 3 {
			return r.readName(f, nil)
		}
		return r.number(f, &r.day)
	case 'H', 'h':
		r.half = f.letter == 'h'
		return r.number(f, &r.hour)
	case 'm':
		return r.number(f, &r.minute)
	case 's':
		return r.number(f, &r.second)
	case 'f':
		return r.fraction(f)
	case 't':
		return r.readHalf(f)
	case 'z', 'K':
		return r.readZone(f)
	default:
		return unknownSpecifier(f)
	}
}

// digits takes between least and most digits.
func (r *dateReader) digits(least, most int) (int, error) {
	n := 0
	for n < len(r.rest) && n < most && '0' <= r.rest[n] && r.rest[n] <= '9' {
		n++
	}
	if n < least {
		return 0, errNotInFormat
	}
	value, err := strconv.Atoi(r.rest[:n])
	r.rest = r.rest[n:]
	return value, err
}

// number reads one or two digits, and two where the specifier is doubled.
func (r *dateReader) number(f field, to *int) (err error) {
	if f.n > 2 {
		return unknownSpecifier(f)
	}
	*to, err = r.digits(f.n, 2)
	return err
}

// readYear takes years of two digits for those from 1950 to 2049, as .NET does.
func (r *dateReader) readYear(f field) (err error) {
	switch f.n {
	case 4:
		r.year, err = r.digits(4, 4)
	case 2:
		r.year, err = r.digits(2, 2)
		if r.year += 1900; r.year < 1950 {
			r.year += 100
		}
	default:
		err = unknownSpecifier(f)
	}
	return err
}

func (r *dateReader) fraction(f field) error {
	if f.n > 7 {
		return unknownSpecifier(f)
	}
	value, err := r.digits(f.n, f.n)
	for range 9 - f.n {
		value *= 10
	}
	r.ns = value
	return err
}

// readName reads the name of a month, or of a weekday, which says nothing new.
func (r *dateReader) readName(f field, month *int) error {
	layout, ok := goLayouts[f]
	if !ok {
		return unknownSpecifier(f)
	}
	n := 0
	for n < len(r.rest) && (r.rest[n]|0x20 >= 'a' && r.rest[n]|0x20 <= 'z') {
		n++
	}
	at, err := time.Parse(layout, r.rest[:n])
	if err != nil {
		return errNotInFormat
	}
	if month != nil {
		*month = int(at.Month())
	}
	r.rest = r.rest[n:]
	return nil
}

func (r *dateReader) readHalf(f field) error {
	if f.n != 2 {
		return unknownSpecifier(f)
	}
	if len(r.rest) < 2 {
		return errNotInFormat
	}
	half := strings.ToUpper(r.rest[:2])
	r.pm, r.rest = half == "PM", r.rest[2:]
	if half != "AM" && half != "PM" {
		return errNotInFormat
	}
	return nil
}

// readZone reads +09:00 or, for K alone, Z or nothing.
func (r *dateReader) readZone(f field) error {
	if f.letter == 'K' {
		if rest, ok := strings.CutPrefix(r.rest, "Z"); ok || r.rest == "" {
			r.rest = rest
			return nil
		}
		f.n = 3
	}
	layout, ok := goLayouts[field{letter: 'z', n: f.n}]
	if !ok {
		return unknownSpecifier(f)
	}
	n := min(len(layout), len(r.rest))
	at, err := time.Parse(layout, r.rest[:n])
	if err != nil {
		return errNotInFormat
	}
	_, offset := at.Zone()
	r.zone, r.rest = time.FixedZone("", offset), r.rest[n:]
	return nil
}
