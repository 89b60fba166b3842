package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"meibo/provisioning"
)

// MaxSize is the most bytes that a document may have.
const MaxSize = 256 << 10

// read makes a tree of a document: a mapping, without anchors and aliases.
func read(source []byte) (*yaml.Node, Problems) {
	switch {
	case len(source) > MaxSize:
		return nil, document(1, "has more than 256 KiB", "leave out what equals the preset, and name groups instead of people")
	case !utf8.Valid(source) || bytes.IndexByte(source, 0) >= 0:
		return nil, document(1, "is no text in UTF-8", "save it as UTF-8")
	case json.Valid(source):
		return mapping(readJSON(source))
	}
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	var first, second yaml.Node
	switch err := decoder.Decode(&first); {
	case errors.Is(err, io.EOF):
		return &yaml.Node{Kind: yaml.MappingNode, Line: 1}, nil
	case err != nil:
		return nil, syntax(err)
	}
	if err := decoder.Decode(&second); err == nil {
		return nil, document(second.Line, "has a second part after ---", "write one document a file")
	} else if !errors.Is(err, io.EOF) {
		return nil, syntax(err)
	}
	root := first.Content[0]
	if n := aliased(root); n != nil {
		return nil, document(n.Line, "has an anchor or an alias", "write the value itself")
	}
	return mapping(root)
}

// mapping takes a document of comments alone for an empty one.
func mapping(root *yaml.Node) (*yaml.Node, Problems) {
	switch {
	case root.Kind == yaml.MappingNode:
		return root, nil
	case root.ShortTag() == nullTag:
		return &yaml.Node{Kind: yaml.MappingNode, Line: max(root.Line, 1)}, nil
	default:
		return nil, document(root.Line, "is "+kindOf(root), "write a mapping of settings, as preset: guarded")
	}
}

// document is a problem of the document as a whole.
func document(line int, what, remedy string) Problems {
	return Problems{{Line: line, SettingsProblem: provisioning.SettingsProblem{What: what, Remedy: remedy}}}
}

var (
	yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)`)
	// uncounted are faults whose line the library counts from 0.
	uncounted = regexp.MustCompile(`^did not find expected (<|node content|key|'-'|',')`)
)

func syntax(err error) Problems {
	line, says := 1, err.Error()
	if found := yamlError.FindStringSubmatch(says); found != nil {
		says = found[2]
		if n, err := strconv.Atoi(found[1]); err == nil {
			line = n
			if uncounted.MatchString(says) {
				line++
			}
		}
	}
	return document(line, "cannot be read: "+says, "mend the YAML; indentation is by spaces, and texts with : or # need quotes")
}

// aliased finds a node that stands for another or can be stood for.
func aliased(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return n
	}
	for _, child := range n.Content {
		if found := aliased(child); found != nil {
			return found
		}
	}
	return nil
}

// readJSON makes the same tree of valid JSON, which YAML readers refuse in parts: tabs, long keys, escaped
// surrogates.
func readJSON(source []byte) *yaml.Node {
	r := &jsonReader{decoder: json.NewDecoder(bytes.NewReader(source)), source: source, line: 1}
	r.decoder.UseNumber()
	return r.node()
}

type jsonReader struct {
	decoder *json.Decoder
	source  []byte
	counted int64 // bytes of source whose ends of lines are in line
	line    int
}

// node reads one value. The JSON is valid, so that no token fails.
func (r *jsonReader) node() *yaml.Node {
	token, _ := r.decoder.Token()
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: r.lineNow()}
	switch t := token.(type) {
	case json.Delim:
		n.Kind, n.Tag = yaml.SequenceNode, "!!seq"
		if t == '{' {
			n.Kind, n.Tag = yaml.MappingNode, "!!map"
		}
		for r.decoder.More() {
			n.Content = append(n.Content, r.node())
		}
		_, _ = r.decoder.Token() // the bracket that closes
	case string:
		n.Tag, n.Value = strTag, t
	case json.Number:
		n.Tag, n.Value = "!!float", t.String()
		if !strings.ContainsAny(n.Value, ".eE") {
			n.Tag = intTag
		}
	case bool:
		n.Tag, n.Value = "!!bool", strconv.FormatBool(t)
	default:
		n.Tag, n.Value = nullTag, "null"
	}
	return n
}

// lineNow is where the last token ends, and so begins: a token of JSON has no end of line in it.
func (r *jsonReader) lineNow() int {
	offset := r.decoder.InputOffset()
	r.line += bytes.Count(r.source[r.counted:offset], []byte("\n"))
	r.counted = offset
	return r.line
}
