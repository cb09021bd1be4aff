"""What Vault holds of before: the values that a secret had in earlier versions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tasks.clients import vault_answers as answers
from tasks.clients.lazily import lazily
from tasks.clients.vault_session import deployer, foreseen
from tasks.clients.vault_values import versioned
from tasks.model.shapes import shaped
from tasks.run import stack

if TYPE_CHECKING:
    import hvac
else:
    hvac = lazily("hvac")


def older(path: str) -> dict[str, list[str]]:
    """Name → the values of before that Vault still has, without the one of now. Raises Refused."""
    present, version = versioned(path)
    found: dict[str, list[str]] = {}
    for past in _versions(path, version):
        for name, value in past.items():
            values = found.setdefault(name, [])
            if isinstance(value, str) and value and value not in (present.get(name), *values):
                values.append(value)
    return found


def _versions(path: str, version: int) -> Iterator[dict[str, Any]]:
    mount = stack().vault_mount
    for number in range(version - 1, 0, -1):
        with foreseen(f"reading {mount}/{path}, version {number}"):
            try:
                found = deployer().secrets.kv.v2.read_secret_version(
                    path, version=number, mount_point=mount, raise_on_deleted_version=True
                )
            except hvac.exceptions.InvalidPath as error:
                if answers.absent(error).get("data"):
                    continue
                return  # it keeps so many, and no older ones
            stored = shaped(answers.Stored, found)["data"]
        yield stored["data"]
