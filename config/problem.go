package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"meibo/internal/spelling"
)

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Key    string // of the setting, or of what was taken for one
	Where  string // variable, flag, or file and key that the value came from
	Value  string // as far as it may be shown; "" also where it may not
	What   string // what is wrong, following the value in a sentence
	Remedy string // what to do, as an imperative
}

// String is the problem on one line.
func (p Problem) String() string {
	if p.Value == "" {
		return fmt.Sprintf("%s %s; %s", p.Where, p.What, p.Remedy)
	}
	return fmt.Sprintf("%s %q %s; %s", p.Where, p.Value, p.What, p.Remedy)
}

// Problems are all that is wrong, as one error.
type Problems []Problem

func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = "\n  " + one.String()
	}
	if len(p) == 1 {
		return "the configuration has a problem:" + lines[0]
	}
	return fmt.Sprintf("the configuration has %d problems:%s", len(p), strings.Join(lines, ""))
}

// serviceLink matches what Kubernetes and container links put into the environment for a service
// that is called meibo or meibo-something. They are addressed to nobody.
var serviceLink = regexp.MustCompile(`^MEIBO_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// variables are the variables of the environment that claim to be ours.
func variables(environ []string) map[string]string {
	vars := map[string]string{}
	for _, line := range environ {
		name, value, _ := strings.Cut(line, "=")
		// MEIBO_PORT=tcp://10.0.0.1:80 is a service link as well; any other MEIBO_PORT is a mistake.
		link := serviceLink.MatchString(name) || strings.HasSuffix(name, "_PORT") && strings.Contains(value, "://")
		if strings.HasPrefix(name, variablePrefix) && !link {
			vars[name] = value
		}
	}
	return vars
}

func unknownVariables(vars map[string]string) Problems {
	known := []string{configVariable}
	for _, s := range settings {
		known = append(known, s.Variable, s.Variable+fileSuffix)
	}
	var out Problems
	for name := range vars {
		if !slices.Contains(known, name) {
			out = append(out, unknown(name, name, known))
		}
	}
	slices.SortFunc(out, func(a, b Problem) int { return strings.Compare(a.Key, b.Key) })
	return out
}

// unknown reports a name that is not in the table. Its value is not shown: it may be a secret
// under a misspelt name.
func unknown(where, name string, known []string) Problem {
	remedy := "remove it; the settings are " + strings.Join(known, ", ")
	if near := spelling.Nearest(name, variablePrefix, known); near != "" {
		remedy = fmt.Sprintf("did you mean %s? Otherwise remove it", near)
	}
	return Problem{Key: name, Where: where, What: "is not a setting", Remedy: remedy}
}
