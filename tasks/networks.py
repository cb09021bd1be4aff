"""Networks: smarter-net for all, tenants-net for the services that tenants reach; a cluster's nodes have both in common."""

from tasks.connection import grouped
from tasks.operations import adoption, making_way, networks, overlays
from tasks.run import stack


def run() -> None:
    """The phase."""
    if stack().adopt:
        adoption.noted(name="Networks | what was adopted is noted")
    if own := grouped.own(stack()):
        networks.bridges(own, name=f"Networks | {', '.join(own)}")
    if cluster := grouped.cluster():
        names = grouped.shared(stack())
        known = ", ".join(names)
        making_way.left(names, name=f"Networks | {known}: no node has bridges of these names")
        overlays.overlays(
            names,
            cluster,
            stack(),
            encrypted=stack().overlay_encryption,
            name=f"Networks | {known} of all nodes",
        )
        making_way.entered(names, name=f"Networks | {known}: what was in such bridges is in them")
