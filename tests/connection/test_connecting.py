"""Connecting: each trouble with SSH is one line, without a traceback, and says where, what and what to do."""

import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paramiko
import pytest
from pyinfra.api.exceptions import PyinfraError

from tasks.connection.connecting import once_it_listens, watched, why
from tests.samples import ROOT


def test_a_machine_without_any_key_is_told_to_name_one() -> None:
    assert why(paramiko.SSHException("No authentication methods available"), "ann", connected=True) == (
        "this machine has no key to offer for the user ann: name one (ssh_key), or ssh-add it to an agent that runs here "
        "(ssh-add -l lists them)"
    )


def test_a_connection_whose_network_is_gone_ends_also_while_an_answer_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        end = socket.create_connection(listening.getsockname())
        transport = paramiko.Transport(end)
        watched(transport)
        assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 150_000
        assert vars(transport.packetizer)["_Packetizer__keepalive_interval"] == 15
        transport.close()
        end.close()


INVENTORY = """
import json, os
from tasks.connection.inventory import hosts
nodes = hosts(("h1", json.loads(os.environ["TEST_HOST"])))
"""
CLOSES = (
    "what listens there closes the connection, or is no SSH server: see ssh_port; a firewall, fail2ban or sshd's "
    "MaxStartups may turn this machine away for some minutes"
)


def http(end: socket.socket) -> None:
    end.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n" * 3)


def reset(end: socket.socket) -> None:
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def full(end: socket.socket) -> None:
    end.sendall(b"Exceeded MaxStartups\r\n")


@pytest.fixture
def server() -> Iterator[Callable[[Callable[[socket.socket], None]], int]]:
    """Listens on loopback, does this with who comes, and closes; its port."""
    open_now = []

    def listen(behave: Callable[[socket.socket], None]) -> int:
        listening = socket.create_server(("127.0.0.1", 0))
        open_now.append(listening)

        def serve() -> None:
            while True:
                try:
                    end, _ = listening.accept()
                except OSError:
                    return
                with end:
                    behave(end)

        threading.Thread(target=serve, daemon=True).start()
        return int(listening.getsockname()[1])

    yield listen
    for listening in open_now:
        listening.close()


def said(folder: Path, **host: Any) -> list[str]:
    """What pyinfra says that cannot reach this host."""
    data = {
        "ssh_hostname": "127.0.0.1",
        "ssh_user": "ann",
        "ssh_config_file": os.devnull,
        "ssh_known_hosts_file": str(folder / "known_hosts"),
        "ssh_allow_agent": False,
        "ssh_look_for_keys": False,
        **host,
    }
    (folder / "known_hosts").touch()
    (folder / "nodes.py").write_text(INVENTORY)
    done = subprocess.run(
        [str(Path(sys.executable).with_name("pyinfra")), "--dry", str(folder / "nodes.py"), "deploy.py"],
        cwd=ROOT,
        env={**os.environ, "TEST_HOST": json.dumps(data), "PYTHONPATH": str(ROOT), "SHELL": "/bin/sh"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    assert "Traceback" not in plain, plain
    return [line.strip() for line in plain.splitlines() if line.strip() and not line.startswith("-->")]


@pytest.mark.parametrize("behave", [http, reset, full])
def test_what_is_no_ssh_server_is_one_line(behave: Any, server: Any, tmp_path: Path) -> None:
    port = server(behave)
    assert said(tmp_path, ssh_port=port) == [f"[h1] 127.0.0.1, port {port}: {CLOSES}"]


def test_a_port_where_nothing_listens_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert said(tmp_path, ssh_port=port) == [
        f"[h1] 127.0.0.1, port {port}: nothing listens there: see ssh_hostname and ssh_port, and whether sshd runs"
    ]


def test_an_sshd_that_restarts_is_waited_for_a_moment_and_nothing_else_is() -> None:
    refused = ConnectionRefusedError(111, "Connection refused")
    answers: list[Any] = [
        refused,
        paramiko.ssh_exception.NoValidConnectionsError({("127.0.0.1", 22): refused}),
        "in",
    ]

    def connect() -> str:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return str(found)

    assert once_it_listens(connect) == "in"
    answers = [TimeoutError("timed out"), "in"]
    with pytest.raises(TimeoutError):
        once_it_listens(connect)


def test_a_key_that_is_not_there_or_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("garbage")
    none, bad = (said(tmp_path, ssh_key=str(tmp_path / name)) for name in ("none", "bad"))
    assert none == [f"[h1] 127.0.0.1, port 22: No such private key file: {tmp_path}/none"]
    assert bad == [f"[h1] 127.0.0.1, port 22: Invalid private key file: {tmp_path}/bad"]


def test_a_proxy_command_that_fails_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Host h1\n  ProxyCommand /no/such/program\n")
    assert said(tmp_path, ssh_hostname="h1", ssh_config_file=str(tmp_path / "config")) == [
        "[h1] port 22: /no/such/program: No such file or directory"
    ]


KEY: Any = paramiko.ECDSAKey.generate()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            paramiko.BadHostKeyException("[h1]:2222", KEY, KEY),
            (
                "its host key is another one than known_hosts has: somebody may stand in between; only if the host was set "
                "up anew: ssh-keygen -R [h1]:2222"
            ),
        ),
        (
            paramiko.AuthenticationException("Authentication failed."),
            (
                "it accepts none of the keys that this machine offers for the user ann (Authentication failed.): see "
                "ssh_user and ssh_key, and ~/.ssh/authorized_keys there"
            ),
        ),
        (
            paramiko.PasswordRequiredException("x"),
            "the private key is encrypted, and nobody typed its passphrase: ssh-add it, or set ssh_key_password",
        ),
        (
            paramiko.SSHException("StrictPolicy: No host key for h1 found in known_hosts"),
            (
                "its host key is not in known_hosts: compare it with the host's own (ssh-keygen -lf "
                "/etc/ssh/ssh_host_ed25519_key.pub on its console), and log in once with ssh to note it"
            ),
        ),
        (
            paramiko.ssh_exception.IncompatiblePeer("Incompatible ssh peer (no acceptable kex algorithm)"),
            (
                "it has no algorithm in common with this machine's SSH library (Incompatible ssh peer (no acceptable kex "
                "algorithm))"
            ),
        ),
        (
            paramiko.SSHException("No existing session"),
            "it ended the login: an agent with many keys passes its MaxAuthTries: name the right one (ssh_key)",
        ),
        (
            paramiko.ChannelException(1, "Administratively prohibited"),
            (
                "the jump host does not lead there (ChannelException(1, 'Administratively prohibited')): see ProxyJump in "
                "ssh_config, and AllowTcpForwarding there"
            ),
        ),
        (
            socket.gaierror(-2, "Name or service not known"),
            "the name does not resolve: see ssh_hostname, and this machine's DNS",
        ),
        (
            TimeoutError("timed out"),
            "nothing answers in time: the address or port is wrong, the host is down, or a firewall drops what it gets",
        ),
        (PermissionError(13, "Permission denied", "/k"), "/k: Permission denied"),
        (
            OSError(101, "Network is unreachable"),
            "the connection fails ([Errno 101] Network is unreachable): run again",
        ),
        (
            EOFError(),
            CLOSES,
        ),
        (PyinfraError("No such private key file: /k"), "No such private key file: /k"),
        (paramiko.SSHException("odd"), "SSH fails (odd)"),
        (ValueError("odd"), "SSH fails (ValueError: odd)"),
    ],
)
def test_every_error_has_its_words(error: Exception, words: str) -> None:
    assert why(error, "ann", connected=True) == words


def test_a_passphrase_that_nobody_types_is_no_trouble_of_the_network() -> None:
    assert why(EOFError(), "ann", connected=False).startswith("the private key is encrypted")
