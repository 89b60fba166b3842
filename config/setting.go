package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	variablePrefix = "MEIBO_"
	fileSuffix     = "_FILE"
	configVariable = "MEIBO_CONFIG" // the path of the file; no setting of it
)

// Setting is one row of the table that file, environment, flags, print and example share.
type Setting struct {
	Key      string // in the file
	Variable string // in the environment; Variable + "_FILE" names a file that holds the value
	Flag     string // on the command line, without dashes; "" for a secret, which other users of the machine could read there
	Default  string
	Usage    string // one sentence
	Remedy   string // what to write instead of a wrong value

	set  func(*Config, string) error // reads text; range checks are Config.problems'
	get  func(Config) string
	show func(string) string // what of a value may be printed
}

// Settings are all rows, in the order of the example file.
func Settings() []Setting { return append([]Setting(nil), settings...) }

// Keys are the keys of all settings.
func Keys() []string {
	keys := make([]string, len(settings))
	for i, s := range settings {
		keys[i] = s.Key
	}
	return keys
}

var settings = []Setting{
	{
		Key: "listen", Variable: "MEIBO_LISTEN", Flag: "listen", Default: "127.0.0.1:8080",
		Usage:  "Address that the server listens on, HOST:PORT. Port 0 takes a free one.",
		Remedy: "write an address such as 127.0.0.1:8080 or 0.0.0.0:8080",
		set:    text(func(c *Config) *string { return &c.Listen }), get: func(c Config) string { return c.Listen }, show: plain,
	},
	{
		Key: "database_url", Variable: "MEIBO_DATABASE_URL", Flag: "database-url", Default: "sqlite:meibo.db",
		Usage:  "Database: sqlite:PATH, or postgres://USER:PASSWORD@HOST/NAME.",
		Remedy: "write sqlite:PATH or postgres://USER:PASSWORD@HOST/NAME, with special characters of the password percent-encoded",
		set:    text(func(c *Config) *string { return &c.DatabaseURL }), get: func(c Config) string { return c.DatabaseURL }, show: RedactURL,
	},
	{
		Key: "allow_weak_durability", Variable: "MEIBO_ALLOW_WEAK_DURABILITY", Flag: "allow-weak-durability", Default: "",
		Usage: "Durability settings of the database that may be weak, so that a crash may take acknowledged writes: synchronous (on SQLite, " +
			"which then does not flush at each commit), fsync, full_page_writes, synchronous_commit (as PostgreSQL has them), separated by commas.",
		Remedy: "write the very names, such as fsync,synchronous_commit, or leave it empty",
		set:    setWeakDurability, get: func(c Config) string { return strings.Join(c.AllowWeakDurability, ",") }, show: plain,
	},
	{
		Key: "public_url", Variable: "MEIBO_PUBLIC_URL", Flag: "public-url", Default: "",
		Usage:  "URL under which clients reach the server. Required unless the server listens on loopback only, where it follows from the address.",
		Remedy: "write the address that clients use, such as https://scim.example.com",
		set:    setPublicURL, get: func(c Config) string { return c.PublicURL }, show: showPublicURL,
	},
	{
		Key: "rate_limit", Variable: "MEIBO_RATE_LIMIT", Flag: "rate-limit", Default: "200",
		Usage:  "Requests per second that one connection may make of this replica; 0 for no limit.",
		Remedy: "write a number such as 200, or 0 for no limit",
		set:    number(func(c *Config) *float64 { return &c.RateLimit }), get: func(c Config) string { return digits(c.RateLimit) }, show: plain,
	},
	{
		Key: "metrics_listen", Variable: "MEIBO_METRICS_LISTEN", Flag: "metrics-listen", Default: "",
		Usage:  "Address of /metrics, HOST:PORT. Without it /metrics is served next to the rest.",
		Remedy: "write an address of its own such as 127.0.0.1:9090, or leave it empty",
		set:    text(func(c *Config) *string { return &c.MetricsListen }), get: func(c Config) string { return c.MetricsListen }, show: plain,
	},
	{
		Key: "secret_key", Variable: "MEIBO_SECRET_KEY", Default: "",
		Usage: "Secret of 32 characters at least under which the server seals what it keeps of requests (capture_retention); the same for all replicas. " +
			"Without it nothing is captured. What was sealed with another one cannot be read any more.",
		Remedy: "write 32 or more random characters, such as `openssl rand -base64 32` prints, into a file that MEIBO_SECRET_KEY_FILE names",
		set:    text(func(c *Config) *string { return &c.SecretKey }), get: func(c Config) string { return c.SecretKey }, show: showSecret,
	},
	{
		Key: "capture_retention", Variable: "MEIBO_CAPTURE_RETENTION", Flag: "capture-retention", Default: "336h",
		Usage:  "How long requests that wrote or failed are kept, sealed, with their answers; 0 captures none, and deletes those that are there.",
		Remedy: "write a duration up to 8760h, such as 336h for fourteen days, or 0 for none",
		set:    duration(func(c *Config) *time.Duration { return &c.CaptureRetention }), get: func(c Config) string { return c.CaptureRetention.String() }, show: plain,
	},
	{
		Key: "log_retention", Variable: "MEIBO_LOG_RETENTION", Flag: "log-retention", Default: "9600h",
		Usage:  "How long the provisioning log is kept; 0 keeps it for ever. Of what is older a baseline of each user and group stays.",
		Remedy: "write a duration of 24h at least, such as 9600h for 400 days, or 0 to keep it for ever",
		set:    duration(func(c *Config) *time.Duration { return &c.LogRetention }), get: func(c Config) string { return c.LogRetention.String() }, show: plain,
	},
	{
		Key: "log_level", Variable: "MEIBO_LOG_LEVEL", Flag: "log-level", Default: "info",
		Usage:  "Least severity that is logged: debug, info, warn or error.",
		Remedy: "write debug, info, warn or error",
		set:    text(func(c *Config) *string { return &c.LogLevel }), get: func(c Config) string { return c.LogLevel }, show: plain,
	},
	{
		Key: "traces_endpoint", Variable: "MEIBO_TRACES_ENDPOINT", Flag: "traces-endpoint", Default: "",
		Usage:  "URL of an OpenTelemetry collector that takes traces as OTLP over HTTP; without a path, /v1/traces. Empty for no traces.",
		Remedy: "write an address such as http://127.0.0.1:4318, or leave it empty",
		set:    text(func(c *Config) *string { return &c.TracesEndpoint }), get: func(c Config) string { return c.TracesEndpoint }, show: showTracesEndpoint,
	},
	{
		Key: "traces_ratio", Variable: "MEIBO_TRACES_RATIO", Flag: "traces-ratio", Default: "1",
		Usage:  "Share of the requests that are traced where traces_endpoint is set.",
		Remedy: "write a number above 0 and up to 1, such as 0.1",
		set:    number(func(c *Config) *float64 { return &c.TracesRatio }), get: func(c Config) string { return digits(c.TracesRatio) }, show: plain,
	},
	{
		Key: "impact_secret", Variable: "MEIBO_IMPACT_SECRET",
		Usage:  "Secret that signs the questions to host applications which matters.impact.url of a connection's settings names: whsec_ and the base64 of 24 to 64 random bytes.",
		Remedy: "write what `echo whsec_$(openssl rand -base64 32)` prints, or leave it empty",
		set:    text(func(c *Config) *string { return &c.ImpactSecret }), get: func(c Config) string { return c.ImpactSecret }, show: showSecret,
	},
	{
		Key: "shutdown_delay", Variable: "MEIBO_SHUTDOWN_DELAY", Flag: "shutdown-delay", Default: "0s",
		Usage:  "How long the server still answers, but is not ready, once it was asked to stop, so that load balancers notice.",
		Remedy: "write a duration up to 10m, such as 5s",
		set:    duration(func(c *Config) *time.Duration { return &c.ShutdownDelay }), get: func(c Config) string { return c.ShutdownDelay.String() }, show: plain,
	},
	{
		Key: "shutdown_timeout", Variable: "MEIBO_SHUTDOWN_TIMEOUT", Flag: "shutdown-timeout", Default: "20s",
		Usage:  "How long requests under way may then take to be answered.",
		Remedy: "write a duration between 1s and 10m, such as 20s",
		set:    duration(func(c *Config) *time.Duration { return &c.ShutdownTimeout }), get: func(c Config) string { return c.ShutdownTimeout.String() }, show: plain,
	},
}

// showPublicURL hides what somebody may have put before an @; the rest is public by definition.
func showPublicURL(raw string) string {
	if strings.Contains(raw, "@") {
		return RedactURL(raw)
	}
	return raw
}

// showTracesEndpoint hides what has no business in it and is refused: a user name or a query may be a key.
func showTracesEndpoint(raw string) string {
	address, _, _ := strings.Cut(raw, "?")
	return showPublicURL(address)
}

func plain(s string) string { return s }

// showSecret tells no more than whether there is one.
func showSecret(s string) string {
	if s == "" {
		return ""
	}
	return "(set)"
}

func text(field func(*Config) *string) func(*Config, string) error {
	return func(c *Config, value string) error {
		*field(c) = value
		return nil
	}
}

// setPublicURL drops the slash at the end, since paths are appended to the URL.
func setPublicURL(c *Config, value string) error {
	c.PublicURL = strings.TrimRight(value, "/")
	return nil
}

// setWeakDurability reads names separated by commas.
func setWeakDurability(c *Config, value string) error {
	c.AllowWeakDurability = nil
	for name := range strings.SplitSeq(value, ",") {
		if name = strings.TrimSpace(name); name != "" {
			c.AllowWeakDurability = append(c.AllowWeakDurability, name)
		}
	}
	return nil
}

func number(field func(*Config) *float64) func(*Config, string) error {
	return func(c *Config, value string) error {
		n, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return errors.New("is not a number")
		}
		*field(c) = n
		return nil
	}
}

func digits(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

func duration(field func(*Config) *time.Duration) func(*Config, string) error {
	return func(c *Config, value string) error {
		d, err := time.ParseDuration(value)
		if err != nil {
			return errors.New("is not a duration")
		}
		*field(c) = d
		return nil
	}
}

func settingOf(key string) (Setting, bool) {
	for _, s := range settings {
		if s.Key == key {
			return s, true
		}
	}
	return Setting{}, false
}

func settingOfVariable(name string) (Setting, bool) {
	for _, s := range settings {
		if s.Variable == name {
			return s, true
		}
	}
	return Setting{}, false
}

func variableOf(key string) string {
	s, _ := settingOf(key)
	return s.Variable
}

func flagOf(key string) string {
	s, _ := settingOf(key)
	return s.Flag
}
