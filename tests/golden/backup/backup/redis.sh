#!/bin/sh
# Redis writes a file of all that it holds, and that is copied away: its own files are in the middle of something.
. /opt/smarteros/current/backup/lib.sh

ask() { docker exec redis sh -c 'REDISCLI_AUTH="$REDIS_PASSWORD" exec redis-cli --raw "$@"' sh "$@" | tr -d '\r'; }
state_of() { ask INFO persistence | sed -n "s/^$1://p"; }

together
before=$(ask TIME | head -n 1)
[ "${before:-0}" -gt 0 ] || fail "Redis does not answer: docker logs redis"
ask BGSAVE SCHEDULE >/dev/null
tries=0
until [ "$(state_of rdb_bgsave_in_progress)" = 0 ] && [ "$(state_of rdb_last_save_time)" -ge "$before" ]; do
    [ "$(state_of rdb_bgsave_in_progress)/$(state_of rdb_last_bgsave_status)" != 0/err ] || fail "Redis cannot write its file: docker logs redis"
    tries=$((tries + 1))
    [ $tries -le 600 ] || fail "Redis has not written its file within 10 minutes: docker logs redis"
    sleep 1
done
repository 900 backup-redis backup --quiet --host smarteros --tag service=redis /state/redis_data/dump.rdb || fail "not copied"
succeeded redis
