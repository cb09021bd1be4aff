"""Ports that the firewall opens, and addresses with a port, in settings."""

import re
from ipaddress import ip_address
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

_NUMBER = r"(\d{1,5})"
_RANGE = re.compile(rf"{_NUMBER}-{_NUMBER}", re.ASCII)
# What other programs write: ufw's and iptables' ranges, a port with its protocol, a port in quotes.
_NEARLY = re.compile(rf"\s*{_NUMBER}(?:\s*[-:]\s*{_NUMBER})?\s*(?:/\w+)?\s*", re.ASCII)
_LAST = 65535


def _ports(value: Any) -> str:
    """As nft writes them: one port, or two with a dash between them."""
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
    if value in ("tcp", "udp"):
        return str(value)
    near = str(value).strip().lower()[:3]
    meant = f" (did you mean {near!r}?)" if near in ("tcp", "udp") else ""
    raise ValueError(f"{value!r} is not 'tcp' or 'udp'{meant}")


Ports = Annotated[str, BeforeValidator(_ports)]
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
