"""Login keys, the change: written with each user's own rights, armed as sshd's own changes are, and taken back as a whole."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from shlex import quote

from tasks.facts.kept import BEFORE
from tasks.facts.login_keys import UNPROVEN
from tasks.operations.armed import Change
from tasks.operations.login_keys import Wanted
from tasks.rendering.templates import HOME

SHELL = (HOME / "files" / "login_keys.sh").read_text("utf-8")


def change(items: Sequence[Wanted], gone: Iterable[str]) -> Change:
    """The files as they have to be. gone: lines of UNPROVEN, which are there before a key goes."""
    make, places = [], []
    for number, item in enumerate(items):
        writer = item.owner(item.ours)
        path = item.ours.path
        places += [(item.owner(file), file.path) for file in (item.ours, *item.others)]
        if item.folder:
            make.append(f"folder {writer} {quote(item.folder)} 700")
        make.append(f"written {writer} {quote(path)} {item.mode} <armed/keys.{number}")
        make += [f"as {item.owner(other)} rm -f -- {quote(other.path)}" for other in item.others]
    beside = {f"keys.{number}": item.text for number, item in enumerate(items)}
    beside["gone"] = "".join(f"{line}\n" for line in gone)
    note = [f"cp armed/gone {UNPROVEN}.new", f"sync {UNPROVEN}.new", f"mv -fT {UNPROVEN}.new {UNPROVEN}"]
    return changed("the SSH keys", places, [*note, *make], beside)


def taken_back(before: Mapping[str, tuple[str, str, str]], kept: Collection[str]) -> Change:
    """The files as they were before our first. before: path → user, mode and owner of its folder; kept: those that there were."""
    make = []
    for path, (user, mode, owner) in before.items():
        copy = f"{BEFORE}/files{path}" if path in kept else "/nonexistent"
        words = [user, quote(path), quote(copy), *((mode, owner) if mode != "-" else ())]
        make.append(f"again {' '.join(words)}")
    places = [(user, path) for path, (user, _, _) in before.items()]
    return changed("the SSH keys of before", places, [*make, f"rm -f {UNPROVEN}"], {}, first=False)


def changed(
    what: str,
    places: Sequence[tuple[str, str]],
    make: Sequence[str],
    beside: Mapping[str, str],
    *,
    first: bool = True,
) -> Change:
    """A change of such files, by shell that may use SHELL. places: (user, path) of each. first: what stood there is kept for undo-host."""
    snapshot, undo = [SHELL, f"[ ! -e {UNPROVEN} ] || cp {UNPROVEN} was.gone"], [SHELL]
    for number, (user, path) in enumerate(places):
        folder = f"$(stat -c '%a %U:%G' -- {quote(path.rpartition('/')[0])} 2>/dev/null)"
        snapshot += [f"first {user} {quote(path)} {folder}"] if first else []
        snapshot.append(f"held {quote(path)} was.{number}")
        undo.append(f"again {user} {quote(path)} undoing/was.{number} $(cat undoing/was.{number}.folder)")
    undo.append(f"if [ -e undoing/was.gone ]; then cp undoing/was.gone {UNPROVEN}; else rm -f {UNPROVEN}; fi")
    return Change(what, {}, "\n".join(make), "\n".join(undo), snapshot="\n".join(snapshot), beside=beside)
