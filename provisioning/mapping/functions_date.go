package mapping

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

var dateFunctions = map[string]function{
	"CDate":          {1, 1, "CDate(expression)", cDate},
	"DateAdd":        {3, 3, "DateAdd(interval, value, dateTime)", dateAdd},
	"DateDiff":       {3, 3, "DateDiff(interval, date1, date2)", dateDiff},
	"DateFromNum":    {1, 1, "DateFromNum(value)", dateFromNum},
	"FormatDateTime": {4, 4, "FormatDateTime(source, dateTimeStyles, inputFormat, outputFormat)", formatDateTime},
	"Now":            {0, 0, "Now()", func(e *evaluation, _ []any) (any, error) { return formatDate(e.now), nil }},
	"NumFromDate":    {1, 1, "NumFromDate(value)", numFromDate},
}

// formatDate is the form in which the date functions give and take dates: M/d/yyyy h:mm:ss tt, in UTC.
func formatDate(at time.Time) string { return at.UTC().Format("1/2/2006 3:04:05 PM") }

// layouts are the forms of dates that are understood without being told. What names no zone is in UTC.
var layouts = []string{
	time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04",
	"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05", "2006-01-02Z07:00", "2006-01-02",
	"1/2/2006 3:04:05 PM", "1/2/2006 15:04:05", "1/2/2006", "2006/1/2", "20060102",
}

// longestDate is longer than any date in these forms.
const longestDate = 64

func parseDate(s string) (time.Time, bool) {
	if s = strings.TrimSpace(s); len(s) > longestDate {
		return time.Time{}, false
	}
	for _, layout := range layouts {
		if at, err := time.Parse(layout, s); err == nil {
			return at.UTC(), inRange(at)
		}
	}
	return time.Time{}, false
}

// inRange bounds years to those that all forms can write.
func inRange(at time.Time) bool { return at.Year() >= 1 && at.Year() <= 9999 }

// dateArgument is one argument as a date; ok is false for nil.
func dateArgument(args []any, i int, name string) (at time.Time, ok bool, err error) {
	s, ok, err := textArgument(args, i, name)
	if !ok {
		return at, false, err
	}
	if at, ok = parseDate(s); !ok {
		return at, false, fmt.Errorf("%s is no date in a form that is understood; use FormatDateTime to say which it has", name)
	}
	return at, true, nil
}

func cDate(_ *evaluation, args []any) (any, error) {
	at, ok, err := dateArgument(args, 0, "the expression")
	if !ok {
		return nil, err
	}
	return formatDate(at), nil
}

// maxAdded bounds the number of units that DateAdd adds: 10,000 years of seconds.
const maxAdded = 10_000 * 366 * 24 * 60 * 60

func dateAdd(_ *evaluation, args []any) (any, error) {
	interval, _, err := textArgument(args, 0, "interval")
	if err != nil {
		return nil, err
	}
	n, err := intArgument(args, 1, "value")
	if err != nil {
		return nil, err
	}
	at, ok, err := dateArgument(args, 2, "dateTime")
	if !ok {
		return nil, err
	}
	if n < -maxAdded || n > maxAdded {
		return nil, errors.New("value is out of all proportion")
	}
	out, err := addUnits(interval, n, at)
	if err == nil && !inRange(out) {
		err = errors.New("the date is outside the years 1 to 9999")
	}
	if err != nil {
		return nil, err
	}
	return formatDate(out), nil
}

// errInterval is the error for an interval that is none.
var errInterval = errors.New("the interval must be one of yyyy, m, d, ww, h, n and s")

func addUnits(interval string, n int, at time.Time) (time.Time, error) {
	switch interval {
	case "yyyy":
		return addMonths(at, 12*n), nil
	case "m":
		return addMonths(at, n), nil
	case "d":
		return at.AddDate(0, 0, n), nil
	case "ww":
		return at.AddDate(0, 0, 7*n), nil
	case "h":
		return addSeconds(at, n, 3600), nil
	case "n":
		return addSeconds(at, n, 60), nil
	case "s":
		return addSeconds(at, n, 1), nil
	}
	return at, errInterval
}

// addMonths stays in the month that it reaches: a month after January 31 is the last of February.
func addMonths(at time.Time, n int) time.Time {
	day := at.Day()
	first := time.Date(at.Year(), at.Month()+time.Month(n), 1, at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), time.UTC)
	lastDay := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(day, lastDay)-1)
}

// addSeconds can add more than a time.Duration has room for.
func addSeconds(at time.Time, n, unit int) time.Time {
	return time.Unix(at.Unix()+int64(n)*int64(unit), int64(at.Nanosecond())).UTC()
}

// dateDiff counts whole days, hours, minutes and seconds that have passed, but calendar years and months and
// the beginnings of weeks (Sundays) that were crossed, as Visual Basic does.
func dateDiff(_ *evaluation, args []any) (any, error) {
	interval, _, err := textArgument(args, 0, "interval")
	if err != nil {
		return nil, err
	}
	from, ok, err := dateArgument(args, 1, "date1")
	if !ok {
		return nil, err
	}
	to, ok, err := dateArgument(args, 2, "date2")
	if !ok {
		return nil, err
	}
	seconds := to.Unix() - from.Unix()
	switch interval {
	case "yyyy":
		return to.Year() - from.Year(), nil
	case "m":
		return 12*(to.Year()-from.Year()) + int(to.Month()) - int(from.Month()), nil
	case "d":
		return int(seconds / 86400), nil
	case "ww":
		seconds += int64(from.Weekday()-to.Weekday()) * 86400
		return int(seconds / 86400 / 7), nil
	case "h":
		return int(seconds / 3600), nil
	case "n":
		return int(seconds / 60), nil
	case "s":
		return int(seconds), nil
	}
	return nil, errInterval
}

// epoch1601 is the number of seconds between the beginning of Active Directory's time and of Unix's.
const epoch1601 = 11_644_473_600

// ticks is a second in Active Directory's unit, 100 nanoseconds.
const ticks = 10_000_000

func dateFromNum(_ *evaluation, args []any) (any, error) {
	if args[0] == nil {
		return nil, nil
	}
	n, err := intArgument(args, 0, "value")
	if err != nil {
		return nil, err
	}
	at := time.Unix(int64(n)/ticks-epoch1601, int64(n)%ticks*100)
	if n < 0 || !inRange(at.UTC()) {
		return nil, errors.New("value is no date of Active Directory")
	}
	return formatDate(at), nil
}

func numFromDate(_ *evaluation, args []any) (any, error) {
	at, ok, err := dateArgument(args, 0, "value")
	if !ok {
		return nil, err
	}
	seconds := at.Unix() + epoch1601
	if seconds < 0 || seconds > (1<<63-1)/ticks {
		return nil, errors.New("the date is outside Active Directory's time, which begins in 1601")
	}
	return int(seconds*ticks + int64(at.Nanosecond()/100)), nil
}

// formatDateTime takes formats as .NET writes custom ones, and no standard ones of a single letter.
func formatDateTime(e *evaluation, args []any) (any, error) {
	s, ok, err := textArgument(args, 0, "source")
	if !ok {
		return nil, err
	}
	styles, _, err := textArgument(args, 1, "dateTimeStyles")
	input, _, err2 := textArgument(args, 2, "inputFormat")
	output, _, err3 := textArgument(args, 3, "outputFormat")
	if err := errors.Join(err, err2, err3); err != nil {
		return nil, err
	}
	toUTC, err := readStyles(styles)
	if err != nil {
		return nil, err
	}
	at, err := parseNet(strings.TrimSpace(s), input)
	if err != nil {
		return nil, err
	}
	if toUTC {
		at = at.UTC()
	}
	return formatNet(at, output)
}

// readStyles knows the styles that change something here, and those that say what is done anyway.
func readStyles(styles string) (toUTC bool, err error) {
	for style := range strings.SplitSeq(styles, ",") {
		switch strings.TrimPrefix(strings.TrimSpace(style), "DateTimeStyles.") {
		case "", "None", "RoundtripKind", "AllowLeadingWhite", "AllowTrailingWhite", "AssumeUniversal":
		case "AdjustToUniversal":
			toUTC = true
		default:
			return false, errors.New("dateTimeStyles may be AdjustToUniversal, AssumeUniversal, RoundtripKind or nil")
		}
	}
	return toUTC, nil
}
