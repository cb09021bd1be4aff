#!/bin/bash
# recover.sh PART: a new host out of the bucket, one part at a time, before its service starts for the first time. What has come back
# whole is noted and not fetched again; a part that was cut short begins anew. Started by a deploy. The parts:
# vault SNAPSHOT; files BYTES SERVICE:BEFORE:AFTER..., snapshots around a time; redis SNAPSHOT; postgres OPTION..., of
# pgBackRest's; end. list: the snapshots that there are.
. /opt/smarteros/current/restore/lib.sh

noted=/var/lib/smarteros/recover
part=$1
report=$keeping/recover.$part.report
shift
mkdir -p "$noted"
vault() { env -i PATH="$PATH" HOME=/root DOCKER_HOST=unix:///var/run/docker.sock DOCKER_CONFIG=/run/smarteros/no-docker-config COMPOSE_IGNORE_ORPHANS=1 docker compose -f /opt/smarteros/current/dkcompose/vault-deploy.yaml --project-name vault --env-file /dev/null --progress quiet "$@"; }
redis() { env -i PATH="$PATH" HOME=/root DOCKER_HOST=unix:///var/run/docker.sock DOCKER_CONFIG=/run/smarteros/no-docker-config COMPOSE_IGNORE_ORPHANS=1 docker compose -f /opt/smarteros/current/dkcompose/redis-deploy.yaml --project-name redis --env-file /dev/null --progress quiet "$@"; }
postgres() { env -i PATH="$PATH" HOME=/root DOCKER_HOST=unix:///var/run/docker.sock DOCKER_CONFIG=/run/smarteros/no-docker-config COMPOSE_IGNORE_ORPHANS=1 docker compose -f /opt/smarteros/current/dkcompose/postgres-deploy.yaml --project-name postgres --env-file /dev/null --progress quiet "$@"; }
# made PROJECT VOLUME: as Compose makes it.
made() {
    docker volume inspect "$2" >/dev/null 2>&1 || docker volume create --label smarteros.service="$1" \
        --label com.docker.compose.project="$1" --label com.docker.compose.volume="$2" "$2" >/dev/null || exit
}
# anew CONTAINER VOLUME: what a run that was killed has left of this part.
anew() {
    [ -e "$noted/$part.begun" ] && { gone "$1"; docker volume rm --force "$2" >/dev/null || fail "the volume $2, which is half restored, cannot be removed: docker volume rm $2 says why; then run the recovery again"; }
    touch "$noted/$part.begun"
    # The containers that copy want it there.
    made "$part" "$2"
}
# What is noted is not fetched again: after a loss of power files that are still on their way to the disk would be empty.
whole() {
    sync
    touch "$noted/$part" && sync "$noted"
    say "recovered: $part"
}
if [ "$part" != end ]; then [ ! -e "$noted/$part" ] && [ ! -e "$noted/end" ] || exit 0; fi

# What one that was killed has left at work holds volumes, and writes where this one does. At the end timers are at work already.
if [ "$part" != end ]; then
    cleared
    gone backup-vault
    gone backup-check
    gone recovering
fi

# What copies volumes away starts with all of them alone.
made backup restic_cache
! grep -q '^  redis_data:' /opt/smarteros/current/dkcompose/backup-deploy.yaml || made redis redis_data
for each in $names; do
    about "$each"
    while read -r kind name _; do
        [ "$kind" != volume ] || made "$each" "$name"
    done <<END
$items
END
done

# asked DATABASE [OPTION...]: the psql of the server that comes back.
asked() { docker exec -i recovering psql -qAtX -v ON_ERROR_STOP=1 -U postgres -d "$@" < <(cat; say '\q'); }
# It reads the rest of its log as itself, and goes on with a log of its own, which leaves for the bucket.
replayed() {
    postgres run --detach --no-deps --name recovering postgres >/dev/null || fail "Postgres does not start on what was restored (see the lines above)"
    until [ "$(asked postgres -c 'SELECT pg_is_in_recovery()' 2>/dev/null </dev/null)" = f ]; do
        [ "$(docker inspect --format '{{.State.Running}}' recovering)" = true ] || return 1
        sleep 0.5
    done
}
# fetched OPTION...: out of a snapshot, below the folder of copies.
fetched() { run 14400 $copies restore --no-lock --quiet $as_it_was --target /restored "$@" || fail "$each: its files cannot be restored (see the lines above); what is damaged in the bucket comes back with make bucket-rewind KIT=… TO=…; run the recovery again, it goes on from there"; }

[ "$part" = list ] || rm -f "${report%.report}".*
case $part in
list) run 600 backup-list snapshots --json --no-lock ;;

end)
    # Its own note goes last: a part that has lost its before would come back over what runs by now.
    touch "$noted/end"
    find "$noted" -mindepth 1 ! -name end -delete
    rm -r "$noted"
    ;;

vault)
    # Under keys that nobody keeps; with the snapshot come those of before.
    if [ -e "$noted/vault.begun" ]; then
        vault rm --stop --force >/dev/null 2>&1
        docker volume rm --force vault_data >/dev/null || fail "the volume vault_data, which is half restored, cannot be removed: docker volume rm vault_data says why; then run the recovery again"
        vault up --detach --wait >/dev/null 2>&1 || fail "Vault does not start anew: docker logs vault"
    fi
    touch "$noted/vault.begun"
    taken=$(cat <<'END'
set -eu
umask 077
cd /tmp
api=http://127.0.0.1:8200/v1
health() { curl --silent --output /dev/null --max-time 10 --write-out '%{http_code}' $api/sys/health || true; }
settled() { tries=0; until [ "$(health)" = "$1" ]; do tries=$((tries + 1)); [ $tries -le 600 ] || { echo "Vault answers $(health), and not $1" >&2; exit 1; }; sleep 0.1; done; }
restic -o s3.bucket-lookup=path dump --no-lock --quiet "$1" /tmp/vault.snap >vault.snap
settled 501
put() { curl --silent --show-error --fail-with-body --max-time 300 --request "$1" --config "$2" "$api/$3"; }
echo 'data = "{\"secret_shares\":1,\"secret_threshold\":1}"' >init
put PUT init sys/init >made
printf 'data = "{\\"key\\":\\"%s\\"}"\n' "$(sed -n 's/.*"keys_base64":\["\([^"]*\)".*/\1/p' made)" >unseal
put PUT unseal sys/unseal >/dev/null
settled 200
printf 'header = "X-Vault-Token: %s"\ndata-binary = "@vault.snap"\n' "$(sed -n 's/.*"root_token":"\([^"]*\)".*/\1/p' made)" >snapshot
put POST snapshot sys/storage/raft/snapshot-force
# For a moment it says that it is open, under keys that count no more.
settled 503
END
)
    entry=sh
    run 900 backup-vault -c "$taken" sh "$1" || fail "Vault cannot be restored from the bucket (see the lines above); what is damaged there comes back with make bucket-rewind KIT=… TO=…; then run the recovery again"
    # It counts keys as its first ones are counted until it reads anew how many there are.
    vault restart >/dev/null 2>&1 && vault up --detach --wait >/dev/null 2>&1 || fail "Vault does not start on what was restored: docker logs vault"
    whole
    ;;

files)
    # Volumes are new by now; a folder of the host may be somebody's.
    [ -e "$noted/files.begun" ] || {
        for each in $names; do
            about "$each"
            while read -r kind name _; do
                [ "$kind" != folder ] || [ -z "$(ls -A "$name" 2>/dev/null)" ] || fail "$name on this host holds files, and $each has its own in the bucket: move them away, and run the recovery again"
            done <<END
$items
END
        done
        room "$1" "the files of all services"
    }
    touch "$noted/files.begun"
    shift
    for chosen in "$@"; do
        IFS=: read -r each before after <<<"$chosen"
        about "$each"
        rm -rf "$keeping/files"
        install -d -m 700 "$keeping/files"
        [ -z "$before$after" ] || fetched "${before:-$after}"
        [ -n "$before" ] || note "MISSING: of $each there is no copy of that time${after:+: its files are those of the first one since}"
        while read -r kind name place; do
            # The last by then and the first since have all that was there in between.
            [ "$name" != "$proven_item" ] || [ -z "$before" ] || [ -z "$after" ] || fetched --include "$place" "$after"
            from=$keeping/files$place to=$name
            [ -d "$from" ] || {
                note "MISSING: $name of $each is in no copy of that time: it begins empty"
                continue
            }
            [ "$kind" != volume ] || to=$(mount_of "$name") || fail "the volume $name cannot be made: docker volume create says why; then run the recovery again"
            mkdir -p "$to"
            find "$to" -mindepth 1 -delete
            find "$from" -mindepth 1 -maxdepth 1 -exec mv -t "$to" {} +
            chown --reference="$from" "$to" && chmod --reference="$from" "$to" || fail "$to cannot be given back to its owner (see the lines above)"
            note "files of $name: $(find "$to" -type f | wc -l)"
        done <<END
$items
END
        say "recovered: files of $each"
    done
    rm -rf "$keeping/files"
    whole
    ;;

redis)
    anew recovering redis_data
    [ $# = 1 ] || {
        note "MISSING: of what Redis held there is no copy of that time: its queues begin empty"
        whole
        exit
    }
    # With its log of changes on, it reads no file but one that is the beginning of that.
    mkdir -p "$keeping/redis"
    entry=sh
    run 900 backup-check -c 'exec restic -o s3.bucket-lookup=path dump --no-lock --quiet "$1" /state/redis_data/dump.rdb' sh "$1" \
        >"$keeping/redis/dump.rdb" || fail "what Redis held cannot be restored (see the lines above); run the recovery again, it goes on from there"
    [ "$(head -c 5 "$keeping/redis/dump.rdb")" = REDIS ] || fail "what the bucket has of Redis is no file of it: with TO=… an earlier one is taken"
    redis run --rm --no-TTY --no-deps --name recovering --entrypoint sh redis -ec '
        umask 077
        mkdir -p /data/appendonlydir
        cat >/data/appendonlydir/appendonly.aof.1.base.rdb
        echo "file appendonly.aof.1.base.rdb seq 1 type b" >/data/appendonlydir/appendonly.aof.manifest
    ' <"$keeping/redis/dump.rdb" || fail "Redis' volume cannot be written (see the lines above): df -h"
    rm -rf "$keeping/redis"
    whole
    ;;

postgres)
    anew recovering postgres_data
    size=$(postgres run --rm --no-TTY --no-deps --name recovering --entrypoint pgbackrest postgres --stanza=main info --output=json </dev/null 2>"$keeping/said" |
        grep -o '"size":[0-9]*' | tail -n 1 | tr -dc 0-9) || fail "pgBackRest's archive cannot be read (run again once the bucket answers): $(tail -n 2 "$keeping/said" | tr '\n' ' ')"
    [ -n "$size" ] || fail "the bucket has no backup of Postgres: is KIT that of this host?"
    room $((size * 13 / 10)) "Postgres"
    say "Postgres: $((size / 1048576)) MB come back"
    postgres run --rm --no-TTY --no-deps --name recovering --entrypoint bash postgres -ceu 'chmod 700 "$PGDATA"; exec pgbackrest --stanza=main --no-delta "$@" restore' bash "$@" \
        </dev/null || fail "Postgres cannot be restored from the bucket (see the lines above); what is damaged there comes back with make bucket-rewind KIT=… TO=…; then run the recovery again"
    replayed || {
        said=$(docker logs --tail 10 recovering 2>&1 | tr '\n' ' ')
        # More of what was written by then is nowhere.
        [[ $said = *'recovery ended before configured recovery target was reached'* ]] || fail "Postgres ends while it reads its log (TO=… takes an earlier time): $said"
        note "the log in the bucket ends before that time: all of it has come back"
        gone recovering
        postgres run --rm --no-TTY --no-deps --name recovering --entrypoint bash postgres -c 'exec sed -i "/^recovery_target_\(time\|action\)/d" "$PGDATA/postgresql.auto.conf"' </dev/null &&
            replayed || fail "Postgres ends while it reads its log (TO=… takes an earlier time): $(docker logs --tail 5 recovering 2>&1 | tr '\n' ' ')"
    }
    # Its clock for new segments stands still until the next checkpoint.
    asked postgres -c 'CHECKPOINT' -c 'SELECT pg_switch_wal()' </dev/null >/dev/null || fail "Postgres takes no checkpoint: docker logs recovering"
    beat=$(asked postgres -c "SELECT to_char(max(at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SSZ') FROM heartbeat" </dev/null)
    note "Postgres: its last heartbeat is of $beat"
    for each in $names; do
        about "$each"
        [ -n "$proof" ] || continue
        for role in $roles; do
            while read -r database; do
                [ -z "$database" ] || proved "$(mount_of "$proven_item")" "$database" asked "$database"
            done <<END
$(asked postgres -c "SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = '$role' AND datallowconn AND datconnlimit <> -2 ORDER BY 1" </dev/null)
END
        done
    done
    # What the nightly check has found damaged it says once, and that was on the host before.
    mkdir -p "$state"
    docker exec recovering timeout --kill-after=30 300 pgbackrest --stanza=main --repo1-path=/recovery --repo1-cipher-type=none repo-get --ignore-missing damaged |
        sed -n 's/^damaged //p' | sort -u >"$state/damaged" || fail "what was known to be damaged in the bucket cannot be read (see the lines above); run the recovery again"
    docker stop --time 120 recovering >/dev/null && docker rm recovering >/dev/null || fail "Postgres does not stop: docker logs recovering"
    whole
    ;;
*) fail "recover.sh: no part is called $part" ;;
esac
