#!/bin/bash
# restore.sh SERVICE: one service as it was at a time, beside what runs, and then in its place; what was there is kept. Killed
# anywhere and run again it comes to the same end. From outside: TARGET, UNTIL (the same in seconds), LABEL of pgBackRest's, BEFORE
# and AFTER (snapshots), KEEP_FILES; databases of the archive as arguments. restore.sh SERVICE --undo: what the last one kept comes back.
. /opt/smarteros/current/restore/lib.sh
. /opt/smarteros/current/restore/copies.sh
. /opt/smarteros/current/restore/databases.sh

about "$1"
shift
journal=$keeping/$service.journal
report=$keeping/$service.report

# Up to TARGET the log has to be in the bucket, and one row more, by which the server knows that it has come there.
covered() {
    tries=0
    while :; do
        sh /opt/smarteros/current/backup/heartbeat.sh || fail "the heartbeat fails, without which nothing says what is in the bucket (see the lines above): journalctl -u smarteros-heartbeat"
        read -r _ newest <"$metrics/wal.prom" || newest=0
        awk -v newest="$newest" -v wanted="$UNTIL" 'BEGIN {exit !(newest > wanted)}' && return
        tries=$((tries + 1))
        [ $tries -lt 30 ] || fail "TO=$TARGET is later than the newest that the bucket has, $(date -u -d "@${newest%.*}" '+%F %TZ'): does it answer? make backups"
        sleep 2
    done
}

# copied ROLE NAME: the database as <name>_new of the running server.
copied() {
    role=$1 name=$2 new=$2_new
    said=$(live postgres -v name="$new" <<'END'
SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = :'name';
END
) || fail "Postgres does not answer: docker logs postgres"
    [ "${said:-postgres}" = postgres ] || fail "the database $new is in the way, and is not ours: rename it (ALTER DATABASE), and run again"
    noted "$begun" "database $new"
    {
        echo 'DROP DATABASE IF EXISTS :"name" WITH (FORCE);'
        made_like "$name" "$new"
        echo 'REVOKE ALL ON DATABASE :"name" FROM PUBLIC;'
    } | live postgres -v name="$new" || fail "the database $new cannot be made (see the lines above): docker logs postgres"
    made=$(roles_for "$name") || fail "the roles of $name cannot be made (see the lines above): docker logs postgres"
    [ -z "$made" ] || note "database $name: roles that are gone since were made anew, without a login: $(say "$made" | tr '\n' ' ')"
    extended "$name" live "$new" || fail "what was changed of the extensions of $name cannot be brought into its copy (see the lines above)"
    docker exec $instance nice -n 19 pg_dump -h /tmp -U postgres -Fc -Z0 --no-subscriptions -d "$name" |
        docker exec -i -e PGOPTIONS="$unlimited" postgres pg_restore -U postgres --exit-on-error -d "$new" || fail "the database $name cannot be copied from what was restored (see the lines above)"
    settled live "$new" || fail "what has helped to copy $name cannot be removed from $new (see the lines above): docker logs postgres"
    for extension in $extensions; do
        case $extension in "$name":*) say "CREATE EXTENSION IF NOT EXISTS \"${extension#*:}\";" ;; esac
    done | live "$new" || fail "the extensions of $name cannot be made (see the lines above)"
    counts | inside "$name" >"$keeping/wanted" && counts | live "$new" >"$keeping/there" || fail "the rows of $name cannot be counted (see the lines above)"
    cmp -s "$keeping/wanted" "$keeping/there" || fail "the copy of $name has other rows than what was restored: nothing was changed, run again ($(diff "$keeping/wanted" "$keeping/there" | grep '^[<>]' | head -n 5 | tr '\n' ' '))"
    say 'ANALYZE;' | live "$new" || fail "$new cannot be analysed (see the lines above)"
    # Who may open it, and its settings, among them what its jobs have done, are in no dump.
    rights_of "$name" "$new" | live postgres || fail "the rights and settings of $name cannot be copied (see the lines above)"
    note "database $name: $(wc -l <"$keeping/wanted") tables, $(awk '{n += $NF} END {print n + 0}' "$keeping/wanted") rows"
}

# path_of KIND NAME: where it is on this host; a volume that is gone is made again.
path_of() {
    case $1 in
    volume)
        docker volume inspect "$2" >/dev/null 2>&1 || docker volume create --label smarteros.service="$service" \
            --label com.docker.compose.project="$service" --label com.docker.compose.volume="$2" "$2" >/dev/null || return
        mount_of "$2"
        ;;
    folder) say "$2" ;;
    esac
}

# fetched SNAPSHOT PLACE: what of it stands there, below the folder of copies.
fetched() {
    install -d -m 700 "$keeping/files"
    repository 14400 $copies restore --quiet $as_it_was --overwrite always --target /restored --include "$2" "$1" </dev/null 7>&-
}

# The last snapshot before, and where rows name files the first after it over it: together they have all that was there in
# between. What has no later one is as it is now.
filed() {
    together
    while read -r kind name place; do
        [ -n "$kind" ] || continue
        path=$(path_of "$kind" "$name") || fail "$name is gone, and cannot be made again (see the lines above): systemctl status docker"
        from=$BEFORE
        [ -n "$from" ] || { [ "$name" = "$proven_item" ] && from=$AFTER; }
        [ -n "$from" ] || {
            note "$name: there is no copy of that time: it stays as it is"
            continue
        }
        fetched "$from" "$place" || fail "the files of $name cannot be restored from the bucket (see the lines above)"
        copy=$keeping/files$place
        [ -d "$copy" ] || {
            note "$name: was not there at that time: it stays as it is"
            continue
        }
        if [ "$name" = "$proven_item" ] && [ -n "$AFTER" ] && [ "$from" != "$AFTER" ]; then
            fetched "$AFTER" "$place" || fail "the files of $name cannot be restored from the bucket (see the lines above)"
        fi
        rm -rf "$path$staged" "$path$staged.part"
        noted "$begun" "item $path"
        mv -T "$copy" "$path$staged.part" || fail "the files of $name cannot be put beside those that are there: df -h $path"
        if [ "$name" = "$proven_item" ] && [ -z "$AFTER" ] && [ -d "$path" ]; then
            cp -a --no-clobber "$path/." "$path$staged.part/" 2>/dev/null || [ $? = 1 ]
        fi
        mv "$path$staged.part" "$path$staged"
        # What is journalled is not fetched again: after a loss of power files that are still on their way to the disk would be empty.
        sync -f "$path$staged" || fail "the files of $name cannot be written (see the line above): df -h $path"
        noted "$journal.next" "item $path"
        note "files of $name: $(find "$path$staged" -type f | wc -l)"
        if [ "$name" = "$proven_item" ]; then proofs "$path$staged"; fi
    done <<END
$items
END
    exec 9>&-
}

# proofs FOLDER: of each database that has come.
proofs() {
    while read -r word _ each; do
        [ "$word" != database ] || proved "$1" "$each" live "$each"_new
    done <"$journal.next"
}

# Nothing that runs is touched.
prepared() {
    discarded || fail "what an earlier restore of $service had made ready cannot be removed (see the lines above): docker logs postgres"
    rm -f "$journal.next" "$report" "$keeping/$service".missing.*
    includes=()
    for name in "$@"; do includes+=("--db-include=$name"); done
    if [ -n "$roles" ]; then
        covered
        began=$(date +%s)
        at=(--set="$LABEL" --type=time --target="$TARGET" --target-action=promote)
        started "${at[@]}" "${includes[@]}"
        had
        sized
        lacking
        if [ -n "${lacks[*]}" ]; then
            room $((takes * 26 / 10)) "what has gone since, with a copy of its databases,"
            started "${at[@]}" "${includes[@]}" "${lacks[@]}"
        fi
        opened
        beat=$(inside postgres -c 'SELECT extract(epoch FROM max(at)) FROM heartbeat' </dev/null 2>/dev/null)
        [ -z "$beat" ] || note "rpo $(awk -v a="$UNTIL" -v b="$beat" 'BEGIN {printf "%.1f", a - b}')"
        room $((takes * 13 / 10)) "a copy of its databases"
        was >>"$journal.next" || unnoted
        while read -r role name; do
            copied "$role" "$name"
            noted "$journal.next" "database $role $name"
        done <<END
$found
END
        note "restored and copied in $(($(date +%s) - began)) s"
    fi
    if [ -z "${KEEP_FILES:-}" ]; then
        filed
    elif [ -n "$proof" ]; then
        proofs "$(path_of volume "$proven_item")"
    fi
    cleared
    [ -s "$journal.next" ] || fail "the bucket has nothing of $service of $TARGET: choose another time (make backups)"
    [ ! -e "$report" ] || sync "$report"
}

# Before anything stands still: what their new names take of the databases is taken, and given back.
free() {
    [ -z "$roles" ] || live postgres -v roles="$roles" <<'END'
BEGIN;
SELECT format('ALTER DATABASE %I CONNECTION LIMIT %s', datname, datconnlimit) FROM pg_database
WHERE pg_get_userbyid(datdba) = ANY (string_to_array(:'roles', ' ')) AND datconnlimit <> -2 \gexec
ROLLBACK;
END
}

# What was prepared comes into the place of what runs, and each step sees whether it was done.
swapped() {
    free || fail "Postgres gives no database of $service another name now (see the lines above), and nothing was touched: the same command goes on"
    stamp=$(sed -n 's/^stamp //p' "$journal")
    from=$(sed -n 's/^from //p' "$journal")
    before=_before_$stamp
    cp "$journal" "$keeping/kept/$service.$stamp" && sync "$keeping/kept/$service.$stamp" "$keeping/kept" || unnoted
    for name in $hidden; do [ -z "$proxy" ] || docker exec "$proxy" touch "/tmp/replaced-$name" 2>/dev/null || true; done
    for name in $containers; do
        for each in "$name" "$name-next" "$name-second"; do
            ! docker inspect --type container "$each" >/dev/null 2>&1 || docker stop "$each" >/dev/null || fail "$each cannot be stopped (see the lines above): the same command goes on"
        done
    done
    renamed || fail "the databases cannot be renamed (see the lines above), and $service stands still meanwhile: docker logs postgres; the same command goes on"
    while read -r word path; do
        [ "$word" = item ] || continue
        source=$path$(sed -n 's/^source //p' "$journal")
        # What is there goes aside only while what comes for it is there.
        if [ -e "$source" ]; then
            [ ! -e "$path" ] || [ -e "$path.before_$stamp" ] || mv -T "$path" "$path.before_$stamp" || fail "$path cannot be put aside (see the lines above), and $service stands still meanwhile: the same command goes on"
            mv -T "$source" "$path" || fail "$source cannot be put in the place of $path (see the lines above), and $service stands still meanwhile: the same command goes on"
        fi
        sync "${path%/*}/" || sync -f "$path" || fail "what has come into the place of $path cannot be written (see the line above), and $service stands still meanwhile: the same command goes on"
    done <"$journal"
    # They run again where what they have done is not in the database of that time.
    for name in $jobs; do gone "$name"; done
    live postgres -c 'CHECKPOINT' -c 'SELECT pg_switch_wal()' >/dev/null </dev/null
    [ "$from" = _new ] || rm -f "$keeping/kept/$service.${from#_before_}"
    noted "$journal" swapped
}

# One transaction: all databases of the service change their names at once, or none.
renamed() {
    wanted=$(sed -n 's/^database [^ ]* //p' "$journal" | sed "s/\$/$from/")
    [ -n "$wanted$(sed -n 's/^old //p' "$journal")" ] || return 0
    gone_for_good || return
    tries=0
    while :; do
        waiting=$(live postgres -v roles="$roles" -v names="$wanted" <<'END'
SELECT count(*) FROM pg_database WHERE datname = ANY (string_to_array(:'names', E'\n'))
    OR :'names' = '' AND pg_get_userbyid(datdba) = ANY (string_to_array(:'roles', ' '));
END
) || return
        [ "$waiting" != 0 ] || return 0
        # Nobody comes in between, however often he tries (a dashboard that reads it, an exporter).
        live postgres -v roles="$roles" -v made="$(sed -n 's/^database //p' "$journal")" -v names="$wanted" -v before="$before" \
            -v from="$from" >/dev/null <<'END' && continue
SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS false', datname) FROM pg_database
WHERE datname = ANY (string_to_array(:'names', E'\n')) OR pg_get_userbyid(datdba) = ANY (string_to_array(:'roles', ' ')) \gexec
SELECT pg_terminate_backend(pid) FROM pg_stat_activity JOIN pg_database USING (datname) WHERE pid <> pg_backend_pid() AND
    (datname = ANY (string_to_array(:'names', E'\n')) OR pg_get_userbyid(datdba) = ANY (string_to_array(:'roles', ' ')));
BEGIN;
SELECT format('ALTER DATABASE %1$I RENAME TO %2$I; ALTER DATABASE %2$I OWNER TO postgres; ALTER DATABASE %2$I ALLOW_CONNECTIONS true;', datname, datname || :'before')
FROM pg_database WHERE pg_get_userbyid(datdba) = ANY (string_to_array(:'roles', ' ')) \gexec
SELECT format('ALTER DATABASE %1$I RENAME TO %2$I; ALTER DATABASE %2$I OWNER TO %3$I; ALTER DATABASE %2$I ALLOW_CONNECTIONS true;', name || :'from', name, role)
FROM (SELECT split_part(line, ' ', 1), substr(line, strpos(line, ' ') + 1) FROM unnest(string_to_array(:'made', E'\n')) line) made(role, name) \gexec
COMMIT;
END
        tries=$((tries + 1))
        [ $tries -lt 5 ] || {
            live postgres -v roles="$roles" <<'END'
SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS true', datname) FROM pg_database WHERE pg_get_userbyid(datdba) = ANY (string_to_array(:'roles', ' ')) \gexec
END
            return 1
        }
    done
}

# journalled FROM SOURCE <what: from here on what was begun is ended, and nothing else begun.
journalled() {
    {
        say "stamp $(date -u +%Y%m%d_%H%M%S)" &&
            say "at $(date +%s)" &&
            say "to ${TARGET:-}" &&
            say "from $1" &&
            say "source $2" &&
            cat
    } >"$journal.new" && sync "$journal.new" && mv "$journal.new" "$journal" && sync "$keeping" || unnoted
}
# Half a list of what is replaced would bring half of it, and nothing would bring the rest back.
unnoted() { fail "what is replaced cannot be noted below $keeping, so nothing is (see the lines above; df -h $keeping): make room, then run again"; }

case ${1:-} in
--undo)
    only
    last=$(ls "$keeping/kept" | grep -E "^$service\.[0-9]{8}_[0-9]{6}$" | sort | tail -n 1)
    # One that was cut short after it was done is done; undone is what came before.
    ! grep -qs '^swapped' "$journal" || ! grep -qs '^from _before_' "$journal" || exit 0
    ! grep -qs '^swapped' "$journal" || rm -f "$journal"
    [ ! -e "$journal" ] || [ -n "$(sed -n 's/^from _before_/&/p' "$journal")" ] || fail "a restore of $service was cut short: end it first (make restore SERVICE=$service TO='$(sed -n 's/^to //p' "$journal")')"
    if [ ! -e "$journal" ]; then
        [ -n "$last" ] || fail "nothing is kept of $service: there is nothing to undo (what a restore replaces is kept for 7 days)"
        rm -f "$report"
        # First all of it, for what is journalled counts.
        sed -n 's/^old /database /p; /^item /p' "$keeping/kept/$last" >"$journal.next" || unnoted
        # Before anything stops: nobody else's may have one of these names by now.
        while read -r word _ name; do
            [ "$word" = database ] || continue
            owner=$(theirs "$name") || exit
            [ -z "$owner" ] || fail "a database $name that belongs to the role $owner is where that of $service comes back: rename it (ALTER DATABASE), and run again"
        done <"$journal.next"
        was >>"$journal.next" || unnoted
        journalled "_before_${last#*.}" ".before_${last#*.}" <"$journal.next"
    fi
    swapped
    ;;
--end)
    # The service answers: nothing is to be ended any more.
    rm -f "$journal" "$journal.next" "$begun"
    ;;
*)
    systemctl stop smarteros-drill.service smarteros-drill-full.service 2>/dev/null
    only 60
    if [ ! -e "$journal" ]; then
        trap 'cleared; [ -e "$journal" ] || discarded' EXIT
        prepared "$@"
        journalled _new $staged <"$journal.next"
        rm -f "$journal.next" "$begun"
    elif grep -q '^from _before_' "$journal"; then
        fail "a restore-undo of $service was cut short: end that first (make restore-undo SERVICE=$service)"
    elif [ "$(sed -n 's/^to //p' "$journal")" != "$TARGET" ]; then
        fail "a restore of $service to $(sed -n 's/^to //p' "$journal") was cut short: end that first, by the same command as then"
    fi
    grep -q '^swapped' "$journal" || swapped
    ;;
esac
