"""Login keys: public keys as lines of authorized_keys, as settings have them, and as files on hosts do."""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tasks.model.shapes import shown
from tasks.model.words import suggestion

_OLD = "ssh-dss"
_KINDS = (
    *("ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    *("sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"),
)
_LEAST_RSA = 2048
# Options by whether they have a value.
_FLAGS = (
    *("agent-forwarding", "cert-authority", "no-agent-forwarding", "no-port-forwarding", "no-pty", "no-touch-required"),
    *("no-user-rc", "no-x11-forwarding", "port-forwarding", "pty", "restrict", "user-rc", "verify-required", "x11-forwarding"),
)  # fmt: skip
_VALUED = (
    "command",
    "environment",
    "expiry-time",
    "from",
    "permitlisten",
    "permitopen",
    "principals",
    "tunnel",
)
# In the text of a key that nobody else may have, or in base64 what such a file begins with.
PRIVATE = re.compile(r"PRIVATE KEY|PuTTY-User-Key-File|b3BlbnNzaC1rZXktdjE")
_OPTION = re.compile(r'([A-Za-z0-9-]+)(?:="((?:\\"|[^"])*)")?(,|[ \t]+)')
_LIKE = 'a line of authorized_keys, as ssh-keygen has it in a .pub file: "ssh-ed25519 AAAA… ana@laptop"'


@dataclass(frozen=True)
class Key:
    """A line that lets somebody in. kind, blob: the key. authority: who has a certificate of this key's comes in, and not it itself.

    options: as sshd reads them, name in lower case → value, empty for one without.
    """

    line: str
    kind: str
    blob: bytes
    comment: str
    options: tuple[tuple[str, str], ...] = ()

    @property
    def authority(self) -> bool:
        """It signs the keys of others."""
        return any(name == "cert-authority" for name, _ in self.options)

    @property
    def who(self) -> tuple[bytes, bool]:
        """What makes it another key."""
        return self.blob, self.authority

    @property
    def public(self) -> str:
        """Without options and comment."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """As ssh-keygen -l shows it."""
        return fingerprint(self.blob)

    def __str__(self) -> str:
        """Fingerprint and comment."""
        text = shown(f"{self.fingerprint} {self.comment}").strip()
        return f"the authority {text}" if self.authority else text


def fingerprint(blob: bytes) -> str:
    """SHA-256 of a public key, as OpenSSH shows it."""
    return f"SHA256:{base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip('=')}"


def key(text: str) -> Key:
    """A line of a setting. Raises ValueError, which says no word of what might be secret."""
    line = text.strip()
    if PRIVATE.search(line):
        raise ValueError(
            "is a private key, which nobody else may have: name the public one (`ssh-keygen -y -f FILE` prints it), and make a "
            "new pair, since this one has been in a file of settings"
        )
    if "SSH2 PUBLIC KEY" in line:
        raise ValueError("is a public key in another format: `ssh-keygen -i -f FILE` prints it as a line")
    if re.search(r"[\r\n\0]", line):
        raise ValueError("has more than one line: name each key by itself")
    found = _read(line)
    if found.kind == _OLD:
        raise ValueError("is a DSA key, which sshd takes no more: make a new one (ssh-keygen -t ed25519)")
    if found.kind == "ssh-rsa" and (bits := int.from_bytes(_parts(found.blob)[-1]).bit_length()) < _LEAST_RSA:
        raise ValueError(
            f"is an RSA key of {bits} bits, fewer than {_LEAST_RSA}: make a new one (ssh-keygen -t ed25519)"
        )
    return found


def keys(text: str) -> tuple[Key, ...]:
    """Those of a file on a host, in its order; lines that let nobody in are none."""
    return tuple(_taken(text))


def _taken(text: str) -> Iterator[Key]:
    for line in text.split("\n"):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                yield _read(line.strip())
            except ValueError:
                continue


def _read(line: str) -> Key:
    """Raises ValueError."""
    options, rest = _options(line)
    kind, _, rest = re.sub(r"[ \t]+", " ", rest).partition(" ")
    data, _, comment = rest.partition(" ")
    if "-cert-v01@" in kind:
        raise ValueError(
            "is a certificate, which no file lets in: name its authority, as `cert-authority ssh-ed25519 AAAA…`"
        )
    if kind not in (*_KINDS, _OLD):
        raise ValueError(
            f"is no public key: it has to be {_LIKE}, with options before it where you want some"
        )
    try:
        blob = base64.b64decode(data, validate=True)
        first = _parts(blob)[0]
    except ValueError:
        raise ValueError(f"is no whole public key: copy it again, as {_LIKE}") from None
    if first != kind.encode():
        raise ValueError(f"says {kind}, and holds another kind of key: copy it again, as {_LIKE}")
    return Key(line, kind, blob, comment, options)


def _options(line: str) -> tuple[tuple[tuple[str, str], ...], str]:
    """Options, and what comes after them. Raises ValueError."""
    if (
        line.partition(" ")[0].partition("\t")[0] in (*_KINDS, "ssh-dss")
        or "-cert-v01@" in line.partition(" ")[0]
    ):
        return (), line
    found, at = [], 0
    while part := _OPTION.match(line, at):
        name, value, end = part[1].lower(), part[2], part[3]
        if name not in (*_FLAGS, *_VALUED):
            break
        if (value is None) == (name in _VALUED):
            raise ValueError(
                f"has the option {name} {'without a value' if value is None else 'with a value'}: see man authorized_keys"
            )
        found.append((name, (value or "").replace('\\"', '"')))
        at = part.end()
        if end != ",":
            return tuple(found), line[at:]
    if at or any(f" {kind} " in line for kind in _KINDS):
        name = re.split(r"[=,\s]", line[at:])[0][:30]
        raise ValueError(
            f"has an option that sshd does not know, {name!r}{suggestion(name, (*_FLAGS, *_VALUED))}: it would let nobody in"
        )
    return (), line


def _parts(blob: bytes) -> list[bytes]:
    """Its strings. Raises ValueError for another structure."""
    found, at = list[bytes](), 0
    while at < len(blob):
        size = int.from_bytes(blob[at : at + 4])
        if at + 4 + size > len(blob):
            raise ValueError("it is cut")
        found.append(blob[at + 4 : at + 4 + size])
        at += 4 + size
    if len(found) < 2:
        raise ValueError("there is nothing in it")
    return found


def text(lines: Iterable[str]) -> str:
    """The file."""
    head = "# Written by the deploy, from login_keys: what is added here by hand goes with the next one.\n"
    return head + "".join(f"{line}\n" for line in lines)
