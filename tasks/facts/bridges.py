"""Bridges: Docker's networks, whoever has made them."""

from dataclasses import dataclass
from ipaddress import ip_network


@dataclass(frozen=True)
class NetworkState:
    """A Docker network: name, driver, whether it is cut off from the world; its ranges, MTU (empty: Docker's own) and
    bridge. ours: this program has made it. pool: the range that its own was taken from, where it was by ours.
    """

    name: str
    driver: str
    internal: bool
    subnets: tuple[str, ...] = ()
    mtu: str = ""
    device: str = ""
    ours: bool = False
    pool: str = ""


def network(row: list[str]) -> NetworkState:
    """From the fields of a line. Raises ValueError."""
    # Docker lets a network be called almost anything, with this line's separator in it, too.
    *name, driver, internal, subnets, mtu, device, ours, pool = row
    ranges = tuple(str(ip_network(subnet)) for subnet in subnets.split())
    return NetworkState("|".join(name), driver, internal == "true", ranges, mtu, device, ours == "yes", pool)


NETWORK_LABEL, POOL_LABEL = "smarteros.network", "smarteros.pool"
MTU_OPTION = "com.docker.network.driver.mtu"
FORMAT = "|".join(
    (
        "n",
        "{{.Name}}",
        "{{.Driver}}",
        "{{.Internal}}",
        "{{range .IPAM.Config}}{{.Subnet}} {{end}}",
        f'{{{{index .Options "{MTU_OPTION}"}}}}',
        '{{with index .Options "com.docker.network.bridge.name"}}{{.}}{{else}}br-{{slice .ID 0 12}}{{end}}',
        f'{{{{index .Labels "{NETWORK_LABEL}"}}}}',
        f'{{{{index .Labels "{POOL_LABEL}"}}}}',
    )
)
