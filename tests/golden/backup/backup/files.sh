#!/bin/sh
# Copies away the files of each service in which something has changed since the last time; started every 45 s.
. /opt/smarteros/current/backup/lib.sh
set -f

begin() {
    service=$1 due=
    # Nor from a time that is still to come: the clock was wrong, and nothing would be newer until then.
    [ -e "$state/$service.since" ] && [ -z "$(find "$state/$service.since" -newermt now)" ] || due=yes
}
# look FOLDER [PATTERN...]: whether anything in there, but for what is not copied, has changed. ctime: nothing sets it back. The folder
# itself may be a link to another disk.
look() {
    folder=$1 omitted=
    shift
    for pattern in "$@"; do omitted="$omitted -path $folder/$pattern -prune -o"; done
    if [ -z "$due" ]; then
        found=$(find -H "$folder" $omitted -newercm "$state/$service.since" -print -quit 2>/dev/null) && [ -z "$found" ] || due=yes
    fi
}
# copied [OPTION...] PLACE...: a snapshot of the service's own. The next time looks from before this one began.
copied() {
    [ -n "$due" ] || return 0
    touch -d '2 seconds ago' "$state/.$service.since"
    repository 14400 backup-files backup --quiet --skip-if-unchanged --host smarteros --tag "service=$service" "$@"
    case $? in
    0)
        mv -f "$state/.$service.since" "$state/$service.since"
        rm -f "$state/$service.partial"
        ;;
    3)  # Some went away while they were read, so the next time looks again; that some never can be read is a failure.
        echo . >>"$state/$service.partial"
        [ "$(wc -l <"$state/$service.partial")" -lt 5 ] || wrong="$wrong $service"
        ;;
    *) wrong="$wrong $service" ;;
    esac
}

together
wrong=
folders=$(docker volume inspect --format '{{.Mountpoint}}' chatwoot_storage botpress_data n8n_data n8n_files odoo_data odoo_extra caddy_data) || fail "a volume is gone (see the line above): make status says what brings it back"
{
    read -r chatwoot_storage
    read -r botpress_data
    read -r n8n_data
    read -r n8n_files
    read -r odoo_data
    read -r odoo_extra
    read -r caddy_data
} <<END
$folders
END

begin chatwoot
look "$chatwoot_storage"
copied /state/chatwoot_storage

begin botpress
look "$botpress_data"
copied /state/botpress_data

begin n8n
look "$n8n_data" 'n8nEventLog*.log' crash.journal
look "$n8n_files"
copied --exclude '/state/n8n_data/n8nEventLog*.log' --exclude /state/n8n_data/crash.journal /state/n8n_data /state/n8n_files

begin odoo
look "$odoo_data" sessions
look "$odoo_extra"
copied --exclude /state/odoo_data/sessions /state/odoo_data /state/odoo_extra

begin dokploy
look "/etc/dokploy"
copied /state/etc/dokploy

begin caddy
look "$caddy_data"
copied /state/caddy_data

[ -z "$wrong" ] || fail "not copied:$wrong"
succeeded files
