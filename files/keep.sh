# keep PATH…, called before files of ours come there: what stood there is kept below /var/lib/smarteros/before/files,
# once and for good, and the index beside it has a line for each path:
#   kept PATH      there was a file or a link
#   new PATH       there was nothing
#   earlier PATH   there was a file of ours from an earlier release; what was there before that, nobody knows
#   mode MODE OWNER:GROUP PATH   only mode and owner have become ours (shut)
# The lines are there before ours is: a run that is cut short anywhere leaves no file of ours to be taken for another's.
kept=/var/lib/smarteros/before
newline='
'

# Whether this host has had a deploy of ours.
deployed() {
    case $(readlink /opt/smarteros/current) in generations/*) return 0 ;; esac
    grep -qs '^digest ' /opt/smarteros/host
}

# Whether a release that kept no index has been here. What has begun a host and an index is the run at work.
earlier() {
    { [ -L /opt/smarteros/current ] || [ -z "$index" ]; } && deployed
}

# Whether a path that no line is about holds something of ours, from such a release: only then, since anybody may begin a
# file with such words.
ours() {
    if [ -L "$1" ]; then
        case $(readlink "$1") in
        /opt/smarteros/*) return 0 ;;
        *) return 1 ;;
        esac
    fi
    case $1 in
    */issue | */issue.net) [ "$(sha256sum <"$1")" = "cbd8614283d61ae1a5da77638f486d96705b6a0b068efc1a1a60d7efe530bee9  -" ] ;;
    */login.defs) earlier && [ "$(grep -cxE 'PASS_MIN_DAYS 1|SHA_CRYPT_MIN_ROUNDS 65536' "$1")" = 2 ] ;;
    */daemon.json | */docker.asc | */docker.sources) earlier ;;
    */credstore.encrypted/*) [ -e /opt/smarteros/unseal ] ;;
    /vault/secrets/*) grep -q '^SMARTEROS_SECRETS_DIGEST=' "$1" ;;
    */lib/smarteros/unseal) earlier && sed -n 2p "$1" | grep -q '^# Unseals the Vault on 127\.0\.0\.1 whenever it is sealed: ' ;;
    *) earlier && sed -n 1p "$1" | grep -aqE '^(#|##|//) Written by the deploy[.,]' ;;
    esac
}

listed() {
    case "$newline$index$newline" in
    *"${newline}kept $1$newline"* | *"${newline}new $1$newline"* | *"${newline}earlier $1$newline"*) return 0 ;;
    *) return 1 ;;
    esac
}

# The index with these lines, on the disk as a whole, and what they are about before it.
enter() {
    [ -n "$1" ] || return 0
    mkdir -p "$kept"
    { [ -z "$index" ] || printf '%s\n' "$index"; printf %s "$1"; } >"$kept/index.new"
    sync -f "$kept/index.new"
    mv -f "$kept/index.new" "$kept/index"
    sync "$kept"
    log=/var/log/smarteros/.unfinished
    [ ! -e $log ] || printf %s "$1" | sed -n 's/^kept \(.*\)/kept "\1"/p' >>$log
}

keep() (
    set -e
    umask 077
    index=$(cat "$kept/index" 2>/dev/null || true)
    lines=
    for path; do
        if listed "$path"; then
            continue
        elif [ -d "$path" ] && [ ! -L "$path" ]; then
            echo "$path is a folder where a file of ours has to stand: move it away" >&2
            exit 1
        elif [ ! -e "$path" ] && [ ! -L "$path" ]; then
            kind=new
        elif ours "$path"; then
            kind=earlier
        else
            kind=kept
            mkdir -p "$kept/files${path%/*}"
            cp -aT --remove-destination "$path" "$kept/files$path"
        fi
        lines="$lines$kind $path$newline"
    done
    enter "$lines"
)

# What was kept of a path, in its place again; fails where nothing was.
back() {
    [ -e "$kept/files$1" ] || [ -L "$kept/files$1" ] || return 1
    mkdir -p "${1%/*}"
    cp -aT --remove-destination "$kept/files$1" "$1.smarteros-new"
    mv -fT "$1.smarteros-new" "$1"
}

# Before a link of ours comes there: a file that somebody has put there since stays beside it.
aside() {
    [ -e "$1" ] && [ ! -L "$1" ] || return 0
    cmp -s "$1" "$kept/files$1" || mv -T --backup=numbered "$1" "$1.before-smarteros"
}

# shut PATH MODE: root's, with that mode, if it is there.
shut() (
    set -e
    umask 077
    was=$(stat -c '%a %U:%G' "$1" 2>/dev/null) && [ "$was" != "$2 root:root" ] || exit 0
    index=$(cat "$kept/index" 2>/dev/null || true)
    case "$newline$index$newline" in
    *" $1$newline"*) ;;
    *) enter "mode $was $1$newline" ;;
    esac
    chown root:root "$1"
    chmod "$2" "$1"
)
