"""Role: a database role's new password reaches Postgres while the containers that have the one of before stand still.

So nobody is refused: who runs has the password that counts, and who waits is held. The statement comes over the script's standard input, and is on no command line and in no output.
"""

from collections.abc import Iterable
from shlex import quote

from tasks.model.catalogue import Service
from tasks.model.objects import replacement

# Whatever else the script starts finds its standard input at its end. Terse: an error does not show the line that it is in.
_FUNCTIONS = r"""
statement=$(cat)
role_told() {
    printf '%s\n' "$statement" | docker exec -i postgres psql -qX -v ON_ERROR_STOP=1 -v VERBOSITY=terse -U postgres -d postgres
}
role_changed() {
    @stopped
    role_told
}
""".strip()
TOLD, CHANGED = "role_told", "role_changed"


def functions(service: Service, running: Iterable[str]) -> str:
    """Shell: ``role_told``, and ``role_changed``, for which those of the running containers that know a password stand still; one
    that is gone meanwhile does.
    """
    told = {item.name for item in service.containers if item.env_file and not item.job}
    names = [name for name in running if name.removesuffix(replacement("")) in told]
    stop = f"docker stop {' '.join(map(quote, names))} >/dev/null 2>&1 || true" if names else ":"
    return _FUNCTIONS.replace("@stopped", stop)
