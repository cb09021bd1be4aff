"""Look: what a host is before its first deploy: what speaks against one, and where its domains lead. Read only.

``pyinfra -y inventories/prod.py tasks.commands.look.run`` prints it as one line, for bootstrap.py.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from tasks import preflight
from tasks.commands.printed import printed
from tasks.facts import MachineFact
from tasks.facts.names import NamesFact
from tasks.operations import dns
from tasks.run import Commands, executing, known, operation, stack

_LINE = "smarteros-look "


@dataclass(frozen=True)
class Look:
    """refused: each reason against a first deploy. docker_com: whether its own Docker is too old. address: where domains have to lead,
    empty where nobody can say so. domains: all of them. elsewhere: those that do not lead to the host → where they lead,
    empty where nobody answers.
    """

    refused: tuple[str, ...] = ()
    docker_com: bool = False
    address: str = ""
    domains: tuple[str, ...] = ()
    elsewhere: Mapping[str, str] = field(default_factory=dict)


def run() -> None:
    """For ``make bootstrap``."""
    looked(name="Look | what it is, and where its domains lead")


@operation
def looked() -> Commands:
    """Prints the line."""
    if executing():
        printed(f"\n{_LINE}{json.dumps(asdict(look()))}")
    yield from ()


def read(output: str) -> Look | None:
    """What was seen, by what a run has printed; None where it has not come so far."""
    line = re.search(f"^{_LINE}(.*)$", output, re.MULTILINE)
    if not line:
        return None
    found = json.loads(line[1])
    return Look(**{**found, "refused": tuple(found["refused"]), "domains": tuple(found["domains"])})


def look() -> Look:
    """Raises Refused where the host gives no answer."""
    machine = known(MachineFact)
    # One that was deployed gets what is missing (a Docker that stands still) before it is judged.
    refused = [] if machine.deployed else preflight.refusals(machine)
    names = tuple(dns.served())
    found = known(NamesFact, names) if names else None
    return Look(
        tuple(refused),
        stack().docker_source == "distribution" and any(DOCKER_COM in line for line in refused),
        dns.public(found.own if found else (), dns.address()),
        names,
        dns.elsewhere(names),
    )


# What the setting is that a refusal asks for.
DOCKER_COM = 'set docker_source = "docker.com"'
