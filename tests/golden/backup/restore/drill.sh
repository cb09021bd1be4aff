#!/bin/bash
# drill.sh light|full [SERVICE...]: what is in the bucket comes back, beside what runs and in nobody's way, and is read as a whole.
# light: Postgres from its archive up to the newest second. full: files, dumps, Vault's snapshot and Redis' file as well. What has
# come back whole is noted, each by itself. drill.sh end: nothing of it is left, also of one that was killed.
. /opt/smarteros/current/restore/lib.sh
. /opt/smarteros/current/restore/copies.sh
. /opt/smarteros/current/restore/engines.sh

kind=$1
shift
wrong=
report=$keeping/drill.report
verified=$keeping/verified
slowly=/opt/smarteros/current/restore/slowly.yaml
mkdir -p "$verified"

# bad WORDS: it goes on with the others.
bad() {
    say "$*" | tee -a "$report" >&2
    wrong="$wrong${wrong:+; }$*"
}
# begins WORDS: for who looks on.
begins() { began=$SECONDS; say "$* …"; }
# whole SERVICE PART: it has come back.
whole() {
    date +%s >"$verified/.$1.$2" && sync "$verified/.$1.$2" && mv -f "$verified/.$1.$2" "$verified/$1.$2"
    say "$1: $2 has come back whole, in $((SECONDS - began)) s" | tee -a "$report"
}
# The newest that the bucket has, once its server answers.
server() {
    begins "Postgres: its newest comes back from the bucket, beside what runs"
    takes=$(live postgres -c 'SELECT sum(pg_database_size(oid)) FROM pg_database' </dev/null) || fail "Postgres does not answer: docker logs postgres"
    room $((takes * 13 / 10)) "a drill"
    lost=$(date +%s.%N) until=0
    read -r _ until <"$metrics/wal.prom"
    started --type=default
    # It has read all that it needs: from now on it, and what is started beside it, reaches nobody.
    docker network disconnect drill-net $instance || fail "the copy cannot be cut off from the network drill-net (see the line above), and is removed: systemctl status docker"
    beat=$(inside postgres -c 'SELECT extract(epoch FROM max(at)) FROM heartbeat' </dev/null) && [ -n "$beat" ] || fail "the copy has no heartbeat, so it does not say how old it is: the last backup of Postgres is older than the heartbeat; make backup makes one"
    took=$(awk -v a="$(date +%s.%N)" -v b="$lost" 'BEGIN {printf "%.1f", a - b}')
    awk -v beat="$beat" -v until="$until" 'BEGIN {exit !(beat + 0.001 >= until)}' ||
        bad "the bucket does not have what is noted to be there: the copy ends at $(date -u -d "@${beat%.*}" '+%F %TZ'), and not at $(date -u -d "@${until%.*}" '+%F %TZ')"
    # What has left since then would not be there: then what is noted counts, which the copy has proven.
    rpo=$(awk -v lost="$lost" -v beat="$beat" -v until="$until" 'BEGIN {printf "%.1f", lost - (beat > lost ? until : beat)}')
    metric drill "smarteros_restore_seconds $took" "smarteros_restore_rpo_seconds $rpo"
    say "Postgres has come back in $took s; a loss at that moment would have been one of $rpo s" | tee -a "$report"
}

# read DATABASE: its pages and indexes are sound, and each row can be read. PGDATABASE: in its command line a name would be a pattern.
read_whole() {
    docker exec -e PGDATABASE="$1" -e PGOPTIONS="$unlimited" $instance nice -n 19 pg_amcheck -h /tmp -U postgres --install-missing >"$keeping/amcheck" 2>&1 ||
        { bad "$1: pg_amcheck: $(tail -n 3 "$keeping/amcheck" | tr '\n' ' ')"; return 1; }
    docker exec $instance nice -n 19 pg_dump -h /tmp -U postgres -Fc -Z0 -d "$1" 2>"$keeping/dump" >/dev/null ||
        { bad "$1: pg_dump: $(tail -n 3 "$keeping/dump" | tr '\n' ' ')"; return 1; }
}

databases_of() {
    for role in $roles; do
        inside postgres <<END
SELECT datname FROM pg_database WHERE pg_get_userbyid(datdba) = '$role' AND datallowconn AND datconnlimit <> -2 ORDER BY 1;
END
    done
}

# What its users would miss first is there, as it is in the server that runs.
owned() {
    [ -n "$owned" ] && [ -n "$roles" ] || return 0
    counted="SELECT count(*) FROM ($owned) rows"
    now=$(live "${roles%% *}" -c "$counted" </dev/null 2>/dev/null) || return 0
    [ "$now" = 0 ] || [ "$(inside "${roles%% *}" -c "$counted" </dev/null)" != 0 ] || { bad "$service: its first admin is not in the copy"; return 1; }
}

databases() {
    begins "$service: each row of its databases is read"
    found=$(databases_of) && [ -n "$found" ] || { bad "$service: its databases are not in the copy"; return 1; }
    while read -r name; do
        read_whole "$name" </dev/null || return
    done <<END
$found
END
    owned && whole "$service" database
}

# One container for all that comes back: each that starts, with its way into a network, visitors of what runs would notice.
copier() {
    install -d -m 700 "$keeping/files"
    (entry=sleep; run 36000 $copies infinity) >"$keeping/copies.log" 2>&1 7>&- &
    runs=$!
    until docker exec $copies true 2>/dev/null; do
        kill -0 $runs 2>/dev/null || fail "what copies files out of the bucket does not start; once that is mended, make drill tries again: $(tail -n 3 "$keeping/copies.log" | tr '\n' ' ')"
        sleep 0.5
    done
}
emptied() { find "$keeping/files" -mindepth 1 -delete; }
# read_out COMMAND...: restic, never by what this host remembers of the bucket.
read_out() { timeout 14400 docker exec --env RESTIC_CACHE_DIR=/restored/.cache $copies restic -o s3.bucket-lookup=path "$@" --no-lock </dev/null; }
# newest OPTION...: the last snapshot that these describe. One of the future, dated by a clock that was ahead, would be restic's latest until then.
newest() {
    listed=$(read_out snapshots --json --host smarteros "$@") || return
    grep -oE '"time":"[^"]*"' <<<"$listed" | cut -d '"' -f 4 | date -f - +%s | paste -d ' ' - <(grep -oE '"id":"[0-9a-f]*"' <<<"$listed" | cut -d '"' -f 4) |
        awk -v now="$(date +%s)" '$1 <= now' | sort -n | sed -n '$s/.* //p'
}
# restored OPTION...: of that.
restored() {
    emptied
    # What is read is not taken away meanwhile.
    (together; from=$(newest "$@") && [ -n "$from" ] && read_out restore "$from" --quiet $as_it_was --target /restored)
}

# lost DATABASE FILES: fails where what runs has one of them as its row says, and else once, for then the copy is as good as what runs.
lost() {
    here=$(unproven "$(mount_of "$proven_item")/${proven_folder//\{database\}/$1}" live "$1" 2>"$keeping/asked") || here=
    only=$(comm -23 <(say "$2" | sort) <(say "$here" | sort))
    [ -z "$only" ] || { bad "$service: $(say "$only" | wc -l) files that rows of $1 name are missing or damaged: $(say "$only" | head -n 3 | tr '\n' ' ')"; return 1; }
    known=$keeping/lost.$service.$1
    new=$(comm -23 <(say "$2" | sort) <(sort "$known" 2>/dev/null))
    said="$(say "$2" | wc -l) files that rows of $1 name are missing or damaged in what runs as well (all in $known): $(say "$2" | head -n 3 | tr '\n' ' ')"
    say "$2" >"$known" && [ -z "$new" ] || { bad "$service: $said; it is said once; make restore SERVICE=$service TO=… brings them back from a time at which they were there"; return 1; }
    say "$service: $said" | tee -a "$report"
}
# Files, and each that a row of the copy names as that row says.
files() {
    [ -n "$items" ] || return 0
    begins "$service: its files come back, and are compared"
    paths=$(say "$items" | sed 's/^.* /--path /' | tr '\n' ' ')
    restored --tag "service=$service" $paths || { bad "$service: its files cannot be restored"; return 1; }
    top=$keeping/files
    while read -r _ name place; do
        [ -d "$top$place" ] || { bad "$service: $name is in no snapshot"; return 1; }
    done <<END
$items
END
    if [ -n "$proof" ]; then
        while read -r name; do
            missing=$(unproven "$top$(say "$items" | sed -n "s/^[a-z]* $proven_item //p")/${proven_folder//\{database\}/$name}" inside "$name" 2>"$keeping/asked") || {
                # One that a role has made for itself need not be one of the service's.
                case " $roles " in *" $name "*) ;; *) continue ;; esac
                bad "$service: $name does not say which files it needs: $(head -n 1 "$keeping/asked")"
                return 1
            }
            [ -z "$missing" ] || lost "$name" "$missing" || return
        done <<END
$(databases_of)
END
    fi
    whole "$service" files
}

# The application itself, on these copies: it reaches nobody else, so that it sends nothing and runs nothing of anybody's.
application() {
    [ -n "$app" ] || return 0
    [ "$(awk '/^MemAvailable:/ {print int($2 / 1024)}' /proc/meminfo)" -gt $((app_mb + 256)) ] ||
        { say "$service: it is not started on its copy: that takes $app_mb MB of memory, and the host has no more to spare" | tee -a "$report"; return 0; }
    begins "$service: it starts on its copy"
    gone restored-app
    env -i PATH="$PATH" HOME=/root DOCKER_HOST=unix:///var/run/docker.sock DOCKER_CONFIG=/run/smarteros/no-docker-config COMPOSE_IGNORE_ORPHANS=1 docker compose -f /opt/smarteros/current/dkcompose/$service-deploy.yaml -f /opt/smarteros/current/restore/$service.yaml --project-name restored --env-file /dev/null --progress quiet \
        run --detach --no-deps --name restored-app "$app" >/dev/null 2>"$keeping/asked" </dev/null || { bad "$service: it does not start on its copy: $(tail -n 2 "$keeping/asked" | tr '\n' ' ')"; return 1; }
    awaited $((app_seconds * 3)) "$service: it is not healthy on its copy" answering || { docker logs --tail 20 restored-app >&2; return 1; }
    gone restored-app
    whole "$service" application
}
answering() { [ "$(docker inspect --type container --format '{{.State.Health.Status}}' restored-app 2>/dev/null)" = healthy ]; }

# newer DATABASE: it was made after the last dumps, which have none of it.
newer() {
    made=$(live postgres -v name="$1" <<'END'
SELECT extract(epoch FROM modification)::bigint FROM pg_database, pg_stat_file('base/' || oid || '/PG_VERSION') WHERE datname = :'name';
END
) && [ "${made:-0}" -gt "$(sed 's/.* //' "$metrics/backup_dumps.prom" 2>/dev/null || echo 0)" ]
}

# The other format: each dump is read by pg_restore into a database of its own.
dumps() {
    [ -n "$roles" ] || return 0
    begins "$service: its dumps come back, and are read"
    while read -r name; do
        restored --tag "service=$service,dump" --path "/$name.dump" && [ -s "$keeping/files/$name.dump" ] || {
            ! newer "$name" || { say "$service: $name is newer than the last dumps" | tee -a "$report"; continue; }
            bad "$service: the dump of $name cannot be restored"
            return 1
        }
        inside postgres -c 'DROP DATABASE IF EXISTS drill_dump' </dev/null 2>/dev/null
        made_like "$name" drill_dump | inside postgres && extended "$name" inside drill_dump || { bad "$service: a copy of $name cannot be made"; return 1; }
        docker exec -i -e PGOPTIONS="$unlimited" $instance nice -n 19 pg_restore -h /tmp -U postgres --exit-on-error --no-owner --no-acl -d drill_dump \
            <"$keeping/files/$name.dump" 2>"$keeping/dump" || { bad "$service: pg_restore: $(tail -n 3 "$keeping/dump" | tr '\n' ' ')"; return 1; }
        inside postgres -c 'DROP DATABASE drill_dump' </dev/null
    done <<END
$(databases_of)
END
    emptied
    whole "$service" dump
}

case $kind in
end)
    cleared
    exit 0
    ;;
esac
only 1800
trap cleared EXIT
# One whose host was cut off has left its copy of everything, which takes the room of this one.
cleared
# Nobody waits for it: it has a fifth of one core at most, and leaves the others to visitors of what runs (p99 of theirs at 20 requests a
# second on two cores: 9.5 ms without it, 12.5 with; 15 with both cores, 50 with a third of each and a container for each copy).
core=$(taskset -cp $$ | sed 's/.*[-, ]//') && taskset -cp "$core" $$ >/dev/null || fail "the last of this host's cores cannot be told (taskset, of util-linux): make drill tries again once it is there"
export core
: >"$report"
# What is newest needs a backup that leads there: after a recovery to a time, or behind a gap of the log, the next full one.
[ -e "$state/full" ] || {
    say "nothing is tried: the full backup of Postgres that the newest comes back from is not there yet; \`journalctl -u smarteros-backup-postgres\` says how far it is" | tee -a "$report"
    exit 0
}
server
[ "$kind" = light ] || copier
for each in ${*:-$names}; do
    about "$each"
    [ -z "$roles" ] || databases
    [ "$kind" = full ] || continue
    if files; then application; fi
    dumps
done
if [ "$kind" = full ] && [ $# = 0 ]; then
    snapshot
    file_of_redis
fi
{
    for note in "$verified"/*.*; do
        name=${note##*/}
        [ -s "$note" ] || continue # a power cut may leave it empty, and who reads this nothing of all
        say "smarteros_restore_verified_timestamp_seconds{service=\"${name%.*}\",part=\"${name##*.}\"} $(cat "$note")"
    done
} >"$metrics/.verified" && mv -f "$metrics/.verified" "$metrics/verified.prom"
[ -z "$wrong" ] || fail "not all has come back: $wrong; what runs is untouched: make backup copies it anew, make drill then tries again"
# One of some services says nothing of the others.
[ $# = 0 ] || exit 0
succeeded drill
[ "$kind" = light ] || succeeded drill-full
