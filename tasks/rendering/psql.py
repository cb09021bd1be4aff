"""Psql: how Postgres is told something. Nobody waits without a limit for what somebody's open transaction holds, nor without a word.

psql goes on in its container when who has started it is gone: so each statement has an end of its own.
"""

from shlex import quote

# Seconds: until it is said who holds what a statement needs, until that gives up, and until any does.
_SAID, LOCKED, _LONGEST = 4, 10, 600
NAME = "smarteros"
# A statement that has failed may hold a password's verifier, and is in no log.
_OPTIONS = f"-c lock_timeout={LOCKED}s -c statement_timeout={_LONGEST}s -c log_min_error_statement=panic -c default_transaction_read_only=off"
# Of another's statement nothing is shown, of ours its first words.
WAITS = f"""
SELECT format('Postgres: %s waits for %s', substring(ltrim(waiting.query) from '^[A-Z ]+(?:"[^"]*"|[a-z0-9_]*)'), CASE WHEN holder.pid IS NULL
    THEN 'a prepared transaction: pg_prepared_xacts names it, ROLLBACK PREPARED ends it'
    ELSE format('process %s (user %s, application %s, transaction open since %s): `docker exec postgres psql -U postgres -c '
        '"SELECT pg_terminate_backend(%s)"` on the host ends it, and takes back what it has not committed', holder.pid, holder.usename,
        coalesce(nullif(holder.application_name, ''), '-'), to_char(holder.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS"Z"'), holder.pid)
    END)
FROM pg_stat_activity waiting, unnest(pg_blocking_pids(waiting.pid)) blocking LEFT JOIN pg_stat_activity holder ON holder.pid = blocking
WHERE waiting.application_name = '{NAME}'
""".strip()  # noqa: S608  nobody else's words are in it

# watched COMMAND...: a statement that it brings Postgres, as smarteros, and that has to wait is said, with whom it waits for. What only waits
# for its time holds neither a lock of the run nor its output.
WATCHED = f"""
watched() (
    {{
        sleep {_SAID} >/dev/null 2>&1 7>&- 9>&-
        docker exec postgres psql -wqAtX -U postgres -d postgres -c {quote(WAITS)} >&2
    }} </dev/null &
    code=0
    "$@" || code=$?
    kill $! 2>/dev/null || true
    exit $code
)
""".strip()

# told DATABASE [OPTION...]: statements from standard input, to their end or to \q. Terse: an error does not show the line that it is in.
TOLD = f"""
{WATCHED}
told() {{
    watched docker exec -i -e PGAPPNAME={NAME} -e PGOPTIONS={quote(_OPTIONS)} postgres psql -wqX -v ON_ERROR_STOP=1 -v VERBOSITY=terse -U postgres -d "$@"
}}
""".strip()


def told(database: str) -> str:
    """Shell, by itself: the statements that it gets over its standard input are told to that database."""
    return f"{TOLD}\ntold {quote(database)}"
