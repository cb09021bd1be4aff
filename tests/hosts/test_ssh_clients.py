"""Who could log in before the first run can log in after it: older clients, other kinds of keys, an agent with many."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.deployment import Deployment

OLD = {
    "OpenSSH 6.5 to 8.9, PuTTY before 0.78: X25519 alone": "KexAlgorithms=curve25519-sha256@libssh.org",
    "OpenSSH 9.0 to 9.8": "KexAlgorithms=sntrup761x25519-sha512@openssh.com",
    "OpenSSH 9.9 and later": "KexAlgorithms=curve25519-sha256",
    "without encrypt-then-MAC": "MACs=hmac-sha2-256,hmac-sha2-512",
    "EC2 Instance Connect": "KexAlgorithms=ecdh-sha2-nistp256",
    "SHA-1 as the only MAC": "MACs=hmac-sha1",
    "short UMAC": "MACs=umac-64-etm@openssh.com",
}


def logged_in(host: Deployment, *options: str, key: Path | None = None, agent: str = "") -> str:
    """What a login with these options runs."""
    words = [word for word in host.host.ssh() if not word.startswith("-oIdentitiesOnly")]
    if key or agent:
        place = words.index("-i")
        words[place : place + 2] = ["-i", str(key), "-oIdentitiesOnly=yes"] if key else []
    done = subprocess.run(
        # A cipher that needs no MAC would hide which MACs there are.
        [words[0], "-oCiphers=aes128-ctr", *(f"-o{option}" for option in options), *words[1:], "echo in"],
        env={**os.environ, "SSH_AUTH_SOCK": agent},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout.strip() or done.stderr


@pytest.mark.parametrize("option", OLD.values(), ids=OLD)
def test_an_older_client_is_let_in_after_a_deploy(deployed: Deployment, option: str) -> None:
    assert logged_in(deployed, option) == "in"


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_an_older_kind_of_key_opens_the_host_after_a_deploy(
    deployed: Deployment, tmp_path: Path, kind: str
) -> None:
    key = tmp_path / "key"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", f"old-{kind}", "-f", str(key)], check=True
    )
    public = key.with_suffix(".pub").read_text().strip()
    deployed.sh(f"echo '{public}' >>/root/.ssh/authorized_keys")
    try:
        assert logged_in(deployed, key=key) == "in"
    finally:
        deployed.sh(f"sed -i '/old-{kind}$/d' /root/.ssh/authorized_keys")


@pytest.fixture
def agent(deployed: Deployment, tmp_path: Path) -> Iterator[str]:
    """The socket of an agent with six keys, the last of which opens the host."""
    started = subprocess.run(["ssh-agent", "-s"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"SSH_AUTH_SOCK=([^;]+);.*?SSH_AGENT_PID=(\d+);", started, re.DOTALL)
    assert found
    socket, process = found.groups()
    keys = [tmp_path / f"key{number}" for number in range(5)]
    for key in keys:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    for key in (*keys, deployed.host.state.ssh_key):
        subprocess.run(["ssh-add", "-q", str(key)], env={**os.environ, "SSH_AUTH_SOCK": socket}, check=True)
    yield socket
    os.kill(int(process), 15)


INVENTORY = """
import os
from tasks.connection.inventory import hosts

nodes = hosts(
    (
        "{host.name}",
        {{
            "ssh_hostname": "{host.address}",
            "ssh_user": "root",
            "ssh_known_hosts_file": "{host.state.known_hosts}",
            "ssh_strict_host_key_checking": "yes",
            "ssh_config_file": os.devnull,
        }},
    )
)
"""


def test_an_agent_whose_sixth_key_is_the_right_one_logs_in_and_runs(
    deployed: Deployment, agent: str, tmp_path: Path
) -> None:
    assert logged_in(deployed, agent=agent) == "in"
    inventory = tmp_path / "lab.py"  # its name is that of the lab's settings
    inventory.write_text(INVENTORY.format(host=deployed.host))
    run = deployed.run("--dry", yes=False, inventory=str(inventory), environment={"SSH_AUTH_SOCK": agent})
    assert run.code == 0, run.output
