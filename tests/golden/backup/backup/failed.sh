#!/bin/sh
# failed.sh UNIT: a note of its last words, which make status shows until it has succeeded.
. /opt/smarteros/current/backup/lib.sh

part=${1#smarteros-} && part=${part#backup-}
# Of this very run, where systemd (251) says which.
said=$(journalctl --quiet --no-pager --output cat --lines 40 --unit "$1" _TRANSPORT=stdout \
    ${MONITOR_INVOCATION_ID:+"_SYSTEMD_INVOCATION_ID=$MONITOR_INVOCATION_ID"} | tail -n 3 | tr '\n' ' ' | cut -c -600)
printf '%s\n' "${said:-it ended with ${MONITOR_SERVICE_RESULT:-a failure}, and said nothing}" >"$state/failed/.$part"
mv -f "$state/failed/.$part" "$state/failed/$part"
