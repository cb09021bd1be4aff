#!/bin/sh
# What is in the bucket, read from there now: a line each.
. /opt/smarteros/current/backup/lib.sh
. /opt/smarteros/current/backup/log.sh

# told WORD COMMAND...: the word and what the command has printed, on one line; else what went wrong.
told() {
    word=$1
    shift
    said=$("$@" 2>"$locks/said") && echo "$word $(printf '%s' "$said" | tr '\n' ' ')" ||
        echo "wrong $word: $(sed 's/.*"message":"\([^"]*\)".*/\1/' "$locks/said" | tail -n 2 | tr '\n' ' ')"
}

echo "clock $(date +%s)"
if said=$(answers 2>&1); then
    told snapshots run 600 backup-list snapshots --json --no-lock
    told archive docker exec postgres timeout 300 pgbackrest --stanza=main info --output=json
    told log runs 300
    sed 's/^/damaged /' "$state/damaged"
else
    echo "wrong bucket: $(printf %s "$said" | tail -n 2 | tr '\n' ' ')"
fi
