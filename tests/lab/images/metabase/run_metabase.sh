#!/bin/bash
# As upstream: root makes the user metabase (MUID, MGID, 2000) and becomes it, anybody else runs Metabase as is.
set -e

export MB_JETTY_HOST=${MB_JETTY_HOST:-0.0.0.0}
if [ "$(id -u)" != 0 ]; then
    exec python3 -m double metabase "$@"
fi
getent group metabase > /dev/null || groupadd --system --gid "${MGID:-2000}" metabase
getent passwd metabase > /dev/null || useradd --no-create-home --uid "${MUID:-2000}" --gid metabase metabase
mkdir -p "${MB_DB_FILE:-/metabase.db}"
chown metabase:metabase "${MB_DB_FILE:-/metabase.db}"
exec setpriv --reuid metabase --regid metabase --clear-groups python3 -m double metabase "$@"
