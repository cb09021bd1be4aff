"""Dns: domains that lead elsewhere. No certificate is to be had for them until their name leads to this host."""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address

from tasks.connection import grouped
from tasks.facts.names import Names, NamesFact
from tasks.model import catalogue
from tasks.run import host, known, services, stack
from tasks.services import load

_NAMED = 3


def domains() -> list[str]:
    """Every name that the chosen services answer under."""
    return [
        name for item in load(stack()) for route in item.routes for name in catalogue.domains(stack(), route)
    ]


def shared(others: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """What other hosts of this run would answer under as well, since a name leads to one. others: each → its domains."""
    mine = {*served()}
    for other, names in others.items():
        if both := [name for name in names if name in mine]:
            more = f" and {len(both) - _NAMED} more" if len(both) > _NAMED else ""
            yield (
                f"domains: {', '.join(both[:_NAMED])}{more}: also deployed to the host {other}: give each host its own zone, "
                "deploy one (--limit), or make them one stack by groups, as inventories/cluster.py does"
            )


def served() -> list[str]:
    """Those that lead to a proxy of ours."""
    return domains() if any(item.phase == "proxy" for item in services()) else []


def elsewhere(names: Iterable[str]) -> dict[str, str]:
    """Those of the names that do not lead to the current host → where they lead; empty where nobody can say so."""
    asked = tuple(names)
    return astray(asked, known(NamesFact, asked), address(), stack().proxies) if asked else {}


def astray(names: Iterable[str], found: Names, address: str, proxies: Iterable[str] = ()) -> dict[str, str]:
    """Pure. address: where SSH has found the host, which need not know its address itself (NAT). proxies: those of a cluster's, each of
    which is as good.
    """
    here = {*found.own, address, *proxies}
    leads = {name: found.leads.get(name, frozenset()) for name in names}
    return {
        name: ", ".join(sorted(ends)) or ("" if name in found.unasked else "nowhere")
        for name, ends in leads.items()
        if not ends & here
    }


def hidden() -> Iterator[str]:
    """What it means that names lead here over IPv6: our networks have none, so that Docker's proxy hands such a connection on
    from an address of its own (moby/moby#17666), and every service takes all these visitors for one.
    """
    names = tuple(served())
    found = known(NamesFact, names) if names else Names()
    if here := [
        name for name in names if any(":" in end and end in found.own for end in found.leads.get(name, ()))
    ]:
        more = f" and {len(here) - _NAMED} more" if len(here) > _NAMED else ""
        yield (
            f"IPv6: {', '.join(here[:_NAMED])}{more} lead here over IPv6, too, and Docker hides who comes that way: services take all of "
            "them for one visitor, and their limits for one (Chatwoot's: 5 sign-ins in 5 minutes, 5 loads of its widget an hour) shut out "
            "all of them together: take these AAAA records out of the DNS"
        )


def address() -> str:
    """Where SSH has found the current host; empty where it is this machine."""
    return grouped.reached(host())


def remarks() -> Iterator[str]:
    """A line for each domain that leads elsewhere."""
    record = wanted(domains())
    yield from (said(*item, record) for item in elsewhere(domains()).items())


def wanted(names: Iterable[str]) -> str:
    """The record that leads to the current host, as `` (A 203.0.113.7)``; empty where only others know what the world reaches it at."""
    asked = tuple(names)
    found = public(known(NamesFact, asked).own, address()) if asked else ""
    return f" ({kind(found)} {found})" if found and ip_address(found).is_global else ""


def kind(found: str) -> str:
    """Of an address's record. Pure."""
    return "AAAA" if ":" in found else "A"


def public(own: Iterable[str], reached: str) -> str:
    """The address for the domains: one of IPv4, since over IPv6 all visitors are one to the services (hidden).

    own: the host's. reached: where SSH has found it, which is another one behind NAT, or inside a VPN. Pure.
    """
    mine = [text for text in (reached, *sorted(own)) if text]
    for version in (4, 6):
        found = [text for text in mine if ip_address(text).version == version]
        if there := [text for text in found if ip_address(text).is_global] or found:
            return there[0]
    return ""


def said(name: str, leads: str, record: str) -> str:
    """One line for the operator. record: what ``wanted`` says."""
    if not leads:
        return (
            f"{name} could not be asked for: the host's resolver gives no answer (see `getent ahosts {name}`, "
            "/etc/resolv.conf there); it gets no certificate before it does"
        )
    return f"{name} leads to {leads}, not to {host().name}: it gets its certificate once its DNS record is right{record}"
