#!/bin/sh
# Sees to it that the tests find PostgreSQL, Redis and NATS: by URL, by Docker,
# or as programs; the C compiler that the race detector is linked with; and Node
# 20 or newer with npm, for the official JavaScript clients. On Debian, as root,
# what is missing is installed. No service is started: the tests start servers of
# their own. The one that speaks S3 is built by the Makefile.
set -eu

on_path() { command -v "$1" >/dev/null 2>&1; }
has_postgres() { on_path postgres || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; }
has_redis() { on_path redis-server; }
has_nats() { on_path nats-server || [ -x /usr/sbin/nats-server ]; }
has_node() { on_path node && [ "$(node -p 'parseInt(process.versions.node)' 2>/dev/null || echo 0)" -ge 20 ]; }
docker_answers() { on_path docker && timeout 5 docker info >/dev/null 2>&1; }

missing=
[ -n "${DATABASE_URL:-}" ] || has_postgres || missing="$missing postgresql"
[ -n "${REDIS_URL:-}" ] || has_redis || missing="$missing redis-server"
[ -n "${NATS_URL:-}" ] || has_nats || missing="$missing nats-server"

if [ -n "$missing" ] && docker_answers; then
	echo "test-deps: Docker runs what is missing here:$missing"
	missing=
fi
on_path gcc || on_path clang || on_path "${CC:-cc}" || missing="$missing gcc libc6-dev"
has_node || missing="$missing nodejs"
on_path npm || missing="$missing npm"
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! on_path apt-get; then
	cat >&2 <<EOF
test-deps: missing:$missing
Do one of these, then try again:
  - on Debian or Ubuntu: sudo apt-get install$missing
  - on macOS:            brew install postgresql@15 redis nats-server node
  - start Docker
  - set DATABASE_URL, REDIS_URL and NATS_URL to servers that tests may use
EOF
	exit 1
fi

echo "test-deps: installing$missing"
# Packages ask this file before they start a service; 101 says no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 # a list of packages
apt-get install -qq -y --no-install-recommends $missing >/dev/null

has_node || {
	echo "test-deps: the tests need Node 20 or newer, and this system's packages have $(node --version 2>/dev/null || echo none): see https://nodejs.org" >&2
	exit 1
}
