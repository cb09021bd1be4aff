#!/bin/bash
# Makes the cluster on an empty PGDATA from POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB and
# POSTGRES_INITDB_ARGS (each also as …_FILE) and /docker-entrypoint-initdb.d, then runs the server.
set -euo pipefail

fail() { echo "error: $*" >&2; exit 1; }

# from_file NAME DEFAULT: NAME from the file that NAME_FILE points at, else as it is, else the default.
from_file() {
    local name=$1 file_name=${1}_FILE
    if [ -n "${!name:-}" ] && [ -n "${!file_name:-}" ]; then fail "$name and $file_name are both set"; fi
    if [ -n "${!file_name:-}" ]; then export "$name=$(<"${!file_name}")"; else export "$name=${!name:-${2:-}}"; fi
    unset "$file_name"
}

own_directories() {
    mkdir -p "$PGDATA"
    chmod 0700 "$PGDATA"
    find "$PGDATA" /var/run/postgresql \! -user postgres -exec chown postgres '{}' +
    chmod 3777 /var/run/postgresql || true
}

create_cluster() {
    [ -n "$POSTGRES_PASSWORD" ] || [ "${POSTGRES_HOST_AUTH_METHOD:-}" = trust ] || fail \
        "the data directory is empty and no superuser password is given: set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE"
    local method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256} arguments=()
    [ -z "$POSTGRES_INITDB_ARGS" ] || read -ra arguments <<<"$POSTGRES_INITDB_ARGS"
    # Like upstream: whoever is inside the container is trusted, everyone else needs the password.
    initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --encoding=UTF8 \
        --auth=trust --pgdata="$PGDATA" "${arguments[@]}"
    printf '\nhost all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"
}

# Only on the socket: nobody outside sees a server that is not set up yet.
with_private_server() {
    PGUSER=${PGUSER:-$POSTGRES_USER} pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -p 5432" -w start
    "$@"
    PGUSER=${PGUSER:-$POSTGRES_USER} pg_ctl -D "$PGDATA" -m fast -w stop
}

sql() { psql -v ON_ERROR_STOP=1 --no-psqlrc --no-password --username "$POSTGRES_USER" "$@"; }

populate() {
    if [ "$POSTGRES_DB" != postgres ]; then
        sql --dbname postgres --set db="$POSTGRES_DB" <<<'CREATE DATABASE :"db";'
    fi
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sh) echo "running $file"; if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
            *.sql) echo "running $file"; sql --dbname "$POSTGRES_DB" -f "$file" ;;
            *.sql.gz) echo "running $file"; gunzip -c "$file" | sql --dbname "$POSTGRES_DB" ;;
            */\*) ;;
            *) echo "ignoring $file" ;;
        esac
    done
}

if [ "${1:0:1}" = - ]; then set -- postgres "$@"; fi
case " $* " in *' --version '* | *' --help '*) exec "$@" ;; esac
if [ "$1" = postgres ]; then
    if [ "$(id -u)" = 0 ]; then
        own_directories
        exec gosu postgres "$BASH_SOURCE" "$@"
    fi
    mkdir -p "$PGDATA"
    if [ ! -s "$PGDATA/PG_VERSION" ]; then
        from_file POSTGRES_PASSWORD
        from_file POSTGRES_USER postgres
        from_file POSTGRES_DB "$POSTGRES_USER"
        from_file POSTGRES_INITDB_ARGS
        create_cluster
        with_private_server populate
        echo 'PostgreSQL init process complete; ready for start up.'
    fi
fi
exec "$@"
