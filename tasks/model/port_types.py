"""Ports that the firewall opens, and addresses with a port, in settings."""

import re
from ipaddress import ip_address
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

_NUMBER = r"(\d{1,5})"
_RANGE = re.compile(rf"{_NUMBER}-{_NUMBER}", re.ASCII)
# What other programs write: ufw's and iptables' ranges, a port with its protocol, a port in quotes.
_NEARLY = re.compile(rf"\s*{_NUMBER}(?:\s*[-:]\s*{_NUMBER})?\s*(?:/\w+)?\s*", re.ASCII)
_LAST = 65535
# Protocols that have no ports, by the names that people know; nft needs a file of the host's to know them.
NUMBERS = {
    "6in4": 41,
    "ah": 51,
    "esp": 50,
    "gre": 47,
    "igmp": 2,
    "ipip": 4,
    "ospf": 89,
    "pim": 103,
    "vrrp": 112,
}
# TCP and UDP have ports, and the firewall lets ICMP of both versions in anyway.
_OTHERWISE = (1, 6, 17, 58)


def _ports(value: Any, others: ValidationInfo) -> str:
    """As nft writes them: one port, or two with a dash between them; none for a protocol that has none."""
    protocol = others.data.get("protocol")  # none where it is none that we know
    if protocol not in ("tcp", "udp"):
        if value is None or protocol is None:
            return ""
        raise ValueError(f"{protocol} is opened as a whole: leave it out")
    if value is None:
        raise ValueError("is required")
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _LAST:
        return str(value)
    if isinstance(value, str) and (found := _RANGE.fullmatch(value)):
        first, last = map(int, found.groups())
        if 1 <= first < last <= _LAST:
            return f"{first}-{last}"
    raise ValueError(f'{value!r} is no port (8443) and no range of ports ("6000-6010"){_meant(value)}')


def _meant(value: Any) -> str:
    found = _NEARLY.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return ""
    first, *more = sorted({int(number) for number in found.groups() if number})
    if not 1 <= first <= max([first, *more]) <= _LAST:
        return ""
    return f' (did you mean "{first}-{more[0]}"?)' if more else f" (did you mean {first}?)"


def _protocol(value: Any) -> str:
    """tcp, udp, a name of NUMBERS, or the number of another one."""
    if value in ("tcp", "udp", *NUMBERS):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 255 and value not in _OTHERWISE:
        return next((name for name, number in NUMBERS.items() if number == value), str(value))
    text = str(value).strip().lower()
    if "icmp" in text or text in ("1", "58"):
        raise ValueError(f"{value!r} comes in anyway: leave it out")
    near = next((name for name in ("tcp", "udp", *NUMBERS) if text.startswith(name)), _ALIASES.get(text, ""))
    meant = f" (did you mean {near!r}?)" if near else ""
    raise ValueError(f"{value!r} is no protocol ({', '.join(('tcp', 'udp', *NUMBERS))}, or a number){meant}")


# What a number or a program stands for.
_ALIASES = {
    "ipsec": "esp",
    "ipv6": "6in4",
    "sit": "6in4",
    "keepalived": "vrrp",
    "6": "tcp",
    "17": "udp",
    **{str(number): name for name, number in NUMBERS.items()},
}


Ports = Annotated[str, Field(validate_default=True), BeforeValidator(_ports)]
Protocol = Annotated[str, BeforeValidator(_protocol)]


def _target(text: str) -> str:
    """As sshd's PermitOpen takes it: host:port, [2001:db8::5]:22, *:22."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and 1 <= int(port) <= _LAST):
        port_too = f" (did you mean '{text}:22'?)" if re.fullmatch(_HOST, text, re.ASCII) else ""
        raise ValueError(f"{text!r} is no host with a port (like 10.0.0.5:22){port_too}")
    inside = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if host == inside and re.fullmatch(rf"\*|{_HOST}", host, re.ASCII):
        return f"{host}:{int(port)}"
    if _version_6(inside):
        if host != inside:
            return f"[{inside}]:{int(port)}"
        raise ValueError(f"{text!r} needs brackets (did you mean '[{host}]:{port}'?)")
    raise ValueError(f"{text!r} is no host with a port (like 10.0.0.5:22)")


_HOST = r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}"


def _version_6(text: str) -> bool:
    try:
        return ip_address(text).version == 6
    except ValueError:
        return False


Target = Annotated[str, AfterValidator(_target)]


def bounds(ports: str) -> tuple[int, int]:
    """The first and the last of Ports."""
    first, _, last = ports.partition("-")
    return int(first), int(last or first)
