#!/bin/sh
# Runs every test with the race detector, on real servers, and shows at the end which answers of the contract the tests of the whole
# program have seen: go test hides what packages print that pass.
set -u
cd "$(dirname "$0")/.."

report=$(mktemp)
trap 'rm -f "$report"' EXIT
GAIA_TEST_REQUIRE=1 GAIA_TEST_REPORT=$report "${GO:-go}" test -race -count=1 -timeout 30m ./...
code=$?
sh scripts/test-split.sh || code=1
"${MAKE:-make}" --no-print-directory test-deploy || code=1
cat "$report"
[ -n "${TEST_SUPABASE_URL:-}" ] ||
	echo "Supabase Auth was a stand-in made of recorded answers: TEST_SUPABASE_URL adds a real server, which has to open accounts without confirming them."
exit $code
