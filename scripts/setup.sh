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
chmod 600 .env # also one that was there, such as a copy of .env.example
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
# A project of one's own has a secret already, and tokens that it signs would be refused with another.
has SUPABASE_URL || put SUPABASE_JWT_SECRET "$(secret 32)"
put POSTGRES_PASSWORD "$(secret 24)"
put SUPABASE_DB_PASSWORD "$(secret 24)"
put GRAFANA_PASSWORD "$(secret 12)"
put COMPOSE_PROFILES platform
if ! has SUPABASE_URL && ! has LOCAL_ACCOUNTS; then
	cat >>.env <<'EOF'
# The secret of Supabase Auth would turn off the accounts that Gaia keeps itself where it runs without it (make run). In the containers of
# compose.yaml this does not count: it says "off", for Supabase Auth is there.
EOF
	put LOCAL_ACCOUNTS on
fi
if [ -n "$made" ]; then
	echo "setup: .env now has$made"
else
	echo "setup: .env has everything already"
fi
if has SUPABASE_URL && ! has SUPABASE_JWT_SECRET; then
	echo "setup: put the JWT secret of the project of SUPABASE_URL into .env as SUPABASE_JWT_SECRET; compose.yaml wants it"
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
