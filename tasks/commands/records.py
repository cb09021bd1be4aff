"""Records: what a zone's file needs so that every domain leads to the host, ready to paste. Pure."""

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from tasks.commands.look import Look
from tasks.operations import dns


def records(look: Look, mail: Mapping[str, Any] | None) -> Iterator[str]:
    """A line for each record that is missing, the wrong one of now in a comment."""
    address = look.address or "ADDRESS"
    if look.elsewhere and not look.address:
        yield "; ADDRESS is what the world reaches this machine at: nobody here could say so"
    elif look.elsewhere and not ip_address(address).is_global:
        yield f"; {address} is no address of the internet: where that is another one, write it instead"
    width = max(map(len, look.elsewhere), default=0)
    for name, leads in look.elsewhere.items():
        now = "" if leads == "nowhere" else f"  ; {f'leads to {leads} now' if leads else 'nobody answers'}"
        yield f"{name + '.':{width + 1}} 300 IN {dns.kind(address)} {address}{now}"
    if mail:
        yield from _mail(mail)


def _mail(mail: Mapping[str, Any]) -> Iterator[str]:
    """What receivers look for; of the first two only the server's owner knows the values."""
    zone = str(mail["from"]).rpartition("@")[2]
    yield f"; mail from {mail['from']}: SPF and DKIM of {zone} as the provider of {mail['host']} says; and where there is none yet:"
    yield f'_dmarc.{zone}. 300 IN TXT "v=DMARC1; p=none"'
