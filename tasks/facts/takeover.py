"""Takeover: the containers that are not ours, and how far a takeover of the web's ports has come."""

from dataclasses import dataclass
from shlex import quote

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.facts.docker import SILENT
from tasks.rendering.render import ROOT, SERVICE_LABEL


@dataclass(frozen=True)
class Foreign:
    """A container that is not ours. ``ports``: those of the host that it holds now. temporary: ``--rm``."""

    name: str
    image: str
    project: str
    temporary: bool
    ports: frozenset[int]


@dataclass(frozen=True)
class TakeoverState:
    """Containers that are not ours; whether a takeover waits for its verification; where /root/Caddyfile leads."""

    containers: tuple[Foreign, ...] = ()
    unverified: bool = False
    caddyfile: str = ""


class TakeoverFact(FactBase[TakeoverState]):
    """TakeoverState; asked for only where the setting ``takeover`` is made."""

    def command(self) -> str:
        """Prints ``c|…`` lines for containers, ``u|`` for an unverified takeover, ``l|…`` for the link."""
        return _TAKEOVER

    @staticmethod
    def default() -> TakeoverState:
        """No Docker."""
        return TakeoverState()

    def process(self, output: list[str]) -> TakeoverState:
        """Lines → TakeoverState. Raises FactProcessError for a line that is cut."""
        rows = [line.split("|") for line in output if line]
        try:
            containers = tuple(_foreign(row[1:]) for row in rows if row[0] == "c" and not row[1])
            links = [row[1] for row in rows if row[0] == "l"]
        except (ValueError, IndexError) as error:
            raise FactProcessError(f"cannot read what docker prints: {error}") from None
        return TakeoverState(containers, ["u", ""] in rows, (links or [""])[0])


def _foreign(row: list[str]) -> Foreign:
    _, name, image, project, temporary, ports = row
    return Foreign(
        name.removeprefix("/"), image, project, temporary == "true", frozenset(map(int, ports.split()))
    )


_CONTAINER_FORMAT = "|".join(
    (
        "c",
        f'{{{{index .Config.Labels "{SERVICE_LABEL}"}}}}',
        "{{.Name}}",
        "{{.Config.Image}}",
        '{{index .Config.Labels "com.docker.compose.project"}}',
        "{{.HostConfig.AutoRemove}}",
        "{{range .NetworkSettings.Ports}}{{range .}}{{.HostPort}} {{end}}{{end}}",
    )
)

_TAKEOVER = f"""
[ -e {ROOT}/takeover/unverified ] && echo 'u|'
[ -L /root/Caddyfile ] && echo "l|$(readlink /root/Caddyfile)"
command -v docker >/dev/null || exit 0
# One that goes away in between is no failure.
containers() {{
    ids=$(docker ps -aq) || return
    [ -z "$ids" ] || docker inspect --type container --format {quote(_CONTAINER_FORMAT)} $ids || docker ps -q >/dev/null
}}
found=$(containers) || fail {SILENT}
printf '%s\n' "$found"
""".strip()
