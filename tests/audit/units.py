"""systemd-analyze security of our units: each "OK" or better."""

import re

from tests.audit import Target, Verdict

# systemd's words for an exposure, the best first.
GOOD = ("PERFECT", "SAFE", "OK")
_SERVICES = "ls /etc/systemd/system | grep '^smarteros-.*\\.service$'"
_OVERALL = re.compile(r"Overall exposure level for (\S+): ([\d.]+) (\w+)")


def check(target: Target) -> list[Verdict]:
    """One verdict for each service unit of ours on the host."""
    names = target.host.run(_SERVICES).stdout.split()
    reports = [
        target.host.run(f"systemd-analyze security --no-pager {name}", check=False).stdout for name in names
    ]
    target.keep("systemd-analyze.txt", "\n".join(reports))
    return [verdict(name, report) for name, report in zip(names, reports, strict=True)]


def verdict(name: str, report: str) -> Verdict:
    """What systemd-analyze says of one unit; no answer is no good answer."""
    found = _OVERALL.search(report)
    if not found or found[1] != name:
        return Verdict(f"unit {name}", passed=False, figure="systemd-analyze says nothing of it")
    return Verdict(f"unit {name}", found[3] in GOOD, f"exposure {found[2]} {found[3]} (OK or better)")
