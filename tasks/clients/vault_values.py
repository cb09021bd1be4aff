"""Values in Vault, read once a run; and those that a person has to give, which nothing of ours can make."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial

from tasks.clients import kit, vault_session
from tasks.connection.memory import remembered
from tasks.model.given import BUCKET, asked, given
from tasks.model.shapes import shown
from tasks.model.targets import target
from tasks.run import Refused, executing, recall, remember, services, stack, together


def values(path: str) -> dict[str, str]:
    """The secrets of one path, read from Vault once a run. Raises Refused."""
    return versioned(path)[0]


def versioned(path: str) -> tuple[dict[str, str], int]:
    """The same with the path's version, which a write goes on top of. Raises Refused."""
    found = remember(("secrets", path), lambda: vault_session.read(path))
    for name, value in found[0].items():
        where = f"{stack().vault_mount}/{path}#{shown(name)}"
        if not isinstance(value, str):
            raise Refused(f"{where} is no text; write it as a string")
        if re.search("[\ud800-\udfff]", value):
            raise Refused(f"{where} holds a lone surrogate, which is no text")
    return found


def write(path: str, full: dict[str, str], version: int) -> None:
    """Writes on top of what was read, which is read anew by who asks next. Raises Refused."""
    vault_session.write(path, full, version)
    recall(("secrets", path))


def writing() -> None:
    """Said by what writes, while a run is planned: what follows from that is in the plan, too."""
    remember("writing", lambda: True)


def wrote() -> bool:
    """Whether this run has written a secret; while it is planned, whether it will."""
    return vault_session.wrote() if executing() else bool(remembered("writing"))


def lost() -> list[str]:
    """Path and name of what a person has to give and Vault does not hold. Raises Refused."""
    wanted = asked(services(), stack())
    together(*(partial(versioned, path) for path in dict.fromkeys(path for path, _ in wanted)))
    return [f"{path}#{name}" for path, name in wanted if not values(path).get(name)]


def refusals() -> Iterator[str]:
    """The same before the first change, where Vault can be asked already; else the phase of the secrets says it. What opens
    the bucket this machine has to have before that.
    """
    if not (given(services()) or asked(services(), stack())):
        return
    present: dict[str, str] = {}
    with suppress(Refused):
        vault_session.deployer()
        if missing := lost():
            yield to_be_given(missing)
        present = values(BUCKET)
    yield from unopened(present)


def unopened(present: Mapping[str, str]) -> Iterator[str]:
    """Why the bucket could not be opened, with what Vault holds of it."""
    missing = [name for path, name in given(services()) if path == BUCKET and name in HELD]
    if stack().backup is None or all(present.get(name) for name in missing) or kit.held() is not None:
        return
    yield (
        f"backup: neither Vault ({stack().vault_mount}/{BUCKET}) nor {kit.file()} has what opens the bucket: "
        f"{target('bucket KIT=…')} sets it up, or takes it from a kit that there is"
    )


# Name in Vault → what this machine keeps of the kit for the host.
HELD: Mapping[str, Callable[[kit.Held], str]] = {
    "S3_KEY": lambda held: held.access_key,
    "S3_KEY_SECRET": lambda held: held.secret_key,
    "RESTIC_PASSWORD": lambda held: held.restic,
    "PGBACKREST_CIPHER": lambda held: held.pgbackrest,
}
# Of these, what the server of the bucket knows the host by: the one that can be made anew.
KEY = ("S3_KEY", "S3_KEY_SECRET")


def to_be_given(places: list[str]) -> str:
    """What to do about it."""
    names = " and ".join(f"{stack().vault_mount}/{place}" for place in places)
    return (
        f"Vault does not hold {names}, which only you know: {target('give-secrets')} asks for it "
        "and writes it; then deploy again"
    )
