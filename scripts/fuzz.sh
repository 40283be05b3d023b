#!/bin/sh
# Runs every fuzz target for FUZZTIME, one after the other: go test takes one at
# a time. What a target finds is written to its testdata/fuzz; commit it.
set -eu
cd "$(dirname "$0")/.."

targets=$(grep -rnoE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | sed -E 's/^(.*)\/[^/]+:[0-9]+:func (.*)$/\1 \2/' | sort -u)
[ -n "$targets" ] || { echo "fuzz: there is no fuzz target" >&2; exit 1; }

echo "$targets" | while read -r folder name; do
	echo "== $name in $folder for ${FUZZTIME:-1m}"
	"${GO:-go}" test -run '^$' -fuzz "^$name\$" -fuzztime "${FUZZTIME:-1m}" "$folder" </dev/null
done
