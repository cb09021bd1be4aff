"""Networks: smarter-net for all, tenants-net for the services that tenants reach; a cluster's nodes have both in common."""

from tasks.connection import grouped
from tasks.operations import adoption, networks, overlays
from tasks.run import stack


def run() -> None:
    """The phase."""
    if stack().adopt:
        adoption.noted(name="Networks | what was adopted is noted")
    if cluster := grouped.cluster():
        names = grouped.shared(stack())
        overlays.overlays(
            names,
            cluster,
            stack(),
            encrypted=stack().overlay_encryption,
            name=f"Networks | {', '.join(names)} of all nodes",
        )
    if names := grouped.own(stack()):
        networks.bridges(names, name=f"Networks | {', '.join(names)}")
