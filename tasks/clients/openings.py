"""Whether restic's repository and pgBackRest's open with a kit's keys, read out of the bucket without either program.

Restic: https://restic.readthedocs.io/en/stable/100_references.html#keys-encryption-and-mac. pgBackRest encrypts as
`openssl enc -aes-256-cbc -md sha1` does.
"""

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC, CTR, ECB
from cryptography.hazmat.primitives.poly1305 import Poly1305
from typing_extensions import TypedDict

from tasks.model.shapes import Misshapen, parsed

# Where each keeps what it reads first.
RESTIC_KEYS, RESTIC_CONFIG = "files/keys/", "files/config"
PGBACKREST_INFO, PGBACKREST_BACKUPS = "pg/archive/main/archive.info", "pg/backup/main/backup.info"
PGBACKREST_LOG = "pg/archive/main/"
_MOST_MEMORY = 2**30


class Closed(ValueError):
    """It does not open with this key, or is no such file."""


class _Wrapped(TypedDict):
    N: int
    r: int
    p: int
    salt: str
    data: str


class _Mac(TypedDict):
    k: str
    r: str


class _Master(TypedDict):
    mac: _Mac
    encrypt: str


class _Config(TypedDict):
    id: str
    version: int


@dataclass(frozen=True)
class _Key:
    """Restic's: one for AES, two parts for Poly1305-AES."""

    encrypt: bytes
    k: bytes
    r: bytes


def restic(password: str, key: bytes, config: bytes) -> None:
    """The key file opens with the password, and what it holds opens the repository. Raises Closed."""
    try:
        wrapped = parsed(_Wrapped, key.decode())
        salt, data = base64.b64decode(wrapped["salt"]), base64.b64decode(wrapped["data"])
        cost: dict[str, Any] = {"n": wrapped["N"], "r": wrapped["r"], "p": wrapped["p"]}
        made = hashlib.scrypt(password.encode(), salt=salt, dklen=64, maxmem=_MOST_MEMORY, **cost)
        master = parsed(_Master, _opened(_Key(made[:32], made[32:48], made[48:]), data).decode())
        parts = (master["encrypt"], master["mac"]["k"], master["mac"]["r"])
        parsed(_Config, _opened(_Key(*map(base64.b64decode, parts)), config).decode())
    except (ValueError, Misshapen, InvalidSignature) as error:
        raise Closed(f"restic's repository does not open: {type(error).__name__}") from None


def _opened(key: _Key, box: bytes) -> bytes:
    """Restic's box: 16 bytes of nonce, the text in AES-256-CTR, 16 bytes of Poly1305-AES over it."""
    nonce, text, mac = box[:16], box[16:-16], box[-16:]
    block = Cipher(AES(key.k), ECB()).encryptor().update(nonce)  # noqa: S305  one block, as Poly1305-AES is defined
    Poly1305.verify_tag(key.r + block, text, mac)
    return Cipher(AES(key.encrypt), CTR(nonce)).decryptor().update(text)


def pgbackrest(passphrase: str, info: bytes) -> str:
    """The archive's first file, or that of its backups, opened. Raises Closed."""
    text = decrypted(passphrase, info)
    if b"[backrest]" not in text and b"backrest-format" not in text:
        raise Closed("pgBackRest's archive does not open")
    return text.decode(errors="replace")


def decrypted(passphrase: str, box: bytes) -> bytes:
    """Any file of the archive, which has a key of its own in the first one; up to 16 bytes too long. Raises Closed."""
    if box[:8] != b"Salted__" or len(box) % 16:
        raise Closed("pgBackRest's archive is not encrypted as ours is")
    made, last = b"", b""
    while len(made) < 48:
        last = hashlib.sha1(last + passphrase.encode() + box[8:16], usedforsecurity=False).digest()
        made += last
    return Cipher(AES(made[:32]), CBC(made[32:48])).decryptor().update(box[16:])
