"""Kept: what stood on the host before us, asked within MachineFact: whose files are in the way, which cannot be written.

``files/keep.sh`` says what the folder holds, and keeps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from shlex import quote

from tasks.facts.access import DROP_IN, FIREWALL
from tasks.facts.swap import UNIT as SWAP
from tasks.facts.unsealer import CREDENTIAL, PROGRAM
from tasks.rendering.render import CURRENT, ROOT, SECRETS
from tasks.rendering.templates import HOME

BEFORE = "/var/lib/smarteros/before"
SHELL = (HOME / "files" / "keep.sh").read_text("utf-8")
DAEMON_JSON = "/etc/docker/daemon.json"
LOGIN_DEFS = "/etc/login.defs"
DOCKER_SOURCE = ("/etc/apt/keyrings/docker.asc", "/etc/apt/sources.list.d/docker.sources")

_HOST, _UNITS = HOME / "files" / "host", HOME / "files" / "units"
_OURS = (
    *(f"/{path.relative_to(_HOST)}" for path in sorted(_HOST.rglob("*")) if path.is_file()),
    *(f"/etc/systemd/system/{path.name}" for path in sorted(_UNITS.iterdir())),
    LOGIN_DEFS,
    DAEMON_JSON,
    *DOCKER_SOURCE,
    FIREWALL,
    DROP_IN,
    CREDENTIAL,
    PROGRAM,
    SWAP,
    "/root/Caddyfile",
    *(f"/root/{name}.sh" for name in ("generate-secrets", "sync-forks", "undo-takeover")),
)
_PATTERNS = (
    "/root/*-smarter-config.sh",
    "/root/dkcompose/*-deploy.yaml",
    "/root/env-templates/*.env.example",
    f"{SECRETS}/*.env",
)
FOLDERS = (ROOT, "/vault", SECRETS, "/root/dkcompose", "/root/env-templates", "/etc/smarteros")


# Folders of the host that are a service's own (catalogue.Folder). What is in such a mark is not finished: operations/folders.py.
HOMES = ("/etc/dokploy",)
MARK = ".smarteros"


@dataclass(frozen=True)
class Before:
    """Paths. replaced: files of somebody else's where ours come. blocked: what has to be away for them (a folder in a
    file's place, a file in a folder's, another's /opt/smarteros). fixed: what not even root can write. homes: folders that
    are a service's. entries: what is in those that are not ours, ``folder name``.
    """

    replaced: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    homes: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()


QUESTION = f"""
(
{SHELL}
index=$(cat {BEFORE}/index 2>/dev/null)
for folder in /etc /opt /root /usr/local /var/lib; do [ ! -e "$folder" ] || [ -w "$folder" ] || echo "before_fixed $folder"; done
for folder in {" ".join((*FOLDERS, *HOMES))}; do
    [ ! -e "$folder" ] && [ ! -L "$folder" ] || [ -d "$folder" ] || echo "before_blocked $folder"
done
for folder in {" ".join(HOMES)}; do
    if [ -e "$folder/{MARK}" ]; then
        [ -s "$folder/{MARK}" ] || echo "before_homes $folder"
    elif [ -d "$folder" ]; then
        ls -A "$folder/" | sed -u "s|^|before_entries $folder |"
    fi
done
[ -n "$index" ] || deployed ||
    for path in {CURRENT} {ROOT}/generations; do [ ! -e "$path" ] || echo "before_blocked $path"; done
for path in {" ".join(map(quote, _OURS))} {" ".join(_PATTERNS)}; do
    [ -e "$path" ] || [ -L "$path" ] || continue
    listed "$path" && continue
    if [ -d "$path" ] && [ ! -L "$path" ]; then
        echo "before_blocked $path"
    elif ! ours "$path"; then
        echo "before_replaced $path"
        [ -L "$path" ] || [ -w "$path" ] || echo "before_fixed $path"
    fi
done
) 2>/dev/null &
""".strip()


def before(values: Mapping[str, Sequence[str]]) -> Before:
    """What MachineFact's lines say of it: key → values."""
    return Before(**{item.name: tuple(values.get(f"before_{item.name}", ())) for item in fields(Before)})
