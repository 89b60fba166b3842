package summary

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"meibo/provisioning/sheet"
)

// Writer writes entries, one after the other.
type Writer interface{ Write(Entry) error }

type ndjsonWriter struct {
	w      io.Writer
	buffer bytes.Buffer
}

// NewNDJSONWriter writes entries as JSON, one object a line.
func NewNDJSONWriter(w io.Writer) Writer { return &ndjsonWriter{w: w} }

func (n *ndjsonWriter) Write(e Entry) error {
	n.buffer.Reset()
	if err := encode(&n.buffer, e); err != nil {
		return err
	}
	_, err := n.w.Write(n.buffer.Bytes())
	return err
}

// encode writes JSON as it is everywhere else, with its line end.
func encode(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// column is one of the CSV file's.
type column struct {
	title string
	cell  func(*Entry) string
}

// columns are what an entry is in a row: one cell for each name, JSON where there may be many values.
var columns = []column{
	{"id", func(e *Entry) string { return e.ID }},
	{"activityDateTime", func(e *Entry) string { return e.ActivityDateTime.Format(time.RFC3339Nano) }},
	{"tenantId", func(e *Entry) string { return e.TenantID }},
	{"jobId", func(e *Entry) string { return e.JobID }},
	{"cycleId", func(e *Entry) string { return e.CycleID }},
	{"changeId", func(e *Entry) string { return e.ChangeID }},
	{"provisioningAction", func(e *Entry) string { return e.Action }},
	{"status", func(e *Entry) string { return e.StatusInfo.Status }},
	{"reason", func(e *Entry) string { return e.Meibo.Reason.Code }},
	{"reasonArguments", func(e *Entry) string { return cell(e.Meibo.Reason.Arguments, len(e.Meibo.Reason.Arguments) > 0) }},
	{"identityType", func(e *Entry) string { return identity(e.TargetIdentity).IdentityType }},
	{"targetId", func(e *Entry) string { return identity(e.TargetIdentity).ID }},
	{"targetDisplayName", func(e *Entry) string { return identity(e.TargetIdentity).DisplayName }},
	{"sourceId", func(e *Entry) string { return identity(e.SourceIdentity).ID }},
	{"matchedBy", func(e *Entry) string { return e.Meibo.MatchedBy }},
	{"modifiedProperties", func(e *Entry) string { return cell(e.Properties, len(e.Properties) > 0) }},
	{"members", func(e *Entry) string { return cell(e.Meibo.Members, e.Meibo.Members != nil) }},
	{"version", func(e *Entry) string { return number(e.Meibo.Version) }},
	{"settingsVersion", func(e *Entry) string { return strconv.FormatInt(e.Meibo.SettingsVersion, 10) }},
	{"errorCode", func(e *Entry) string { return failure(e).Code }},
	{"errorReason", func(e *Entry) string { return failure(e).Reason }},
	{"errorCategory", func(e *Entry) string { return failure(e).Category }},
	{"recommendedAction", func(e *Entry) string { return failure(e).RecommendedAction }},
	{"initiatedBy", func(e *Entry) string { return e.InitiatedBy.ID }},
	{"initiatorType", func(e *Entry) string { return e.InitiatedBy.Type }},
	{"method", func(e *Entry) string { return request(e).Method }},
	{"path", func(e *Entry) string { return request(e).Path }},
	{"requestStatus", func(e *Entry) string { return number(int64(request(e).Status)) }},
	{"dialect", func(e *Entry) string { return request(e).Dialect }},
	{"quirks", func(e *Entry) string { return cell(request(e).Quirks, len(request(e).Quirks) > 0) }},
	{"microseconds", func(e *Entry) string { return number(request(e).Microseconds) }},
}

func identity(i *Identity) Identity {
	if i == nil {
		return Identity{}
	}
	return *i
}

func request(e *Entry) Request {
	if e.Meibo.Request == nil {
		return Request{}
	}
	return *e.Meibo.Request
}

func failure(e *Entry) ErrorInfo {
	if e.StatusInfo.Error == nil {
		return ErrorInfo{}
	}
	return *e.StatusInfo.Error
}

// number is a number that counts from 1, "" for none.
func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// cell is JSON in a cell, "" for nothing.
func cell(v any, present bool) string {
	if !present {
		return ""
	}
	var out bytes.Buffer
	if err := encode(&out, v); err != nil {
		return "" // of what was read as JSON: it cannot be
	}
	return string(bytes.TrimSpace(out.Bytes()))
}

type csvWriter struct {
	w      io.Writer
	buffer []byte
	cells  []string
}

// NewCSVWriter writes entries as rows for spreadsheets, below a row of titles.
func NewCSVWriter(w io.Writer) (Writer, error) {
	c := &csvWriter{w: w, cells: make([]string, len(columns))}
	for i, col := range columns {
		c.cells[i] = col.title
	}
	_, err := w.Write(sheet.Append([]byte(sheet.Begin), c.cells))
	return c, err
}

func (c *csvWriter) Write(e Entry) error {
	for i, col := range columns {
		c.cells[i] = col.cell(&e)
	}
	c.buffer = sheet.Append(c.buffer[:0], c.cells)
	_, err := c.w.Write(c.buffer)
	return err
}

// Line is what an entry says in a line of a terminal: what changed, by name alone, and what decided.
func Line(e Entry) string {
	if f := e.StatusInfo.Error; f != nil {
		return f.Code + ": " + f.Reason
	}
	var out string
	add := func(text string) {
		if out != "" {
			out += ", "
		}
		out += text
	}
	for _, p := range e.Properties {
		add(p.DisplayName)
	}
	if m := e.Meibo.Members; m != nil {
		for _, change := range []struct {
			what string
			n    int
		}{
			{"members +", len(m.Added)}, {"members -", len(m.Removed)}, {"members for the client +", len(m.AssertedAdded)}, {"members for the client -", len(m.AssertedRemoved)},
			{"members for the application +", len(m.EffectiveAdded)}, {"members for the application -", len(m.EffectiveRemoved)},
		} {
			if change.n > 0 {
				add(change.what + strconv.Itoa(change.n))
			}
		}
	}
	why := e.Meibo.Reason.Code
	for _, name := range slices.Sorted(maps.Keys(e.Meibo.Reason.Arguments)) {
		why += " " + name + "=" + e.Meibo.Reason.Arguments[name]
	}
	if out != "" {
		out += " "
	}
	return out + "(" + why + ")"
}
