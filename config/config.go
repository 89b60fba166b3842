package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// DefaultFile is read when no file is named and it is there.
const DefaultFile = "meibo.yaml"

// Config is the whole configuration of a server. Default fills it; the zero value is not valid.
type Config struct {
	Listen              string        // host:port of the SCIM address
	DatabaseURL         string        // sqlite:PATH or postgres://…; holds a password
	PublicURL           string        // where clients reach the server; "" on a loopback Listen, see BaseURL
	RateLimit           float64       // requests per second and connection; 0 for none
	AllowWeakDurability []string      // durability settings of the database that may be weak, of DurabilitySettings
	MetricsListen       string        // host:port of /metrics; "" serves it on Listen
	SecretKey           string        // seals what nobody may read in the database; "" for none
	CaptureRetention    time.Duration // how long captured requests are kept; 0 captures none
	LogRetention        time.Duration // how long the journal is kept; 0 keeps it for ever
	LogLevel            string        // debug, info, warn or error
	TracesEndpoint      string        // URL that takes OTLP over HTTP; "" for no traces
	TracesRatio         float64       // of the requests that are traced, more than 0 and 1 at most
	ImpactSecret        string        // whsec_…, signs questions to host applications; "" where none are asked
	ShutdownDelay       time.Duration // how long to answer, not ready, after SIGTERM
	ShutdownTimeout     time.Duration // how long requests under way may take then
}

// Source says where a configuration comes from.
type Source struct {
	File    string            // must exist if named; "" takes MEIBO_CONFIG, then DefaultFile where there is one
	Environ []string          // NAME=value, as os.Environ gives it
	Flags   map[string]string // values of the flags that were set, by Setting.Key

	// Defaults stand in for Setting.Default, by Setting.Key, where a command has others.
	Defaults map[string]string
}

// Load reads, merges and validates all sources. Its error is a Problems.
func Load(src Source) (Config, error) {
	layers, problems := read(src)
	merged := koanf.New(delimiter)
	for _, l := range layers {
		if err := merged.Merge(l.values); err != nil {
			problems = append(problems, Problem{Key: l.name(""), What: err.Error(), Remedy: "write each setting as one value"})
		}
	}
	c, broken := decode(merged)
	problems = append(problems, broken...)
	for _, p := range c.problems() {
		// A value that could not be read at all was reported above, and the default is judged in its place.
		if !slices.ContainsFunc(broken, func(b Problem) bool { return b.Key == p.Key }) {
			problems = append(problems, p)
		}
	}
	for i := range problems {
		problems[i].Where = origin(layers, problems[i])
	}
	if len(problems) > 0 {
		return Config{}, problems
	}
	return c, nil
}

// Default is the configuration of a machine that sets nothing.
func Default() Config {
	defaults, _ := read(Source{File: os.DevNull})
	c, _ := decode(defaults[0].values)
	return c
}

// BaseURL is the public URL without a trailing slash. Where none is configured it follows from the
// bound address, the host:port that the server really listens on.
func (c Config) BaseURL(bound string) string {
	if c.PublicURL != "" {
		return c.PublicURL
	}
	return "http://" + bound
}

// delimiter separates nested keys for koanf. Settings are flat, so a nested key is an unknown one.
const delimiter = "."

// layer is one source of settings, by key.
type layer struct {
	values *koanf.Koanf
	name   func(key string) string // what this source calls a key
}

// read loads every source by itself, so that a message can say which one is at fault.
func read(src Source) ([]layer, Problems) {
	vars := variables(src.Environ)
	fromFile, problems := readFile(src.File, vars[configVariable])
	fromSecrets, unreadable := readSecretFiles(vars)
	problems = append(problems, unreadable...)
	problems = append(problems, unknownVariables(vars)...)

	defaults, flags := map[string]any{}, map[string]any{}
	for _, s := range settings {
		defaults[s.Key] = s.Default
		if v, ok := src.Defaults[s.Key]; ok {
			defaults[s.Key] = v
		}
		if v, ok := src.Flags[s.Key]; ok {
			flags[s.Key] = v
		}
	}
	return []layer{
		{load(confmap.Provider(defaults, "")), variableOf},
		fromFile,
		{readEnvironment(src.Environ), variableOf},
		{load(confmap.Provider(fromSecrets, "")), func(key string) string { return variableOf(key) + fileSuffix }},
		{load(confmap.Provider(flags, "")), func(key string) string { return "--" + flagOf(key) }},
	}, problems
}

// load reads a provider that cannot fail: a map or the environment.
func load(p koanf.Provider) *koanf.Koanf {
	k := koanf.New(delimiter)
	_ = k.Load(p, nil)
	return k
}

// readFile reads the YAML file that was named, or the default one where it exists.
func readFile(flag, variable string) (layer, Problems) {
	path, named := DefaultFile, false
	for _, p := range []string{variable, flag} {
		if p != "" {
			path, named = p, true
		}
	}
	l := layer{koanf.New(delimiter), func(key string) string { return strings.TrimSuffix(path+": "+key, ": ") }}
	err := l.values.Load(file.Provider(path), yaml.Parser())
	switch {
	case err == nil:
		return l, unknownKeys(l)
	case errors.Is(err, fs.ErrNotExist) && !named:
		return l, nil
	}
	return l, Problems{fileProblem(path, err)}
}

var yamlLine = regexp.MustCompile(`line \d+`)

// fileProblem says what keeps a file from being read. The parser's own text may quote the file,
// and with it a secret, so only its line number is passed on.
func fileProblem(path string, err error) Problem {
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		return Problem{Key: path, What: "cannot be read: " + pathErr.Err.Error(), Remedy: "name a file that the server may read"}
	}
	what := "is not a YAML file of `key: value` lines"
	if line := yamlLine.FindString(err.Error()); line != "" {
		what += "; see " + line
	}
	return Problem{Key: path, What: what, Remedy: "compare it with meibo.example.yaml"}
}

func unknownKeys(l layer) Problems {
	var out Problems
	for _, key := range l.values.Keys() {
		if _, ok := settingOf(key); !ok {
			out = append(out, unknown(l.name(key), key, Keys()))
		}
	}
	return out
}

// readEnvironment takes the variables of the table. Empty ones count as not set, since compose
// files and unit templates cannot leave a variable out.
func readEnvironment(environ []string) *koanf.Koanf {
	return load(env.Provider("", env.Opt{
		Prefix:      variablePrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, value string) (string, any) {
			s, ok := settingOfVariable(name)
			if !ok || value == "" {
				return "", nil
			}
			return s.Key, value
		},
	}))
}

// readSecretFiles reads the files that NAME_FILE variables point to, without the newline that
// editors and secret stores put at their end.
func readSecretFiles(vars map[string]string) (map[string]any, Problems) {
	values := map[string]any{}
	var problems Problems
	for _, s := range settings {
		name := s.Variable + fileSuffix
		path := vars[name]
		if path == "" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			what := "cannot be read"
			if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
				what += ": " + pathErr.Err.Error()
			}
			problems = append(problems, Problem{Key: name, Where: name, Value: path, What: what, Remedy: "name a file that the server may read"})
			continue
		}
		values[s.Key] = strings.TrimRight(string(text), "\r\n")
	}
	return values, problems
}

// decode turns merged values into a Config. A setting that cannot be read keeps its default.
func decode(merged *koanf.Koanf) (Config, Problems) {
	var c Config
	var problems Problems
	for _, s := range settings {
		_ = s.set(&c, s.Default)
		text, ok := scalar(merged.Get(s.Key))
		if !ok {
			problems = append(problems, Problem{Key: s.Key, What: "is not a single value", Remedy: s.Remedy})
			continue
		}
		if err := s.set(&c, text); err != nil {
			problems = append(problems, Problem{Key: s.Key, Value: s.show(text), What: err.Error(), Remedy: s.Remedy})
		}
	}
	return c, problems
}

// scalar is the text of a single YAML value; a list, an object or nothing at all is none.
func scalar(v any) (string, bool) {
	switch v.(type) {
	case string, bool, int, int64, uint64, float64:
		return fmt.Sprint(v), true
	}
	return "", false
}

// origin names the place that a problem's value came from: the last that has its key.
func origin(layers []layer, p Problem) string {
	if p.Where != "" {
		return p.Where
	}
	if _, ok := settingOf(p.Key); !ok {
		return p.Key
	}
	for _, l := range slices.Backward(layers) {
		if l.values.Exists(p.Key) {
			return l.name(p.Key)
		}
	}
	return p.Key
}
