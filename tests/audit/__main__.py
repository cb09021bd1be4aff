"""`make audit`: deploys to a lab host, lets the tools look at it, deploys again; exit code 1 unless all is well."""

import argparse
import os
import sys
from collections.abc import Callable

from tests.audit import Target, Verdict, docker_bench, lynis, scan, ssh, units
from tests.e2e.deployment import Deployment
from tests.lab import smarteros
from tests.lab.lab import Lab

CHECKS: dict[str, Callable[[Target], list[Verdict]]] = {
    "lynis": lynis.check,
    "units": units.check,
    "docker": docker_bench.check,
    "ssh": ssh.check,
    "scan": scan.check,  # last: it reboots the host, and more
}


def main() -> int:
    """Prints one line for each verdict and where the raw reports are."""
    parser = argparse.ArgumentParser(prog="python -m tests.audit", description=__doc__)
    parser.add_argument("checks", nargs="*", help=f"of {', '.join(CHECKS)}; all without any")
    parser.add_argument(
        "--lab", default=os.environ.get("SMARTEROS_LAB", "default"), help="made unless it is up"
    )
    parser.add_argument("--host", default="lab-1", help="its host, made unless it is there")
    given = parser.parse_args()
    if unknown := set(given.checks) - set(CHECKS):
        parser.error(f"no check {', '.join(sorted(unknown))}: choose from {', '.join(CHECKS)}")
    lab = Lab(given.lab)
    smarteros.prepare(lab, [given.host])
    deployment = Deployment(lab, lab.host(given.host))
    deployment.converge()
    target = Target(lab, lab.host(given.host), lab.state.folder / "audit")
    verdicts = [verdict for name in given.checks or CHECKS for verdict in CHECKS[name](target)]
    changes = deployment.converge().changes
    verdicts.append(Verdict("run after the audit", not changes, f"{len(changes)} changes", tuple(changes)))
    for verdict in verdicts:
        print(verdict)
    print(f"raw reports: {target.folder}")
    return 0 if all(verdict.passed for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
