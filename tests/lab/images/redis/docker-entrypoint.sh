#!/bin/sh
# Runs redis-server as uid 999 without protected mode; options or a *.conf as first argument are redis-server's.
set -eu

case ${1:-} in
    -* | *.conf) set -- redis-server "$@" ;;
esac
if [ "${1:-}" = redis-server ] && [ "$(id -u)" = 0 ]; then
    find . \! -user redis -exec chown redis '{}' +
    export HOME=/data
    exec setpriv --reuid redis --regid redis --clear-groups "$0" "$@"
fi
if [ "${1:-}" = redis-server ]; then
    umask 0077
    # Published ports are Docker's business. The option goes first among the options, so that a later one wins.
    shift
    case ${1:-} in
        '' | -*) set -- redis-server --protected-mode no "$@" ;;
        *) conf=$1; shift; set -- redis-server "$conf" --protected-mode no "$@" ;;
    esac
fi
exec "$@"
