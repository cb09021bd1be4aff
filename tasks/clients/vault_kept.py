"""What this machine keeps of a host's Vault: one file for each host, readable by who deploys alone."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from tasks.model.shapes import parsed
from tasks.run import Refused, host, stack


@dataclass(frozen=True)
class Kept:
    """What this machine keeps of one Vault: unseal keys, the deployer's AppRole, and, only until the
    first run has configured it, the root token.
    """

    keys: tuple[str, ...] = ()
    root_token: str = ""
    role_id: str = ""
    secret_id: str = ""
    asked: bool = False  # it was told to initialise, and its answer has not arrived yet


def state_file() -> Path:
    """Where Kept is stored: one file for each host."""
    return Path(stack().state_dir).expanduser() / host().name.lstrip("@") / "vault.json"


def kept() -> Kept | None:
    """What is stored here, None when nothing is. Raises Refused for a file that cannot be read."""
    path = state_file()
    if not path.exists():
        return None
    try:
        return parsed(Kept, path.read_text())
    except (OSError, ValueError) as error:
        raise Refused(f"{path} cannot be read ({error}): restore it from your backup of it") from None


def keep(value: Kept) -> None:
    """Stores it durably (0600, renamed into place) before Vault relies on it."""
    path = state_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(value), file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
