"""Listeners: what listens on which port of the host, and which container publishes it; asked within MachineFact."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Listener:
    """A socket that waits for others. address: ``*`` for every one of both versions. pid: 0 for the kernel's own. protocol:
    tcp, udp, or raw: then the port is the number of the protocol.

    unit: whose the process is; for a socket that systemd itself holds, the socket's.
    """

    protocol: str
    address: str
    port: int
    process: str = ""
    pid: int = 0
    unit: str = ""


@dataclass(frozen=True)
class Published:
    """Ports of the host that Docker leads to a container. service: ours, by its label, else empty."""

    container: str
    service: str
    protocol: str
    address: str
    first: int
    last: int


# Its cgroup says whose a process is; for what systemd itself listens on, its list of sockets does.
QUESTION = r"""
if command -v ss >/dev/null; then
    found=$(ss -Hltunwp 2>/dev/null)
    printf '%s\n' "$found" | sed -un 's/^[tur]/listener &/p'
    pids=$(printf '%s\n' "$found" | grep -o 'pid=[0-9]*' | sort -u | sed 's|pid=\(.*\)|/proc/\1/cgroup|')
    grep -HsE '^(0:|[0-9]*:name=systemd):' /dev/null $pids |
        sed -un 's|^/proc/\([0-9]*\)/cgroup:.*/\([^/][^/]*\)$|unit_of \1 \2|p'
    case $found in *'"systemd",pid=1,'*) systemctl list-sockets --plain --no-legend 2>/dev/null | sed -u 's/^/socket /' ;; esac
fi &
""".strip()


def listeners(values: Mapping[str, Sequence[str]]) -> tuple[Listener, ...]:
    """What MachineFact's lines say of it. Raises ValueError for a line that is cut."""
    units = dict(line.split(" ", 1) for line in values.get("unit_of", ()))
    sockets = {
        _port_at_end(words[0]): words[1] for words in map(str.split, values.get("socket", ())) if words[1:]
    }
    found = tuple(_listener(line) for line in values.get("listener", ()))
    return tuple(
        replace(item, unit=sockets.get(item.port, "") if item.pid == 1 else units.get(str(item.pid), ""))
        for item in found
    )


def _listener(line: str) -> Listener:
    words = line.split(None, 6)
    address, _, port = words[4].rpartition(":")
    # Of several processes that have it, the first that is not systemd, which only opened it.
    users = re.findall(r'\("([^"]*)",pid=(\d+)', words[6] if words[6:] else "")
    process, pid = next((user for user in users if user[1] != "1"), users[0] if users else ("", "0"))
    return Listener(words[0], re.sub(r"[\[\]]", "", address), int(port), process, int(pid))


def _port_at_end(address: str) -> int:
    port = address.rpartition(":")[2]
    return int(port) if port.isascii() and port.isdecimal() else 0


_PUBLISHED = re.compile(r"(.*):(\d+)(?:-(\d+))?->[\d-]+/(tcp|udp)")


def published(values: Mapping[str, Sequence[str]]) -> tuple[Published, ...]:
    """What MachineFact's lines, ``name service ports`` as docker ps prints them, say of it. Raises ValueError where Docker
    answers one question and not the next.
    """
    if any(values.get("engine", ())) and "-" in values.get("publisher", ()):
        raise ValueError("Docker answers one question and not the next: run again")
    found = []
    for line in values.get("publisher", ()):
        name, service, ports = (*line.split(" ", 2), "", "")[:3]
        for part in ports.split(", "):
            if match := _PUBLISHED.fullmatch(part):
                address, first, last, protocol = match.groups()
                found.append(
                    Published(name, service, protocol, address.strip("[]"), int(first), int(last or first))
                )
    return tuple(found)
