#!/bin/sh
# Twice a minute: the time into a row, and the log's segment ended, so that it leaves; then how old the newest is that has left.
. /opt/smarteros/current/backup/lib.sh

said=$(timeout 25 docker exec -i -e PGOPTIONS="$unlimited -c lock_timeout=20s" postgres psql -qAtX -v ON_ERROR_STOP=1 -U postgres -d postgres <<'END'
INSERT INTO heartbeat VALUES (true, 1, clock_timestamp())
    ON CONFLICT (one) DO UPDATE SET n = heartbeat.n + 1, at = excluded.at;
SELECT 'ended', extract(epoch FROM at)::numeric(20, 3), pg_walfile_name(pg_switch_wal()) FROM heartbeat;
SELECT 'archived', coalesce(last_archived_wal, ''), extract(epoch FROM clock_timestamp())::numeric(20, 3) FROM pg_stat_archiver;
\q
END
) || fail "Postgres does not answer: docker logs postgres"
printf '%s\n' "$said" | sed -n 's/^ended|//p' >>"$state/segments"
tail -n 500 "$state/segments" >"$state/.segments" && mv -f "$state/.segments" "$state/segments"
# What was written before a heartbeat whose segment has left can be had again.
printf '%s\n' "$said" | awk -F '|' '
    NR == FNR {if ($1 == "archived") {last = $2 ""; now = $3}; next}
    ($2 "") <= last {until = $1}
    END {if (until) printf "%s %.0f\n", until, now - until}
' - "$state/segments" >"$state/.until"
read -r until age <"$state/.until" && metric wal \
    "smarteros_wal_archived_until_timestamp_seconds $until" "smarteros_wal_archive_age_seconds $age"
metric heartbeat "smarteros_backup_last_success_timestamp_seconds{part=\"heartbeat\"} $(date +%s)"
rm -f "$state/failed/heartbeat"
