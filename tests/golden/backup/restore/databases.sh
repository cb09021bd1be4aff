# Read by restores: which databases a service had, and has. Written by the deploy.

# The databases of these roles; ours, while they are made or kept, are postgres'. One with the limit -2 is half dropped: nobody opens or
# alters it any more.
databases_of() {
    for role in $roles; do
        "$@" <<END || return
SELECT '$role', datname FROM pg_database WHERE pg_get_userbyid(datdba) = '$role' AND datallowconn AND datconnlimit <> -2 ORDER BY 2;
END
    done
}

# gone_for_good: what was dropped and has not gone whole, as where its server was killed meanwhile, goes: no other change of it is taken.
gone_for_good() {
    [ -n "$roles" ] || return 0
    live postgres -v roles="$roles" <<'END'
SELECT format('DROP DATABASE %I', datname) FROM pg_database WHERE pg_get_userbyid(datdba) = ANY (string_to_array(:'roles', ' ')) AND datconnlimit = -2 \gexec
END
}

# What is there now, by name: it is what an undo brings back.
was() {
    gone_for_good || fail "a database of $service that is half dropped cannot be dropped (see the lines above): docker logs postgres"
    there=$(databases_of live postgres -F ' ') || fail "Postgres does not answer: docker logs postgres"
    long=$(printf '%s\n' "$there" | cut -d ' ' -f 2- | grep -E '.{41}') && fail "no copy of the database $long can have a name: rename it to 40 characters at most (ALTER DATABASE), and run again"
    [ -z "$there" ] || printf '%s\n' "$there" | sed 's/^/old /'
}

# theirs NAME: whose a database of that name is by now; nothing where it is the service's, or there is none.
theirs() {
    live postgres -v name="$1" -v roles="$roles" <<'END' || fail "Postgres does not answer: docker logs postgres"
SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = :'name' AND pg_get_userbyid(datdba) <> ALL (string_to_array(:'roles', ' '));
END
}

# had: into found, role and name of each database that was the service's then. One whose name is somebody else's by now stays away.
had() {
    there=$(databases_of inside postgres -F ' ') || fail "the restored server does not say whose databases it has (see the lines above): run again"
    found=
    while read -r role name; do
        [ -n "$name" ] || continue
        owner=$(theirs "$name") || exit
        if [ -z "$owner" ]; then
            found=$found${found:+$'\n'}$role' '$name
        elif [ "$role" = "$name" ]; then
            fail "the database $name belongs to the role $owner by now, and not to $role: make deploy gives it back to $role; then run again"
        else
            note "MISSING: the database $name was one of $service's then; by now one of that name belongs to the role $owner, and stays: rename that one (ALTER DATABASE) and run again to have the other"
        fi
    done <<END
$there
END
    [ -n "$found" ] || fail "at $TARGET $service had no database yet: choose a later time (make backups)"
}

# lacking: into lacks, which of these were left out of what was restored: they have gone since, so that nobody has named them.
lacking() {
    lacks=()
    while read -r _ name; do
        case " ${includes[*]} " in *" --db-include=$name "*) continue ;; esac
        inside "$name" -c 'SELECT FROM pg_class LIMIT 1' >/dev/null 2>&1 </dev/null || lacks+=("--db-include=$name")
    done <<END
$found
END
}

# opened: found without what cannot be opened. What was dropped right after that time is gone there already: the log says that before it
# says when.
opened() {
    all=$found found=
    while read -r role name; do
        if why=$(inside "$name" -c 'SELECT FROM pg_class LIMIT 1' 2>&1 >/dev/null </dev/null); then
            found=$found${found:+$'\n'}$role' '$name
        elif [ "$role" = "$name" ]; then
            fail "the database $name of $TARGET cannot be opened: where it was dropped right after that, choose a time half a minute earlier ($(say "$why" | tr '\n' ' '))"
        else
            note "MISSING: the database $name of $TARGET cannot be opened, and does not come back: where it was dropped right after that, choose a time half a minute earlier ($(say "$why" | tr '\n' ' '))"
        fi
    done <<END
$all
END
    [ -n "$found" ] || fail "at $TARGET $service had no database that can be opened: choose another time (make backups)"
}

# sized: into takes, how many bytes these are; also of what was left out, whose files are as long.
sized() {
    takes=$(inside postgres -v names="$(printf '%s' "$found" | cut -d ' ' -f 2-)" <<'END'
SELECT sum(pg_database_size(datname)) FROM pg_database WHERE datname = ANY (string_to_array(:'names', E'\n'));
END
) || fail "the restored server does not say how large its databases are (see the lines above): run again"
}
