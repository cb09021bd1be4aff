"""Theirs: where a host's own files, or what is in use there, count before ours, and what is said of it. Pure."""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch

from tasks.facts.theirs import SYSCTL, Theirs

MODPROBE = "/etc/modprobe.d/smarteros.conf"
# It is read before all others of its folder, so that what any of them says counts.
UPDATES = "/etc/apt/apt.conf.d/00smarteros"
# What is no use without the other.
_TOGETHER = (
    {"usb_storage", "uas"},
    {"firewire_core", "firewire_ohci", "firewire_sbp2"},
)


def kernel(texts: Mapping[str, str]) -> dict[str, str]:
    """Pattern of files below /proc/sys → their value, from the files that set them at boot."""
    lines = [line for path in texts if path.startswith(SYSCTL) for line in texts[path].splitlines()]
    pairs = (line.split(" = ") for line in lines if line and not line.startswith("#"))
    return {_path(key): value for key, value in pairs}


def modules(texts: Mapping[str, str]) -> list[str]:
    """Those that cannot be loaded any more."""
    return _installs(texts.get(MODPROBE, ""))


def updates(texts: Mapping[str, str]) -> dict[str, str]:
    """Key of apt's → value, those that have one."""
    return dict(re.findall(r'^([\w:-]+[\w-]) "(.*)";$', texts.get(UPDATES, ""), re.MULTILINE))


def in_use(found: Theirs, container: str) -> set[str]:
    """Modules that stay as they are, by the kernel's names; what a container's kernel has loaded is its machine's."""
    there = {*found.modules, *(() if container else found.loaded)}
    return there.union(*(names for names in _TOGETHER if names & there))


def settings(found: Theirs, ours: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Those of theirs that are others than ours: file below /proc/sys, or a pattern → value, and where it is written."""
    return {
        path: (value, file)
        for path, (value, file) in found.settings.items()
        if any(value != right and _meet(path, pattern) for pattern, right in ours.items())
    }


def without(texts: Mapping[str, str], found: Theirs, container: str) -> dict[str, str]:
    """The files without the lines that theirs stand against."""
    left = settings(found, kernel(texts))
    used = in_use(found, container)

    def stays(path: str, line: str) -> bool:
        if path.startswith(SYSCTL):
            return not any(fnmatch(_path(line.partition(" = ")[0]), other) for other in left)
        if path == MODPROBE:
            return not used.intersection(_module(name) for name in _installs(line))
        return not found.words.keys() & _words({path: line}).keys()

    return {
        path: "".join(line for line in text.splitlines(keepends=True) if stays(path, line))
        for path, text in texts.items()
    }


def said(found: Theirs, texts: Mapping[str, str], container: str) -> Iterator[str]:
    """What of theirs stays, for the operator. texts: all that ours would say."""
    if left := settings(found, kernel(texts)):
        named = ", ".join(
            f"{path.removeprefix('/proc/sys/').replace('/', '.')}={value} ({file})"
            for path, (value, file) in sorted(left.items())
        )
        yield f"its kernel keeps what its own files say: {named}"
    used = in_use(found, container)
    if kept := [name for name in modules(texts) if _module(name) in used]:
        yield f"it can go on loading {', '.join(kept)}, which it uses or its files name"
    ours_said = _words(texts)
    if words := [
        f"{key}={value} ({file})"
        for (folder, key), (value, file) in sorted(found.words.items())
        if ours_said.get((folder, key), value) != value
    ]:
        yield f"its own settings count: {', '.join(words)}"
    ours = updates(texts)
    if differ := [
        f'{key} "{value}"' for key, value in found.updates.items() if ours.get(key, value) != value
    ]:
        yield f"its own settings of apt count: {', '.join(differ)}"


def _words(texts: Mapping[str, str]) -> dict[tuple[str, str], str]:
    """Folder below /etc, key → value, of the settings of the journal and of needrestart."""
    line = re.compile(r"^(?:\$nrconf\{)?(\w+)\}? ?= ?'?(\w+)'?;?$", re.MULTILINE)
    return {
        (folder, key): value
        for path, text in texts.items()
        for folder in ("systemd/journald.conf.d", "needrestart/conf.d")
        if path.startswith(f"/etc/{folder}/")
        for key, value in line.findall(text)
    }


def _installs(text: str) -> list[str]:
    return re.findall(r"^install (\S+) ", text, re.MULTILINE)


def _module(name: str) -> str:
    return name.replace("-", "_")


def _meet(one: str, other: str) -> bool:
    return fnmatch(one, other) or fnmatch(other, one)


def _path(key: str) -> str:
    return f"/proc/sys/{key.replace('.', '/')}"
