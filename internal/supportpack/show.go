package supportpack

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"meibo/provisioning/summary"
)

// Show prints a pack for a person: the cause first, then why, then everything else.
func Show(w io.Writer, p Pack) error {
	s := shower{w: w}
	s.print("%s\n", p.Cause.Sentence)
	if p.Cause.Advice != "" {
		s.print("%s\n", p.Cause.Advice)
	}
	s.print("\nmeibo %s on %s, made %s, about %s. Names, addresses and ids are not the real ones.\n", p.Server.Meibo, p.Server.Database, p.Made.Format(time.RFC3339), p.Subject)
	for _, note := range p.Notes {
		s.print("Note: %s\n", note)
	}
	if chain, ok := p.Chains[p.Cause.Entry]; ok {
		s.print("\nWhy\n")
		s.links(chain.Links)
	}
	s.connections(p.Connections)
	s.print("\nWhat happened\n")
	for _, e := range p.Entries {
		s.print("  %s  %s\n", e.ActivityDateTime.Format(time.RFC3339), oneLine(fmt.Sprintf("%s %s %s: %s", e.JobID, e.Action, e.StatusInfo.Status, sentenceOf(p, e))))
	}
	if p.Recording != "" {
		s.print("\nRequests\n\n%s", p.Recording)
	}
	return s.err
}

func sentenceOf(p Pack, e summary.Entry) string {
	if chain, ok := p.Chains[e.ID]; ok {
		return chain.Sentence
	}
	return summary.Line(e)
}

// shower prints until something fails. A pack comes from somebody else, so nothing in it moves the cursor.
type shower struct {
	w   io.Writer
	err error
}

func (s *shower) print(format string, args ...any) {
	if s.err != nil {
		return
	}
	text := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) || r == '\n' {
			return r
		}
		return unicode.ReplacementChar
	}, fmt.Sprintf(format, args...))
	_, s.err = io.WriteString(s.w, text)
}

func (s *shower) links(links []summary.Link) {
	for _, l := range links {
		s.print("  %-10s %s\n", l.Kind, l.Sentence)
		if l.Rule != nil && l.Rule.Connection != "" {
			s.print("  %-10s (%s, version %d: %s)\n", "", l.Rule.Connection, l.Rule.Version, l.Rule.Path)
		}
	}
}

func (s *shower) connections(all []Connection) {
	for _, c := range all {
		s.print("\nConnection %s, settings version %d\n", c.Name, c.InForce)
		if c.Health != nil {
			s.print("  health: %s\n", c.Health.Level)
			for _, finding := range c.Health.Findings {
				s.print("  %s\n", finding)
			}
		}
		for _, v := range c.Settings {
			s.print("  version %d: %s\n", v.Version, oneLine(string(v.Document)))
		}
	}
}
