"""Networks: smarter-net for all, tenants-net for the services that tenants reach."""

from tasks.operations import networks
from tasks.run import stack


def run() -> None:
    """The phase."""
    names = stack().networks
    networks.bridges(names, name=f"Networks | {', '.join(names)}")
