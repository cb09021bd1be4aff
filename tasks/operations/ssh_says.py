"""What sshd's files say that ours could not undo, or would harm: refused before the first change, since only sshd's own
start would tell, and a login proves nothing for other users.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from tasks.facts.ssh_says import MAIN, OURS, THEIRS, Says

_FOLDER = "/etc/ssh/sshd_config.d/*.conf"
_TOP = f"put `Include {_FOLDER}` at its top"
_OURS = "00-smarteros.conf"
# Of these each line adds to the others, wherever it stands; more host keys do no harm, and another word means the same.
_ADD_UP = ("allowusers",)
_HARMLESS = ("hostkey",)
_SAME = {"without-password": "prohibit-password"}
_KEY = {"publickey"}
_SECOND = {"publickey", "keyboard-interactive"}
_ELSE = "take the line out if that is what you want"

# What keeps people out afterwards, or did let them in, for some: a Match block counts before ours.
_GIVE = "and afterwards a key alone lets people in: give one to whom it is for, and take the line out"
_IN_BLOCKS = {
    ("passwordauthentication", "yes"): _GIVE,
    ("kbdinteractiveauthentication", "yes"): _GIVE,
    ("pubkeyauthentication", "no"): _GIVE,
}


def problems(found: Iterable[Says], ours: str, *, second_factor: bool = False) -> Iterator[str]:
    """Each reason, with what to do. ours: the text of our drop-in. Pure."""
    lines = tuple(found)
    yield from overruled(lines, ours)
    yield from _options(lines, _wanted(ours))
    for item in lines:
        where = f"sshd: {item.file} says `{item.key} {item.value}`{' in a Match block' if item.place == 'match' else ''}"
        if item.place in ("above", "command"):
            continue
        if item.key == "authenticationmethods" and (why := _methods(item, second_factor=second_factor)):
            yield f"{where}, {why}"
        asked = second_factor and item.key == "kbdinteractiveauthentication"
        if (
            item.place == "match"
            and not asked
            and (why := _IN_BLOCKS.get((item.key, item.value.lower()), ""))
        ):
            yield f"{where}, {why}"
        if (item.key, item.value.lower()) == ("strictmodes", "no"):
            yield (
                f"{where}, and afterwards keys count no more that others could write: see `namei -l` of each user's "
                "~/.ssh/authorized_keys, take the right from them (chmod go-w), and take the line out"
            )


def overruled(found: Iterable[Says], ours: str) -> Iterator[str]:
    """Of the reasons those that sshd would not go by our drop-in. Pure."""
    lines, wanted = tuple(found), _wanted(ours)
    yield from _order(lines, wanted)
    for item in lines:
        if item.place == "plain" and item.key in _ADD_UP and item.key in wanted:
            yield (
                f"sshd: {item.file}, line {item.line}, says `{item.key} {item.value}`, and such lines add up: name in login_users "
                "who may log in, and take the line out"
            )


def _wanted(ours: str) -> dict[str, str]:
    """Ours: key → value."""
    return {key.lower(): value for key, value in re.findall(r"^(\w+) (.+)$", ours, re.MULTILINE)}


def without(ours: str, found: Iterable[Says]) -> str:
    """Our drop-in without what the host's own files may settle, and do. Pure."""
    left = {item.key for item in _own(found, _wanted(ours)) if _counts(item, _wanted(ours))}
    return "".join(
        line for line in ours.splitlines(keepends=True) if line.partition(" ")[0].lower() not in left
    )


def remarks(found: Iterable[Says], ours: str) -> Iterator[str]:
    """What of the host's own files stays, and what does not count any more. ours: all that we would say. Pure."""
    wanted = _wanted(ours)
    own = [*_own(found, wanted)]
    if kept := [_said(item) for item in own if _counts(item, wanted)]:
        yield f"sshd: its own settings count: {', '.join(kept)}"
    if gone := [_said(item) for item in own if not _counts(item, wanted)]:
        yield f"sshd: ours count from now on, and not {', '.join(gone)}"


def _own(found: Iterable[Says], wanted: Mapping[str, str]) -> Iterator[Says]:
    """What the host says otherwise than ours, for everybody: the line that would count, in the order of the keys."""
    lines = [item for item in found if item.place in ("above", "plain") and not _stock(item)]
    # Above ours the main file comes first, below it last.
    lines.sort(key=lambda item: (item.place != "above", (item.file == MAIN) == (item.place != "above")))
    first = {item.key: item for item in reversed(lines)}
    for key in (*THEIRS, *OURS):
        if key in first and key in wanted and first[key].value.lower() != wanted[key].lower():
            yield first[key]


def _stock(item: Says) -> bool:
    """What Debian and Ubuntu ship, and no operator has written."""
    return (item.file, item.key, item.value.lower()) == (MAIN, "x11forwarding", "yes")


def _counts(item: Says, wanted: Mapping[str, str]) -> bool:
    """A run itself needs as many sessions as ours says."""
    if item.key == "maxsessions":
        return item.value.isdecimal() and int(item.value) >= int(wanted[item.key])
    return item.key in THEIRS


def _said(item: Says) -> str:
    return f"{item.key} {item.value} ({item.file})"


def methods(found: Iterable[Says]) -> str:
    """What everybody needs to get in where second factors are kept: the host's own words, else a key."""
    own = [item for item in found if item.key == "authenticationmethods" and item.place == "plain"]
    # Files of the folder come before the rest of the main one.
    own.sort(key=lambda item: item.file == MAIN)
    return own[0].value if own and _kept(own[0].value) else "publickey"


def _ways(value: str) -> list[set[str]]:
    return [{step.partition(":")[0] for step in way.split(",")} for way in value.lower().split()]


def _kept(value: str) -> bool:
    """Each way in takes a key, and what PAM asks at most."""
    return all(_KEY <= way <= _SECOND for way in _ways(value))


def _methods(item: Says, *, second_factor: bool) -> str:
    """What speaks against this line, empty where nothing does."""
    value = item.value.lower()
    if set(value.split()) == _KEY or (value == "any" and item.place == "plain"):
        return ""
    if _kept(value):
        keep = "set second_factor = True, which keeps it, or take the line out"
        return "" if second_factor else f"and afterwards a key alone lets people in: {keep}"
    if all(way >= _KEY for way in _ways(value)):
        return (
            "and afterwards a password is no second factor either: let PAM ask for it (keyboard-interactive in its place, "
            f"with second_factor = True), or {_ELSE}"
        )
    return f"and afterwards nobody gets in without a key: {_ELSE}"


def _options(lines: tuple[Says, ...], wanted: Mapping[str, str]) -> Iterator[str]:
    for item in lines:
        other = item.value.lower() != wanted.get(item.key, item.value).lower()
        if item.place == "command" and other:
            yield (
                f"sshd: {item.file} starts it with `-o {item.key}={item.value}`, which counts before every file: take it out"
                f"{'' if '/' in item.file else f' (systemctl edit {item.file})'}"
            )


def _order(lines: tuple[Says, ...], wanted: Mapping[str, str]) -> Iterator[str]:
    above = [item for item in lines if item.place == "above"]
    if any(item.key == "*" for item in above):
        yield f"sshd: {MAIN} does not include {_FOLDER}, where our settings come: {_TOP}"
        return
    for item in above:
        if item.key == "match":
            yield f"sshd: {MAIN} includes {_FOLDER} within a Match block: {_TOP}"
        elif item.key in _ADD_UP + _HARMLESS or _same(item, wanted):
            continue
        elif item.file == MAIN:
            yield (
                f"sshd: {MAIN} says `{item.key} {item.value}` before it includes {_FOLDER}, and the first counts: "
                f"{_TOP}, or take the line out"
            )
        else:
            yield (
                f"sshd: {item.file}, line {item.line}, says `{item.key} {item.value}`, and is read before our {_OURS}, and the first "
                f"counts: rename it so that it sorts after {_OURS}, or take the line out"
            )


def _same(item: Says, wanted: Mapping[str, str]) -> bool:
    value = item.value.lower()
    return _SAME.get(value, value) == wanted.get(item.key, value).lower()
