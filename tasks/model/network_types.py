"""Networks, interfaces and addresses of hosts, in settings."""

import re
from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator

from tasks.model.setting_types import matching

Network = Annotated[
    str,
    # Docker's own names are no networks of containers: on ``host`` they would share the host's.
    matching(
        re.compile(r"(?!(host|none|bridge|default)$)[a-z][a-z0-9_.-]*"),
        "is no name of a network (like smarter-net)",
    ),
]
Interface = Annotated[
    str,
    matching(re.compile(r"(?!lo$)[A-Za-z0-9][A-Za-z0-9_.@-]{0,14}"), "is no network interface (like eth0)"),
]


def _peer(text: str) -> str:
    """One way to write it, which is nft's."""
    try:
        found = ip_network(text)
    except ValueError:
        raise ValueError(f"{text!r} is no address or network (like 203.0.113.7 or 2001:db8:7::/64)") from None
    if found.prefixlen == 0:
        raise ValueError(f"{text!r} is everybody")
    return str(found.network_address if found.num_addresses == 1 else found)


Peer = Annotated[str, AfterValidator(_peer)]
