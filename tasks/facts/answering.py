"""Answering: what stands behind each container, a real image or one of the lab's; and what its log says of a failure."""

from collections.abc import Mapping
from dataclasses import dataclass
from shlex import quote

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.rendering.render import SERVICE_LABEL

# Of the lab's images (tests/lab/images): of all of them, and of those that only stand in for their program.
LAB_LABEL = "smarteros.lab"
DOUBLE_LABEL = "smarteros.lab.double"


@dataclass(frozen=True)
class Image:
    """Whose image a container runs. lab: built in the lab. double: and only a stand-in for its program."""

    lab: bool = False
    double: bool = False


class AnsweringFact(FactBase[Mapping[str, Image]]):
    """Container → its image, of all containers of ours."""

    def command(self) -> str:
        """Prints ``<container> <lab> <double>``, with - for a label that the image has not."""
        return _COMMAND

    @staticmethod
    def default() -> Mapping[str, Image]:
        """No container."""
        return {}

    def process(self, output: list[str]) -> Mapping[str, Image]:
        """Lines → images. Raises FactProcessError."""
        try:
            parts = [line.split(" ") for line in output]
            return {name.removeprefix("/"): Image(lab != "-", double != "-") for name, lab, double in parts}
        except ValueError as error:
            raise FactProcessError(f"cannot read what the containers run: {error}") from None


class LogFact(FactBase[Mapping[str, list[str]]]):
    """Container → the end of its log, or how it is when it does not run."""

    def command(self, names: tuple[str, ...], seconds: int) -> str:
        """Prints ``<container> <line>``: what was logged in the last seconds."""
        return f"for name in {' '.join(map(quote, names))}; do\n{_LOG.format(seconds=seconds)}\ndone"

    @staticmethod
    def default() -> Mapping[str, list[str]]:
        """Nothing was logged."""
        return {}

    def process(self, output: list[str]) -> Mapping[str, list[str]]:
        """Lines → logs."""
        found: dict[str, list[str]] = {}
        for line in output:
            name, _, text = line.partition(" ")
            found.setdefault(name, []).append(text)
        return found


def _label(name: str) -> str:
    return f'{{{{with index .Config.Labels "{name}"}}}}{{{{.}}}}{{{{else}}}}-{{{{end}}}}'


_FORMAT = quote(f"{{{{.Name}}}} {_label(LAB_LABEL)} {_label(DOUBLE_LABEL)}")
_COMMAND = f"""
command -v docker >/dev/null && ids=$(docker ps -aq --filter label={SERVICE_LABEL} 2>/dev/null) || exit 0
[ -z "$ids" ] || docker inspect --format {_FORMAT} $ids
true
""".strip()
_LOG = """
    state=$(docker inspect --format '{{{{.State.Status}}}} (exit code {{{{.State.ExitCode}}}})' "$name" 2>/dev/null) || state='does not exist'
    case $state in running*) ;; *) printf '%s %s\\n' "$name" "$state" ;; esac
    docker logs --since {seconds}s --tail 400 "$name" 2>&1 | cut -c 1-2000 | sed "s/^/$name /"
""".strip("\n")
