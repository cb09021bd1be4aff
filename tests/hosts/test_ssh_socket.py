"""SSH that systemd listens for, on a port that sshd's own files do not name: real runs, with a login from outside after each."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.deployment import Deployment
from tests.lab.lab import Lab

ACCESS = "tests/e2e/deploys/access.py"
PORT = 2222
DROP_IN = "/etc/ssh/sshd_config.d/00-smarteros.conf"
SSH = "SSH | keys only, named users"
TABLE = "Firewall | our table, loaded at boot"
# As Ubuntu has it from 22.10 on; its generator, or an operator, writes the port into a drop-in.
DAEMON = f"""
mkdir -p /etc/systemd/system/ssh.socket.d
printf '[Socket]\\nListenStream=\\nListenStream={PORT}\\n' >/etc/systemd/system/ssh.socket.d/port.conf
"""
# As Debian 12 has it: a process for each connection, and a conflict with the daemon.
EACH = f"""
printf '[Unit]\\nConflicts=ssh.service\\n[Socket]\\nListenStream={PORT}\\nAccept=yes\\n' >/etc/systemd/system/ssh.socket
printf '[Service]\\nExecStart=-/usr/sbin/sshd -i\\nStandardInput=socket\\nRuntimeDirectory=sshd\\n' \\
    >/etc/systemd/system/ssh@.service
echo RuntimeDirectoryPreserve=yes >>/etc/systemd/system/ssh@.service
"""
START = """
systemctl daemon-reload
systemctl stop ssh.service
systemctl start ssh.socket
"""


@pytest.fixture(params=[DAEMON, EACH], ids=["a daemon behind it", "a process for each connection"])
def host(
    lab: Lab, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[Deployment, dict[str, Any]]]:
    """A bare host of its own, reached through its socket, and the settings that reach it."""
    found = Deployment(lab, lab.add_host("socket"))
    inside(found, f"set -e\n{request.param}\n{START}")
    key = lab.state.known_hosts.read_text().replace(found.host.address, f"[{found.host.address}]:{PORT}")
    (tmp_path / "known_hosts").write_text(key)
    yield found, {"ssh_port": PORT, "ssh_known_hosts_file": str(tmp_path / "known_hosts")}
    lab.remove_host("socket")


def inside(host: Deployment, command: str) -> str:
    """What a command says on the host, asked past SSH. Raises AssertionError when it fails."""
    code, said = host.host.inside(command)
    assert code == 0, said
    return said


def served(host: Deployment) -> str:
    """Who listens on the port, and whether the daemon's own port is closed."""
    return inside(host, f"systemctl is-active ssh.socket; ss -Hltn 'sport = :{PORT} or sport = :22' | wc -l")


def test_a_run_leaves_the_way_in_as_it_was_and_open(host: tuple[Deployment, dict[str, Any]]) -> None:
    there, way = host
    before = served(there)
    assert there.converge(deploy=ACCESS, **way).changes == [TABLE, SSH]
    assert served(there) == before == "active\n1"
    assert f"tcp dport {{ 22, 80, 443, {PORT} }} accept" in inside(there, "cat /etc/smarteros/firewall.nft")
    there.unchanged(deploy=ACCESS, **way)
    assert logs_in(there, way)


def test_what_locks_us_out_of_it_is_taken_back(host: tuple[Deployment, dict[str, Any]]) -> None:
    there, way = host
    there.converge(deploy=ACCESS, **way)
    before = inside(there, f"cat {DROP_IN}")
    run = there.refused(deploy="tests/e2e/deploys/no_user.py", revert_seconds=20, **way)
    assert "it accepts none of the keys that this machine offers" in run.output
    inside(
        there,
        "timeout 60 sh -c 'while [ -d /var/lib/smarteros/armed ] || [ -d /var/lib/smarteros/undoing ]; do sleep 1; done'",
    )
    inside(
        there,
        "timeout 20 sh -c 'while systemctl list-jobs --no-legend | grep -q \" ssh\"; do sleep 0.2; done'",
    )
    assert inside(there, f"cat {DROP_IN}") == before
    assert logs_in(there, way)
    there.unchanged(deploy=ACCESS, **way)


def logs_in(host: Deployment, way: dict[str, Any]) -> bool:
    """From outside, on a connection of its own."""
    program, *words = host.host.ssh()
    options = ("-p", str(PORT), f"-oUserKnownHostsFile={way['ssh_known_hosts_file']}")
    done = subprocess.run([program, *options, *words, "true"], timeout=30, check=False)
    return done.returncode == 0
