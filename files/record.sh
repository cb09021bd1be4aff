# What a generation was is noted on the host once its deploy has come to its end: /opt/smarteros/records/<number>/, root's alone.
#   time, tree (its folder below generations/), made (JSON: by whom, with which package and settings), and a line each:
#   failed (what has gone back from it: tasks/commands/update_back.py),
#   point (the second to which databases come back, of before its images started, where there is one),
#   files (SHA-256, path), images (reference, number), schemas (database, digest of what its tables are). No secret: env files are
#   no part of it, Vault has their values. state: the whole host as its newest deploy left it (files/drift).
# Beside them, a line for each image: .brought (those that came by us, tasks/operations/images.py), .left (of records that are gone);
# and .volumes, a line for each that there is after the newest deploy: one that has gone by the next one is lost (tasks/operations/lost.py).
opt=/opt/smarteros
# One that hangs is no answer.
docker() { timeout 120 docker "$@"; }
records=$opt/records
kept=5

# hashed: the files that are active.
hashed() { (cd "$opt/current/" && find . -type f -exec sha256sum {} + | sed 's|  \./|  |' | LC_ALL=C sort -k 2); }

# there: the records, oldest first. A copy that somebody has put beside one is none.
there() { ls "$records" 2>/dev/null | grep -xE '[0-9]+' | sort -n; }

# numbered: those of them that are whole, and not what a power cut has left empty.
numbered() {
    local number
    there | while read -r number; do
        [ ! -s "$records/$number/made" ] || [ ! -s "$records/$number/time" ] || [ ! -s "$records/$number/tree" ] || echo "$number"
    done
}

# schemas DATABASE...: whatever changes a table or a column changes the digest.
schemas() {
    local name
    for name in "$@"; do
        printf '\\connect "%s"\n%s\n' "$name" "SELECT current_database(), md5(coalesce(string_agg(concat_ws(':', table_schema,
            table_name, column_name, data_type), ',' ORDER BY table_schema, table_name, column_name), '')) FROM information_schema.columns
            WHERE table_schema NOT IN ('pg_catalog', 'information_schema');"
    done | docker exec -i postgres psql -qAtX -F ' ' -U postgres -d postgres 2>/dev/null || true
}

# edited "JSON" TREE TREE: whether a rotation, which brings no files, has found what differs from the newest record: somebody has edited it.
edited() {
    case $1 in *'"rotation": true'*) [ "$(tr -d + <"$2")" = "$(tr -d + <"$3")" ] ;; *) false ;; esac
}

# record "DATABASE,... JSON" "WHAT": no other generation where the newest record is of the same files. Says the newest one's number.
# WHAT: JSON of what drift.py looks at.
record() {
    local tree last point= of= new=$records/.new
    tree=$(readlink "$opt/current") || return
    mkdir -p "$records" && chmod 700 "$records" && rm -rf "$new" "$records/.old" && mkdir "$new" || return
    last=$(numbered | tail -n 1)
    printf '%s\n' "${tree##*/}" >"$new/tree" && hashed >"$new/files" || return
    if [ "$last" ] && { cmp -s "$new/files" "$records/$last/files" || edited "$1" "$records/$last/tree" "$new/tree"; }; then
        # One of an earlier version may have none, where Docker did not answer.
        [ -s "$records/$last/images" ] || { imaged >"$new/images" && mv -f "$new/images" "$records/$last/images"; } || return
        sync "$new/tree" && mv -f "$new/tree" "$records/$last/tree" && rm -rf "$new" || return
    else
        printf '%s\n' "${1#* }" >"$new/made" && date +%s >"$new/time" && imaged >"$new/images" || return
        # One that a deploy which failed has left is not this one's.
        [ ! -e "$records/.point" ] || read -r point of <"$records/.point"
        [ "$of" != "${tree##*/}" ] || echo "$point" >"$new/point"
        schemas $(echo "${1%% *}" | tr , ' ') >"$new/schemas"
        last=$((last + 1))
        rm -rf "${records:?}/$last" && sync "$new"/* "$new" && mv -T "$new" "$records/$last" && sync "$records" || return
    fi
    rm -f "$records/.point"
    # What an update has made, it may still go back from: until then no other one makes room for it.
    case $1 in *'"unproven": true'*) kept=6 ;; esac
    dropped
    pruned
    holding
    stated "$2" || return
    say noted "$last"
}

# holding: of the volumes that the active compose files name, those that there are. Not known is as before.
holding() {
    local there
    there=$(docker volume ls --quiet) || return 0
    cat "$opt"/current/dkcompose/*-deploy.yaml 2>/dev/null | sed -n 's/^    name: //p' | tr -d "\"'" | LC_ALL=C sort -u |
        { grep -xF "${there:--}" || true; } >"$records/.volumes.new"
    if cmp -s "$records/.volumes.new" "$records/.volumes"; then
        rm -f "$records/.volumes.new"
    else
        sync "$records/.volumes.new" && mv -f "$records/.volumes.new" "$records/.volumes"
    fi
}

# stated "WHAT": how the host is by now, where that is not noted yet; what no deploy makes good is said.
stated() {
    local line lines
    [ -e "$opt/current/drift/drift.py" ] || return 0
    lines=$(printf '%s\n' "$1" | python3 -I -B "$opt/current/drift/drift.py" note) || return
    [ ! "$lines" ] || printf '%s\n' "$lines" | while read -r line; do say drifted "$line"; done
}

# imaged: what the active compose files name, and what a swarm's tasks may be started from here. Fails where Docker does not say whether it is there.
imaged() {
    local name number said
    {
        cat "$opt"/current/dkcompose/*-deploy.yaml 2>/dev/null | sed -n 's/^    image: //p' | tr -d "\"'"
        cat "$opt/current/tasks/images" 2>/dev/null
    } | LC_ALL=C sort -u | while read -r name; do
        if number=$(docker image inspect --format '{{.Id}}' "$name" 2>/dev/null); then
            printf '%s %s\n' "$name" "$number"
            continue
        fi
        said=$(docker image inspect "$name" 2>&1 >/dev/null)
        case $said in *[Nn]'o such image'*) ;; *) echo "whether the image $name is there: ${said:-Docker does not answer}" >&2; return 1 ;; esac
    done
}

# spent: records that are too old: behind the newest five, and the newest five of what stands beside them and takes no good one's place:
# what something went back from, what a later one has the files of, what a power cut has left empty.
spent() {
    local number later newer= good=0 beside=0 counts whole
    whole=$(numbered)
    there | sort -rn | while read -r number; do
        counts=yes
        [ ! -s "$records/$number/failed" ] && printf '%s\n' "$whole" | grep -qx "$number" || counts=
        for later in $newer; do ! cmp -s "$records/$number/files" "$records/$later/files" || counts=; done
        if [ "$counts" ]; then good=$((good + 1)) newer="$newer $number"; else beside=$((beside + 1)); fi
        [ $good -le "$kept" ] && { [ "$counts" ] || [ $beside -le "$kept" ]; } || echo "$number"
    done
}

# dropped: they are gone, as a whole or not at all; which images they had is kept for a while.
dropped() {
    local old
    spent | sort -n | while read -r old; do
        { [ ! -e "$records/$old/images" ] || cat "$records/$old/images"; } >>"$records/.left" && mv -T "$records/$old" "$records/.old" && rm -rf "$records/.old"
    done
}

# pruned: images that came by us and that a record which is gone has named, where no record that is kept has them, by name or by
# number, and no container. Whatever else the host has is somebody's; what is not known stays.
pruned() {
    local name number used left=$records/.left brought=$records/.brought
    [ -s "$left" ] && [ -e "$brought" ] || return 0
    : >"$left.new"
    sort -u "$left" | while read -r name number; do
        grep -qxF "$name $number" "$brought" || continue
        if [ "$(docker image inspect --format '{{.Id}}' "$name" 2>/dev/null)" = "$number" ]; then
            if cut -d ' ' -f 1 "$records"/[0-9]*/images | grep -qxF "$name" || cut -d ' ' -f 2 "$records"/[0-9]*/images | grep -qxF "$number" ||
                ! used=$(docker ps -aq --filter "ancestor=$number") || [ "$used" ] || ! docker image rm "$(listed "$name")" >/dev/null 2>&1; then
                echo "$name $number" >>"$left.new"
                continue
            fi
            say removed "$name"
        fi
        grep -vxF "$name $number" "$brought" >"$brought.new"
        mv -f "$brought.new" "$brought"
    done
    mv -f "$left.new" "$left"
}

# listed REFERENCE: as Docker has it, which knows no tag of an image that came by its digest.
listed() {
    local name=${1%@*}
    case $1 in *@*) ;; *) echo "$1"; return ;; esac
    case ${name##*/} in *:*) name=${name%:*} ;; esac
    echo "$name@${1#*@}"
}
