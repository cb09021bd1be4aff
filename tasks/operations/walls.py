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

# What Docker names bridges by itself; a packet has to be let through by every chain of its hook.
_HOOKS = {
    "forward": (
        "what is passed on, and stays so: containers have no way out, and nobody a way to their ports 80 and 443, without",
        ("iifname 'br-*' accept", "ct status dnat accept", "ct state established,related accept"),
    ),
    "input": (
        "what it does not name, and stays so: neither visitors nor containers reach 80 and 443 of the host itself without",
        ("tcp dport '{ 80, 443 }' accept", "udp dport 443 accept"),
    ),
}


def lines(walls: Iterable[str]) -> Iterator[str]:
    """One line for each."""
    found = tuple(walls)
    for wall in found:
        kind, _, chain = wall.partition(" ")
        if wall in _SAID:
            yield f"firewall: {_SAID[wall]}"
        elif kind == "chain":
            yield from _chain(*chain.split(" ", 1), ufw="ufw" in found)


def _chain(hook: str, name: str, *, ufw: bool) -> Iterator[str]:
    # What ufw refuses is said, and so is what opens it.
    if name.split()[1:] == ["filter", "INPUT"] and ufw:
        return
    said, needed = _HOOKS[hook]
    rules = ", ".join(f"`nft insert rule {name} {rule}`" for rule in needed)
    yield f"firewall: nft's chain `{name}` drops {said}: {rules}, and the same in the file that it comes from"
