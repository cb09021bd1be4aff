"""SSH: what the sshd of a deployed host offers to a client that knocks."""

import subprocess

import paramiko
import pytest

from tests.e2e.deployment import Deployment


def knock(host: Deployment, *options: str) -> str:
    """What ssh says when it comes with other options."""
    words = [word for word in host.host.ssh() if "LogLevel" not in word]
    return subprocess.run(
        [*words, *options, "true"], capture_output=True, text=True, timeout=30, check=False
    ).stderr


def offered(host: Deployment) -> paramiko.Transport:
    """A connection before any login, by the library that pyinfra uses."""
    transport = paramiko.Transport((host.host.address, 22))
    transport.start_client(timeout=20)
    return transport


def test_a_client_with_its_key_comes_in(deployed: Deployment) -> None:
    assert knock(deployed) == ""


@pytest.mark.parametrize(
    "option",
    [
        "-oKexAlgorithms=diffie-hellman-group14-sha256",
        "-oCiphers=aes128-cbc",
        "-oHostKeyAlgorithms=ssh-rsa",
    ],
)
def test_an_algorithm_of_yesterday_is_not_offered(deployed: Deployment, option: str) -> None:
    assert "no matching" in knock(deployed, option)


@pytest.mark.parametrize(
    "options",
    [
        ("-oKexAlgorithms=curve25519-sha256",),
        ("-oKexAlgorithms=curve25519-sha256@libssh.org", "-oCiphers=aes128-ctr", "-oMACs=hmac-sha2-256"),
        ("-oKexAlgorithms=ecdh-sha2-nistp256", "-oCiphers=aes128-ctr", "-oMACs=hmac-sha1"),
    ],
)
def test_a_client_of_before_is_let_in(deployed: Deployment, options: tuple[str, ...]) -> None:
    assert knock(deployed, *options) == ""


def test_a_password_is_not_asked_for(deployed: Deployment) -> None:
    transport = offered(deployed)
    try:
        with pytest.raises(paramiko.BadAuthenticationType) as refused:
            transport.auth_none("root")
        assert refused.value.allowed_types == ["publickey"]
    finally:
        transport.close()


def test_pyinfras_own_library_comes_in_by_the_key_exchange_that_lasts(deployed: Deployment) -> None:
    transport = offered(deployed)
    kex = transport._preferred_kex[0]  # type: ignore[attr-defined]
    transport.close()
    assert kex == "mlkem768x25519-sha256"
    assert deployed.sh("sshd -T | grep ^kexalgorithms").split()[1].split(",")[0] == kex
