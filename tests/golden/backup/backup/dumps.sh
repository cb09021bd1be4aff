#!/bin/sh
# Each database once more, in another format and by another program. restic starts pg_dump itself, so that it sees it fail.
. /opt/smarteros/current/backup/lib.sh

wrong=
# dumped DATABASE FILE SERVICE PROGRAM...: PGDATABASE, since a name in a command line may be read as more than a name.
dumped() {
    pass="PGDATABASE=$1"
    file=$(printf %s "$2" | tr / _) service=$3
    shift 3
    repository 14400 backup-dumps backup --quiet --host smarteros --tag "service=$service" --tag dump \
        --stdin-filename "$file" --stdin-from-command -- env PGOPTIONS="$unlimited" "$@" --host 127.0.0.1 --username postgres || wrong="$wrong $file"
}

together
# What is half dropped (-2) nobody can open any more.
found=$(sql -F "$(printf '\t')" <<'END'
SELECT pg_get_userbyid(datdba), datname FROM pg_database WHERE datallowconn AND datconnlimit <> -2 AND datname NOT IN ('template0', 'template1') ORDER BY datname;
END
) || fail "Postgres does not say which databases it has: docker logs postgres"
dumped postgres globals.sql postgres pg_dumpall --globals-only
while IFS="$(printf '\t')" read -r owner name; do
    dumped "$name" "$name.dump" "$owner" pg_dump --format custom --compress 0
done <<END
$found
END
[ -z "$wrong" ] || fail "not copied:$wrong"
succeeded dumps
