"""hosts: an inventory's list of hosts, refused when it is empty, since pyinfra would call that a success."""

import sys
from io import TextIOWrapper
from typing import Any

from tasks.connection import connecting, exit_code, footing, wire

Entry = str | tuple[str, dict[str, Any]]


def ready() -> None:
    """Ends the program (exit code 1) with one line when this machine is not ready; from now on what is wrong is one line."""
    footing.checked()
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # as standard error: a locale without a letter ends no run
    wire.lay()  # before the first connection
    connecting.lay()
    exit_code.interruptible()


def hosts(*entries: Entry) -> list[Entry]:
    """The entries as pyinfra wants them. Ends the program (exit code 1) with one line when there are none, when one is
    no entry, or when this machine is not ready.
    """
    footing.checked()
    if not entries:
        sys.exit("nodes: the inventory lists no host: add at least one to hosts(…)")
    for entry in entries:
        if wrong := _wrong(entry):
            sys.exit(f"nodes: {entry!r} {wrong}")
    ready()
    return list(entries)


def _wrong(entry: object) -> str:
    if isinstance(entry, str):
        return "" if entry.strip() else "is no name of a host"
    if (
        isinstance(entry, tuple)
        and len(entry) == 2
        and isinstance(entry[0], str)
        and isinstance(entry[1], dict)
    ):
        return ""
    return 'is no host: an entry is a name or address, or ("name", {"ssh_hostname": …}) with both in one pair of brackets'
