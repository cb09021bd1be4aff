"""Tokens of Vault's that may look themselves up and revoke themselves, and open guarded pages: for who checks a host, a
minute long, and for people, some hours long.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tasks.clients import vault_answers as answers
from tasks.clients import vault_session
from tasks.clients.lazily import lazily
from tasks.clients.vault_session import CHECKER, GUARD, GUARD_HOURS, foreseen
from tasks.model.shapes import shaped
from tasks.model.targets import target
from tasks.run import Refused, stack

if TYPE_CHECKING:
    import hvac
else:
    hvac = lazily("hvac")


# Seconds after which a request gets another one.
FRESH = 40


@contextmanager
def minute() -> Iterator[str]:
    """The token; revoked at the end, if nobody has done so before. Raises Refused."""
    client = vault_session.client()
    with foreseen("making a token for a minute"):
        client.token = _made(CHECKER, _role_id(CHECKER))
    try:
        yield str(client.token)
    finally:
        with foreseen("revoking the token"), suppress(hvac.exceptions.Forbidden):
            client.auth.token.revoke_self()


def lasting(hours: int) -> str:
    """A token that opens guarded pages for so long. Raises Refused."""
    if address := stack().vault_address:
        raise Refused(
            f"the Vault at {address} is not ours, and so are its tokens: any that may look itself up opens guarded pages; "
            "who looks after it gives them (vault login, vault print token)"
        )
    with foreseen(f"making a token for {hours} h"):
        role_id = _role_id(GUARD)
        if hours == GUARD_HOURS:
            return _made(GUARD, role_id)
        try:
            _lifetime(hours)
            return _made(GUARD, role_id)
        finally:
            _lifetime(GUARD_HOURS)


def _role_id(role: str) -> str:
    try:
        found = vault_session.deployer().auth.approle.read_role_id(role)
    except hvac.exceptions.InvalidPath as error:
        answers.absent(error)
        raise Refused(f"Vault has no AppRole {role} yet: {target('deploy')} makes it") from None
    return shaped(answers.RoleId, found)["data"]["role_id"]


def _made(role: str, role_id: str) -> str:
    approle = vault_session.deployer().auth.approle
    secret_id = shaped(answers.SecretId, approle.generate_secret_id(role))["data"]["secret_id"]
    made = approle.login(role_id, secret_id, use_token=False)
    return str(made["auth"]["client_token"])


def _lifetime(hours: int) -> None:
    """Of the tokens that the role gives from now on: a login cannot choose it, and the deployer may make no tokens."""
    approle = vault_session.deployer().auth.approle
    approle.create_or_update_approle(GUARD, token_ttl=hours * 3600, token_max_ttl=hours * 3600)
