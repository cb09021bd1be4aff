"""Rules: what Docker writes into the host's firewall for our networks is there; a restart of Docker writes it anew.

`flush ruleset` (the distribution's own nftables.conf), `iptables -F` and the like take it away behind Docker's back.
"""

import json
from collections.abc import Iterable

from pyinfra.api import StringCommand

from tasks.connection.drafts import note
from tasks.facts import DockerFact, DockerState, MachineFact
from tasks.operations import survey
from tasks.run import Commands, Refused, executing, host, known, operation

_RESTART = """
set -e
running=$(docker ps -q --no-trunc)
systemctl restart docker.service
# Those that Docker does not start by itself; what was to be removed once it stops is gone.
for container in $running; do docker start "$container" >/dev/null 2>&1 || true; done
""".strip()


@operation
def written(names: Iterable[str]) -> Commands:
    """Docker's rules for these networks are there. Raises Refused when a restart of Docker does not bring them back."""
    wanted = list(names)
    found = known(DockerFact)
    lost = missing(found, wanted) or idle(found)
    if not lost or not writes(known(MachineFact).daemon_json):
        return
    host().log(
        f"{', '.join(lost)}: Docker's rules are gone from the host's firewall (a flush?), so that containers do not reach "
        "the world: Docker restarts, and all containers with it"
    )
    if not executing():
        note(survey.stops(survey.asked().engine))
    yield StringCommand(_RESTART)
    if executing() and (still := missing(known(DockerFact), wanted)):
        raise Refused(
            f"Docker writes no rules into the host's firewall for {', '.join(still)}, so that containers do not reach "
            "the world: `journalctl -u docker` says why"
        )


def missing(state: DockerState, names: Iterable[str]) -> list[str]:
    """Bridges of these names whose traffic nothing lets out. Pure."""
    if state.rules is None:
        return []
    found = [state.networks[name] for name in names if name in state.networks]
    bridges = [item for item in found if item.driver == "bridge" and not item.internal and item.device]
    return [x.name for x in bridges if not {f"nat {x.device}", f"forward {x.device}"} <= state.rules]


def idle(state: DockerState) -> list[str]:
    """Chains of Docker's that nothing leads to: its published ports, or its operator's own rules, count no more. Pure."""
    return sorted(rule.removeprefix("idle ") for rule in state.rules or () if rule.startswith("idle "))


def writes(daemon_json: str) -> bool:
    """Whether Docker is to write any; what its settings hold else is not asked here. Pure."""
    try:
        settings = json.loads(daemon_json or "{}")
    except ValueError:
        return False
    return not (isinstance(settings, dict) and settings.get("iptables") is False)
