package config_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"meibo/config"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// secret is the password that the fixtures hide in various places.
const secret = "s3cret"

func TestGoodFiles(t *testing.T) {
	t.Parallel()
	changed := func(edit func(*config.Config)) config.Config {
		c := config.Default()
		edit(&c)
		return c
	}
	want := map[string]config.Config{
		"nothing-set.yaml": config.Default(),
		"complete.yaml": {
			Listen: "0.0.0.0:8443", DatabaseURL: "postgres://meibo:s3cret@db.internal:5432/meibo?sslmode=verify-full",
			AllowWeakDurability: []string{"fsync", "synchronous_commit"},
			PublicURL:           "https://scim.example.com", RateLimit: 12.5, MetricsListen: "127.0.0.1:9090",
			SecretKey: "0123456789abcdef0123456789abcdef", CaptureRetention: 72 * time.Hour, LogRetention: 48 * time.Hour,
			LogLevel: "warn", TracesEndpoint: "https://collector.internal:4318/v1/traces", TracesRatio: 0.25, ImpactSecret: "whsec_czNjcmV0czNjcmV0czNjcmV0czNjcmV0", ShutdownDelay: 5 * time.Second, ShutdownTimeout: 90 * time.Second,
		},
		"loopback-ipv6.yaml": changed(func(c *config.Config) { c.Listen, c.RateLimit = "[::1]:0", 0 }),
	}
	files, _ := filepath.Glob("testdata/good/*.yaml")
	if len(files) != len(want) {
		t.Errorf("testdata/good has %d files, the table %d", len(files), len(want))
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			got, err := config.Load(config.Source{File: path})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want[filepath.Base(path)], got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Each file is named for its mistake; what is said about it stands beside it.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	files, _ := filepath.Glob("testdata/bad/*.yaml")
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(config.Source{File: path})
			problems, ok := errors.AsType[config.Problems](err)
			if !ok {
				t.Fatalf("Load: %v, want Problems", err)
			}
			golden(t, strings.TrimSuffix(path, ".yaml")+".txt", problems.Error()+"\n")
			if strings.Contains(problems.Error(), secret) {
				t.Errorf("the message shows the secret: %v", problems)
			}
		})
	}
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, dir, "meibo.yaml", "log_level: warn\n")
	secretFile := write(t, dir, "level", "error\n")
	for name, tc := range map[string]struct {
		src  config.Source
		want string
	}{
		"default":                 {config.Source{File: os.DevNull}, "info"},
		"default of a command":    {config.Source{File: os.DevNull, Defaults: map[string]string{"log_level": "warn"}}, "warn"},
		"file":                    {config.Source{File: file}, "warn"},
		"file named by variable":  {config.Source{Environ: []string{"MEIBO_CONFIG=" + file}}, "warn"},
		"environment over file":   {config.Source{File: file, Environ: []string{"MEIBO_LOG_LEVEL=debug"}}, "debug"},
		"empty variable is unset": {config.Source{File: file, Environ: []string{"MEIBO_LOG_LEVEL=", "MEIBO_LOG_LEVEL_FILE="}}, "warn"},
		"_FILE over environment":  {config.Source{File: file, Environ: []string{"MEIBO_LOG_LEVEL=debug", "MEIBO_LOG_LEVEL_FILE=" + secretFile}}, "error"},
		"flag over all": {config.Source{File: file, Environ: []string{"MEIBO_LOG_LEVEL=debug", "MEIBO_LOG_LEVEL_FILE=" + secretFile},
			Flags: map[string]string{"log_level": "info"}}, "info"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := config.Load(tc.src)
			if err != nil {
				t.Fatal(err)
			}
			if got.LogLevel != tc.want {
				t.Errorf("log level %q, want %q", got.LogLevel, tc.want)
			}
		})
	}
}

func TestEnvironmentNames(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		environ []string
		want    string // part of the message; "" for none
	}{
		"of other programs":        {[]string{"PATH=/bin", "MEIBOX=1"}, ""},
		"misspelt":                 {[]string{"MEIBO_DATABASEURL=postgres://u:s3cret@h/d"}, "did you mean MEIBO_DATABASE_URL?"},
		"misspelt file":            {[]string{"MEIBO_DATABASE_URL_FIEL=/x"}, "did you mean MEIBO_DATABASE_URL_FILE?"},
		"far from all":             {[]string{"MEIBO_COLOUR=red"}, "remove it; the settings are MEIBO_CONFIG, MEIBO_LISTEN"},
		"secret file missing":      {[]string{"MEIBO_DATABASE_URL_FILE=/does/not/exist"}, `MEIBO_DATABASE_URL_FILE "/does/not/exist" cannot be read`},
		"named file missing":       {[]string{"MEIBO_CONFIG=/does/not/exist.yaml"}, "/does/not/exist.yaml cannot be read"},
		"value at fault":           {[]string{"MEIBO_RATE_LIMIT=fast"}, `MEIBO_RATE_LIMIT "fast" is not a number; write a number`},
		"service link":             {[]string{"MEIBO_SERVICE_HOST=10.0.0.7", "MEIBO_PORT=tcp://10.0.0.7:80", "MEIBO_PORT_80_TCP_ADDR=10.0.0.7", "MEIBO_SCIM_SERVICE_PORT_HTTP=80", "MEIBO_SCIM_PORT=tcp://10.0.0.7:80"}, ""},
		"port that is no link":     {[]string{"MEIBO_PORT=8080"}, "MEIBO_PORT is not a setting"},
		"password is not repeated": {[]string{"MEIBO_DATABASE_URL=mysql://u:s3cret@h/d"}, "xxxxx"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(config.Source{Environ: tc.environ})
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("Load: %v", err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("Load: %v, want it to say %q", err, tc.want)
			case err != nil && strings.Contains(err.Error(), secret):
				t.Errorf("the message shows the secret: %v", err)
			}
		})
	}
}

func TestProblemsNameTheirSource(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, dir, "server.yaml", "listen: here\nrate_limit: -1\n")
	level := write(t, dir, "level", "loud")
	_, err := config.Load(config.Source{File: file, Environ: []string{"MEIBO_RATE_LIMIT=-2", "MEIBO_LOG_LEVEL_FILE=" + level},
		Flags: map[string]string{"shutdown_timeout": "0s"}})
	problems, _ := errors.AsType[config.Problems](err)
	got := map[string]string{}
	for _, p := range problems {
		got[p.Key] = p.Where
	}
	want := map[string]string{"listen": file + ": listen", "rate_limit": "MEIBO_RATE_LIMIT",
		"log_level": "MEIBO_LOG_LEVEL_FILE", "shutdown_timeout": "--shutdown-timeout"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	if got := config.Default().BaseURL("127.0.0.1:41234"); got != "http://127.0.0.1:41234" {
		t.Errorf("derived %q", got)
	}
	c := config.Config{PublicURL: "https://scim.example.com"}
	if got := c.BaseURL("0.0.0.0:8080"); got != "https://scim.example.com" {
		t.Errorf("configured %q", got)
	}
}

func TestDefaultIsValid(t *testing.T) {
	t.Parallel()
	if err := config.Default().Validate(); err != nil {
		t.Error(err)
	}
	if err := (config.Config{}).Validate(); err == nil {
		t.Error("the zero Config passes")
	}
}

func TestPrintHidesSecrets(t *testing.T) {
	t.Parallel()
	c := config.Default()
	c.DatabaseURL, c.ImpactSecret = "postgres://meibo:s3cret@db/meibo?sslpassword=s3cret&sslmode=require", "whsec_s3cret"
	var out bytes.Buffer
	if err := config.Print(&out, c); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), secret) || !strings.Contains(out.String(), "postgres://meibo:xxxxx@db/meibo?sslmode=require") {
		t.Errorf("printed:\n%s", out.String())
	}
}

func TestRedactURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"":                                 "",
		"sqlite:/var/lib/meibo.db":         "sqlite:/var/lib/meibo.db",
		"postgres://u:p@h/d":               "postgres://u:xxxxx@h/d",
		"postgres://u@h/d":                 "postgres://u@h/d",
		"postgres://u:p/q@h/d":             "(hidden)",
		"postgres://u:5/q@h/d":             "(hidden)",
		"postgres://u:p#q@h/d":             "(hidden)",
		"postgres:u:p@h/d":                 "(hidden)",
		"host=db password=p":               "(hidden)",
		"postgres://h/d?user=u&password=p": "postgres://h/d?password=xxxxx&user=u",
	} {
		if got := config.RedactURL(raw); got != want {
			t.Errorf("RedactURL(%q) = %q, want %q", raw, got, want)
		}
	}
}

// The example file at the root of the repository is generated from the table of settings.
func TestExampleFile(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := config.Example(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "../meibo.example.yaml", out.String())

	// Its settings, with the comment marks removed, are the defaults.
	file := write(t, t.TempDir(), "meibo.yaml", uncomment(out.String()))
	got, err := config.Load(config.Source{File: file})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.Default(), got); diff != "" {
		t.Errorf("(-default +example):\n%s", diff)
	}
}

func uncomment(example string) string {
	var b strings.Builder
	for line := range strings.Lines(example) {
		for _, key := range config.Keys() {
			if strings.HasPrefix(line, "# "+key+": ") {
				b.WriteString(strings.TrimPrefix(line, "# "))
			}
		}
	}
	return b.String()
}

func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// golden compares with a file, or rewrites it under -update.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run go test ./config -update", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs; if that is meant, run go test ./config -update (-want +got):\n%s", path, diff)
	}
}
