#!/bin/sh
# Looks for known vulnerabilities in what the program calls. A finding fails. A
# database that can't be reached is said loudly and fails only with
# GAIA_VULNCHECK_REQUIRE=1: where there is no way out nobody can do better.
# GOVULNDB names another database, which may be a mirror or file:///folder.
set -eu
cd "$(dirname "$0")/.."
db=${GOVULNDB:-https://vuln.go.dev}

# Asked first by a question that costs nothing: the scan itself would find out
# after a minute.
if ! why=$(bin/govulncheck -db "$db" -mode query -json stdlib@v1.0.0 2>&1); then
	cat <<EOF
********************************************************************************
*  WARNING: NOT CHECKED FOR KNOWN VULNERABILITIES.
*  The database at $db can't be reached from here:
*  $(printf %s "$why" | tail -n 1)
*  Run \`make vulncheck\` where it can be, before a release.
********************************************************************************
EOF
	[ "${GAIA_VULNCHECK_REQUIRE:-}" != 1 ]
	exit
fi
exec bin/govulncheck -db "$db" ./...
