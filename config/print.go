package config

import (
	"fmt"
	"io"
	"net/url"
	"strings"
)

// hidden stands where a value may hold a secret that cannot be told apart.
const hidden = "(hidden)"

// Print writes a configuration in the form of the file, without secrets. It is for reading, not
// for loading: a password is replaced.
func Print(w io.Writer, c Config) error {
	for _, s := range settings {
		if _, err := fmt.Fprintf(w, "%s: %q\n", s.Key, s.show(s.get(c))); err != nil {
			return err
		}
	}
	return nil
}

// Shown is a configuration by key, without secrets.
func Shown(c Config) map[string]string {
	out := make(map[string]string, len(settings))
	for _, s := range settings {
		out[s.Key] = s.show(s.get(c))
	}
	return out
}

// Example writes the commented example file: every setting with its default.
func Example(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# Configuration of meibo serve. Copy it to meibo.yaml and change what differs.\n" +
		"#\n" +
		"# Later places win: default < this file < environment variable < file that the variable\n" +
		"# with _FILE at its end names < command-line flag. Unknown keys are errors.\n" +
		"# `meibo config check` says what is wrong; `meibo config print` shows what counts.\n")
	for _, s := range settings {
		fmt.Fprintf(&b, "\n# %s\n# Environment: %s or %s%s.\n# %s: %q\n", s.Usage, s.Variable, s.Variable, fileSuffix, s.Key, s.Default)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// RedactURL is a URL as it may be shown: no password, and nothing of a URL so broken that one
// cannot be found in it.
func RedactURL(raw string) string {
	if raw == "" || strings.HasPrefix(raw, "sqlite:") {
		return raw
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.Scheme == "" || strings.ContainsRune(u.Path+u.RawQuery+u.Fragment, '@') {
		return hidden
	}
	query := u.Query()
	for name := range query {
		if strings.Contains(strings.ToLower(name), "pass") {
			query.Set(name, "xxxxx")
		}
	}
	u.RawQuery = query.Encode()
	return u.Redacted()
}
