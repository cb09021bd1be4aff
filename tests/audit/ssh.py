"""ssh-audit: its policy for a hardened Debian 13, and no algorithm or setting that it fails or warns of."""

import re
import subprocess
import sys
from pathlib import Path

from tests.audit import Target, Verdict

POLICY = "Hardened Debian 13 (version 1)"
_PROGRAM = Path(sys.executable).with_name("ssh-audit")
# What an sshd is asked for; a report that lacks one of them has not seen it.
_KINDS = {"kex", "key", "enc", "mac"}
_WARNINGS = re.compile(r"\[(?:fail|warn)\]|insufficient connection throttling", re.IGNORECASE)


def check(target: Target) -> list[Verdict]:
    """Asks the host's sshd twice."""
    policy = _asked(target, "--policy", POLICY)
    audit = _asked(target)
    target.keep("ssh-audit-policy.txt", policy)
    target.keep("ssh-audit.txt", audit)
    return verdicts(policy, audit)


def _asked(target: Target, *options: str) -> str:
    """What ssh-audit prints. sshd shuts out for a while who comes and goes without a login, until it is restarted."""
    try:
        done = subprocess.run(
            [str(_PROGRAM), "--no-colors", *options, target.host.address],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        target.host.container().exec_run(["systemctl", "restart", "ssh.service"])
    return done.stdout + done.stderr


def verdicts(policy: str, audit: str) -> list[Verdict]:
    """What the two reports say; one that has seen no sshd is no good one."""
    passed = re.search(r"^Result:\W*Passed", policy, re.MULTILINE) is not None
    wrong = [] if passed else policy.strip().splitlines()
    seen = set(re.findall(r"^\((\w+)\) ", audit, re.MULTILINE))
    missing = [f"says nothing of {kind}" for kind in sorted(_KINDS - seen)]
    found = [line.strip() for line in audit.splitlines() if _WARNINGS.search(line)]
    return [
        Verdict(
            "ssh-audit policy", passed, f"{POLICY}: {'passed' if passed else 'not passed'}", tuple(wrong)
        ),
        Verdict(
            "ssh-audit", not (missing or found), f"{len(found)} fails and warnings (0)", (*missing, *found)
        ),
    ]
