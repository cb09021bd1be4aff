"""The kit: what opens the backups, kept by the operator; and what of it this machine and the host get.

All keys come from one, the recovery key, by HKDF (RFC 5869): restic's password and pgBackRest's cipher, which the host has to
have, and the key of the sealed state, of which everybody but the kit has the public half alone: host and bucket together do
not open it.
"""

import base64
import errno
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from tasks.clients import state_dir
from tasks.model.shapes import Misshapen, parsed
from tasks.model.stack import Backup
from tasks.model.targets import target
from tasks.run import Refused


class BadKey(ValueError):
    """Text that is no recovery key."""


@dataclass(frozen=True)
class Keys:
    """What comes of a recovery key. private: of the sealed state."""

    restic: str
    pgbackrest: str
    private: bytes

    @property
    def public(self) -> bytes:
        """What seals."""
        return bytes(PrivateKey(self.private).public_key)


@dataclass(frozen=True)
class Kit:
    """The operator's file. access_key and secret_key: the host's, for the bucket. fingerprint: of the public key."""

    endpoint: str
    region: str
    bucket: str
    root: str
    access_key: str
    secret_key: str
    recovery_key: str
    fingerprint: str

    @property
    def backup(self) -> Backup:
        """Where it leads."""
        return Backup(endpoint=self.endpoint, bucket=self.bucket, region=self.region, root=self.root)

    @property
    def keys(self) -> Keys:
        """What comes of its recovery key."""
        return derived(recovery(self.recovery_key))


@dataclass(frozen=True)
class Held:
    """What this machine keeps of it for the host. public: in hexadecimal digits."""

    public: str
    restic: str
    pgbackrest: str
    access_key: str
    secret_key: str


def new(backup: Backup, access_key: str, secret_key: str) -> Kit:
    """A kit with a recovery key of its own."""
    key = os.urandom(32)
    place = (backup.endpoint, backup.region, backup.bucket, backup.root)
    return Kit(*place, access_key, secret_key, written(key), fingerprint(derived(key).public))


def derived(key: bytes) -> Keys:
    """The keys that come of it."""

    def one(info: str) -> bytes:
        return HKDF(SHA256(), 32, salt=None, info=f"smarteros/{info}".encode()).derive(key)

    def word(info: str) -> str:
        return base64.urlsafe_b64encode(one(info)).decode().rstrip("=")

    return Keys(word("restic"), word("pgbackrest"), private=one("state"))


def written(key: bytes) -> str:
    """As a person copies it: groups of four, in letters and digits that are not mistaken for one another."""
    text = base64.b32encode(key).decode().rstrip("=")
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def recovery(text: str) -> bytes:
    """The key again, however it was copied. Raises BadKey."""
    bare = re.sub(r"[\s-]", "", text).upper().translate(str.maketrans("018", "OIB"))
    try:
        key = base64.b32decode(bare + "=" * (-len(bare) % 8))
    except ValueError:
        key = b""
    if len(key) != 32:
        raise BadKey("is no recovery key: 13 groups of four letters and digits")
    return key


def fingerprint(public: bytes) -> str:
    """What a person compares."""
    digits = hashlib.sha256(public).hexdigest()[:16]
    return "-".join(digits[at : at + 4] for at in range(0, 16, 4))


def held_of(kit: Kit) -> Held:
    """What this machine keeps of a kit."""
    keys = kit.keys
    return Held(keys.public.hex(), keys.restic, keys.pgbackrest, kit.access_key, kit.secret_key)


def sealed(public: str, text: bytes) -> bytes:
    """Read by whoever has the kit, and nobody else."""
    return bytes(SealedBox(PublicKey(bytes.fromhex(public))).encrypt(text))


def opened(private: bytes, box: bytes) -> bytes:
    """What was sealed. Raises Refused where it was for another key, or a bit of it has flipped."""
    try:
        return bytes(SealedBox(PrivateKey(private)).decrypt(box))
    except (CryptoError, ValueError):
        raise Refused(
            "the sealed state does not open with this kit: it is of another one, or damaged"
        ) from None


def read(path: Path) -> Kit | None:
    """The kit in that file, None where there is no file. Raises Refused."""
    try:
        if not path.exists():
            return None
        kit = parsed(Kit, path.read_text("utf-8"))
        found = fingerprint(kit.keys.public)
    except (OSError, UnicodeDecodeError, Misshapen, BadKey) as error:
        raise Refused(f"KIT={path} is no kit that can be read: {getattr(error, 'strerror', error)}") from None
    if found != kit.fingerprint:
        raise Refused(
            f"KIT={path}: its recovery_key comes to {found}, and its fingerprint is {kit.fingerprint}: one of them was miscopied"
        )
    return kit


def write(path: Path, kit: Kit) -> None:
    """Once: never over another one, and whole or not at all. Raises Refused."""
    with writing(path):
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        state_dir.store_text(path, json.dumps(asdict(kit), indent=2) + "\n")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raises Refused for what stands against it."""
    try:
        yield
    except OSError as error:
        raise Refused(f"KIT={path} cannot be written: {error.strerror}") from None


# Held, in the host's folder.
FILE = "backup.json"


def file() -> Path:
    """Where Held is stored."""
    return state_dir.folder() / FILE


def held() -> Held | None:
    """What this machine has for the host, None before `make bucket`. Raises Refused for a file that cannot be read."""
    path = file()
    try:
        return parsed(Held, path.read_text("utf-8")) if path.exists() else None
    except (OSError, ValueError) as error:
        raise Refused(
            f"{path} cannot be read ({error}): {target('bucket KIT=…')} with the kit makes it again"
        ) from None


def hold(value: Held) -> None:
    """Stores it."""
    state_dir.store(file(), asdict(value))
