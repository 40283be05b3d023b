#!/bin/sh
# Runs what the contract says on a gateway with the other services behind it, each in a process of its own: the tests of all operations, of
# bad input, access, limits and clients, which have one process otherwise. Those of OnBackends have both in every run, with the race detector; here
# it would find nothing more and take three times as long.
set -eu
cd "$(dirname "$0")/.."

files=""
for name in access malformed ratelimit protocol openai models provider mcp credentials fallback filesystem toolround webhook assetguide pages repeat; do
	files="$files tests/e2e/${name}_test.go"
done
# shellcheck disable=SC2086 # a list of files
tests=$(sed -n 's/^func \(Test[A-Za-z0-9]*\)(t .*/\1/p' $files | paste -s -d '|' -)

export GAIA_TEST_TOPOLOGY=split GAIA_TEST_REQUIRE=1
"${GO:-go}" test -count=1 -timeout 20m ./tests/compat
exec "${GO:-go}" test -count=1 -timeout 20m -run "^($tests)\$" -skip '/(embedded|full|split)$' ./tests/e2e
