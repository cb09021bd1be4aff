"""Networks: smarter-net for all, tenants-net for the services that tenants reach."""

from tasks.operations import adoption, networks
from tasks.run import stack


def run() -> None:
    """The phase."""
    if stack().adopt:
        adoption.noted(name="Networks | what was adopted is noted")
    names = stack().bridges
    networks.bridges(names, name=f"Networks | {', '.join(names)}")
