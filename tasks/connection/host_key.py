"""Host key: which key a host shows before anybody logs in, by the way that a deploy takes (ssh_config and its jumps), and
whether a known_hosts has it.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from paramiko import HostKeys, MissingHostKeyPolicy, PKey, SSHException
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey
from pyinfra.connectors.sshuserclient import SSHClient

from tasks.connection import connecting
from tasks.connection.said import Said

_PATIENCE = 10


@dataclass(frozen=True)
class HostKey:
    """name: as known_hosts has it, ``[203.0.113.7]:2222`` where the port is another than 22."""

    name: str
    key: PKey

    @property
    def fingerprint(self) -> str:
        """As ssh-keygen -l shows it."""
        return str(self.key.fingerprint)

    @property
    def line(self) -> str:
        """As known_hosts has it."""
        return str(HostKeyEntry([self.name], self.key).to_line())


class _Shown(SSHException):
    def __init__(self, name: str, key: PKey) -> None:
        super().__init__(name)
        self.found = HostKey(name, key)


class _Look(MissingHostKeyPolicy):
    def missing_host_key(self, client: Any, hostname: str, key: PKey) -> None:  # noqa: ARG002  as paramiko calls it
        raise _Shown(hostname, key)


class _Client(SSHClient):
    """Ends where it would ask whether the key is right: before anything is said of who logs in."""

    def set_missing_host_key_policy(self, policy: Any) -> None:  # noqa: ARG002  as pyinfra calls it
        super().set_missing_host_key_policy(_Look())


def shown(data: Mapping[str, Any]) -> HostKey:
    """The key. data: pyinfra's of the host. Raises Said: it cannot be reached, and why."""
    address, port = str(data["ssh_hostname"]), int(data.get("ssh_port", 22))
    client = _Client()
    connect = partial(
        client.connect,
        address,
        _pyinfra_ssh_config_file=data.get("ssh_config_file"),
        _pyinfra_ssh_known_hosts_file=os.devnull,
        username=data.get("ssh_user"),
        port=port,
        timeout=_PATIENCE,
        allow_agent=False,
        look_for_keys=False,
    )
    try:
        connecting.once_it_listens(connect)
    except _Shown as error:
        return error.found
    except (OSError, EOFError, SSHException) as error:
        why = connecting.why(error, str(data.get("ssh_user")), connected=False)
        raise Said(f"{address}, port {port}: {why}") from None
    finally:
        client.close()
    raise Said(f"{address}, port {port}: it shows no host key")


def known(path: Path, found: HostKey) -> bool | None:
    """Whether the file has this key for the host; None where it has none of that kind for it."""
    keys = HostKeys()
    with suppress(OSError, InvalidHostKey, SSHException):
        keys.load(str(path))
    entry = keys.lookup(found.name)
    there = entry.get(found.key.get_name()) if entry else None
    return None if there is None else bool(there == found.key)
