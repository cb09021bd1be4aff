#!/bin/sh
# Puts back what a change has replaced that no new connection has proven; /var/lib/smarteros/armed holds all it needs.
cd /var/lib/smarteros || exit 0
# One at a time: the timer's, a run's, the one at boot.
exec 9<. && flock 9
# Who renames it first has it: this script, or the run that has come in again. One that was cut short goes on.
[ -d undoing ] || mv -T armed undoing 2>/dev/null || exit 0
echo "not proven by a new connection, taken back: $(cat undoing/what)"
xargs -r -d '\n' rm -f <undoing/absent
tar -C / -xf undoing/files.tar
. ./undoing/then
sync
rm -rf undoing
