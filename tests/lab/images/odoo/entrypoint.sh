#!/bin/bash
# Runs odoo with the database of HOST, PORT, USER and PASSWORD or PASSWORD_FILE, unless the configuration names it.
set -e

if [ -v PASSWORD_FILE ]; then PASSWORD=$(<"$PASSWORD_FILE"); fi

arguments=()
# database_argument NAME VALUE: an argument, but for what the configuration file sets itself.
database_argument() {
    grep -qE "^\s*$1\s*=" "$ODOO_RC" || arguments+=("--$1" "$2")
}
database_argument db_host "${HOST:-db}"
database_argument db_port "${PORT:-5432}"
database_argument db_user "${USER:-${POSTGRES_USER:-odoo}}"
database_argument db_password "${PASSWORD:-${POSTGRES_PASSWORD:-odoo}}"

# Unquoted as upstream: a password with a space does not get past this line there either.
wait_for_database() { wait-for-psql.py ${arguments[@]} --timeout=30; }

case ${1:-} in
    -- | odoo)
        shift
        if [ "${1:-}" = scaffold ]; then exec odoo "$@"; fi
        wait_for_database
        exec odoo "$@" "${arguments[@]}"
        ;;
    -*)
        wait_for_database
        exec odoo "$@" "${arguments[@]}"
        ;;
    *) exec "$@" ;;
esac
