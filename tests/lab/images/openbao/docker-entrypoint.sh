#!/bin/sh
# Runs bao: `server` gets the configuration folder, options and subcommands get `bao` in front; root becomes uid 100.
set -eu

config=/openbao/config
if [ -n "${BAO_LOCAL_CONFIG:-}" ]; then
    printf '%s\n' "$BAO_LOCAL_CONFIG" > "$config/local.json"
fi
case ${1:-} in
    -*) set -- bao "$@" ;;
    server)
        shift
        set -- bao server -config="$config" \
            -dev-root-token-id="${BAO_DEV_ROOT_TOKEN_ID:-}" \
            -dev-listen-address="${BAO_DEV_LISTEN_ADDRESS:-0.0.0.0:8200}" "$@"
        ;;
    version) set -- bao "$@" ;;
    *) if [ -n "${1:-}" ] && bao "$1" --help 2>&1 | grep -q "bao $1"; then set -- bao "$@"; fi ;;
esac
if [ "${1:-}" = bao ] && [ "$(id -u)" = 0 ]; then
    if [ -z "${SKIP_CHOWN:-}" ]; then
        # A read-only mount of the configuration cannot be handed over and need not be.
        for folder in "$config" /openbao/logs /openbao/file; do
            [ "$(stat -c %u "$folder")" = 100 ] || chown -R openbao:openbao "$folder" || echo "cannot chown $folder" >&2
        done
    fi
    export HOME=/home/openbao
    exec setpriv --reuid openbao --regid openbao --clear-groups "$@"
fi
exec "$@"
