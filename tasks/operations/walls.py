"""Walls: what other firewalls of a host mean beside ours; none is switched off. Pure."""

from collections.abc import Iterable, Iterator

_FILTERS = (
    "is active and stays so: what it refuses is still refused, and what it lets in gets in only where ours does, too "
    "(`open_ports`)"
)
_SAID = {
    "ufw": f"ufw {_FILTERS}",
    "firewalld": f"firewalld {_FILTERS}; where its start takes Docker's rules away, the next run writes them anew",
    "netfilter-persistent": (
        "netfilter-persistent is enabled and stays so: what it has saved of Docker's rules comes back at boot as it was then; "
        "`netfilter-persistent save` is better called without Docker's"
    ),
    "nftables early": (
        "nftables.service is enabled, and its file flushes all rules: at boot ours come after it; whoever restarts it later "
        "takes ours and Docker's away, until the next run"
    ),
    "nftables late": (
        "nftables.service is enabled, flushes all rules and waits for the network, so that systemd cannot load ours after "
        "it and before the network is there: take that out of its unit (`systemctl cat nftables` shows where it stands)"
    ),
}


def lines(walls: Iterable[str]) -> Iterator[str]:
    """One line for each."""
    for wall in walls:
        if wall in _SAID:
            yield f"firewall: {_SAID[wall]}"
