"""A token of Vault's for whoever checks a host: it lives a minute, and may look itself up and revoke itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from tasks.clients import vault_answers as answers
from tasks.clients import vault_session
from tasks.clients.lazily import lazily
from tasks.clients.vault_session import CHECKER, foreseen
from tasks.model.shapes import shaped
from tasks.run import Refused

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
        client.token = _made()
    try:
        yield str(client.token)
    finally:
        with foreseen("revoking the token"), suppress(hvac.exceptions.Forbidden):
            client.auth.token.revoke_self()


def _made() -> str:
    approle = vault_session.deployer().auth.approle
    try:
        role_id = shaped(answers.RoleId, approle.read_role_id(CHECKER))["data"]["role_id"]
    except hvac.exceptions.InvalidPath as error:
        answers.absent(error)
        raise Refused(f"Vault has no AppRole {CHECKER} yet: `make deploy` makes it") from None
    secret_id = shaped(answers.SecretId, approle.generate_secret_id(CHECKER))["data"]["secret_id"]
    made = approle.login(role_id, secret_id, use_token=False)
    return str(made["auth"]["client_token"])
