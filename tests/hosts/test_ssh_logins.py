"""Other ways in than a key in a file, on a real host: a certificate opens it after a deploy as before, and a second factor
that is kept is still asked for.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.test_ssh_clients import logged_in
from tests.lab.lab import Lab

ACCESS = "tests/e2e/deploys/access.py"
SSH = "SSH | keys only, named users"
SAYS = "sshd -T | grep -E '^(trustedusercakeys|authorizedprincipalsfile|pubkeyacceptedalgorithms|casignaturealgorithms) '"
AUTHORITY = """
echo '{ca}' >/etc/ssh/ca.pub
mkdir -p /etc/ssh/principals && echo people >/etc/ssh/principals/root
printf 'TrustedUserCAKeys /etc/ssh/ca.pub\nAuthorizedPrincipalsFile /etc/ssh/principals/%%u\n' >/etc/ssh/sshd_config.d/50-ca.conf
systemctl restart ssh
"""
SECOND = """
useradd --create-home --shell /bin/bash ana && echo ana:first >/run/ana && chpasswd </run/ana
install -d -m 700 -o ana -g ana /home/ana/.ssh
install -m 600 -o ana -g ana /root/.ssh/authorized_keys /home/ana/.ssh/authorized_keys
printf 'AuthenticationMethods publickey,keyboard-interactive\nKbdInteractiveAuthentication yes\n' \
    >/etc/ssh/sshd_config.d/50-second.conf
printf 'Match User root\n  AuthenticationMethods publickey\n' >>/etc/ssh/sshd_config
systemctl restart ssh
"""


@pytest.fixture
def host(lab: Lab) -> Iterator[Deployment]:
    """A bare host that ends with the test."""
    yield Deployment(lab, lab.add_host("logins"))
    lab.remove_host("logins")


def test_a_certificate_opens_the_host_after_a_deploy_as_before(host: Deployment, tmp_path: Path) -> None:
    for name in ("ca", "person"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True
        )
    signing = ["ssh-keygen", "-q", "-s", str(tmp_path / "ca"), "-I", "x", "-n", "people", "-V", "+1h"]
    subprocess.run([*signing, str(tmp_path / "person.pub")], check=True)
    host.sh(AUTHORITY.format(ca=(tmp_path / "ca.pub").read_text().strip()))
    before = host.sh(SAYS)
    assert len(before.splitlines()) == 4
    assert "sk-ssh-ed25519@openssh.com" in before
    assert logged_in(host, key=tmp_path / "person") == "in"
    # The run's own login is one by the certificate, and so is the connection that proves the change.
    assert SSH in host.converge(deploy=ACCESS, ssh_key=str(tmp_path / "person")).changes
    assert host.sh(SAYS) == before
    assert logged_in(host, key=tmp_path / "person") == "in"
    (tmp_path / "person-cert.pub").unlink()
    assert "Permission denied (publickey)" in logged_in(host, key=tmp_path / "person")


def steps(host: Deployment, *methods: str) -> list[str]:
    """What sshd wants after each way in, ``in`` where that was all; its answer where it takes none."""
    key = paramiko.Ed25519Key.from_private_key_file(str(host.host.state.ssh_key))
    transport = paramiko.Transport((host.host.address, 22))
    found = []
    try:
        transport.start_client(timeout=20)
        for method in methods:
            if method == "key":
                left = transport.auth_publickey("ana", key)
            else:
                left = transport.auth_interactive("ana", lambda _, __, asked: ["first"] * len(asked))
            found.append(",".join(left) or "in")
    except paramiko.BadAuthenticationType as error:
        found.append(f"only {','.join(error.allowed_types)}")
    finally:
        transport.close()
    return found


def test_a_second_factor_that_is_kept_is_asked_for_after_a_deploy_as_before(host: Deployment) -> None:
    host.sh(SECOND)
    for _ in range(2):
        assert steps(host, "key", "code") == ["keyboard-interactive", "in"]
        assert steps(host, "code") == ["only publickey"]
        host.converge(deploy=ACCESS, second_factor=True)
    host.unchanged(deploy=ACCESS, second_factor=True)
    assert "authenticationmethods publickey,keyboard-interactive" in host.sh("sshd -T").splitlines()
    # Without its file a key is asked for all the same, and nothing else.
    host.sh("rm /etc/ssh/sshd_config.d/50-second.conf")
    assert host.converge(deploy=ACCESS, second_factor=True).changes == [SSH]
    assert steps(host, "key") == ["in"]
    assert steps(host, "code") == ["only publickey"]
