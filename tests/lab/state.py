"""What a checkout remembers of its labs: .lab/<name> for each, and .lab/authority, a copy of what the machine's labs share."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import NamedTemporaryFile

FOLDER = Path(__file__).parents[2] / ".lab"
RESERVED = ("authority", "cache", "image")  # a folder, and labels of what labs share
NAME = re.compile(r"[a-z]([a-z0-9-]{0,29}[a-z0-9])?")


class StateError(Exception):
    """A lab's name or its state cannot be used."""


@dataclass(frozen=True)
class Description:
    """lab.json: what is up, or was about to be: `up` makes whatever of it is missing."""

    name: str
    images: str
    subnet: str
    hosts: dict[str, str] = field(default_factory=dict)

    def with_host(self, name: str, address: str) -> Description:
        """The same with one more host."""
        return replace(self, hosts=dict(sorted({**self.hosts, name: address}.items())))

    def without_host(self, name: str) -> Description:
        """The same with one host less."""
        return replace(self, hosts={key: value for key, value in self.hosts.items() if key != name})


@dataclass(frozen=True)
class State:
    """The folder of one lab, and what Docker's objects of it are called."""

    name: str
    root: Path = FOLDER

    def __post_init__(self) -> None:
        """Refuse names that Docker or the folder .lab cannot take."""
        if not NAME.fullmatch(self.name) or self.name in RESERVED:
            raise StateError(f"{self.name!r} cannot name a lab: use small letters, digits and dashes")

    @property
    def folder(self) -> Path:
        """Everything below is removed with the lab."""
        return self.root / self.name

    @property
    def checkout(self) -> Path:
        """Who a lab belongs to: wherever .lab really is, also when a link led there."""
        return self.root.resolve().parent

    @property
    def key(self) -> str:
        """Other checkouts of this machine have labs of the same name, none of the same key."""
        return f"{self.name}.{hashlib.sha256(bytes(self.checkout)).hexdigest()[:8]}"

    @property
    def authority(self) -> Path:
        """Where what signs for the lab can be read, and its key."""
        return self.root / "authority" / "ca.pem"

    @property
    def ssh_key(self) -> Path:
        """Opens every host of the lab as root."""
        return self.folder / "ssh_key"

    @property
    def known_hosts(self) -> Path:
        """The hosts' own keys, known before the first login."""
        return self.folder / "known_hosts"

    @property
    def acme_root(self) -> Path:
        """What signs the certificates that hosts obtain."""
        return self.folder / "acme-root.pem"

    def keep_acme_root(self, certificate: bytes) -> None:
        """Replace it in one step: threads of one test ask for it at the same time, and read it at once."""
        with NamedTemporaryFile(dir=self.folder, prefix="acme-root.", delete=False) as draft:
            draft.write(certificate)
        Path(draft.name).replace(self.acme_root)

    def keep_bucket(self, setting: dict[str, str]) -> None:
        """What ``backup`` is in the settings of this lab (group_data/lab.py)."""
        (self.folder / "bucket.json").write_text(json.dumps(setting, indent=2) + "\n")

    @property
    def public_key(self) -> str:
        """The line for authorized_keys."""
        return self.ssh_key.with_suffix(".pub").read_text()

    def create(self) -> None:
        """Make the folder and the SSH key that opens every host of this lab."""
        self.root.mkdir(mode=0o700, exist_ok=True)
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self.known_hosts.touch()
        if not self.ssh_key.exists():
            make_ssh_key(self.ssh_key)

    def read(self) -> Description | None:
        """What lab.json says; None without a lab."""
        path = self.folder / "lab.json"
        return Description(**json.loads(path.read_text())) if path.exists() else None

    def write(self, description: Description) -> None:
        """Replace lab.json in one step."""
        draft = self.folder / "lab.json.new"
        draft.write_text(json.dumps(asdict(description), indent=2) + "\n")
        draft.replace(self.folder / "lab.json")

    def trust(self, address: str, public_key: str | None) -> None:
        """Set the one known SSH key of an address; None forgets it."""
        lines = [line for line in self.known_hosts.read_text().splitlines() if line.split()[0] != address]
        if public_key:
            kind, key = public_key.split()[:2]
            lines.append(f"{address} {kind} {key}")
        self.known_hosts.write_text("".join(f"{line}\n" for line in lines))

    def forget_authority(self) -> None:
        """To be done when the machine has none any more."""
        shutil.rmtree(self.authority.parent, ignore_errors=True)

    def others(self) -> list[str]:
        """The names of this checkout's other labs."""
        return sorted(
            path.parent.name for path in self.root.glob("*/ssh_key") if path.parent.name != self.name
        )

    def remove(self) -> None:
        """Forget the lab."""
        shutil.rmtree(self.folder, ignore_errors=True)


def make_ssh_key(path: Path) -> None:
    """An ed25519 key pair without a passphrase, at path and path.pub."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "smarteros-lab", "-f", str(path)]
    subprocess.run(command, check=True)
