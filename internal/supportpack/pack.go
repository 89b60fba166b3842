// Package supportpack puts one case into one file that can be handed to somebody else: what the log has of a person or a
// request, why it came so, the requests as they were sent, and the settings in force. Personal values are replaced, each
// everywhere by the same; secrets are not in it. docs/support.md describes the file.
package supportpack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"meibo/provisioning/summary"
)

// Format and Version are what a pack says of itself. Another version is another form.
const (
	Format  = "meibo support pack"
	Version = 1
)

// Pack is one case.
type Pack struct {
	Format      string                   `json:"format"`
	Version     int                      `json:"version"`
	Made        time.Time                `json:"made"`
	Server      Server                   `json:"server"`
	Subject     string                   `json:"subject"` // the user or group, or the entry
	Cause       Cause                    `json:"cause"`
	Notes       []string                 `json:"notes"` // what is missing, and why
	Connections []Connection             `json:"connections"`
	Entries     []summary.Entry          `json:"entries"` // oldest first
	Chains      map[string]summary.Chain `json:"chains"`  // by entry: why
	// Recording are the requests, as package exchange reads them, oldest first. Requests has a line for each of them: what
	// came before the log begins is made up, and has no entry.
	Recording string    `json:"recording"`
	Requests  []Request `json:"requests"`
}

// Server is who made the pack.
type Server struct {
	Meibo    string `json:"meibo"`
	Go       string `json:"go"`
	Database string `json:"database"` // sqlite or postgresql
}

// Cause is the case in plain words.
type Cause struct {
	Entry    string `json:"entry"`
	Sentence string `json:"sentence"`
	Advice   string `json:"advice,omitempty"`
}

// Connection is one that is involved, with the settings that are in force and those that decided.
type Connection struct {
	Name     string     `json:"name"`
	InForce  int64      `json:"settingsVersion"`
	Settings []Settings `json:"settings"`
	Health   *Health    `json:"health,omitempty"`
}

// Settings are one version of a connection's; 0 for the default ones.
type Settings struct {
	Version  int64           `json:"version"`
	At       time.Time       `json:"at,omitzero"`
	Document json.RawMessage `json:"document"`
}

// Health is how a connection does.
type Health struct {
	Level     string    `json:"level"`
	Findings  []string  `json:"findings"`
	Last      time.Time `json:"lastRequest,omitzero"`
	Succeeded time.Time `json:"lastSuccess,omitzero"`
	Requests  int       `json:"requests"` // of the cycles of the last day
	Overdue   int       `json:"overdueMatters"`
}

// Request is one of the recording.
type Request struct {
	Entry           string    `json:"entry,omitempty"` // "" for what was made up
	Correlation     string    `json:"correlationId,omitempty"`
	At              time.Time `json:"at,omitzero"`
	Connection      string    `json:"connection"`
	SettingsVersion int64     `json:"settingsVersion"` // that decided
}

var errTrailing = errors.New("there is something behind the document")

// ErrSecret is why a pack is not written: something that looks like a secret would be in it.
var ErrSecret = errors.New("the support pack is not written, since a secret would be in it: report this, without the data")

// tokens are our own credentials, and those of others in the usual form.
var tokens = regexp.MustCompile(`(?i)meibo(key)?_[A-Za-z0-9_-]{16,}|bearer\s+[A-Za-z0-9._~+/-]{16,}|-----BEGIN|eyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{8,}`)

// shortestSecret is the length below which a text is no secret that could be looked for.
const shortestSecret = 6

// Encode is the file of a pack. ErrSecret if one of the secrets, or anything that looks like one, is in it.
func (p Pack) Encode(secrets []string) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(p); err != nil {
		return nil, err
	}
	if tokens.Match(out.Bytes()) {
		return nil, ErrSecret
	}
	for _, s := range secrets {
		escaped := strings.Trim(string(encode(s)), `"`)
		if len(s) >= shortestSecret && (bytes.Contains(out.Bytes(), []byte(s)) || bytes.Contains(out.Bytes(), []byte(escaped))) {
			return nil, ErrSecret
		}
	}
	return out.Bytes(), nil
}

// Decode reads the file of a pack.
func Decode(data []byte) (p Pack, err error) {
	if err := json.Unmarshal(data, &p); err != nil {
		return p, fmt.Errorf("this is no support pack: %w", err)
	}
	switch {
	case p.Format != Format:
		return p, errors.New("this is no support pack: it does not say that it is one")
	case p.Version != Version:
		return p, fmt.Errorf("the support pack has version %d, and this meibo reads %d: use the one that made it, or a newer one", p.Version, Version)
	}
	return p, nil
}
