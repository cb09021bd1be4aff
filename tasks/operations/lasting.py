"""Lasting: secrets that may never change, and are not in Vault any more."""

from collections.abc import Mapping

from pyinfra import logger

from tasks.clients import vault_past
from tasks.clients.vault_values import versioned
from tasks.connection.answer import NoAnswer
from tasks.facts import DockerFact, ahead
from tasks.model.catalogue import Secret
from tasks.rendering.render import SECRETS
from tasks.run import Refused, host, known, stack


def refuse_what_is_gone(path: str, declared: tuple[Secret, ...]) -> None:
    """`vault kv metadata delete` leaves no earlier version; a host that has the env file has had them."""
    gone = {each.name: each.lasting for each in declared if each.lasting}
    if gone and path in known(DockerFact).env_digests:
        raise Refused(
            f"{stack().vault_mount}/{path} is gone from Vault, with {', '.join(gone)}: {_still(path, gone, 'put')}"
        )


def _still(path: str, gone: Mapping[str, str], how: str) -> str:
    where = f"{stack().vault_mount}/{path}"
    return (
        f"others would lose {'; '.join(dict.fromkeys(gone.values()))}. {SECRETS}/{path}.env on {host().name} still has them: write them "
        f"back (vault kv {how} {where} {next(iter(gone))}=…), or move that file away where nothing needs them any more"
    )


def _refuse_what_the_host_has(path: str, lost: Mapping[str, str]) -> None:
    """What it has never had is a newer package's, and is made."""
    if not lost or path not in known(DockerFact).env_digests:
        return
    file = f"{SECRETS}/{path}.env"
    try:
        names = ahead.look(host(), (), (file,), ()).lines.get(file, {})
    except NoAnswer as error:
        raise Refused(str(error)) from None
    if gone := {name: why for name, why in lost.items() if name in names}:
        where = f"{stack().vault_mount}/{path}"
        raise Refused(
            f"{where} has no {', '.join(gone)} any more, and no earlier version that is still there has: {_still(path, gone, 'patch')}"
        )


def of_before(path: str, declared: tuple[Secret, ...], present: Mapping[str, str]) -> dict[str, str]:
    """What may never change and is not there (`vault kv put` leaves out what it is not told), as an earlier version has it. Raises
    Refused where none has it any more (`vault kv destroy`), and the host does.
    """
    gone = {each.name: each.lasting for each in declared if each.lasting and each.name not in present}
    if not gone or not versioned(path)[1]:
        return {}
    past = vault_past.older(path)
    kept = {name: past[name][0] for name in gone if past.get(name)}
    _refuse_what_the_host_has(path, {name: why for name, why in gone.items() if name not in kept})
    for name in kept:
        line = (
            f"{stack().vault_mount}/{path}#{name} is not in Vault any more; its last value, which an earlier version has, is put back: "
            f"another one would lose {gone[name]}. To change others leave it there: vault kv patch, not put"
        )
        host().log_styled(line, fg="yellow", log_func=logger.warning)
    return kept
