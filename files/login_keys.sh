# Files of SSH keys are written with their user's own rights: a home is its user's, who could lead root by links to any other file.

# as USER COMMAND…
as() (
    user=$1
    shift
    cd /
    exec setpriv --reuid="$(id -u "$user")" --regid="$(id -g "$user")" --init-groups -- "$@"
)

# written USER PATH MODE: what comes over standard input stands there as a whole, or what stood there before.
written() {
    as "$1" sh -c 'umask 077
        rm -f -- "$1.smarteros-new"
        cat >"$1.smarteros-new" && chmod "$2" "$1.smarteros-new" && sync "$1.smarteros-new" && mv -fT -- "$1.smarteros-new" "$1"' \
        sh "$2" "$3"
}

# folder USER PATH MODE: the user's own, with that mode.
folder() {
    [ -e "$2" ] || as "$1" mkdir -p -m "$3" -- "$2"
    [ "$(stat -c %u -- "$2")" = "$(id -u "$1")" ] || chown -h "$(id -u "$1"):$(id -g "$1")" -- "$2"
    as "$1" chmod "$3" -- "$2"
}

# held PATH COPY: how it is now, for `again`.
held() {
    rm -f "$2"
    [ ! -e "$1" ] || cp -aT "$1" "$2"
    stat -c '%a %U:%G' -- "${1%/*}" >"$2.folder" 2>/dev/null || : >"$2.folder"
}

# again USER PATH COPY [MODE OWNER]: as it was; without a copy there was nothing. The latter two are its folder's. Of a user who
# is gone there is nothing to bring back.
again() {
    id -u "$1" >/dev/null 2>&1 || return 0
    if [ -e "$3" ]; then
        written "$1" "$2" "$(stat -c %a "$3")" <"$3"
        touch -h -r "$3" -- "$2"
        owner "$1" "$2" "$(stat -c %U:%G "$3")"
    else
        as "$1" rm -f -- "$2"
    fi
    [ -n "${4-}" ] && [ -e "${2%/*}" ] || return 0
    as "$1" chmod "$4" -- "${2%/*}"
    owner "$1" "${2%/*}" "$5"
}

# owner USER PATH OWNER: back to whose it was, if it was another's.
owner() {
    [ "${3%:*}" = "$1" ] || chown -h "$3" -- "$2"
}

# first USER PATH MODE OWNER: before a file of ours comes there (files/keep.sh): what undo-host needs to know beside the file.
first() {
    index=$(cat "$kept/index" 2>/dev/null || true)
    listed "$2" || enter "login $1 ${3:--} ${4:--} $2$newline"
    keep "$2"
}
