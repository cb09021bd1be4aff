#!/bin/sh
# now.sh UNIT...: all of these at once, whatever was copied before; ends when what was written until now has left.
. /opt/smarteros/current/backup/lib.sh

answers || fail "nothing is copied now, for the bucket does not answer as it should (see the line above): make bucket KIT=… says more; services go on, and what waits is sent once it does"
begun=$(date +%s)
rm -f "$state"/*.since
systemctl start "$@" || exit
tries=0
until [ "$(sed -n 's/^smarteros_wal_archived_until_timestamp_seconds \([0-9]*\).*/\1/p' "$metrics/wal.prom" 2>/dev/null || echo 0)0" -ge "${begun}0" ]; do
    tries=$((tries + 1))
    [ $tries -le 60 ] || fail "Postgres' log does not leave: docker logs postgres"
    sleep 2
    systemctl start smarteros-heartbeat.service || exit
done
