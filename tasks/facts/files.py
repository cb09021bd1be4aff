"""Files: what really stands below a folder, hashed, and where links point."""

from dataclasses import dataclass
from shlex import quote

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

# pyinfra reads what a host prints as UTF-8, and nothing after what is not: a name in another encoding.
TEXT = "iconv -c -f UTF-8 -t UTF-8"


@dataclass(frozen=True)
class FileState:
    """Content hash (sha256), octal mode, owner:group of one file; for a link, where it points."""

    sha256: str = ""
    mode: str = ""
    owner: str = ""
    target: str = ""


class TreeFact(FactBase[dict[str, FileState]]):
    """Every file below a folder (relative path → FileState), and the named links outside it."""

    def command(self, root: str, links: tuple[str, ...] = (), closed: str = "022") -> str:
        """Hashes what is really there, so that hand edits are found. A folder shows only when it is not root's
        or has one of the ``closed`` permission bits, and then as one file too many, ``./folder/``.
        """
        named = " ".join(quote(link) for link in links)
        outer = f"find {named} -maxdepth 0 -type l -printf 'l|%l|%p\\n' 2>/dev/null" if links else ""
        return f"""
{{ if cd {quote(root)} 2>/dev/null; then
    find . -mindepth 1 ! -type d -printf 'm|%m|%u:%g|%l|%P\\n'
    find . -type d \\( -perm /{closed} -o ! -user root \\) -printf 'm|%m|%u:%g||./%P/\\n'
    find . -type f -exec sha256sum {{}} + | sed 's/^/s|/'
fi
{outer}
}} | {TEXT}
true
""".strip()

    @staticmethod
    def default() -> dict[str, FileState]:
        """Nothing is there."""
        return {}

    def process(self, output: list[str]) -> dict[str, FileState]:
        """Lines → states. Raises FactProcessError for a line that is cut."""
        try:
            return _files([line for line in output if line])
        except (ValueError, IndexError) as error:
            raise FactProcessError(f"cannot read the host's list of files: {error}") from None


def _files(lines: list[str]) -> dict[str, FileState]:
    hashes = {line[68:].removeprefix("./"): line[2:66] for line in lines if line.startswith("s|")}
    states = {}
    for line in lines:
        kind, rest = line[:2], line[2:]
        if kind == "m|":
            mode, owner, target, path = rest.split("|", 3)
            states[path] = FileState(hashes.get(path, ""), mode, owner, target)
        elif kind == "l|":
            target, path = rest.split("|", 1)
            states[path] = FileState(target=target)
    return states
