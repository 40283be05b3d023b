#!/bin/sh
# The first set-up: makes .env with fresh secrets, and starts what is asked for. It can be run again: what stands in .env stays.
#
#   scripts/setup.sh                            make .env, and say how to go on
#   scripts/setup.sh up                         and start everything with Docker
#   scripts/setup.sh up gateway auth-service    and start these
set -eu
cd "$(dirname "$0")/.."
umask 077 # .env holds secrets

case "${1:-}" in
"" | up) ;;
*)
	sed -n 's/^# \{0,1\}//; 2,6p' "$0" >&2
	exit 2
	;;
esac

[ -e .env ] || printf '# Settings of Gaia on this machine, and its secrets. .env.example lists all settings.\n' >.env
[ -z "$(tail -c 1 .env)" ] || echo >>.env # a last line without its end

has() { grep -Eq "^[[:space:]]*(export[[:space:]]+)?$1[[:space:]]*=[[:space:]]*[^[:space:]]" .env; }

# put NAME VALUE keeps what is there. An empty line of a copied .env.example is not taken for a value; of two lines the last counts.
put() {
	if ! has "$1"; then
		printf '%s=%s\n' "$1" "$2" >>.env
		made="$made $1"
	fi
}

# secret prints so many random bytes in hexadecimal, which needs no quotes anywhere.
secret() { od -An -v -tx1 -N "$1" /dev/urandom | tr -d ' \n'; }

made=
put API_KEY "$(secret 24)"
put INTERNAL_AUTH_SECRET "$(secret 32)"
put SUPABASE_JWT_SECRET "$(secret 32)"
put POSTGRES_PASSWORD "$(secret 24)"
put SUPABASE_DB_PASSWORD "$(secret 24)"
put GRAFANA_PASSWORD "$(secret 12)"
put COMPOSE_PROFILES platform
# The secret above would turn the accounts off that Gaia keeps itself where it runs without Supabase Auth. compose.yaml does not use this.
has SUPABASE_URL || put LOCAL_ACCOUNTS on
if [ -n "$made" ]; then
	echo "setup: .env now has$made"
else
	echo "setup: .env has everything already"
fi

compose() { command -v docker >/dev/null 2>&1 && docker compose version >/dev/null 2>&1 && timeout 10 docker info >/dev/null 2>&1; }

if compose; then
	if [ "${1:-}" = up ]; then
		shift
		docker compose up --build --detach --wait "$@"
		docker compose ps
		exit
	fi
	cat <<'EOF'
setup: go on with
  docker compose up --build                     everything; or scripts/setup.sh up, in the background
  docker compose up gateway auth-service        some services
  curl http://127.0.0.1:8666/health             how everything is
EOF
	exit
fi

cat <<'EOF'
setup: Docker with Compose does not answer here. Without it:
  make run      everything in one process, with nothing else installed
  make split    four services as processes, on PostgreSQL, Redis and NATS of this machine (make test-deps installs them)
EOF
[ "${1:-}" != up ] || exit 1
