#!/bin/sh
# Once, and again whatever of it is there: the repository, the archive, the heartbeat's row. Nothing is written over.
. /opt/smarteros/current/backup/lib.sh

rm -f "$state/prepared"
docker volume inspect restic_cache >/dev/null 2>&1 || docker volume create --label smarteros.service=backup \
    --label com.docker.compose.project=backup --label com.docker.compose.volume=restic_cache restic_cache >/dev/null || exit
together
said=$(run 300 backup-check cat config --no-lock 2>&1 >/dev/null)
case $? in
0) ;;
10) run 300 backup-check init --quiet || fail "backup: the repository in the bucket cannot be made (see the lines above): make bucket tries the key" ;;
12) fail "backup: acme-backup at https://s3.example.com:8443 holds files under another key: take the kit that they were made with (make bucket), or another bucket" ;;
*) fail "backup: acme-backup at https://s3.example.com:8443 cannot be read (make bucket tries the key): $(printf '%s' "$said" | tail -n 3)" ;;
esac
said=$(docker exec postgres timeout 300 pgbackrest --stanza=main stanza-create 2>&1) || case $said in
*'[028]'*) fail "backup: acme-backup holds the log of another Postgres than this one: restore it from there, or, to go on beside it," \
    "docker exec postgres pgbackrest --stanza=main stanza-upgrade, and deploy again" ;;
*) fail "backup: the archive cannot be made (make bucket tries the key): $said" ;;
esac
sql <<'END' || fail "backup: the heartbeat has no table: docker logs postgres"
CREATE TABLE IF NOT EXISTS heartbeat (one boolean PRIMARY KEY DEFAULT true CHECK (one), n bigint NOT NULL, at timestamptz NOT NULL);
END
printf '%s\n' fedca2fd0375 >"$state/.prepared" && sync "$state/.prepared" && mv -f "$state/.prepared" "$state/prepared"
# The first of each, without waiting for its time.
systemctl start --no-block smarteros-heartbeat.service smarteros-backup-files.service smarteros-backup-redis.service smarteros-backup-vault.service smarteros-backup-postgres.service smarteros-backup-dumps.service smarteros-backup-check.service
