#!/usr/bin/env bash
# Runs every fuzz target of the module for the time given, one after the other, and fails if there is none.
#
# usage: tools/fuzz.sh 30s
set -euo pipefail
time=${1:?usage: tools/fuzz.sh TIME}
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Up to Go 1.26 the fuzzer sometimes reports the end of its own time as a failure of the target (golang/go#75804).
# Such a failure has no input; one that was found has.
is_end_of_time() {
	grep -q '^ *context deadline exceeded$' "$log" && ! grep -q 'Failing input written to' "$log"
}

fuzz() {
	local package=$1 name=$2
	echo "== $package $name for $time"
	go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "$package" </dev/null 2>&1 | tee "$log" || is_end_of_time
}

# `go test -list` builds what it lists, so it is asked about packages with fuzz targets alone. It prints the names of a
# package and then a line "ok PACKAGE SECONDS".
packages=$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -r -n 1 dirname | sort -u)
targets=$(go test -list '^Fuzz' ${packages:-./...} | awk '/^Fuzz/ { names[++n] = $1 }
	$1 == "ok" { for (i = 1; i <= n; i++) print $2, names[i]; n = 0 }')
if [[ -z $targets ]]; then
	echo "fuzz.sh: no fuzz target found" >&2
	exit 1
fi
while read -r package name; do
	fuzz "$package" "$name"
done <<<"$targets"
