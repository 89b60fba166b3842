package exchange

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Write is a conversation as Parse reads it. Bodies are JSON, each written on one line; a text that could be taken for
// another line is an error.
func Write(c Conversation) (string, error) {
	var w writer
	for _, one := range c.Connections {
		w.line("connection", append([]string{one.Name}, settings(one.Settings)...)...)
	}
	speaker := ""
	for i, t := range c.Turns {
		if i > 0 || len(c.Connections) > 0 {
			w.line("")
		}
		for _, remark := range t.Remarks {
			w.line("#", remark)
		}
		if t.Speaker != speaker {
			speaker = t.Speaker
			w.line("as", speaker)
		}
		w.turn(t)
	}
	return w.text.String(), w.err
}

func settings(all map[string]string) (fields []string) {
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fields = append(fields, name+"="+all[name])
	}
	return fields
}

type writer struct {
	text strings.Builder
	err  error
}

func (w *writer) line(word string, fields ...string) {
	line := word
	for _, f := range fields {
		if f != "" {
			line += " " + f
		}
	}
	if w.err == nil && strings.ContainsAny(line, "\r\n") {
		w.err = fmt.Errorf("%q is more than a line", line)
	}
	w.text.WriteString(line + "\n")
}

func (w *writer) turn(t *Turn) {
	w.line(">", t.Method, t.Target)
	for _, h := range t.Headers {
		w.line(">", h.Name+":", h.Value)
	}
	w.body(t.Body)
	exact := ""
	if t.Exact {
		exact = "exact"
	}
	w.line("<", fmt.Sprint(t.Status), exact)
	for _, h := range t.Answered {
		w.line("<", h.Name+":", h.Value)
	}
	w.body(t.Answer)
	for _, k := range t.Keep {
		w.line("keep", k.Name+"="+k.Value)
	}
	if t.Journal != nil {
		w.entry("journal", *t.Journal)
	}
	for _, e := range t.Beside {
		w.entry("beside", e)
	}
	for _, e := range t.Effects {
		w.line("effective", e.ID, e.State, e.UserName)
	}
}

func (w *writer) body(text string) {
	if text == "" {
		return
	}
	var line bytes.Buffer
	if err := json.Compact(&line, []byte(text)); err != nil {
		if w.err == nil {
			w.err = fmt.Errorf("a body that is no JSON: %w", err)
		}
		return
	}
	w.line(line.String())
}

func (w *writer) entry(word string, e Entry) {
	fields := []string{e.Action, e.Outcome}
	for _, f := range e.Fields {
		value := f.Value
		if value == "" {
			value = "-"
		}
		if strings.ContainsAny(value, " \t") && w.err == nil {
			w.err = fmt.Errorf("%s=%s has a blank", f.Name, value)
		}
		fields = append(fields, f.Name+"="+value)
	}
	w.line(word, fields...)
}
