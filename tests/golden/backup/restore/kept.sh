#!/bin/bash
# What restores have replaced goes after 7 days: nobody has wanted it back. What one that was cut short had made ready goes at once, and
# after a boot what only stood while a restore or a drill was at work, such as a copy of all databases.
. /opt/smarteros/current/restore/lib.sh

only 1800
cleared
wrong= now=$(date +%s) until=0
# By a clock that is ahead a week is soon over, and while nothing of now leaves for the bucket, what was there is not thrown away.
! read -r _ until 2>/dev/null <"$metrics/wal.prom" || [ $((now - ${until%.*})) -lt 86400 ] || now=${until%.*}
for note in "$keeping"/kept/*.*; do
    [ -e "$note" ] || continue
    each=${note##*/}
    journal=$keeping/${each%.*}.journal
    # An undo that was cut short brings it back.
    [ ! -e "$journal" ] || grep -q '^swapped' "$journal" || continue
    [ "$(sed -n 's/^at //p' "$note")" -lt $((now - 7 * 86400)) ] || continue
    before=_before_${note##*.}
    all=yes
    while read -r _ name; do
        # Only what is ours: a database of that name that somebody has given to another stays. One that is half dropped is only dropped.
        live postgres -v name="$name$before" >/dev/null <<'END' || all=
SELECT CASE WHEN datistemplate THEN format('ALTER DATABASE %I IS_TEMPLATE false', datname) END, format('DROP DATABASE %I WITH (FORCE)', datname) FROM pg_database WHERE datname = :'name' AND pg_get_userbyid(datdba) = 'postgres' \gexec
END
    done <<END
$(sed -n 's/^old //p' "$note")
END
    while read -r path; do
        [ -z "$path" ] || rm -rf "$path.before_${note##*.}" || all=
    done <<END
$(sed -n 's/^item //p' "$note")
END
    if [ -n "$all" ]; then rm -f "$note"; else wrong="$wrong $each"; fi
done
for each in $names; do
    about "$each"
    [ -e "$keeping/$each.journal" ] || discarded || wrong="$wrong $each"
done
[ -z "$wrong" ] || fail "not all that restores have replaced could be removed:$wrong: docker logs postgres and the lines above say why; it is tried again tomorrow"
succeeded kept
