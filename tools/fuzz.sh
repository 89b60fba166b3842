#!/usr/bin/env bash
# Runs every fuzz target of the module for the time given, one after the other, and fails if there is none.
#
# usage: tools/fuzz.sh 30s
set -euo pipefail
time=${1:?usage: tools/fuzz.sh TIME}

# `go test -list` prints the names of a package and then a line "ok PACKAGE SECONDS".
targets=$(go test -list '^Fuzz' ./... | awk '/^Fuzz/ { names[++n] = $1 }
	$1 == "ok" { for (i = 1; i <= n; i++) print $2, names[i]; n = 0 }')
if [[ -z $targets ]]; then
	echo "fuzz.sh: no fuzz target found" >&2
	exit 1
fi
while read -r package name; do
	echo "== $package $name for $time"
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "$package" </dev/null
done <<<"$targets"
