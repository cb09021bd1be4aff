#!/bin/bash
# One run at a time, and the line that each leaves in the audit log. On the host for as long as the SSH session of a
# run: standard input is that session, and its end is the end of the run, however that came about.
#   in:  operator <JSON>, login <JSON>, from <JSON: which process of which machine>, command <JSON>, about <JSON: which service, "" for the host>, then deploy yes (people want to know how it ends), at <JSON> and change <JSON> as the run
#        goes on, acts <number> (up to which CHANGELOG.md's acts are done), look <JSON> and made <both: what files/record.sh takes>, end <result>
#   out: held | held late | waits <who> | user <name> | busy <word> <value>…, then asks (in: gone <pid> | stays) | stuck <who> | full <kB> <folder>, removed <image>, drifted <what>,
#        noted <number> | unnoted, at last untold <channel> <why>, each after "smarteros-lock"
set -u
export TZ=UTC
umask 077
state=/run/smarteros
logs=/var/log/smarteros
log=$logs/runs.log
run=$logs/.unfinished  # the present run; that of one that ended without a word, on the next run
notify=/var/lib/smarteros/notify  # what people are to be told (files/notify)

# Put together here, so that what merely shows this script (set -x) says nothing. Others print on these streams, too.
say() { printf '\n%s-lock %s\n' smarteros "$*"; }

# The run that $run tells of becomes one line of the log, with this result. What is quoted there is JSON already.
finish() {
    local key value last= started= epoch= operator=null login=null command=null about='""' at=null changed= kept= deploy= line
    while read -r key value; do
        case $key in
        started) started=$value ;;
        epoch) epoch=$value ;;
        operator) operator=$value ;;
        login) login=$value ;;
        command) command=$value ;;
        about) about=$value ;;
        at) at=$value ;;
        deploy) deploy=$value ;;
        change)
            [ "$value" = "$last" ] || changed+=${changed:+, }$value
            last=$value
            ;;
        kept) kept+=${kept:+, }$value ;;  # by files/keep.sh
        esac
    done <"$run"
    [ "$1" != ok ] || at=null
    # A power cut may have left nothing of it, and of the log's last line a part.
    [ "$epoch" ] || { epoch=$(stat -c %Y "$run"); printf -v started '%(%FT%TZ)T' "$epoch"; }
    [ -z "$(tail -c 1 "$log" | tr '\0' x)" ] || echo >>"$log"
    printf -v line '{"started": "%s", "seconds": %d, "operator": %s, "login": %s, "command": %s, "about": %s, "generation": "%s", "result": "%s", "at": %s, "changed": [%s], "kept": [%s]}' \
        "$started" $(($(stat -c %Y "$run") - epoch)) "$operator" "$login" "$command" "$about" \
        "$(basename "$(readlink /opt/smarteros/current)")" "$1" "$at" "$changed" "$kept"
    printf '%s\n' "$line" >>"$log"
    sync "$log"
    rm -f "$run"
    [ ! "$deploy" ] || [ ! -e /etc/systemd/system/smarteros-notify.timer ] || {
        install -d -m 700 "$notify" "$notify/new" && printf 'deploy %s\n%s\n' "$1" "$line" >"$notify/new/.$epoch-deploy" &&
            sync "$notify/new/.$epoch-deploy" && mv -f "$notify/new/.$epoch-deploy" "$notify/new/$epoch-deploy"
    }
}

# People are told at once; a channel that does not take it delays the end by half a minute at most, and fails nothing.
tell() {
    local file
    [ "$(ls "$notify/new" 2>/dev/null)" ] || return 0
    timeout 45 systemctl start smarteros-notify.service 2>/dev/null
    for file in "$notify"/failed/*; do
        [ ! -e "$file" ] || say untold "${file##*/}" "$(head -n 1 "$file")"
    done
    true
}

# Processes that an interrupted run has left at work: every command that changes something holds $state/work.
left() {
    mapfile -t pids < <(
        exec 8>&-
        find /proc/[0-9]*/fd -maxdepth 1 -lname "$state/work" -printf '%h\n' 2>/dev/null |
            sort -u | cut -d / -f 3 | grep -vx $$
    )
    names=
    for pid in "${pids[@]}"; do
        name=$(cat "/proc/$pid/comm" 2>/dev/null) && names+="${names:+, }$name ($pid)"
    done
}

[ "$(id -u)" = 0 ] || { say user "$(id -un)"; exit; }
read -r operator
read -r login
read -r from
read -r command
read -r about
mkdir -p "$state"
late=
exec 9>>"$state/lock"
if ! flock -n 9; then
    late=' late'
    if ! flock -w 0.5 9; then
        say busy now "$EPOCHSECONDS"
        sed 's/^/smarteros-lock busy /' "$run" 2>/dev/null
        say asks
        # Who has begun that run knows that it is over; its lost connection is noticed here only minutes later.
        read -r -t 20 word pid
        [ "$word" = gone ] && [ "$pid" = "$(sed -n 's/^pid //p' "$run")" ] && kill "$pid" && flock -w 20 9 || exit 0
    fi
fi

install -d -m 750 -o root -g adm "$logs"
[ ! -e "$run" ] || finish interrupted
[ "$(stat -c %s "$log" 2>/dev/null || echo 0)" -lt 1000000 ] || mv -f "$log" "$log.1"
touch "$log"
chown root:adm "$log"
chmod 640 "$log"
printf 'started %(%FT%TZ)T\nepoch %(%s)T\npid %d\n%s\n%s\n%s\n%s\n%s\n' -1 -1 $$ "$operator" "$login" "$from" "$command" "$about" 2>/dev/null >"$run" || { say full "$(df -k --output=avail "$logs" | sed '1d; s/ //g')" "$logs"; exit; }
sync "$run" "$logs"

# What is left has twenty seconds to end by itself. Packages have ten minutes: cut short they would be left half
# installed, and the next apt would wait for this one in any case.
exec 8>>"$state/work"
seconds=0
until flock -n 8; do
    late=' late'
    left
    [ $seconds != 0 ] || say waits "${names:-something unseen}"
    seconds=$((seconds + 1))
    case $names in
    *apt-get\ * | *dpkg\ *) ;;
    *)
        [ $seconds -lt 20 ] || [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null
        [ $seconds -lt 30 ] || [ ${#pids[@]} = 0 ] || kill -KILL "${pids[@]}" 2>/dev/null
        ;;
    esac
    [ $seconds -lt 600 ] || { finish failed; say stuck "${names:-something unseen}"; exit; }
    read -r -t 1 key value
    # More than 128: nothing was said in this second. 1: the run is gone.
    case $? in
    0) printf '%s %s\n' "$key" "$value" >>"$run" ;;
    1) finish interrupted; exit ;;
    esac
done
exec 8>&-

say "held$late"
result=interrupted look=
while read -r key value; do
    case $key in
    at | change | deploy) printf '%s %s\n' "$key" "$value" >>"$run" ;;
    look) look=$value ;;
    acts)
        (umask 022 && mkdir -p /opt/smarteros) && mkdir -p /opt/smarteros/records && echo "$value" >/opt/smarteros/records/.acts.new &&
            sync /opt/smarteros/records/.acts.new && mv -f /opt/smarteros/records/.acts.new /opt/smarteros/records/.acts
        ;;
    made) record "$value" "$look" || say unnoted ;;
    end)
        result=$value
        break
        ;;
    esac
done
touch "$run"
finish "$result"
exec 9>&-
tell
