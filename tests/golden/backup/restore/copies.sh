# Read by restores and drills: what a database has that no dump of it says. Written by the deploy.

# made_like NAME NEW: the statement that makes an empty one with its encoding and collation, as this release of Postgres calls them.
made_like() {
    inside postgres -v name="$1" -v new="$2" <<'END'
SELECT format('CREATE DATABASE %I OWNER postgres TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L CONNECTION LIMIT %s LOCALE_PROVIDER ',
    :'new', pg_encoding_to_char(encoding), datcollate, datctype, datconnlimit) || CASE datlocprovider
    WHEN 'i' THEN format('icu ICU_LOCALE %L', locale) || CASE WHEN rules <> '' THEN format(' ICU_RULES %L', rules) ELSE '' END
    WHEN 'b' THEN format('builtin BUILTIN_LOCALE %L', locale)
    ELSE 'libc' END || ';'
FROM pg_database d, LATERAL (SELECT to_jsonb(d)) s(j), LATERAL (SELECT coalesce(j->>'datlocale', j->>'daticulocale'), j->>'daticurules') l(locale, rules)
WHERE datname = :'name';
END
}

# extended NAME ASK...: before what uses them, extensions whose functions somebody has changed (Odoo makes unaccent immutable). ASK is the copy's psql.
extended() {
    from=$1
    shift
    inside "$from" <<'END' | "$@" 2>/dev/null
SELECT format('CREATE EXTENSION IF NOT EXISTS %I WITH SCHEMA public;', extname) FROM pg_extension
WHERE extnamespace = 'public'::regnamespace ORDER BY oid;
SELECT format($$SELECT 'ALTER FUNCTION %1$s %2$s' FROM pg_proc WHERE oid = to_regprocedure(%3$L) AND provolatile <> %4$L \gexec$$, p.oid::regprocedure,
    CASE provolatile WHEN 'i' THEN 'IMMUTABLE' WHEN 's' THEN 'STABLE' ELSE 'VOLATILE' END, p.oid::regprocedure, provolatile)
FROM pg_proc p JOIN pg_depend ON classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e' AND refclassid = 'pg_extension'::regclass
WHERE prokind = 'f' AND pronamespace = 'public'::regnamespace;
END
}

# roles_for NAME: those that own something of it or may do something in it, and that are gone since: without them nothing could be
# theirs. They are made without a login, and said.
roles_for() {
    wanted=$(inside postgres -v name="$1" <<'END'
SELECT DISTINCT rolname FROM pg_roles r JOIN pg_database d ON datname = :'name'
WHERE rolname !~ '^pg_' AND (EXISTS (SELECT FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = r.oid
        AND (dbid = d.oid OR classid = 'pg_database'::regclass AND objid = d.oid))
    OR EXISTS (SELECT FROM pg_db_role_setting WHERE setdatabase = d.oid AND setrole = r.oid));
END
) || return
    live postgres -v names="$wanted" <<'END'
SELECT name FROM unnest(string_to_array(:'names', E'\n')) name WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name);
SELECT format('CREATE ROLE %I NOLOGIN', name) FROM unnest(string_to_array(:'names', E'\n')) name WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
END
}

# rights_of NAME NEW: the statements that let others into it as before, and set what was set for it.
rights_of() {
    inside postgres -v name="$1" -v new="$2" <<'END'
SELECT format('GRANT %s ON DATABASE %I TO %s%s;', privilege_type, :'new', CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
    CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE datname = :'name' AND grantee <> datdba;
SELECT format('ALTER %s SET %s TO %s;',
    CASE setrole WHEN 0 THEN format('DATABASE %I', :'new') ELSE format('ROLE %I IN DATABASE %I', pg_get_userbyid(setrole), :'new') END,
    (SELECT string_agg(quote_ident(part), '.') FROM regexp_split_to_table(key, '\.') part),
    -- Lists are stored as they are written.
    CASE WHEN lower(key) IN ('search_path', 'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries') THEN value ELSE quote_literal(value) END)
FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase, unnest(setconfig) setting,
    LATERAL (SELECT split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1)) s(key, value)
WHERE datname = :'name';
END
}
