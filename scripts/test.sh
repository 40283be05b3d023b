#!/bin/sh
# Runs every test with the race detector, on real servers, and shows at the end which answers of the contract the tests of the whole
# program have seen: go test hides what packages print that pass.
set -u
cd "$(dirname "$0")/.."

report=$(mktemp)
trap 'rm -f "$report"' EXIT
packages=$("${GO:-go}" list ./... | grep -v /tests/chaos)
# shellcheck disable=SC2086 # a list of packages
GAIA_TEST_REQUIRE=1 GAIA_TEST_REPORT=$report "${GO:-go}" test -race -count=1 -timeout 40m $packages
code=$?
# Alone, and without the race detector: it measures how soon everything is well again, with nine processes on what there is of a machine.
GAIA_TEST_REQUIRE=1 "${GO:-go}" test -count=1 -timeout 20m ./tests/chaos || code=1
sh scripts/test-split.sh || code=1
"${MAKE:-make}" --no-print-directory test-deploy || code=1
cat "$report"
[ -n "${TEST_SUPABASE_URL:-}" ] ||
	echo "Supabase Auth was a stand-in made of recorded answers: TEST_SUPABASE_URL adds a real server, which has to open accounts without confirming them."
exit $code
