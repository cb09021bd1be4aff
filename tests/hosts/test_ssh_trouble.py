"""Hosts that cannot be reached: each is one line that says what, where and what to do, and never a traceback."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.e2e.deployment import Deployment
from tests.lab.state import make_ssh_key


@dataclass(frozen=True)
class Trouble:
    """name: a sentence. said: the line, with ``{folder}`` for the test's own folder and ``{address}`` for the host's."""

    name: str
    said: str
    settings: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Its name in pytest's output."""
        return self.name


TROUBLES = [
    Trouble(
        "a name that does not resolve",
        "nowhere.invalid, port 22: the name does not resolve: see ssh_hostname, and this machine's DNS",
        {"ssh_hostname": "nowhere.invalid"},
    ),
    Trouble(
        "a port where nothing listens",
        "{address}, port 9: nothing listens there: see ssh_hostname and ssh_port, and whether sshd runs",
        {"ssh_port": 9},
    ),
    Trouble(
        "a key that the host does not know",
        "{address}, port 22: it accepts none of the keys that this machine offers for the user root (Authentication "
        "failed.): see ssh_user and ssh_key, and ~/.ssh/authorized_keys there",
        {"ssh_key": "{folder}/other"},
    ),
    Trouble(
        "a key file that is not there",
        "{address}, port 22: No such private key file: {folder}/none",
        {"ssh_key": "{folder}/none"},
    ),
    Trouble(
        "a host that known_hosts does not have",
        "{address}, port 22: its host key is not in known_hosts: compare it with the host's own (ssh-keygen -lf "
        "/etc/ssh/ssh_host_ed25519_key.pub on its console), and log in once with ssh to note it",
        {"ssh_known_hosts_file": "{folder}/empty"},
    ),
    Trouble(
        "a host key that has changed",
        "{address}, port 22: its host key is another one than known_hosts has: somebody may stand in between; only if "
        "the host was set up anew: ssh-keygen -R {address}",
        {"ssh_known_hosts_file": "{folder}/changed"},
    ),
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=str)
def test_a_host_that_cannot_be_reached(
    odd_bare: Deployment, tmp_path_factory: pytest.TempPathFactory, trouble: Trouble
) -> None:
    folder, address = tmp_path_factory.mktemp("ssh"), odd_bare.host.address
    make_ssh_key(folder / "other")
    (folder / "empty").touch()
    kind, key = (folder / "other.pub").read_text().split()[:2]
    (folder / "changed").write_text(f"{address} {kind} {key}\n")
    settings = {
        name: value.format(folder=folder) if isinstance(value, str) else value
        for name, value in trouble.settings.items()
    }
    run = odd_bare.refused("--dry", yes=False, **settings)
    assert trouble.said.format(folder=folder, address=address) in run.lines, run.output
