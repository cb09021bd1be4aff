#!/bin/sh
# What upstream's entrypoint does: forget the last server, wait for the database, run the command.
set -e
rm -rf /app/tmp/pids/server.pid
python3 -m double chatwoot wait
exec "$@"
