# Read by the scripts beside it: a service out of the bucket, beside what runs. Written by the deploy.
. /opt/smarteros/current/backup/lib.sh
set -o pipefail
keeping=/var/lib/smarteros/restore
instance=restored-postgres copies=restored-files
log=$keeping/instance.log
# What is made ready for a folder stands beside it under this ending.
staged=.restored
# Of restic: gaps stay gaps, for the disk may not hold what they stand for; what no container may write on a file is left out.
as_it_was="--sparse --exclude-xattr trusted.* --exclude-xattr security.selinux"
mkdir -p "$keeping/kept"

say() { printf '%s\n' "$*"; }
# note WORD...: for the operator, when all is done.
note() { say "$*" >>"$report"; }
# noted FILE WORD...: what a run that goes on later, or what clears up, has to know: without it nothing else is done. A full disk ends it, and it
# outlasts a loss of power.
noted() { say "${@:2}" >>"$1" && sync "$1" || fail "$1 cannot be written (see the line above; df -h $keeping): make room, then run again"; }
# only WORDS: one at a time, a restore, a drill or what clears up.
only() {
    exec 7>"$locks/restore"
    flock -w "${1:-0}" 7 || fail "another restore or drill is at work on this host: wait for it, then run again"
}
# Whatever a run has left of what only stands while it runs, also one that was killed.
cleared() {
    gone $instance
    gone $copies
    gone restored-app
    gone restored-vault
    gone restored-redis
    rm -rf "$keeping/postgres" "$keeping/files"
}

# discarded: what a restore of the service had made ready, and which never came into the place of anything. Only what is ours.
discarded() {
    [ -e "$begun" ] || return 0
    while read -r kind name; do
        case $kind in
        database) live postgres -v name="$name" >/dev/null <<'END' || return ;;
SELECT format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database WHERE datname = :'name' AND pg_get_userbyid(datdba) = 'postgres' \gexec
END
        item) rm -rf "$name$staged" "$name$staged.part" || return ;;
        esac
    done <"$begun"
    rm -f "$begun"
}

# inside DATABASE [OPTION...]: the temporary server's psql, statements from standard input. It is told where they end: on a host with
# much to do Docker may lose the end of what is short (moby#37870), and psql would wait for it for ever.
inside() {
    docker exec -i -e PGOPTIONS="$unlimited" $instance psql -qAtX -v ON_ERROR_STOP=1 -h /tmp -U postgres -d "$@" < <(cat; say '\q')
}
# live DATABASE [OPTION...]: the running server's.
live() { psql_here "$@" < <(cat; say '\q'); }

# started OPTION...: a server of its own on what pgBackRest restores with these options, once it has read its log up to there.
# It listens nowhere but in its container, archives nothing, and has none of the keys but those of the archive.
started() {
    cleared
    install -d -m 700 -o 999 -g 999 "$keeping/postgres"
    # Said to bash, which has its options as arguments: they hold names of databases.
    run 36000 $instance '
        chmod 700 "$PGDATA"
        nice -n 19 pgbackrest --stanza=main --no-delta --archive-mode=off "$@" restore
        unset RESTIC_PASSWORD AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY VAULT_ROLE_ID VAULT_SECRET_ID
        exec nice -n 19 postgres -D "$PGDATA" -c listen_addresses=127.0.0.1 -c unix_socket_directories=/tmp -c archive_mode=off \
            -c hot_standby=off -c shared_buffers=64MB -c autovacuum=off -c max_worker_processes=2 -c fsync=off
    ' bash "$@" >"$log" 2>&1 7>&- &
    runs=$!
    # Asked over and over inside: each way into a container is one that visitors of the others may notice.
    until docker exec $instance bash -c 'until [ -S /tmp/.s.PGSQL.5432 ] && [ "$(psql -qAtX -h /tmp -U postgres -c "SELECT pg_is_in_recovery()" 2>/dev/null)" = f ]; do sleep 0.5; done' 2>/dev/null </dev/null; do
        kill -0 $runs 2>/dev/null || ! grep -q 'before configured recovery target' "$log" ||
            fail "the log in the bucket breaks off before $TARGET: choose a time before that, or one after the next backup of Postgres ($(grep -o 'last completed transaction was at log time .*' "$log" | tail -n 1))"
        kill -0 $runs 2>/dev/null || fail "Postgres cannot be restored from the bucket (make backups says what is there): $(tail -n 5 "$log" | tr '\n' ' ')"
        sleep 0.5
    done
}

# What of a database has to be the same in its copy: each table and how many rows it has.
counts() {
    cat <<'END'
SELECT format('%I.%I ', nspname, relname) || (xpath('/row/c/text()', query_to_xml(format('SELECT count(*) AS c FROM ONLY %I.%I',
    nspname, relname), false, true, '')))[1] FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'r' AND nspname !~ '^pg_' AND nspname <> 'information_schema' AND NOT EXISTS (SELECT FROM pg_depend
    WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e') ORDER BY 1;
END
}

# unproven FOLDER ASK...: the paths that the rows name, and that are not there below the folder as they say. ASK is a psql.
unproven() {
    folder=$1
    shift
    case $digest in
    sha1-hex) hex='lower(checksum)' sums=sha1sum ;;
    md5-base64) hex="encode(decode(checksum, 'base64'), 'hex')" sums=md5sum ;;
    esac
    # What is no plain path below it is not looked for.
    "$@" >"$keeping/rows" <<END || return
SELECT CASE WHEN path ~ '(^/|(^|/)\.\.(/|\$)|[[:cntrl:]\\\\])' THEN '!' WHEN checksum IS NULL THEN '?' ELSE $hex END || '  ' || path
FROM ($proof) AS needed(path, checksum);
END
    [ -d "$folder" ] || {
        sed 's/^[^ ]*  //' "$keeping/rows"
        return
    }
    sed -n 's/^!  //p' "$keeping/rows"
    sed -n 's/^?  //p' "$keeping/rows" | while read -r path; do [ -f "$folder/$path" ] || say "$path"; done
    grep '^[0-9a-f]' "$keeping/rows" >"$keeping/sums" || return 0
    (cd "$folder" && LC_ALL=C $sums --check --quiet 2>/dev/null) <"$keeping/sums" | sed -nE 's/: FAILED( open or read)?$//p'
    return 0
}

# proved FOLDER DATABASE ASK...: whether the files below the folder are those that the rows of the database name is noted; which are
# not is listed beside the report.
proved() {
    below=$1/${proven_folder//\{database\}/$2} name=$2
    shift 2
    rows=$(unproven "$below" "$@" 2>"$keeping/asked") || {
        note "UNPROVEN: $name does not say which files it needs: $(head -n 1 "$keeping/asked")"
        return
    }
    missing=${report%.report}.missing.$name
    if [ -z "$rows" ]; then
        note "files of $name: each that its $(wc -l <"$keeping/rows") rows name is there, as they say"
    else
        say "$rows" >"$missing"
        note "MISSING: $(wc -l <"$missing") of the $(wc -l <"$keeping/rows") files that rows of $name name are in no copy, or are damaged (all in $missing): $(head -n 5 "$missing" | tr '\n' ' ')"
    fi
}

# room BYTES WHAT: refused where the disk has not that much. It is written here and on Docker's.
room() {
    free=$(df --output=avail --block-size=1 "$keeping" "$(docker info --format '{{.DockerRootDir}}')" | sed 1d | sort -n | head -n 1) || fail "df does not say how much room there is below $keeping and where Docker keeps its data (see the lines above)"
    [ "$free" -gt "$1" ] || fail "too little disk: $2 takes $(($1 / 1048576)) MB for a while, and $((free / 1048576)) MB are free: docker system df says what takes it"
}


mount_of() { docker volume inspect --format '{{.Mountpoint}}' "$1"; }

# about SERVICE: what the catalogue says of it. items: kind, name or path, where it stands in a snapshot, each on a line.
about() {
    service=$1 begun=$keeping/$1.begun
    roles= several= extensions= containers= jobs= hidden= items= proof= digest= proven_item= proven_folder= owned= app= app_mb=
    case $1 in
    chatwoot)
        roles=chatwoot several='' extensions='chatwoot:pg_stat_statements chatwoot:pg_trgm chatwoot:pgcrypto chatwoot:vector'
        containers='chatwoot chatwoot-sidekiq' jobs=chatwoot-prepare hidden=chatwoot
        items='volume chatwoot_storage /state/chatwoot_storage'
        proof='SELECT substr(key, 1, 2) || '"'"'/'"'"' || substr(key, 3, 2) || '"'"'/'"'"' || key, checksum FROM active_storage_blobs WHERE service_name = '"'"'local'"'"'' digest=md5-base64
        proven_item=chatwoot_storage proven_folder=''
        owned='SELECT FROM users'
        ;;
    botpress)
        roles=botpress several='' extensions=''
        containers=botpress jobs='' hidden=botpress
        items='volume botpress_data /state/botpress_data'
        owned='SELECT FROM strategy_default'
        ;;
    n8n)
        roles=n8n several='' extensions=''
        containers=n8n jobs=n8n-files hidden=n8n
        items='volume n8n_data /state/n8n_data
volume n8n_files /state/n8n_files'
        owned='SELECT FROM "user" WHERE email IS NOT NULL AND password IS NOT NULL'
        app=n8n app_mb=650 app_seconds=300
        ;;
    odoo)
        roles=odoo several=odoo extensions='odoo:pg_trgm odoo:unaccent'
        containers=odoo jobs=odoo-init hidden=odoo
        items='volume odoo_data /state/odoo_data
volume odoo_extra /state/odoo_extra'
        proof='SELECT store_fname, checksum FROM ir_attachment WHERE store_fname IS NOT NULL AND strpos(store_fname, '"'"'://'"'"') = 0' digest=sha1-hex
        proven_item=odoo_data proven_folder='filestore/{database}'
        owned='SELECT FROM ir_config_parameter WHERE key = '"'"'smarteros.first_admin'"'"''
        app=odoo app_mb=710 app_seconds=240
        ;;
    metabase)
        roles=metabase several='' extensions=metabase:citext
        containers=smarteros-metabase jobs='' hidden=smarteros-metabase
        items=''
        owned='SELECT FROM core_user WHERE is_superuser'
        app=smarteros-metabase app_mb=1424 app_seconds=300
        ;;
    dokploy)
        roles=dokploy several='' extensions=''
        containers=dokploy jobs='' hidden=dokploy
        items='folder /etc/dokploy /state/etc/dokploy'
        owned='SELECT FROM member WHERE role = '"'"'owner'"'"''
        ;;
    caddy)
        roles='' several='' extensions=''
        containers=caddy-proxy jobs='' hidden=''
        items='volume caddy_data /state/caddy_data'
        owned=''
        ;;
    *) fail "nothing of the service $1 is backed up; what is: make backups" ;;
    esac
}
names='chatwoot botpress n8n odoo metabase dokploy caddy'
proxy=caddy-proxy
