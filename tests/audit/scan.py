"""Scan: which ports a second host of the lab reaches, over IPv4 and IPv6, as a neighbour and from behind a router.

nmap says what answers. A UDP port that swallows what it is sent looks to it like one behind the firewall, so the
scanned host notes, too, which ports got past ours. Containers' own addresses are tried as well: a neighbour may send
to the host's network card whatever he likes.
"""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from tests.audit import Target, Verdict, routes
from tests.lab.hosts import LabHost

OPEN = frozenset({"22/tcp", "80/tcp", "443/tcp", "443/udp"})
SCANNER = "scanner"
_WELL_SECONDS = 300

_APT = "DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600"
_INSTALL = f"{_APT} update && {_APT} install -y --no-install-recommends nmap"
# One source port for all: no scan leaves more flows than the last one did in the tables of the lab's own machine.
_TCP = "nmap -n -Pn -sS -p- -g 40000 --min-rate 10000 --max-retries 1"
_UDP = "nmap -n -Pn -sU -g 40000 --min-rate 1000 --max-retries 1"

# A version that does not exist: whoever speaks QUIC answers with those that it knows.
_QUIC = """
import os, socket, sys
hello = bytes.fromhex("c01a2a3a4a") + b"\\x08" + os.urandom(8) + b"\\x08" + os.urandom(8) + bytes(1200)
knock = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
knock.settimeout(2)
for _ in range(3):
    knock.sendto(hello, (sys.argv[1], 443))
    try:
        answer = knock.recv(2048)
    except OSError:
        continue
    if answer[0] & 0x80 and answer[1:5] == bytes(4):
        print("443/udp open quic")
        break
""".strip()

# Behind our table (-150) and before Docker's address translation (-100).
_NOTES = """
table inet smarter_audit
delete table inet smarter_audit
table inet smarter_audit {
    set passed {
        type inet_proto . inet_service
        flags dynamic
        size 65535
    }
    chain pre {
        type filter hook prerouting priority -140; policy accept;
        iifname "eth0" ct state new fib daddr type local meta l4proto { tcp, udp } add @passed { meta l4proto . th dport }
    }
}
""".strip()
_NOTED = "nft list set inet smarter_audit passed"

# Address and listening ports of each container, as its own network namespace has them.
_CONTAINERS = """
for id in $(docker ps -q); do
    set -- $(docker inspect -f '{{.State.Pid}}{{range .NetworkSettings.Networks}} {{.IPAddress}}{{end}}' "$id")
    pid=$1; shift
    ports=$(nsenter -t "$pid" -n ss -Hltn | awk '{print $4}' | grep -vE '^(127\\.|\\[::1\\])' | sed 's/.*://' | sort -nu | paste -sd,)
    [ -z "$ports" ] || for address; do echo "$address $ports"; done
done
""".strip()
_HEALTHY = "docker ps -q --filter health=healthy | wc -l"

# Published to the world over both families, unlike anything of ours; by an image that is there already.
_PUBLISH = (
    "docker run -d --rm --name published -p 0.0.0.0:9999:2020 -p [::]:9999:2020 --entrypoint caddy "
    "$(docker inspect -f '{{.Config.Image}}' caddy-proxy) respond --listen :2020 hello"
)
# Whoever leaves a swarm takes the names from containers that run, until the daemon starts anew.
_CLEAN = """
nft delete table inet smarter_audit
docker rm -f published
docker swarm leave --force
docker network rm docker_gwbridge
systemctl restart docker
""".strip()


@dataclass(frozen=True)
class Sight:
    """What was found after one event. answering: way → ports. passed: ports past the firewall, whoever listens there.
    tried: how many containers' own addresses; inside: which of their ports answer a neighbour. well: as many services
    are healthy as before.
    """

    answering: Mapping[str, frozenset[str]]
    passed: frozenset[str]
    tried: int
    inside: frozenset[str]
    well: bool


def check(target: Target) -> list[Verdict]:
    """Scans after each event, one on top of the other, and leaves the host as it was."""
    scanner = target.lab.add_host(SCANNER)
    scanner.run(_INSTALL)
    routes.make_router(scanner)
    healthy = int(target.host.run(_HEALTHY).stdout)
    found = []
    try:
        for event, bring_about in events(target.host).items():
            bring_about()
            well = _settled(target.host, healthy)
            found.append(verdict(event, _seen(target, scanner, event, well=well)))
    finally:
        target.host.run(_CLEAN, check=False)
        routes.unmake_way_back(target.host, scanner)
        _settled(target.host, healthy)
        target.lab.remove_host(SCANNER)
    return found


def events(host: LabHost) -> dict[str, Callable[[], object]]:
    """What must not open anything, in this order."""
    return {
        "at first deploy": lambda: None,
        "after a Docker restart": lambda: host.run("systemctl restart docker"),
        "after a reboot": host.reboot,
        "after a container with -p 0.0.0.0:9999": lambda: host.run(_PUBLISH),
        "after docker swarm init": lambda: host.run(f"docker swarm init --advertise-addr {host.address}"),
    }


def _settled(host: LabHost, healthy: int) -> bool:
    """Waits until as many containers are healthy as there were; whether they are."""
    deadline = time.monotonic() + _WELL_SECONDS
    while time.monotonic() < deadline:
        if int(host.run(_HEALTHY, check=False).stdout or 0) >= healthy:
            return True
        time.sleep(1)
    return False


def _seen(target: Target, scanner: LabHost, event: str, *, well: bool) -> Sight:
    """Scans once in each way."""
    routes.make_way_back(target.host, scanner)
    target.host.run("nft -f -", input=_NOTES)
    answering = {}
    for way, (origin, address) in _ways(target.host).items():
        reports = _scanned(scanner, origin, address)
        _keep(target, f"{event} {way}", "\n".join(reports))
        answering[way] = answers(reports)
    passed = target.host.run(_NOTED).stdout
    containers = [line.split() for line in target.host.run(_CONTAINERS).stdout.splitlines()]
    routes.by_way_of(scanner, target.host, [address for address, _ in containers])
    inside = [
        scanner.run(f"nmap -n -Pn -sS -p {ports} --max-retries 1 {address}").stdout
        for address, ports in containers
    ]
    _keep(target, f"{event} past the firewall", passed)
    _keep(target, f"{event} containers", "\n".join(inside))
    return Sight(answering, past(passed), len(containers), within(inside), well)


def _ways(host: LabHost) -> dict[str, tuple[str, str]]:
    """Way → what a command on the scanning host starts with, and the address that it scans."""
    return {
        "on-link IPv4": ("", host.address),
        "on-link IPv6": ("", routes.v6(host)),
        "routed IPv4": (routes.FAR, host.address),
        "routed IPv6": (routes.FAR, routes.v6(host)),
    }


def _scanned(scanner: LabHost, origin: str, address: str) -> list[str]:
    family = " -6" if ":" in address else ""
    return [
        *(scanner.run(f"{origin}{scan}{family} {address}").stdout for scan in (_TCP, _UDP)),
        scanner.run(f"{origin}python3 - {address}", input=_QUIC).stdout,
    ]


def _keep(target: Target, name: str, text: str) -> None:
    target.keep(f"scan/{name.replace(' ', '-')}.txt", text)


def answers(reports: Iterable[str]) -> frozenset[str]:
    """``port/protocol`` of all that answered: what refuses a UDP packet has let it in."""
    lines = "\n".join(reports)
    return frozenset(re.findall(r"^(\d+/tcp) +open ", lines, re.MULTILINE)) | frozenset(
        re.findall(r"^(\d+/udp) +(?:open|closed) ", lines, re.MULTILINE)
    )


def past(listed: str) -> frozenset[str]:
    """``port/protocol`` from what nft prints of the set."""
    return frozenset(f"{port}/{protocol}" for protocol, port in re.findall(r"\b(tcp|udp) \. (\d+)", listed))


def within(reports: Iterable[str]) -> frozenset[str]:
    """``address port`` of containers' ports that answered at all."""
    return frozenset(
        f"{address} {port}"
        for report in reports
        for address in re.findall(r"^Nmap scan report for (\S+)", report, re.MULTILINE)[:1]
        for port in re.findall(r"^(\d+/tcp) +(?:open|closed) ", report, re.MULTILINE)
    )


def verdict(event: str, sight: Sight) -> Verdict:
    """Exactly what is meant to be open, in every way."""
    wrong = [] if sight.well else ["not every service has come back"]
    for way, ports in sight.answering.items():
        wrong += _lines(f"{way}, open", ports - OPEN)
        wrong += _lines(f"{way}, no answer from", OPEN - ports)
    wrong += _lines("past the firewall", sight.passed - OPEN)
    wrong += _lines("never came past the firewall", OPEN - sight.passed)
    wrong += _lines("a neighbour reaches a container's", sight.inside)
    if not sight.tried:
        wrong.append("no container's address was tried")
    figure = (
        f"{len(wrong)} differences from" if wrong else f"{len(sight.answering)} ways, each exactly"
    ) + f" {', '.join(sorted(OPEN, key=_number))}"
    return Verdict(f"scan {event}", not wrong, figure, tuple(wrong))


def _lines(what: str, found: Iterable[str]) -> list[str]:
    """None, or one line, also where all 65,535 are open."""
    names = sorted(found, key=_number)
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return [f"{what}: {', '.join(names[:20])}{more}"] if names else []


def _number(name: str) -> tuple[int, str]:
    return int(re.split(r"[/ .]", name)[0]), name
