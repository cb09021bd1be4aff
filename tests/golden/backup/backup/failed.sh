#!/bin/sh
# failed.sh UNIT: a note of its last words, which make status shows until it has succeeded.
. /opt/smarteros/current/backup/lib.sh

part=${1#smarteros-} && part=${part#backup-}
# Of this very run, where systemd (251) says which.
said=$(journalctl --quiet --no-pager --output cat --lines 40 --unit "$1" _TRANSPORT=stdout \
    ${MONITOR_INVOCATION_ID:+"_SYSTEMD_INVOCATION_ID=$MONITOR_INVOCATION_ID"} | tail -n 3 | tr '\n' ' ' | cut -c -600)
[ ! -e "$state/failed/$part" ] || known=yes
printf '%s\n' "${said:-it ended with ${MONITOR_SERVICE_RESULT:-a failure}, and said nothing}" >"$state/failed/.$part"
sync "$state/failed/.$part"
mv -f "$state/failed/.$part" "$state/failed/$part"

# Told where people are told anything: of a drill each time, of the others once until they have succeeded again, and not of those that
# are tried again within a minute.
case $part in
heartbeat | files) exit 0 ;;
drill*) event=drill ;;
*) event=backup && [ ! "${known:-}" ] || exit 0 ;;
esac
if [ -e /etc/systemd/system/smarteros-notify.timer ] && mkdir -p /var/lib/smarteros/notify/new; then
    { echo "$event failed $part"; cat "$state/failed/$part"; } >"/var/lib/smarteros/notify/new/.$part"
    sync "/var/lib/smarteros/notify/new/.$part"
    mv -f "/var/lib/smarteros/notify/new/.$part" "/var/lib/smarteros/notify/new/$part"
fi
