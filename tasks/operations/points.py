"""Points: before an image of a new major or minor version starts on a database, there is a second to which that comes back."""

from collections.abc import Iterator
from shlex import quote

from pyinfra import logger
from pyinfra.api import StringCommand

from tasks.connection.drafts import note
from tasks.connection.memory import remembered
from tasks.facts import DockerFact, MachineFact
from tasks.operations import images
from tasks.operations.room_ahead import version
from tasks.rendering import render
from tasks.rendering.render import RECORDS
from tasks.run import Commands, executing, host, known, operation, remember, services, stack

# Seconds until the log has to be in the bucket.
_PATIENCE = 120


@operation
def before_migrations() -> Commands:
    """Nothing where no version changes. Where no point can be made, it is said why, and that is all."""
    found = list(ahead())
    if not found or remembered(_MADE):
        return
    names = "; ".join(found)
    if why := impossible():
        remember(
            "no point",
            lambda: host().log_styled(
                f"no restore point is made of the databases first, since {why}: {names}",
                fg="yellow",
                log_func=logger.warning,
            ),
        )
        return
    text = f"a restore point is made of the databases first: {names}"
    note(text)
    if executing():
        host().log(text)
    yield StringCommand(point())


@operation
def made(tree: str) -> Commands:
    """One for whatever version comes, before all else that the run does. tree: the name of the generation that comes then."""
    yield StringCommand(point(tree))
    if executing():
        remember(_MADE, lambda: True)


_MADE = "restore point"


def impossible() -> str:
    """Why there can be none; empty where there can."""
    if stack().backup is None:
        return "nothing is backed up (the setting backup; README, Backups)"
    if known(MachineFact).backup != render.bucket(stack()):
        return "nothing has been copied into the bucket yet, which this run sets up"
    postgres = known(DockerFact).containers.get("postgres")
    return "" if postgres and postgres.status == "running" else "Postgres does not run"


def ahead() -> Iterator[str]:
    """Services with a database, and Postgres itself, that get another major or minor version than what runs: how far apart."""
    state = known(DockerFact)
    for service in services():
        if service.databases or service.name == "postgres":
            there = [item for item in service.containers if item.name in state.containers]
            moved = (version(*images.programs(item, state)) for item in there)
            yield from dict.fromkeys(f"{service.name}: {text}" for text in moved if text)


def point(tree: str = "") -> str:
    """Shell: what was committed before it comes back. tree: of which generation it is; empty for the active one."""
    return f"tree={quote(tree)}\n{_POINT}"


_POINT = f"""
set -e
ask() {{ docker exec -i postgres psql -qAtX -v ON_ERROR_STOP=1 -U postgres -d postgres -c "$1"; }}
time=$(date +%s.%6N)
ask "SELECT pg_create_restore_point('smarteros $time')" >/dev/null
file=$(ask "SELECT pg_walfile_name(pg_switch_wal())")
tries=0
until [ "$(ask "SELECT coalesce(last_archived_wal, '') >= '$file' FROM pg_stat_archiver")" = t ]; do
    tries=$((tries + 1))
    [ $tries -le {_PATIENCE} ] || {{ echo "the log of Postgres does not reach the bucket, and without it nothing brings the databases back" >&2; exit 1; }}
    sleep 1
done
mkdir -p -m 700 {RECORDS}
echo "$time ${{tree:-$(basename "$(readlink {render.CURRENT})")}}" >{RECORDS}/.point.new
sync {RECORDS}/.point.new
mv -f {RECORDS}/.point.new {RECORDS}/.point
""".strip()  # noqa: S608  nobody else's words are in it
