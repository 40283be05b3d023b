#!/bin/sh
# Runs every test with the race detector, on real servers. At the end, where it is looked for, it shows which answers of the contract the
# tests of the whole program have seen, since go test hides what packages print that pass, and last of all what failed and why.
set -u
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
touch "$work/report"
code=0
# run shows what a command prints, keeps it, and goes on when it fails.
run() {
	{
		"$@" 2>&1
		echo $? >"$work/code"
	} | tee -a "$work/output"
	[ "$(cat "$work/code")" = 0 ] || code=1
}

packages=$("${GO:-go}" list ./... | grep -v /tests/chaos)
# shellcheck disable=SC2086 # a list of packages
run env GAIA_TEST_REQUIRE=1 GAIA_TEST_REPORT="$work/report" "${GO:-go}" test -race -count=1 -timeout 40m $packages
# Alone, and without the race detector: it measures how soon everything is well again, with nine processes on what there is of a machine.
run env GAIA_TEST_REQUIRE=1 "${GO:-go}" test -count=1 -timeout 20m ./tests/chaos
run sh scripts/test-split.sh
run "${MAKE:-make}" --no-print-directory test-deploy
cat "$work/report"
[ -n "${TEST_SUPABASE_URL:-}" ] ||
	echo "Supabase Auth was a stand-in made of recorded answers: TEST_SUPABASE_URL adds a real server, which has to open accounts without confirming them."
[ $code = 0 ] || awk -f scripts/failures.awk "$work/output"
exit $code
