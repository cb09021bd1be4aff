"""Key exchange: mlkem768x25519-sha256 for the SSH library beneath pyinfra, which has none that a quantum computer resists.

ML-KEM-768 and X25519 side by side, as draft-ietf-sshm-mlkem-hybrid-kex has it and OpenSSH since 9.9 does it: an
attacker has to break both. Registered when an inventory is read, which is before the first connection.
"""

import hashlib
from typing import Any

import paramiko
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from paramiko.message import Message

try:
    from cryptography.hazmat.primitives.asymmetric import mlkem
except ImportError:  # an older cryptography: the classical key exchanges are all there is
    mlkem = None  # type: ignore[assignment]

NAME = "mlkem768x25519-sha256"

_INIT, _REPLY = 30, 31
_CIPHERTEXT, _POINT = 1088, 32


class Hybrid:
    """One key exchange of a client's, in the form that paramiko's Transport asks of its engines."""

    hash_algo = hashlib.sha256

    def __init__(self, transport: Any) -> None:
        self.transport = transport

    def start_kex(self) -> None:
        """Sends our two public keys."""
        self._mlkem = mlkem.MLKEM768PrivateKey.generate()
        self._x25519 = X25519PrivateKey.generate()
        self._sent = (
            self._mlkem.public_key().public_bytes_raw() + self._x25519.public_key().public_bytes_raw()
        )
        message = Message()
        message.add_byte(bytes([_INIT]))
        message.add_string(self._sent)
        self.transport._send_message(message)  # noqa: SLF001  what paramiko's own engines call
        self.transport._expect_packet(_REPLY)  # noqa: SLF001

    def parse_next(self, kind: int, message: Message) -> None:
        """The server's answer: both secrets are agreed on, its host key signs all that was said."""
        if kind != _REPLY or self.transport.server_mode:
            raise paramiko.SSHException(f"{NAME}: packet {kind} was not expected")
        host_key, answer, signature = message.get_string(), message.get_string(), message.get_binary()
        if len(answer) != _CIPHERTEXT + _POINT:
            raise paramiko.SSHException(f"{NAME}: an answer of {len(answer)} bytes")
        # exchange() refuses the all-zero secret of a bad point.
        secret = self._mlkem.decapsulate(answer[:_CIPHERTEXT]) + self._x25519.exchange(
            X25519PublicKey.from_public_bytes(answer[_CIPHERTEXT:])
        )
        key = hashlib.sha256(secret).digest()
        agree(self.transport, key, self._said(host_key, answer, key))
        self.transport._verify_key(host_key, signature)  # noqa: SLF001
        self.transport._activate_outbound()  # noqa: SLF001

    def _said(self, *parts: bytes) -> bytes:
        ours = self.transport
        host_key, answer, key = parts
        said = (ours.local_version, ours.remote_version, ours.local_kex_init, ours.remote_kex_init)
        return exchange_hash(*said, host_key, self._sent, answer, key)


def exchange_hash(*strings: str | bytes) -> bytes:
    """H of RFC 4253, section 8, over strings alone: here the shared secret is one, too, and no number."""
    message = Message()
    for string in strings:
        message.add_string(string)
    return hashlib.sha256(message.asbytes()).digest()


def agree(transport: Any, key: bytes, said: bytes) -> None:
    """Gives the transport its secret and its way to derive keys from it (RFC 4253, 7.2), as a string, too."""
    prefix = len(key).to_bytes(4, "big") + key + said

    def derived(letter: str, size: int) -> bytes:
        out = hashlib.sha256(prefix + letter.encode() + transport.session_id).digest()
        while len(out) < size:
            out += hashlib.sha256(prefix + out).digest()
        return out[:size]

    transport._set_K_H(int.from_bytes(key, "big"), said)  # noqa: SLF001
    transport._compute_key = derived  # noqa: SLF001


def registered() -> bool:
    """Whether connections of this program can use it."""
    return NAME in paramiko.Transport._kex_info  # type: ignore[attr-defined]  # noqa: SLF001


def register() -> None:
    """Makes it the one that paramiko prefers, where the libraries at hand can do it."""
    if registered() or mlkem is None:
        return
    try:
        mlkem.MLKEM768PrivateKey.generate()
    except UnsupportedAlgorithm:
        return
    paramiko.Transport._kex_info[NAME] = Hybrid  # type: ignore[attr-defined]  # noqa: SLF001
    paramiko.Transport._preferred_kex = (NAME, *paramiko.Transport._preferred_kex)  # type: ignore[attr-defined]  # noqa: SLF001
