// Command notices writes THIRD_PARTY_NOTICES.md: every module whose code is in bin/meibo, with its licence.
//
//	go -C tools run ./notices .. > THIRD_PARTY_NOTICES.md
//
// The modules are those that the go command links for the released platforms, not all that go.mod names. The texts come
// from the module cache. A module without a licence, or with one that this program does not know, is an error: somebody
// has to read it first.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const mainPackage = "./cmd/meibo"

// platforms are those that releases are built for; a module may be linked on one of them alone.
var platforms = []struct{ os, arch string }{
	{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"},
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "notices:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	if len(args) != 1 {
		return errors.New("usage: notices MODULE-ROOT")
	}
	linked, err := linkedModules(args[0])
	if err != nil {
		return err
	}
	notices := make([]notice, 0, len(linked))
	for _, m := range linked {
		n, err := readNotice(m)
		if err != nil {
			return err
		}
		notices = append(notices, n)
	}
	_, err = out.Write(render(notices))
	return err
}

// module is what `go list` tells about one.
type module struct {
	Path, Version, Dir string
	Indirect           bool
	Main               bool
	Replace            *module
}

// linkedModules lists the modules of the packages that the binary is made of, by path, the standard library first.
func linkedModules(root string) ([]module, error) {
	linked := map[string]module{}
	for _, p := range platforms {
		cmd := exec.Command("go", "list", "-deps", "-json=Module", mainPackage)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "GOOS="+p.os, "GOARCH="+p.arch, "CGO_ENABLED=0")
		cmd.Stderr = os.Stderr
		output, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("list the packages of %s for %s/%s: %w", mainPackage, p.os, p.arch, err)
		}
		if err := addModules(linked, output); err != nil {
			return nil, err
		}
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("find the Go installation: %w", err)
	}
	standard := module{Path: "Go standard library", Dir: strings.TrimSpace(string(goroot))}
	rest := slices.SortedFunc(maps.Values(linked), func(a, b module) int { return strings.Compare(a.Path, b.Path) })
	return append([]module{standard}, rest...), nil
}

func addModules(linked map[string]module, listing []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(listing))
	for {
		var pkg struct{ Module *module }
		err := decoder.Decode(&pkg)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read the list of packages: %w", err)
		case pkg.Module == nil || pkg.Module.Main:
			continue
		}
		m := *pkg.Module
		if m.Replace != nil {
			m.Dir, m.Version = m.Replace.Dir, m.Replace.Version
		}
		linked[m.Path] = m
	}
}

// notice is one module with what its licence says.
type notice struct {
	module
	licences []string // SPDX identifiers
	texts    []string
}

func (n notice) use() string {
	switch {
	case n.Version == "":
		return "compiled in"
	case n.Indirect:
		return "indirect"
	default:
		return "direct"
	}
}

func readNotice(m module) (notice, error) {
	n := notice{module: m}
	entries, err := os.ReadDir(m.Dir)
	if err != nil {
		return notice{}, fmt.Errorf("%s: %w", m.Path, err)
	}
	for _, entry := range entries {
		if entry.IsDir() || !isLegal(entry.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(m.Dir, entry.Name()))
		if err != nil {
			return notice{}, fmt.Errorf("%s: %w", m.Path, err)
		}
		n.texts = append(n.texts, normalize(string(text)))
		n.licences = append(n.licences, identify(string(text))...)
	}
	slices.Sort(n.licences)
	n.licences = slices.Compact(n.licences)
	if len(n.licences) == 0 {
		return notice{}, fmt.Errorf("%s: no licence that this program knows in %s: read it, then teach identify its name",
			m.Path, m.Dir)
	}
	return n, nil
}

// isLegal reports whether a file in a module's root is a licence or a notice that has to go with the binary.
func isLegal(name string) bool {
	stem, _, _ := strings.Cut(strings.ToUpper(name), ".")
	return slices.ContainsFunc([]string{"LICENSE", "LICENCE", "COPYING", "NOTICE"}, func(word string) bool {
		return stem == word || strings.HasPrefix(stem, word+"-")
	})
}

// identify names the licences in a text, each by a sentence that only it has; nil if it knows none of them.
func identify(text string) (ids []string) {
	text = strings.Join(strings.Fields(text), " ")
	for _, l := range []struct{ id, sentence string }{
		{"Apache-2.0", "Apache License Version 2.0, January 2004"},
		{"Apache-2.0", "Licensed under the Apache License, Version 2.0"},
		{"BSD-2-Clause", "Redistribution and use in source and binary forms"},
		{"BSD-3-Clause", "Neither the name"},
		{"ISC", "Permission to use, copy, modify, and distribute this software for any purpose with or without fee"},
		{"ISC", "Permission to use, copy, modify, and/or distribute this software for any purpose"},
		{"MIT", "Permission is hereby granted, free of charge, to any person obtaining a copy"},
		{"MPL-2.0", "Mozilla Public License Version 2.0"},
		{"MPL-2.0", "Mozilla Public License, version 2.0"},
	} {
		if strings.Contains(text, l.sentence) && !slices.Contains(ids, l.id) {
			ids = append(ids, l.id)
		}
	}
	if slices.Contains(ids, "BSD-3-Clause") { // the third clause comes on top of the two
		ids = slices.DeleteFunc(ids, func(id string) bool { return id == "BSD-2-Clause" })
	}
	return ids
}

// normalize ends lines with a line feed and the text with one, without blanks at the ends of lines.
func normalize(text string) string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \t\f")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n") + "\n"
}

// render writes a table of all modules, then every text once under the modules that carry it.
func render(notices []notice) []byte {
	var b bytes.Buffer
	b.WriteString("# Third-party notices\n\n")
	b.WriteString("Generated by `make generate` from the packages that `bin/meibo` is linked from, on any of its platforms.\n\n")
	b.WriteString("| module | version | use | licence |\n|---|---|---|---|\n")
	owners := map[string][]string{}
	var texts []string
	for _, n := range notices {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", n.Path, n.Version, n.use(), strings.Join(n.licences, " AND "))
		for _, text := range n.texts {
			if owners[text] == nil {
				texts = append(texts, text)
			}
			owners[text] = append(owners[text], n.Path)
		}
	}
	for _, text := range texts {
		fmt.Fprintf(&b, "\n## %s\n\n", strings.Join(owners[text], ", "))
		for line := range strings.Lines(text) {
			b.WriteString(strings.TrimRight("    "+line, " \n") + "\n")
		}
	}
	return b.Bytes()
}
