"""Host: packages, updates, kernel settings, logs, audit, clock: what the machine needs before anything runs on it.

``files/host`` is copied as it is; what the kernel really does is compared with its sysctl file. A note written
last says that all of it was applied, and what this host cannot do: that is said by each run and tried only once.
"""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from hashlib import sha256
from typing import Any

from pyinfra.api import StringCommand

from tasks.connection.drafts import note
from tasks.facts.host import NOTE, HostFact, HostState
from tasks.facts.kept import BEFORE, LOGIN_DEFS
from tasks.facts.theirs import SYSCTL
from tasks.operations import apt, closed, hardening, survey, theirs
from tasks.operations.files import archive
from tasks.operations.kept import keep
from tasks.operations.needed import PACKAGES
from tasks.operations.swap import swapped
from tasks.operations.units import units as timed
from tasks.rendering.render import ROOT, SECRETS, digest
from tasks.rendering.templates import HOME, jinja
from tasks.run import Commands, executing, host, known, operation, read_ahead, straight_on

SOURCE = HOME / "files" / "host"

UNITS = ("apt-daily.timer", "apt-daily-upgrade.timer", "cron.service", "fail2ban.service")
_LISTCHANGES = "apt-listchanges"
# There while that is on its way here.
_CAME = f"{ROOT}/.{_LISTCHANGES}"
TIMED = ("smarteros-integrity.service", "smarteros-integrity.timer")
# A container has its kernel, with the audit log and the clock, from the machine that it runs on: what it could
# change there is not ours to change.
MACHINE_PACKAGES, MACHINE_UNITS = ("auditd",), ("auditd.service",)
MACHINE_FILES = (f"{SYSCTL}kernel.conf", "/etc/audit/rules.d/60-smarteros.rules")
# Whichever is installed keeps the clock; on a host without any, the last.
CLOCKS = ("chrony", "ntpsec", "openntpd", "systemd-timesyncd")

# In /etc/login.defs, which holds much more. Not UMASK (a package's or a key's file that only root can read breaks apt)
# and no maximum age (it would lock out whoever logs in with a key).
LOGINS = {"PASS_MIN_DAYS": "1", "SHA_CRYPT_MIN_ROUNDS": "65536"}

# Files of earlier releases, and what they held: one that is still that goes, and what was kept in its place comes back.
RETIRED = {
    "/etc/fail2ban/jail.local": "b82fb6c849acad84097017d5570dddd4eccf3b9827d1c3111d8da7bd164a9f60",
    "/etc/fail2ban/fail2ban.local": "f6e050245382abbd68f98efa4126f10e14a218bd1ccefd67bd6096c7b8a256bd",
    "/etc/apt/apt.conf.d/52smarteros": "c20a09b382d5764dbbee6cfcddcaa0ecac41ba74c63c5c9162ab46e4030fd528",
    "/etc/aide/aide.conf": "90f51ad63bb6537fbc7590cb1263778cde94392ad15772998c97b37a375a4b21",
}


def run() -> None:
    """The phase."""
    if straight_on():
        read_ahead(question())
    hardened(name="Host | packages, updates, kernel, logs, audit, clock")
    texts = {name: (HOME / "files" / "units" / name).read_text("utf-8") for name in TIMED}
    swapped(name="Host | swap, where memory is small")
    timed(texts, name="Host | changed programs and settings are noted every day")


def question() -> tuple[Any, ...]:
    """The one fact of this phase, with what it has to look at."""
    packages = (*PACKAGES, *MACHINE_PACKAGES, *CLOCKS)
    units = (*UNITS, *MACHINE_UNITS, *(f"{name}.service" for name in CLOCKS))
    texts = files()
    words = (tuple(LOGINS), tuple(theirs.modules(texts)), tuple(theirs.updates(texts)))
    return HostFact, (*texts, *closed.CLOSED, *RETIRED), tuple(theirs.kernel(texts)), packages, units, words


@operation
def hardened() -> Commands:
    """Packages first, then everything else in one command; says what this host cannot do."""
    found = known(*question())
    missing = sorted(packages(found) - found.packages)
    wanted = wanted_files(found)
    script = settle(wanted, found, sorted(units(found)))
    done = digest(script, *(part for item in sorted(wanted.items()) for part in item))
    wrong = list(differences(found, done))
    note(*([f"packages: {', '.join(missing)}"] if missing else []))
    note(*hardening.effects(found, wrong, wanted, LOGINS, units(found)))
    if missing:
        yield StringCommand(install(missing))
    if missing or wrong:
        yield StringCommand(
            f"{script}\necho 'digest {done}' >>{ROOT}/.host\nmv -f {ROOT}/.host {NOTE}",
            _stdin=archive({path.removeprefix("/etc/"): text for path, text in wanted.items()}, mode="644"),
        )
    if executing() and (notes := list(shortcomings(known(*question())))):
        host().log(f"host: {'; '.join(notes)}")


def files(container: str = "") -> dict[str, str]:
    """Path on the host → text, all of them below /etc."""
    paths = {f"/{path.relative_to(SOURCE)}": path for path in sorted(SOURCE.rglob("*")) if path.is_file()}
    left_out = MACHINE_FILES if container else ()
    return {name: path.read_text("utf-8") for name, path in paths.items() if name not in left_out}


def wanted_files(found: HostState) -> dict[str, str]:
    """Path on this host → text: where its own files, or what it uses, say something else, ours do not."""
    return theirs.without(files(found.container), found.theirs, found.container)


def packages(found: HostState) -> set[str]:
    """Which packages this host has to have."""
    if found.container:
        return set(PACKAGES)
    return {*PACKAGES, *MACHINE_PACKAGES, _clock(found)}


def units(found: HostState) -> set[str]:
    """Which units have to be active on it."""
    if found.container:
        return set(UNITS)
    return {*UNITS, *MACHINE_UNITS, f"{_clock(found)}.service"}


def _clock(found: HostState) -> str:
    return next((name for name in CLOCKS if name in found.packages), CLOCKS[-1])


def differences(found: HostState, done: str) -> Iterator[str]:
    """What is not as it has to be and could be: paths, units, audit rules, or an earlier run that did not end."""
    refused = _refused(found)
    for path, text in wanted_files(found).items():
        if found.files.get(path) != f"{sha256(text.encode()).hexdigest()} 644 root:root":
            yield path
    yield from closed.still_open(found)
    yield from (path for path, digest in RETIRED.items() if found.files.get(path, "").startswith(digest))
    yield from (key for key, value in LOGINS.items() if found.logins.get(key) != value)
    yield from (path for path in _other_values(found) if path not in refused)
    yield from sorted(units(found) - found.units - refused)
    if f"rules {found.audit_rules}" not in found.noted:
        yield hardening.RULES
    if f"digest {done}" not in found.noted:
        yield NOTE


def _other_values(found: HostState) -> Iterator[str]:
    wanted = theirs.kernel(wanted_files(found))
    left = _left(found)
    for path, value in found.kernel.items():
        if any(fnmatch(path, pattern) for pattern in left):
            continue
        if any(fnmatch(path, pattern) and value != right for pattern, right in wanted.items()):
            yield path


def _left(found: HostState) -> list[str]:
    """What of /proc/sys the host's own files say otherwise."""
    return sorted(theirs.settings(found.theirs, theirs.kernel(files(found.container))))


def _refused(found: HostState) -> set[str]:
    return {line.removeprefix("refused ") for line in found.noted if line.startswith("refused ")}


def shortcomings(found: HostState) -> Iterator[str]:
    """What this host cannot do, for the operator."""
    refused = _refused(found)
    if kept := [path for path in _other_values(found) if path in refused]:
        settings = ", ".join(
            f"{path.removeprefix('/proc/sys/').replace('/', '.')}={found.kernel[path]}" for path in kept
        )
        yield f"its kernel keeps {settings}"
    yield from remarks(found)
    for unit in sorted((units(found) - found.units) & refused):
        yield f"{unit} does not run (systemctl status {unit} says why)"
    if found.container:
        yield f"it is a container ({found.container}), so kernel, audit log and clock are its machine's"
    elif not found.synchronised:
        yield "its clock follows no time server yet (timedatectl says since when)"


def remarks(found: HostState) -> Iterator[str]:
    """What of the host's own stays, where ours is something else."""
    yield from theirs.said(found.theirs, files(found.container), found.container)
    yield from closed.said(found)


def install(names: list[str]) -> str:
    """Shell that installs the packages, waiting up to ten minutes for another apt to end; nothing is changed where those of
    later phases cannot be had. Where systemd does not answer, or the run is cut short, apt-listchanges' package leaves its timer disabled
    without a word, and so does each later one: settle enables it. One that was there before stays as its owner has it.
    """
    later = survey.installs()
    before = [apt.tried(later)] if later else []
    before += [f"mkdir -p {ROOT}\ntouch {_CAME}\nrm -f {NOTE}"] if _LISTCHANGES in names else []
    return apt.script(names, apt.KEEP, *before)


def settle(texts: Mapping[str, str], found: HostState, active: list[str]) -> str:
    """Shell that puts the files in place and applies them; what is refused goes to the note, which is not there
    until all of it has succeeded.
    """
    names: dict[str, Any] = {
        "closed": closed.modes(found),
        "logins": LOGINS,
        "settings": theirs.kernel(texts),
        "units": active,
    }
    names |= {"keep": keep([*texts, LOGIN_DEFS]), "before": BEFORE, "retired": RETIRED, "left": _left(found)}
    names |= {"came": _CAME, "timer": f"{_LISTCHANGES}.timer"}
    names |= {"modules": sorted(theirs.in_use(found.theirs, found.container))}
    return (
        jinja()
        .get_template("host/settle.sh.j2")
        .render(root=ROOT, note=NOTE, secrets=SECRETS, **names)
        .strip()
    )
