package config

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Validate checks values and their combinations. Its error is a Problems.
func (c Config) Validate() error {
	problems := c.problems()
	if len(problems) == 0 {
		return nil
	}
	for i := range problems {
		problems[i].Where = problems[i].Key
	}
	return problems
}

func (c Config) problems() Problems {
	var out Problems
	report := func(key, what string) {
		if what != "" {
			s, _ := settingOf(key)
			out = append(out, Problem{Key: key, Value: s.show(s.get(c)), What: what, Remedy: s.Remedy})
		}
	}
	report("listen", addressFault(c.Listen))
	report("database_url", databaseFault(c.DatabaseURL))
	report("allow_weak_durability", weakDurabilityFault(c.AllowWeakDurability))
	report("public_url", c.publicURLFault())
	report("rate_limit", rateLimitFault(c.RateLimit))
	report("metrics_listen", c.metricsFault())
	report("secret_key", secretFault(c.SecretKey))
	report("capture_retention", retentionFault(c.CaptureRetention))
	report("log_retention", logRetentionFault(c.LogRetention))
	report("log_level", logLevelFault(c.LogLevel))
	report("traces_endpoint", tracesFault(c.TracesEndpoint))
	report("traces_ratio", ratioFault(c.TracesRatio))
	report("impact_secret", impactSecretFault(c.ImpactSecret))
	report("shutdown_delay", durationFault(c.ShutdownDelay, 0))
	report("shutdown_timeout", durationFault(c.ShutdownTimeout, time.Second))
	return out
}

func addressFault(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "is not HOST:PORT"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "has no port between 0 and 65535"
	}
	return ""
}

// databaseFault never passes on the text of a parser: it quotes the URL with its password.
func databaseFault(raw string) string {
	if path, ok := strings.CutPrefix(raw, "sqlite:"); ok {
		if path == "" {
			return "names no file"
		}
		return ""
	}
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return "is empty"
	case err != nil:
		return "is not a URL"
	case u.Scheme != "postgres" && u.Scheme != "postgresql":
		return "is neither sqlite: nor postgres://"
	case u.Host == "" && u.Query().Get("host") == "":
		return "names no host"
	}
	return ""
}

// DurabilitySettings are the names that AllowWeakDurability may hold.
func DurabilitySettings() []string {
	return []string{"synchronous", "fsync", "full_page_writes", "synchronous_commit"}
}

func weakDurabilityFault(names []string) string {
	for _, name := range names {
		if !slices.Contains(DurabilitySettings(), name) {
			return "names " + strconv.Quote(name) + ", which is none of " + strings.Join(DurabilitySettings(), ", ")
		}
	}
	return ""
}

func (c Config) publicURLFault() string {
	if c.PublicURL == "" {
		if addressFault(c.Listen) == "" && !loopback(c.Listen) {
			return "is required when listening on " + c.Listen + ", which other machines can reach"
		}
		return ""
	}
	u, err := url.Parse(c.PublicURL)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "is not an http:// or https:// URL"
	case u.User != nil:
		return "holds a user name, which would be sent to every client"
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return "has a query or a fragment"
	}
	return ""
}

func loopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func rateLimitFault(limit float64) string {
	if limit < 0 {
		return "is negative"
	}
	return ""
}

func secretFault(secret string) string {
	if secret != "" && len(secret) < MinSecret {
		return fmt.Sprintf("has fewer than %d characters", MinSecret)
	}
	return ""
}

// MinSecret is how many characters a secret key has at least.
const MinSecret = 32

func retentionFault(d time.Duration) string {
	if d < 0 || d > 365*24*time.Hour {
		return "is out of range"
	}
	return ""
}

func logRetentionFault(d time.Duration) string {
	if d < 0 || d > 0 && d < 24*time.Hour {
		return "is out of range"
	}
	return ""
}

func (c Config) metricsFault() string {
	switch {
	case c.MetricsListen == "":
		return ""
	case c.MetricsListen == c.Listen && !strings.HasSuffix(c.Listen, ":0"):
		return "is the address of the server itself"
	}
	return addressFault(c.MetricsListen)
}

func tracesFault(endpoint string) string {
	if endpoint == "" {
		return ""
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return "is not an http:// or https:// URL"
	case u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return "has more than scheme, host and path; a collector that wants credentials is reached through one of your own"
	}
	return ""
}

func ratioFault(ratio float64) string {
	if ratio <= 0 || ratio > 1 {
		return "is out of range"
	}
	return ""
}

// Bounds of a secret in the form of Standard Webhooks, in bytes.
const (
	minKey = 24
	maxKey = 64
)

func impactSecretFault(secret string) string {
	encoded, ok := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	switch {
	case secret == "":
		return ""
	case !ok || err != nil:
		return "is not whsec_ and base64"
	case len(key) < minKey || len(key) > maxKey:
		return "has no key of 24 to 64 bytes"
	}
	return ""
}

func logLevelFault(level string) string {
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, level) {
		return "is not a level"
	}
	return ""
}

func durationFault(d, least time.Duration) string {
	if d < least || d > 10*time.Minute {
		return "is out of range"
	}
	return ""
}
