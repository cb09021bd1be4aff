"""Role: a database role's new password reaches Postgres while the containers that have the one of before stand still.

So nobody is refused: who runs has the password that counts, and who waits is held. The statement comes over the script's standard input, and is on no command line and in no output.
Before anything is touched all that it takes is taken, and given back: what somebody's open transaction holds is no reason to stand still.

Where a second container stands in meanwhile, nobody waits: it has a role of its own, which is the service's as soon as it has signed in,
with the new password before that of the service is told. It goes with the second container.
"""

from collections.abc import Iterable
from shlex import quote

from pyinfra.api import StringCommand

from tasks.model.catalogue import Service
from tasks.model.objects import replacement, second
from tasks.model.targets import target
from tasks.operations import rotated
from tasks.rendering import psql

# Whatever else the script starts finds its standard input at its end. A role that was never told has its password of before.
_FUNCTIONS = r"""
statement=$(cat) role_is=before
printf '%s\n' 'BEGIN;' "$statement" 'ROLLBACK;' '\q' | told postgres || {
    echo @untouched >&2
    exit 1
}
role_told() {
    printf '%s\n' "$statement" '\q' | told postgres && role_is=told
}
role_changed() {
    role_is=asked
    @stopped
    role_told
}
role_back() {
    { [ $role_is != before ] && role_told; } || [ $role_is = told ] || elsewhere=@others
}
""".strip()
BACK, CHANGED = "role_back", "role_changed"

# second_role ROLE SECOND: made with the password that the statement has for the one, as which it acts, also where its client begins anew
# (Postgres 16.5 and 17.1 do not heed what a role is set to, and older ones forget it then).
_SECOND = r"""
second_role() {
    verifier=$(printf '%s\n' "$statement" | sed -n "s/^ALTER ROLE \"$1\".* LOGIN PASSWORD '\(.*\)';$/\1/p")
    printf '%s\n' 'SET client_min_messages = warning;' 'BEGIN;' "DROP ROLE IF EXISTS \"$2\";" "CREATE ROLE \"$2\" LOGIN IN ROLE \"$1\" PASSWORD '$verifier';" \
        "ALTER ROLE \"$2\" SET role = \"$1\";" 'COMMIT;' '\q' | told postgres &&
        [ "$(docker exec postgres psql -wqAtX -U "$2" -d "$1" -c 'DISCARD ALL' -c 'SELECT current_user' 2>/dev/null)" = "$1" ]
}
""".strip()
_GONE = r"""
second_gone() {
    printf '%s\n' 'SET client_min_messages = warning;' @drops '\q' | told postgres
}
""".strip()


def functions(service: Service, host_name: str, running: Iterable[str]) -> str:
    """Shell, which ends where the role cannot be told now: ``role_changed``, for which those of the running containers that know a
    password stand still; one that is gone meanwhile does. And ``role_back``: what goes back has the password that counts.
    """
    told = {item.name for item in service.containers if item.env_file and not item.job}
    names = [name for name in running if name.removesuffix(replacement("")) in told]
    stop = f"docker stop {' '.join(map(quote, names))} >/dev/null 2>&1 || true" if names else ":"
    untouched = (
        f"{service.name} on {host_name}: nothing of it was touched, and it runs on as it is, since Postgres cannot be told its new password now "
        f"(see the lines above); {target('deploy')} goes on once it can"
    )
    others = rotated.elsewhere(service, role=False)
    return (
        _FUNCTIONS.replace("@stopped", stop)
        .replace("@untouched", quote(untouched))
        .replace("@others", quote(others))
    )


def apart(service: Service) -> bool:
    """Whether a second container of it can have roles of its own."""
    return bool(service.databases) and all(item.variable for item in service.databases)


def seconds(service: Service) -> str:
    """Shell: the function ``second_gone``, after which none of their roles is there; empty where there are none."""
    drops = (quote(f'DROP ROLE IF EXISTS "{second(item.name)}";') for item in service.databases)
    return _GONE.replace("@drops", " ".join(drops)) if apart(service) else ""


def standing_in(service: Service, host_name: str, stand_in: str) -> str:
    """Shell, behind ``functions``: those roles are made, and a second one stands in with them; where they are not what they should be,
    visitors are held.
    """
    roles = [f"{quote(item.name)} {quote(second(item.name))}" for item in service.databases]
    options = (f"--env {quote(f'{item.variable}={second(item.name)}')}" for item in service.databases)
    held = f"{service.name} on {host_name}: visitors are held: a second role does not act as the first in this Postgres"
    return f"""
{_SECOND}
if {" && ".join(f"second_role {names}" for names in roles)}; then
    as={quote(" ".join(options))}
    {stand_in}
else
    echo {quote(held)} >&2
    second_gone || true
fi
""".strip()


# What a new password takes of a role, and a job that is done with it of its database.
_TAKEN = r"""
BEGIN;
SELECT format('ALTER ROLE "%s" LOGIN', rolname) FROM pg_roles WHERE rolname IN (@names)
UNION ALL SELECT format('ALTER DATABASE "%s" RESET smarteros.taken', datname) FROM pg_database WHERE datname IN (@names) \gexec
ROLLBACK;
\q
""".strip()


def tried(names: Iterable[str], untouched: str) -> StringCommand:
    """Fails, with these words, where the roles, and the databases of the same names, are somebody's now; changes nothing of them."""
    statements = _TAKEN.replace("@names", ", ".join(f"'{name}'" for name in names))
    return StringCommand(
        f"{psql.told('postgres')} || {{ echo {quote(untouched)} >&2; exit 1; }}", _stdin=statements
    )
