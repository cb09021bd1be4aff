"""What sshd's files say that ours could not undo, or would harm: refused before the first change, since only sshd's own
start would tell, and a login proves nothing for other users.
"""

import re
from collections.abc import Iterable, Iterator

from tasks.facts.ssh_says import MAIN, Says

_FOLDER = "/etc/ssh/sshd_config.d/*.conf"
_TOP = f"put `Include {_FOLDER}` at its top"
_PASSWORDS = ("passwordauthentication", "kbdinteractiveauthentication")


def problems(found: Iterable[Says], ours: str) -> Iterator[str]:
    """Each reason, with what to do. ours: the text of our drop-in. Pure."""
    lines = tuple(found)
    yield from _order(lines, ours)
    for item in lines:
        where = f"sshd: {item.file} says `{item.key} {item.value}`{' in a Match block' if item.place == 'match' else ''}"
        if item.place == "above":
            continue
        if item.key == "authenticationmethods" and set(item.value.split()) != {"publickey"}:
            yield (
                f"{where}, and afterwards a key alone lets people in: a second factor would be gone, and who needs one "
                "locked out: take the line out if that is what you want"
            )
        if item.key in _PASSWORDS and item.place == "match" and item.value.lower() == "yes":
            yield f"{where}, which would go on letting people in without a key: take the line out"


def _order(lines: tuple[Says, ...], ours: str) -> Iterator[str]:
    above = [item for item in lines if item.place == "above"]
    if any(item.key == "*" for item in above):
        yield f"sshd: {MAIN} does not include {_FOLDER}, where our settings come: {_TOP}"
        return
    wanted = {key.lower(): value for key, value in re.findall(r"^(\w+) (.+)$", ours, re.MULTILINE)}
    for item in above:
        if item.key == "match":
            yield f"sshd: {MAIN} includes {_FOLDER} within a Match block: {_TOP}"
        elif item.key in wanted and wanted[item.key].lower() != item.value.lower():
            yield (
                f"sshd: {MAIN} says `{item.key} {item.value}` before it includes {_FOLDER}, and the first counts: "
                f"{_TOP}, or take the line out"
            )
