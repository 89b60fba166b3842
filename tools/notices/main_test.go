package main

import (
	"slices"
	"strings"
	"testing"
)

func TestIdentify(t *testing.T) {
	t.Parallel()
	const mit = "Permission is hereby granted, free of charge, to any\nperson obtaining a copy of this software"
	const bsd = "Redistribution and use in source and binary forms, with or without modification"
	tests := []struct {
		name, text string
		want       []string
	}{
		{"one", mit, []string{"MIT"}},
		{"broken lines", strings.ReplaceAll(mit, " ", "\n\t"), []string{"MIT"}},
		{"two clauses", bsd, []string{"BSD-2-Clause"}},
		{"three clauses", bsd + "\n* Neither the name of the copyright holder", []string{"BSD-3-Clause"}},
		{"two licences in a file", mit + "\nLicensed under the Apache License, Version 2.0", []string{"Apache-2.0", "MIT"}},
		{"unknown", "All rights reserved.", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := identify(tt.text); !slices.Equal(got, tt.want) {
				t.Errorf("identify = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestIsLegal(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"LICENSE": true, "LICENSE.md": true, "license.txt": true, "LICENSE-MIT": true, "COPYING": true, "NOTICE": true,
		"README.md": false, "licenses.go": false, "NOTICEBOARD": false,
	} {
		if got := isLegal(name); got != want {
			t.Errorf("isLegal(%q) = %t, want %t", name, got, want)
		}
	}
}

func TestRenderGivesEveryTextOnce(t *testing.T) {
	t.Parallel()
	got := string(render([]notice{
		{module: module{Path: "example.com/a", Version: "v1.0.0"}, licences: []string{"MIT"}, texts: []string{"same\n"}},
		{module: module{Path: "example.com/b", Version: "v2.0.0", Indirect: true}, licences: []string{"MIT"}, texts: []string{"same\n"}},
	}))
	for _, want := range []string{
		"| example.com/a | v1.0.0 | direct | MIT |\n", "| example.com/b | v2.0.0 | indirect | MIT |\n",
		"## example.com/a, example.com/b\n\n    same\n",
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("want this once:\n%s\nin:\n%s", want, got)
		}
	}
}
