"""hosts: an inventory's list of hosts, refused when it is empty, since pyinfra would call that a success."""

import sys
from typing import Any

from tasks.connection import connecting, footing, wire

Entry = str | tuple[str, dict[str, Any]]


def hosts(*entries: Entry) -> list[Entry]:
    """The entries as pyinfra wants them. Ends the program (exit code 1) with one line when there are none, or when
    this machine is not ready.
    """
    footing.checked()
    if not entries:
        sys.exit("nodes: the inventory lists no host: add at least one to hosts(…)")
    wire.lay()  # before the first connection
    connecting.lay()
    return list(entries)
