"""Conditions: how a host is made odd, how that is taken away again, and what a plan then says, word for word.

A plan changes nothing: the host is compared before and after, containers, networks, volumes, files, firewall and
units alike.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.deployment import Deployment, Run

# Everything of a host that a run could change, one line each. Counters and what time alone changes are left out.
LOOK = r"""
{
    if docker info >/dev/null 2>&1; then
        docker ps -aq --no-trunc | xargs -r docker inspect --format \
            'container {{.Name}} {{.Id}} {{.State.Status}} {{.State.StartedAt}} {{.HostConfig.RestartPolicy.Name}}'
        docker network ls --no-trunc --format 'network {{.Name}} {{.ID}}'
        docker volume ls --format 'volume {{.Name}}'
        docker image ls --no-trunc --format 'image {{.Repository}}:{{.Tag}} {{.ID}}'
    fi
    find /etc /opt /root /vault /usr/local /usr/bin /usr/sbin /var/lib/smarteros /var/lib/dpkg -xdev \
        -printf 'file %p %m %u:%g %s %T@ %l\n' 2>/dev/null
    ! command -v nft >/dev/null || nft -s list ruleset 2>/dev/null | sed 's/^/nft /'
    systemctl list-units --type=service,socket,timer --state=active --plain --no-legend |
        sed -n 's/^\([^ ]*\) .*/unit \1/p' | grep -vE '^unit (session-|user|run-|systemd-(hostnamed|timedated|localed))'
    ip -o address show scope global | sed 's/valid_lft.*//; s/^/address /'
} | LC_ALL=C sort
"""


@dataclass(frozen=True)
class Condition:
    """name: a sentence. make, unmake: shell on the host.

    refused: the lines under "cannot take this deployment" or "cannot be deployed", all of them, in order; empty where the plan goes
    through. stopped: why a plan does not come so far. said: lines that it has to print besides. values: name → shell whose output stands for ``{name}`` in them.
    settings: as with ``--data``.
    """

    name: str
    make: str = "true"
    unmake: str = "true"
    refused: tuple[str, ...] = ()
    stopped: str = ""
    said: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Its name in pytest's output."""
        return self.name


def check(host: Deployment, condition: Condition) -> None:
    """The plan says what it has to say, and the host is afterwards as it was."""
    with odd(host, condition):
        filled = {name: host.sh(shell).strip() for name, shell in condition.values.items()}
        before = look(host)
        run = host.run("--dry", yes=False, **condition.settings)
        after = look(host)
    assert sorted(set(after) ^ set(before)) == []
    wanted = [line.format(**filled) if filled else line for line in condition.refused]
    assert refusals(run) == wanted, run.output
    assert run.code == (1 if wanted or condition.stopped else 0), run.output
    stopped = [f"--> pyinfra error: {host.host.name}: {condition.stopped}"] if condition.stopped else []
    for line in (*condition.said, *stopped):
        assert (line.format(**filled) if filled else line) in run.lines, run.output


@contextmanager
def odd(host: Deployment, condition: Condition) -> Iterator[None]:
    """The host, made odd for as long as this lasts."""
    host.sh(f"set -e\n{condition.make}")
    try:
        yield
    finally:
        host.sh(f"set -e\n{condition.unmake}")


def look(host: Deployment) -> list[str]:
    """The host as it is."""
    return host.sh(LOOK).splitlines()


def refusals(run: Run) -> list[str]:
    """The reasons against the host or the settings, none where nothing is refused. Raises AssertionError for what Python says."""
    assert "traceback" not in run.output.lower(), run.output
    starts = [
        number
        for number, line in enumerate(run.lines)
        if line.endswith(("cannot take this deployment:", "cannot be deployed:"))
    ]
    if not starts:
        return []
    lines = run.output.splitlines()[starts[0] + 1 :]
    return [line.strip() for line in _indented(lines)]


def _indented(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if not line.startswith("    "):
            return
        yield line
