#!/bin/sh
# What upstream's entrypoint does: forget the last server, wait for the database, see to the gems, run the command.
rm -rf /app/tmp/pids/server.pid
rm -rf /app/tmp/cache/*
python3 -m double chatwoot wait || exit
bundle install
until bundle check; do
    sleep 2
done
exec "$@"
