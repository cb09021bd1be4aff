"""Lynis: hardening index, warnings, and a reason for each suggestion that is left open (lynis.toml).

Lynis itself runs untouched. A lab host is a container: what its kernel answers is its machine's doing, not the deploy's.
So the index that counts is Lynis' own sum without the tests in the table ``lab``; the whole one stands beside it.
"""

import re
from collections.abc import Iterable, Iterator

from tests.audit import Reasons, Target, Verdict, reasons

LEAST_INDEX = 85

# Debian's package with its own tests; gone again afterwards, so that the host stays as it was deployed.
_APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600"
_INSTALL = f"{_APT} update && {_APT} install -y --no-install-recommends lynis"
_RUN = "lynis audit system --no-colors --cronjob; cat /var/log/lynis-report.dat"
_REMOVE = f"{_APT} purge -y lynis; rm -f /var/log/lynis.log /var/log/lynis-report.dat"
_MARK = "# Lynis Report"


def check(target: Target) -> list[Verdict]:
    """Runs Lynis on the host and judges its report."""
    target.host.run(_INSTALL)
    try:
        screen, _, report = target.host.run(_RUN, check=False).stdout.partition(_MARK)
        log = target.host.run("cat /var/log/lynis.log").stdout
    finally:
        target.host.run(_REMOVE, check=False)
    for name, text in (("lynis.txt", screen), ("lynis-report.dat", report), ("lynis.log", log)):
        target.keep(name, text)
    return verdicts(report, log, reasons("lynis"))


def verdicts(report: str, log: str, explained: Reasons) -> list[Verdict]:
    """Index, warnings and suggestions of a lynis-report.dat and its log."""
    whole = _value(report, "hardening_index")
    own = index(log, explained.lab) if whole else 0
    warnings = tuple(_findings(report, "warning"))
    suggestions = set(_suggestions(report))
    wrong = explained.against(suggestions)
    figure = f"{own} (at least {LEAST_INDEX}); {whole or 'none'} with what only the lab's machine decides"
    explanation = f"{len(suggestions)} left open, each with its reason"
    return [
        Verdict("Lynis hardening index", own >= LEAST_INDEX, figure),
        Verdict("Lynis warnings", bool(whole) and not warnings, f"{len(warnings)} (0)", warnings),
        Verdict("Lynis suggestions", bool(whole) and not wrong, explanation, wrong),
    ]


def index(log: str, left_out: Iterable[str] = ()) -> int:
    """Lynis' sum: points given in 100 of those there were, without the tests, or sysctls, that are left out."""
    counted = [item for item in _points(log) if item[0] not in set(left_out)]
    most = sum(item[2] for item in counted)
    return sum(item[1] for item in counted) * 100 // most if most else 0


def _points(log: str) -> Iterator[tuple[str, int, int]]:
    """``TEST`` or ``KRNL-6000 key``, points given, points there were: each step of Lynis' running sum."""
    test, points, most = "", 0, 0
    for line in log.splitlines():
        if found := re.search(r"Performing test ID (\S+)", line):
            test = found[1]
        elif found := re.search(r"Result: sysctl key (\S+) (contains equal|has a different)", line):
            test = f"KRNL-6000 {found[1]}"
        elif found := re.search(r"Currently having (\d+) points \(out of (\d+)\)", line):
            yield test, int(found[1]) - points, int(found[2]) - most
            points, most = int(found[1]), int(found[2])


def _value(report: str, key: str) -> str:
    found = re.search(rf"^{key}=(.*)$", report, re.MULTILINE)
    return found[1] if found else ""


def _findings(report: str, kind: str) -> Iterator[str]:
    """``TEST`` or ``TEST details`` of each warning or suggestion."""
    for line in re.findall(rf"^{kind}\[\]=(.*)$", report, re.MULTILINE):
        test, _, details = [*line.split("|"), "", "", ""][:3]
        yield test if details in {"", "-"} else f"{test} {details}"


def _suggestions(report: str) -> Iterator[str]:
    """The one suggestion for all sysctls stands for as many as differ."""
    differ = re.findall(r"^details\[\]=KRNL-6000\|sysctl\|.*?field:([^;]+);", report, re.MULTILINE)
    for item in _findings(report, "suggestion"):
        if item.startswith("KRNL-6000"):
            yield from (f"KRNL-6000 {key}" for key in differ or ["?"])
        else:
            yield item
