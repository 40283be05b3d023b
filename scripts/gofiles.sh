#!/bin/sh
# Lists the Go files written by hand: gofmt has no say over generated ones.
set -eu
cd "$(dirname "$0")/.."
find . -name '*.go' -not -path './.git/*' -not -path './bin/*' -not -path './data/*' -exec \
	grep -LE '^// Code generated .* DO NOT EDIT\.$' {} + | sort
