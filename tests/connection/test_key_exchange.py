"""Key exchange: our half of mlkem768x25519-sha256 against a server's half that is written here, from the draft alone."""

import hashlib
import socket
import struct
import threading
from typing import Any

import paramiko
import pytest
from cryptography.hazmat.primitives.asymmetric import mlkem
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from paramiko.common import AUTH_FAILED, AUTH_SUCCESSFUL
from paramiko.message import Message

from tasks.connection import inventory, key_exchange
from tasks.connection.key_exchange import NAME


def string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


class ServersHalf:
    """Answers the client's keys, and derives keys as RFC 4253, 7.2, says, the secret being a string."""

    hash_algo = hashlib.sha256
    longer = b""

    def __init__(self, transport: Any) -> None:
        self.transport = transport

    def start_kex(self) -> None:
        """Waits for the client."""
        self.transport._expect_packet(30)

    def parse_next(self, kind: int, message: Message) -> None:
        """The client's two keys, answered."""
        assert kind == 30
        ours = self.transport
        sent = message.get_string()
        shared, ciphertext = mlkem.MLKEM768PublicKey.from_public_bytes(sent[:1184]).encapsulate()
        point = X25519PrivateKey.generate()
        secret = hashlib.sha256(
            shared + point.exchange(X25519PublicKey.from_public_bytes(sent[1184:]))
        ).digest()
        answer = ciphertext + point.public_key().public_bytes_raw() + self.longer
        host_key = ours.get_server_key().asbytes()
        versions = [ours.remote_version.encode(), ours.local_version.encode()]
        said = [*versions, ours.remote_kex_init, ours.local_kex_init, host_key, sent, answer, secret]
        digest = hashlib.sha256(b"".join(map(string, said))).digest()

        def derived(letter: str, size: int) -> bytes:
            parts = [hashlib.sha256(string(secret) + digest + letter.encode() + ours.session_id).digest()]
            while len(b"".join(parts)) < size:
                parts.append(hashlib.sha256(string(secret) + digest + b"".join(parts)).digest())
            return b"".join(parts)[:size]

        ours._set_K_H(0, digest)
        ours._compute_key = derived
        reply = Message()
        reply.add_byte(bytes([31]))
        for part in (host_key, answer, ours.get_server_key().sign_ssh_data(digest, ours.host_key_type)):
            reply.add_string(part)
        ours._send_message(reply)
        ours._activate_outbound()


class Longer(ServersHalf):
    """One that sends a byte too many."""

    longer = b"x"


class OneUser(paramiko.ServerInterface):
    """Lets one user in."""

    def check_auth_password(self, username: str, password: str) -> int:
        """Only these two."""
        known = (username, password) == ("root", "any")
        return AUTH_SUCCESSFUL if known else AUTH_FAILED


def connected(engine: type[ServersHalf], key: paramiko.PKey) -> tuple[paramiko.Transport, paramiko.Transport]:
    """A client that prefers what it prefers, and a server that knows this one key exchange."""
    key_exchange.register()
    ours, theirs = socket.socketpair()
    server, client = paramiko.Transport(theirs), paramiko.Transport(ours)
    server._kex_info = {NAME: engine}  # type: ignore[attr-defined]
    server._preferred_kex = (NAME,)  # type: ignore[attr-defined]
    server.add_server_key(key)
    server.start_server(event=threading.Event(), server=OneUser())
    return client, server


@pytest.fixture(scope="module")
def key() -> paramiko.PKey:
    return paramiko.RSAKey.generate(2048)


# A secret that begins with a set bit is where a string and a number part: half of all.
@pytest.mark.parametrize("number", range(6))
def test_a_client_and_a_server_agree_and_a_login_passes(key: paramiko.PKey, number: int) -> None:
    client, server = connected(ServersHalf, key)
    try:
        client.connect(hostkey=key, username="root", password="any")
        assert client.is_authenticated()
    finally:
        client.close()
        server.close()


def test_another_host_key_than_the_known_one_is_refused(key: paramiko.PKey) -> None:
    client, server = connected(ServersHalf, key)
    try:
        with pytest.raises(paramiko.SSHException, match="Bad host key from server"):
            client.connect(hostkey=paramiko.RSAKey.generate(2048), username="root", password="any")
    finally:
        client.close()
        server.close()


def test_an_answer_of_another_length_is_refused(key: paramiko.PKey) -> None:
    client, server = connected(Longer, key)
    try:
        with pytest.raises(paramiko.SSHException, match=f"{NAME}: an answer of 1121 bytes"):
            client.connect(hostkey=key, username="root", password="any")
    finally:
        client.close()
        server.close()


def test_an_inventory_makes_it_the_first_choice() -> None:
    inventory.hosts("one")
    inventory.hosts("two")
    assert paramiko.Transport._preferred_kex[0] == NAME  # type: ignore[attr-defined]
    assert paramiko.Transport._preferred_kex.count(NAME) == 1  # type: ignore[attr-defined]


def test_without_the_library_everything_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paramiko.Transport, "_kex_info", {})
    monkeypatch.setattr(key_exchange, "mlkem", None)
    key_exchange.register()
    assert key_exchange.registered() is False
