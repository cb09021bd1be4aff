#!/bin/sh
# The files of the server, so that a restore need not replay its whole log: all of them once a week, else what has changed.
. /opt/smarteros/current/backup/lib.sh

kind=incr
[ "${1:-}" != full ] && [ -n "$(find "$state/full" -mmin -9000 2>/dev/null)" ] || kind=full
exec 9>"$locks/postgres"
flock -w 1800 9 || fail "another backup of Postgres is still at work after 30 minutes: systemctl status smarteros-backup-postgres"
docker exec postgres timeout --kill-after=30 36000 env PGOPTIONS="$unlimited" pgbackrest --stanza=main --type=$kind backup || fail "not copied"
[ $kind = incr ] || touch "$state/full"
succeeded postgres
