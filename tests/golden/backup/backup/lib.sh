# Read by the scripts beside it: where things are, how a one-off container runs, what is noted. Written by the deploy.
set -u
umask 022
export DOCKER_HOST=unix:///var/run/docker.sock BUILDX_BUILDER=default DOCKER_CONTEXT= DOCKER_TLS= DOCKER_TLS_VERIFY= DOCKER_API_VERSION= DOCKER_DEFAULT_PLATFORM= DOCKER_CONTENT_TRUST= DOCKER_CUSTOM_HEADERS= DOCKER_BUILDKIT=
state=/var/lib/smarteros/backup
metrics=/var/lib/smarteros/metrics
locks=/run/smarteros-backup
mkdir -p "$state/failed" "$metrics" "$locks"

fail() {
    echo "$*" >&2
    exit 1
}

# reachable: networks in which nothing is while nothing is copied, and which a prune has removed, are made again as they were.
reachable() {
    for network in backup-net drill-net; do
        if docker network inspect --format '{{(index .IPAM.Config 0).Subnet}} {{index .Options "com.docker.network.driver.mtu"}} {{index .Labels "smarteros.pool"}}' \
            "$network" >"$state/.$network" 2>/dev/null; then
            mv -f "$state/.$network" "$state/$network"
        elif read -r subnet mtu pool 2>/dev/null <"$state/$network"; then
            echo "the network $network was removed: it is made again" >&2
            docker network create --driver bridge --subnet "$subnet" --opt com.docker.network.driver.mtu="$mtu" \
                --label smarteros.network=yes --label smarteros.pool="$pool" "$network" >/dev/null
        fi
    done
}

# run SECONDS CONTAINER ARGUMENT...: a one-off, by itself under its name, and gone afterwards. entry, pass: another program than
# restic in it, and a variable for it. slowly: a compose file over its own.
entry= pass= slowly=
run() (
    limit=$1 container=$2
    shift 2
    exec 8>"$locks/$container"
    flock -w 1800 8 || fail "$container is still at work after 30 minutes: systemctl list-units 'smarteros-*' says for whom"
    turn "$container"
    gone "$container"
    reachable
    timeout --kill-after=30 "$limit" env -i PATH="$PATH" HOME=/root DOCKER_HOST=unix:///var/run/docker.sock DOCKER_CONFIG=/run/smarteros/no-docker-config COMPOSE_IGNORE_ORPHANS=1 docker compose -f /opt/smarteros/current/dkcompose/backup-deploy.yaml --project-name backup --env-file /dev/null --progress quiet ${slowly:+-f "$slowly"} \
        run --rm --no-TTY --no-deps --name "$container" ${entry:+--entrypoint} ${entry:+"$entry"} ${pass:+--env} ${pass:+"$pass"} \
        "$container" "$@" </dev/null 7>&- 8>&- 9>&-
    code=$?
    [ $code = 0 ] || gone "$container"
    exit $code
)
# turn CONTAINER: of what is short one at a time, and of what takes hours: that is what two of them take of the memory, and not four. Who
# has waited for 5 minutes goes on all the same.
turn() {
    case $1 in
    backup-files | backup-redis | backup-vault) exec 7>"$locks/turn-short" ;;
    backup-dumps | backup-check) exec 7>"$locks/turn-long" ;;
    *) return ;;
    esac
    flock -w 300 7 || true
}
# With the volumes that Docker made for it because its image says so.
gone() { docker rm --force --volumes "$1" >/dev/null 2>&1 || true; }

# together, what adds to the repository or reads it: beside others of its kind, as restic itself has it, so that a dump of hours holds up
# no files. alone, what takes away from it: nobody is at work then, for as long as it takes, and it waits for the longest dump. Whom a
# lock in there keeps out has therefore met one that a killed run has left.
together() { locked --shared 1800; }
alone() { locked --exclusive 28800; }
locked() {
    exec 9>"$locks/repository"
    flock "$1" -w "$2" 9 || fail "another part is still at work after $(($2 / 60)) minutes: systemctl list-units 'smarteros-backup-*'"
}

# repository SECONDS CONTAINER ARGUMENT...: restic, once more where a killed run has left its lock.
repository() {
    run "$@"
    code=$?
    [ $code = 11 ] || return $code
    echo "a run that was killed has left its lock in the repository: it is removed" >&2
    (entry= pass= && run 300 backup-check unlock --remove-all) && run "$@"
}

# What somebody has set for all sessions, for a role or for a database holds for none of ours.
unlimited="-c statement_timeout=0 -c lock_timeout=0 -c idle_session_timeout=0 -c idle_in_transaction_session_timeout=0 -c default_transaction_read_only=off -c search_path=public"

watched() (
    {
        sleep 4 >/dev/null 2>&1 7>&- 9>&-
        docker exec postgres psql -wqAtX -U postgres -d postgres -c 'SELECT format('"'"'Postgres: %s waits for %s'"'"', substring(ltrim(waiting.query) from '"'"'^[A-Z ]+(?:"[^"]*"|[a-z0-9_]*)'"'"'), CASE WHEN holder.pid IS NULL
    THEN '"'"'a prepared transaction: pg_prepared_xacts names it, ROLLBACK PREPARED ends it'"'"'
    ELSE format('"'"'process %s (user %s, application %s, transaction open since %s): `docker exec postgres psql -U postgres -c '"'"'
        '"'"'"SELECT pg_terminate_backend(%s)"` on the host ends it, and takes back what it has not committed'"'"', holder.pid, holder.usename,
        coalesce(nullif(holder.application_name, '"'"''"'"'), '"'"'-'"'"'), to_char(holder.xact_start AT TIME ZONE '"'"'UTC'"'"', '"'"'YYYY-MM-DD HH24:MI:SS"Z"'"'"'), holder.pid)
    END)
FROM pg_stat_activity waiting, unnest(pg_blocking_pids(waiting.pid)) blocking LEFT JOIN pg_stat_activity holder ON holder.pid = blocking
WHERE waiting.application_name = '"'"'smarteros'"'"'' >&2
    } </dev/null &
    code=0
    "$@" || code=$?
    kill $! 2>/dev/null || true
    exit $code
)
# psql_here DATABASE [OPTION...]: the server's own psql. What somebody's open transaction holds is not waited for long.
psql_here() { watched docker exec -i -e PGAPPNAME=smarteros -e PGOPTIONS="$unlimited -c lock_timeout=10s" postgres psql -qAtX -v ON_ERROR_STOP=1 -U postgres -d "$@"; }
# Statements from standard input; it is told where they end, which Docker may lose (moby#37870).
sql() { { cat; printf '%s\n' '\q'; } | psql_here postgres "$@"; }

# metric FILE LINE...: read by the node exporter, so never half there.
metric() {
    file=$1
    shift
    printf '%s\n' "$@" >"$metrics/.$file" && sync "$metrics/.$file" && mv -f "$metrics/.$file" "$metrics/$file.prom"
}
succeeded() {
    metric "backup_$1" "smarteros_backup_last_success_timestamp_seconds{part=\"$1\"} $(date +%s)"
    rm -f "$state/failed/$1"
}

# answers: the bucket does, and takes this host's key; else it is said why not. At once: restic tries again for a quarter of an hour, and
# says nothing until then.
answers() (
    asked=$(cat <<'END'
set -u
sum=$(printf '' | sha256sum | cut -d ' ' -f 1)
code=$(printf 'user = "%s:%s"\nheader = "x-amz-content-sha256: %s"\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" "$sum" |
    curl --silent --show-error --max-time 20 --retry 3 --retry-max-time 20 --config - --aws-sigv4 "aws:amz:$AWS_DEFAULT_REGION:s3" ${RESTIC_CACERT:+--cacert "$RESTIC_CACERT"} \
        --output /tmp/answer --write-out '%{http_code}' "${RESTIC_REPOSITORY#s3:}/config" 2>/tmp/said) || { grep -m 1 . /tmp/said >&2; exit 1; }
case $code in
2?? | 404) exit 0 ;; # what is not there yet is said by who wants it
esac
said=$(tr -d '\r\n' </tmp/answer | sed -n 's,.*<Code>\([^<]*\)</Code>.*<Message>\([^<]*\)</Message>.*,\1: \2,p')
case $said in
RequestTimeTooSkewed*) echo "the clock of this host is wrong (timedatectl), so the server refuses it: $said" ;;
*) echo "the server answers with HTTP $code${said:+: $said}" ;;
esac >&2
exit 1
END
)
    entry=sh
    run 120 backup-list -c "$asked" >/dev/null
)
