"""What this machine keeps of a host's Vault: one file for each host, readable by who deploys alone."""

from dataclasses import asdict, dataclass
from pathlib import Path

from tasks.clients import state_dir
from tasks.model.shapes import parsed
from tasks.run import Refused


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
    # While a rotation is under way, and until a snapshot of Vault has what is new: the other ones, of which Vault takes
    # these or those (tasks/operations/vault_keys.py).
    other_keys: tuple[str, ...] = ()
    other_secret_id: str = ""


def state_file() -> Path:
    """Where Kept is stored: one file for each host."""
    return state_dir.folder() / "vault.json"


def kept() -> Kept | None:
    """What is stored here, None when nothing is. Raises Refused for a file that cannot be read."""
    path = state_file()
    if not path.exists():
        return None
    try:
        return parsed(Kept, path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(f"{path} cannot be read ({error}): restore it from your backup of it") from None


def fresh() -> bool:
    """Whether no run of ours has configured that Vault yet: until then nobody has anything in it."""
    found = kept()
    return found is None or found.asked or found.root_token != ""


def keep(value: Kept) -> None:
    """Stores it durably before Vault relies on it."""
    state_dir.store(state_file(), asdict(value))
