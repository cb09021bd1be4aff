"""A kit that is being made: what is noted beside its place until it is there, by which a run that was cut short goes on."""

from dataclasses import asdict, dataclass
from pathlib import Path

from tasks.clients import state_dir
from tasks.clients.kit import Kit, writing
from tasks.model.shapes import parsed


@dataclass(frozen=True)
class Begun:
    """place: of the bucket. before: the keys that the host's user had by then.
    kit: with a key that nobody has found good yet.
    """

    place: str
    before: tuple[str, ...]
    kit: Kit | None = None


def begin(path: Path, value: Begun) -> None:
    """Notes it. Raises Refused."""
    with writing(path):
        state_dir.store(path.with_suffix(".begun"), asdict(value))


def begun(path: Path) -> Begun | None:
    """What a run has noted that was cut short; None where that cannot be read."""
    try:
        return parsed(Begun, path.with_suffix(".begun").read_text("utf-8"))
    except (OSError, ValueError):
        return None


def ended(path: Path) -> None:
    """The note goes."""
    path.with_suffix(".begun").unlink(missing_ok=True)
