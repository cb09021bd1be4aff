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

# extended NAME ASK...: what somebody has changed of an extension's functions (Odoo makes unaccent immutable), which no dump says, is done as
# soon as the copy has the extension, in whichever schema: what comes after it may need that. ASK is the copy's psql; see `settled`.
extended() {
    from=$1
    shift
    {
        cat <<'END'
CREATE SCHEMA smarteros_restoring;
CREATE TABLE smarteros_restoring.functions (extension text, version text, signature text, definition text);
CREATE FUNCTION smarteros_restoring.extended() RETURNS event_trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
DECLARE changed text;
BEGIN
    FOR changed IN SELECT definition FROM smarteros_restoring.functions JOIN pg_extension ON (extname, extversion) = (extension, version)
        JOIN pg_proc p ON p.oid::regprocedure::text = signature WHERE pg_get_functiondef(p.oid) <> definition
    LOOP EXECUTE changed; END LOOP;
END $$;
CREATE EVENT TRIGGER smarteros_restoring ON ddl_command_end WHEN TAG IN ('CREATE EXTENSION') EXECUTE FUNCTION smarteros_restoring.extended();
END
        inside "$from" <<'END'
SET search_path = pg_catalog;
SELECT format('INSERT INTO smarteros_restoring.functions VALUES (%L, %L, %L, %L);', extname, extversion, p.oid::regprocedure, pg_get_functiondef(p.oid))
FROM pg_proc p JOIN pg_depend ON classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e'
JOIN pg_extension e ON refclassid = 'pg_extension'::regclass AND refobjid = e.oid WHERE prokind <> 'a';
END
    } | "$@"
}
# settled ASK...: nothing of that is left.
settled() { say 'SET client_min_messages = warning; DROP SCHEMA smarteros_restoring CASCADE;' | "$@"; }

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
