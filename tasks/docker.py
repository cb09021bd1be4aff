"""Docker: engine, compose and buildx from apt, the daemon with our settings, enabled and running.

An engine that is there is never replaced; it gets what it lacks from where it came from.
"""

import hashlib
from collections.abc import Iterable, Iterator

from pyinfra.api import StringCommand

from tasks.connection import grouped
from tasks.connection.drafts import note
from tasks.facts import Machine, MachineFact
from tasks.facts.kept import DAEMON_JSON, DOCKER_SOURCE, SHELL
from tasks.model.effects import Effect, File
from tasks.operations import apt, armed, daemon, daemon_ranges, rules
from tasks.operations import survey as was
from tasks.operations.engine import missing, origin
from tasks.operations.kept import keep
from tasks.run import Commands, Refused, executing, host, known, operation, stack


def run() -> None:
    """The phase."""
    engine(name="Docker | engine, compose, buildx, daemon settings")
    rules.written(grouped.own(stack()), name="Docker | its rules in the host's firewall")


@operation
def engine() -> Commands:
    """Settings before the install, so that the first start has them; a restart only when they are newer than it. docker0's range is
    tried before all.
    """
    machine, found = known(MachineFact), was.survey().engine
    settings, theirs = was.settings()
    restart = was.restarts(settings)
    packages = missing(machine, found, stack().docker_source)
    note(*_effects(settings, packages))
    starts = packages or restart or not machine.engine
    if starts and (change := daemon_ranges.trial(settings or machine.daemon_json, machine)):
        yield from armed.proven(change)
    if kept := sorted(theirs - set(machine.docker_left)):
        yield StringCommand(daemon.note({*theirs, *machine.docker_left}))
        host().log(was.keeping(kept, machine))
    if settings:
        yield StringCommand(daemon.write(found.flags), _stdin=settings)
    elif machine.daemon_loose:
        yield StringCommand(_SHUT)
    if packages:
        yield StringCommand(install(machine, packages, origin(found, stack().docker_source)))
    if stack().forks and not machine.git:
        yield StringCommand(apt.install("git"))
    if not machine.daemon_enabled or not machine.engine:
        yield StringCommand(daemon.restarted("systemctl enable --now docker.service"))
    if restart:
        yield StringCommand(daemon.restarted("systemctl restart docker.service"))
    if executing() and settings and (problem := _still_wrong()):
        raise Refused(problem)


def _effects(text: str, packages: Iterable[str]) -> Iterator[Effect]:
    """text: the settings to write."""
    machine, found = known(MachineFact), was.survey().engine
    if names := list(packages):
        yield f"packages: {', '.join(names)}"
    if text:
        have = machine.daemon_json
        yield File(daemon.FILE, f"{text}\n", hashlib.sha256(have.encode()).hexdigest() if have else "")
    if was.restarts(text):
        yield was.stops(found)


def _still_wrong() -> str:
    machine = known(MachineFact)
    return "" if machine.engine else "Docker is installed but does not answer: see `journalctl -u docker`"


_SHUT = f"set -e\n{SHELL}shut {DAEMON_JSON} 644"


def install(machine: Machine, packages: list[str], source: str) -> str:
    """Shell that installs Docker from apt, waiting up to ten minutes for another apt to end."""
    names = ["iptables", "ca-certificates", *packages]
    return apt.script(names, "", *(_docker_com(machine, packages[0]) if source == "docker.com" else ()))


def _docker_com(machine: Machine, package: str) -> list[str]:
    """Its source, unless there is one that has the package: two with different keys stop every apt."""
    url = f"https://download.docker.com/linux/{machine.system}"
    return [
        f"if ! apt-cache policy {package} | grep -q 'Candidate: [0-9]'; then",
        "if grep -qsE '^(deb|URIs:).*://download[.]docker[.]com/' /etc/apt/sources.list /etc/apt/sources.list.d/*; then",
        f"    why {package} >&2",
        f'    echo "apt has a source of docker.com\'s, but not {package} from it" >&2',
        "    exit 1",
        "fi",
        f"{apt.INSTALL} ca-certificates curl",
        "install -d -m 755 /etc/apt/keyrings",
        keep(DOCKER_SOURCE),
        f"curl -fsSL {url}/gpg -o {DOCKER_SOURCE[0]}",
        ". /etc/os-release",
        (
            f"printf '%s\\n' 'Types: deb' 'URIs: {url}' \"Suites: $VERSION_CODENAME\" 'Components: stable' "
            f"'Signed-By: {DOCKER_SOURCE[0]}' > {DOCKER_SOURCE[1]}"
        ),
        apt.UPDATE,
        "fi",
    ]
