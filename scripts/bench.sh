#!/bin/sh
# Measures the built program: scripts/bench.sh [flags of tests/bench]. Without BENCH_DATABASE_URL, PostgreSQL is started privately for its
# rows when its programs are here, and thrown away afterwards; its settings are those of a fresh installation.
set -eu
cd "$(dirname "$0")/.."

if [ -n "${BENCH_DATABASE_URL:-}" ]; then
	exec "${GO:-go}" run ./tests/bench -gaia bin/gaia "$@"
fi

bin=$(dirname "$(command -v pg_ctl 2>/dev/null || ls /usr/lib/postgresql/*/bin/pg_ctl 2>/dev/null | tail -n 1)" 2>/dev/null || true)
if [ ! -x "$bin/pg_ctl" ]; then
	echo "bench: no PostgreSQL here: its rows are left out" >&2
	exec "${GO:-go}" run ./tests/bench -gaia bin/gaia "$@"
fi

dir=$(mktemp -d)
as() { "$@"; }
if [ "$(id -u)" = 0 ]; then # PostgreSQL refuses to run as root
	user=postgres
	id "$user" >/dev/null 2>&1 || user=nobody
	chown "$user" "$dir"
	as() { setpriv --reuid="$user" --regid="$(id -g "$user")" --clear-groups "$@"; }
fi
finish() {
	as "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null 2>&1 || true
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM
as "$bin/initdb" -D "$dir/data" -U postgres -A trust >/dev/null
port=$((20000 + $$ % 20000))
as "$bin/pg_ctl" -D "$dir/data" -w -l "$dir/log" -o "-h 127.0.0.1 -p $port -k $dir" start >/dev/null
BENCH_DATABASE_URL="postgresql://postgres@127.0.0.1:$port/postgres" "${GO:-go}" run ./tests/bench -gaia bin/gaia "$@"
