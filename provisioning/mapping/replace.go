package mapping

import (
	"errors"
	"strings"
)

// replace does what the arguments that are given mean; which combinations there are is checked when it
// is compiled.
func replace(e *evaluation, args []any) (any, error) {
	var given [7]any
	copy(given[:], args)
	source, _, err := textArgument(given[:], 0, "source")
	if err != nil {
		return nil, err
	}
	if p, ok := given[2].(*pattern); ok {
		return replacePattern(e, p, source, given)
	}
	old, _, err := textArgument(given[:], 1, "oldValue")
	value, _, err2 := textArgument(given[:], 4, "replacementValue")
	template, isTemplate, err3 := textArgument(given[:], 6, "template")
	switch err := errors.Join(err, err2, err3); {
	case err != nil:
		return nil, err
	case old == "":
		return nil, errors.New("oldValue is empty")
	case isTemplate:
		return replaceText(e, template, old, source)
	case given[0] == nil:
		return nil, nil
	default:
		return replaceText(e, source, old, value)
	}
}

// replaceText looks at the length of the outcome before it makes it.
func replaceText(e *evaluation, s, old, replacement string) (any, error) {
	if n := strings.Count(s, old); len(s)+n*(len(replacement)-len(old)) > e.work {
		return nil, errTooMuch
	}
	return strings.ReplaceAll(s, old, replacement), nil
}

func replacePattern(e *evaluation, p *pattern, source string, args [7]any) (any, error) {
	group, isGroup, err := textArgument(args[:], 3, "regexGroupName")
	if err != nil {
		return nil, err
	}
	other, isOther, err := textArgument(args[:], 5, "replacementAttribute")
	if err != nil {
		return nil, err
	}
	value, isValue, err := textArgument(args[:], 4, "replacementValue")
	switch {
	case err != nil:
		return nil, err
	case isGroup && !isValue && source != "":
		return source, nil
	case isGroup && !isValue && isOther:
		return extract(e, p, other, group)
	case args[0] == nil || isGroup && !isValue:
		return nil, nil
	case isGroup:
		return replaceGroup(e, p, source, group, value)
	default:
		return replaceMatches(e, p, source, func(dst []byte, match []int) []byte { return p.re.ExpandString(dst, value, source, match) }, len(value))
	}
}

// extract returns what a named group matches, or nil.
func extract(e *evaluation, p *pattern, s, group string) (any, error) {
	if err := e.spend(p.cost(len(s))); err != nil {
		return nil, err
	}
	match, i := p.re.FindStringSubmatch(s), p.re.SubexpIndex(group)
	if match == nil || i < 0 {
		return nil, nil
	}
	return match[i], nil
}

// replaceGroup replaces what a named group matches and leaves the rest of the match.
func replaceGroup(e *evaluation, p *pattern, s, group, value string) (any, error) {
	i := p.re.SubexpIndex(group)
	if i < 0 {
		return nil, errors.New("the regular expression has no group of that name")
	}
	return replaceMatches(e, p, s, func(dst []byte, match []int) []byte {
		if match[2*i] < 0 {
			return append(dst, s[match[0]:match[1]]...)
		}
		dst = append(dst, s[match[0]:match[2*i]]...)
		dst = append(dst, value...)
		return append(dst, s[match[2*i+1]:match[1]]...)
	}, len(value))
}

// replaceMatches writes s with each match as write does, which may add the source and a value of n bytes
// once per byte of that value at most. It stops before the outcome is too long.
func replaceMatches(e *evaluation, p *pattern, s string, write func(dst []byte, match []int) []byte, n int) (any, error) {
	if err := e.spend(p.cost(len(s))); err != nil {
		return nil, err
	}
	var out []byte
	from := 0
	for _, match := range p.re.FindAllStringSubmatchIndex(s, -1) {
		longest := n + (n/2+1)*(match[1]-match[0])
		if len(out)+match[0]-from+longest > maxWork {
			return nil, errTooMuch
		}
		out = append(out, s[from:match[0]]...)
		out = write(out, match)
		from = match[1]
	}
	if len(out)+len(s)-from > e.work {
		return nil, errTooMuch
	}
	return string(append(out, s[from:]...)), nil
}
