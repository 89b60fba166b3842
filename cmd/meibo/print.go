package main

import (
	"encoding/json"
	"io"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/spf13/cobra"
)

func jsonFlag(cmd *cobra.Command) *bool {
	return cmd.Flags().Bool("json", false, "print JSON: one object, or one a line for lists")
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// printLines prints a list as NDJSON.
func printLines[T, V any](w io.Writer, list []T, view func(T) V) error {
	for _, item := range list {
		if err := printJSON(w, view(item)); err != nil {
			return err
		}
	}
	return nil
}

// table prints columns that line up. An empty cell is a dash, so that columns can be counted.
type table struct{ *tabwriter.Writer }

func newTable(w io.Writer, head ...string) table {
	t := table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	t.row(head...)
	return t
}

func (t table) row(cells ...string) {
	for i, c := range cells {
		if cells[i] = printable(c); c == "" {
			cells[i] = "-"
		}
	}
	_, _ = io.WriteString(t, strings.Join(cells, "\t")+"\n") // an error comes back from flush
}

func (t table) flush() error { return t.Flush() }

// printable keeps a name that somebody else chose from moving the cursor of this terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
