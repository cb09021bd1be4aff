#!/bin/bash
# Brings the forks in /root/repos in step with their remotes: bash /root/sync-forks.sh [service...]
# A fork is cloned or fast-forwarded, upstream fetched and compared. Nothing of yours is ever discarded:
# uncommitted changes, commits of your own and other branches are reported and left alone.
# One line for each repository. Exit code 0: all is in step; 1: the lines say what needs you.
set -u
export LC_ALL=C
folder=${SMARTEROS_REPOS:-/root/repos}
known=""
status=0

note() { line="$line${line:+; }$1"; }
person() { note "$1"; status=1; }

# at ARGUMENTS: git in the repository; what it prints is in $words, on one line.
at() {
    words=$(git -C "$here" "$@" 2>&1 </dev/null)
    local code=$?
    words=${words//$'\n'/ }
    return $code
}

# Under another name until it is complete, so that a clone that was cut off is never taken for the repository.
clone() {
    local incoming=$folder/.$service.incoming
    [ ! -e "$here" ] || return 0
    mkdir -p "$folder" && rm -rf "$incoming"
    words=$(git clone --quiet ${branch:+--branch "$branch"} -- "$fork" "$incoming" 2>&1 </dev/null) &&
        mv -T "$incoming" "$here" && note "cloned" && return
    rm -rf "$incoming"
    person "cannot be cloned from $fork: ${words//$'\n'/ }"
    return 1
}

is_repository() {
    [ -e "$here/.git" ] && return
    person "$here is no git repository: left alone; move it away and run this again"
    return 1
}

# remote NAME URL [OPTION]: it is there, has this address, and is fetched.
remote() {
    local found
    found=$(git -C "$here" config --get "remote.$1.url")
    if [ -n "$found" ] && [ "$found" != "$2" ]; then
        person "its remote $1 is $found, the settings say $2: left alone; git -C $here remote set-url $1 $2"
        return 1
    fi
    [ -n "$found" ] || at remote add "$1" "$2"
    at fetch --quiet ${3:+"$3"} "$1" && return
    person "$1 ($2) cannot be fetched: $words"
    return 1
}

# Without a branch in the settings, the fork's own default.
is_on_its_branch() {
    local current
    if [ -z "$branch" ]; then
        at remote set-head origin --auto || { person "the fork has no default branch: $words"; return 1; }
        branch=$(git -C "$here" symbolic-ref --short refs/remotes/origin/HEAD) && branch=${branch#origin/}
    fi
    at rev-parse --verify "refs/remotes/origin/$branch" || { person "the fork has no branch $branch"; return 1; }
    current=$(git -C "$here" symbolic-ref --quiet --short HEAD)
    [ "$current" != "$branch" ] || return 0
    person "has ${current:-no branch} checked out, not $branch: left alone"
    return 1
}

fast_forward() {
    local ahead behind
    at rev-list --left-right --count "HEAD...refs/remotes/origin/$branch" || { person "$words"; return; }
    read -r ahead behind <<<"$words"
    at status --porcelain || { person "$words"; return; }
    if [ -n "$words" ]; then
        person "has uncommitted changes: left alone ($branch, $ahead ahead of the fork, $behind behind)"
    elif [ "$ahead" -gt 0 ] && [ "$behind" -gt 0 ]; then
        person "has diverged from the fork: left alone ($branch, $ahead ahead, $behind behind)"
    elif [ "$ahead" -gt 0 ]; then
        person "is $ahead ahead of the fork: left alone; git -C $here push origin $branch"
    elif [ "$behind" -eq 0 ]; then
        note "in step with the fork ($branch, $(commit))"
    elif at merge --quiet --ff-only "refs/remotes/origin/$branch"; then
        note "fast-forwarded by $behind ($branch, $(commit))"
    else
        person "cannot be fast-forwarded: $words"
    fi
}

commit() { git -C "$here" rev-parse --short=12 HEAD; }

# Upstream's branch of the same name, else its default one; merged for trial only, outside the work tree.
compare() {
    local theirs=refs/remotes/upstream/${branch:-HEAD} new
    if ! at rev-parse --verify --quiet "$theirs"; then
        at remote set-head upstream --auto || { person "upstream has no default branch: $words"; return; }
        theirs=$(git -C "$here" symbolic-ref refs/remotes/upstream/HEAD)
    fi
    at rev-list --count "HEAD..$theirs" || { person "$words"; return; }
    new=$words theirs=${theirs#refs/remotes/}
    if [ "$new" -eq 0 ]; then note "nothing new in $theirs"; return; fi
    at merge-tree --write-tree --name-only --no-messages HEAD "refs/remotes/$theirs"
    case $? in
    0) note "$new new in $theirs, which would merge without conflict" ;;
    1) person "$new new in $theirs, which would conflict in ${words#* }" ;;
    *) person "$theirs cannot be merged: $words" ;;
    esac
}

# sync SERVICE FORK UPSTREAM BRANCH
sync() {
    service=$1 fork=$2 upstream=$3 branch=$4 here=$folder/$1 line=""
    if clone && is_repository; then
        remote origin "$fork" --tags && is_on_its_branch && fast_forward
        remote upstream "$upstream" && compare
    fi
    echo "$service: $line"
}

if [ -z "$known" ]; then
    echo "no forks: name them in the setting \`forks\` (group_data), then deploy"
    exit 0
fi
for name in "$@"; do
    [[ " $known " != *" $name "* ]] || continue
    echo "$name is not in the setting \`forks\` ($known)" >&2
    exit 1
done
if ! command -v git >/dev/null; then
    echo "git is not installed: apt-get install -y git" >&2
    exit 1
fi
chosen=" ${*:-$known} "
exit $status
