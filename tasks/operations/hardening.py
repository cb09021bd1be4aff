"""Hardening: what a plan says of what the phase of the host would change, in words. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatch

from tasks.facts import HostState
from tasks.facts.host import NOTE
from tasks.facts.kept import LOGIN_DEFS
from tasks.facts.theirs import SYSCTL
from tasks.model.effects import Effect, File
from tasks.operations import closed, theirs

# What of the audit log is compared: how many rules are loaded.
RULES = "audit rules"


def effects(
    found: HostState,
    wrong: Sequence[str],
    wanted: Mapping[str, str],
    logins: Mapping[str, str],
    units: Collection[str],
) -> Iterator[Effect]:
    """wrong: all that differs. wanted: path → text. logins: settings of login.defs. units: those that have to be active."""
    for path in wrong:
        if path in wanted:
            yield File(path, wanted[path], found.files.get(path, "").partition(" ")[0])
        elif path in closed.CLOSED:
            yield f"{path}: for root alone"
        elif path.startswith("/etc/"):
            yield f"{path}: an earlier release's, which goes"
    yield from _kernel(wrong, wanted)
    if differ := [f"{key} {value}" for key, value in logins.items() if key in wrong]:
        yield f"{LOGIN_DEFS}: {', '.join(differ)}"
    if RULES in wrong:
        yield "the rules of the audit log are loaded"
    if stopped := [name for name in wrong if name in units]:
        yield f"started: {', '.join(stopped)}"
    if NOTE in wrong and (found.noted or wrong == [NOTE]):
        yield "all of it is applied once more: what was applied last is not noted, or was another version's"


def _kernel(wrong: Sequence[str], wanted: Mapping[str, str]) -> Iterator[str]:
    """A line for each file of settings that the kernel does not have all of, as it has them."""
    paths = [path for path in wrong if path.startswith("/proc/sys/")]
    for file, text in wanted.items():
        if file.startswith(SYSCTL):
            differ = [
                f"{pattern.removeprefix('/proc/sys/').replace('/', '.')} = {value}"
                for pattern, value in theirs.kernel({file: text}).items()
                if any(fnmatch(path, pattern) for path in paths)
            ]
            if differ:
                yield f"the kernel's settings, by {file}: {', '.join(differ)}"
