#!/bin/sh
# Runs Gaia's services as processes of this machine, as compose.yaml runs them in containers, until Ctrl-C.
#
#   scripts/split.sh                 gateway, auth, asset and chat
#   scripts/split.sh gateway auth    some of them
#   scripts/split.sh infra           PostgreSQL, Redis and NATS alone
#
# DATABASE_URL, REDIS_URL and NATS_URL name servers to use. Where one is missing, the program of that name is started with data of its
# own in $GAIA_SPLIT_DIR. Output goes to files there: tail -f data/split/chat.log.
set -eu
cd "$(dirname "$0")/.."
sh scripts/setup.sh >/dev/null || exit

# setting NAME prints what the environment says, or else .env.
setting() {
	value=$(printenv "$1" || :)
	[ -n "$value" ] || value=$(sed -n "s/^$1=//p" .env | tail -n 1)
	printf %s "$value"
}

say() { echo "split: $*"; }
die() { say "$*" >&2; exit 1; }

dir=${GAIA_SPLIT_DIR:-$PWD/data/split}
if [ "$(id -u)" = 0 ] && [ -z "${GAIA_SPLIT_DIR:-}" ]; then
	# PostgreSQL runs as another user, who may not enter every folder of root's. Each copy of the sources has its own, as its password is its own.
	dir=/var/tmp/gaia-split-$(printf %s "$PWD" | cksum | cut -d ' ' -f 1)
fi
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
[ "$(id -u)" != 0 ] || chmod 755 "$dir"
say "data and output in $dir"

services= servers=
apart=$(command -v setsid || :) # Ctrl-C is for the services first: servers end after them
stop() {
	trap '' INT TERM
	# shellcheck disable=SC2086 # lists of process ids
	[ -z "$services" ] || { kill -TERM $services 2>/dev/null; wait $services; } || :
	# shellcheck disable=SC2086
	[ -z "$servers" ] || { kill -INT $servers 2>/dev/null; wait $servers; } || :
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

find_program() {
	for candidate in "$(command -v "$1" || :)" /usr/lib/postgresql/*/bin/"$1" /usr/sbin/"$1"; do
		[ ! -x "$candidate" ] || found=$candidate
	done
	[ -n "${found:-}" ] || die "no $1 on this machine: make test-deps, or name a server with $2"
	printf %s "$found"
}

# as_postgres runs a program as somebody whom PostgreSQL accepts: it refuses root.
as_postgres() {
	if [ "$(id -u)" = 0 ]; then
		exec $apart setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
	fi
	exec $apart "$@"
}

# until_ready NAME COMMAND… tries for two minutes.
until_ready() {
	name=$1 tries=0
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		[ "$tries" -lt 600 ] || die "$name does not get ready: see $dir/$name.log"
		sleep 0.2
	done
}

start_postgres() {
	port=${SPLIT_DB_PORT:-5433}
	postgres=$(find_program postgres DATABASE_URL)
	bin=$(dirname "$postgres")
	if [ ! -e "$dir/db/PG_VERSION" ]; then
		mkdir -p "$dir/db"
		[ "$(id -u)" != 0 ] || chown postgres "$dir/db"
		printf %s "$(setting POSTGRES_PASSWORD)" >"$dir/password"
		[ "$(id -u)" != 0 ] || chown postgres "$dir/password"
		chmod 600 "$dir/password"
		(as_postgres "$bin/initdb" -D "$dir/db" -U gaia -A scram-sha-256 --pwfile="$dir/password" -E UTF8 --locale=C.UTF-8) >"$dir/db.log" 2>&1 ||
			die "initdb failed: see $dir/db.log"
		rm -f "$dir/password"
	fi
	as_postgres "$postgres" -D "$dir/db" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=300 >>"$dir/db.log" 2>&1 &
	servers="$servers $!"
	until_ready db "$bin/pg_isready" -h 127.0.0.1 -p "$port"
	PGPASSWORD=$(setting POSTGRES_PASSWORD) "$bin/psql" -h 127.0.0.1 -p "$port" -U gaia -d postgres -qc 'CREATE DATABASE gaia' >>"$dir/db.log" 2>&1 || : # it is there
	DATABASE_URL="postgresql://gaia:$(setting POSTGRES_PASSWORD)@127.0.0.1:$port/gaia?sslmode=disable"
}

start_redis() {
	port=${SPLIT_REDIS_PORT:-6380}
	$apart "$(find_program redis-server REDIS_URL)" --port "$port" --bind 127.0.0.1 --save '' --maxmemory 256mb --maxmemory-policy allkeys-lru >"$dir/redis.log" 2>&1 &
	servers="$servers $!"
	REDIS_URL=redis://127.0.0.1:$port
}

start_nats() {
	port=${SPLIT_NATS_PORT:-4223} monitor=${SPLIT_NATS_MONITOR_PORT:-8222}
	$apart "$(find_program nats-server NATS_URL)" -a 127.0.0.1 -p "$port" -m "$monitor" -js -sd "$dir/nats" >"$dir/nats.log" 2>&1 &
	servers="$servers $!"
	NATS_URL=nats://127.0.0.1:$port
	say "NATS tells about itself at http://127.0.0.1:$monitor/varz"
}

DATABASE_URL=$(setting DATABASE_URL) REDIS_URL=$(setting REDIS_URL) NATS_URL=$(setting NATS_URL)
[ -n "$DATABASE_URL" ] || start_postgres
[ -n "$REDIS_URL" ] || start_redis
[ -n "$NATS_URL" ] || start_nats
export DATABASE_URL REDIS_URL NATS_URL

# shellcheck disable=SC2046 # words
set -- $(echo "$*" | tr , ' ')
[ $# -gt 0 ] || set -- gateway auth asset chat
if [ "$1" = infra ]; then
	say "DATABASE_URL='$DATABASE_URL' REDIS_URL='$REDIS_URL' NATS_URL='$NATS_URL'"
	say "Ctrl-C stops them; their data stays in $dir"
	# shellcheck disable=SC2086
	wait $servers
	exit
fi

[ -x bin/gaia ] || make build
bin/gaia migrate up >"$dir/migrate.log" 2>&1 || { cat "$dir/migrate.log"; die "the schema can't be brought up to date"; }

# GAIA_DATA_DIR is shared, as the volume of compose.yaml is: files of assets lie there.
GAIA_DATA_DIR=$dir/data
export GAIA_DATA_DIR
auth=${SPLIT_AUTH_PORT:-8001} asset=${SPLIT_ASSET_PORT:-8002} chat=${SPLIT_CHAT_PORT:-8003}
gateway=http://127.0.0.1:${GATEWAY_PORT:-8666}
for service in "$@"; do
	case $service in
	gateway) port=${GATEWAY_PORT:-8666} ;;
	auth) port=$auth ;;
	asset) port=$asset ;;
	chat) port=$chat ;;
	*) die "$service is none of gateway, auth, asset, chat, infra" ;;
	esac
	SERVICES=$service SERVICE_NAME=$service SERVICE_HOST=127.0.0.1 SERVICE_PORT=$port ADMIN_ADDRESS='' \
		AUTH_SERVICE_URL=http://127.0.0.1:$auth ASSET_SERVICE_URL=http://127.0.0.1:$asset CHAT_SERVICE_URL=http://127.0.0.1:$chat \
		bin/gaia serve >"$dir/$service.log" 2>&1 &
	services="$services $!"
	pid=$!
	until_ready "$service" sh -c "! kill -0 $pid 2>/dev/null || bin/gaia health http://127.0.0.1:$port"
	kill -0 "$pid" 2>/dev/null || { tail -n 5 "$dir/$service.log" >&2; die "$service ended"; }
	say "$service serves at http://127.0.0.1:$port, and writes to $dir/$service.log"
done
case " $* " in
*" gateway "*)
	say "try: curl $gateway/health -H \"X-API-Key: \$(sed -n s/^API_KEY=//p .env)\""
	;;
esac
say "Ctrl-C stops everything; data stays in $dir"

while :; do
	for pid in $services $servers; do
		kill -0 "$pid" 2>/dev/null || die "process $pid ended: see $dir/*.log"
	done
	sleep 1
done
