"""Vault's unseal keys: new ones, which count from when they are confirmed on; until then the old ones do.

OpenBao has it under ``sys/rotate/root``, for who is logged in; Vault under ``sys/rekey``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tasks.clients import vault_answers as answers
from tasks.clients import vault_session
from tasks.clients.lazily import lazily
from tasks.clients.vault_session import foreseen
from tasks.model.shapes import shaped
from tasks.run import stack

if TYPE_CHECKING:
    import hvac
else:
    hvac = lazily("hvac")

PATHS = {"openbao": "rotate/root", "vault": "rekey"}


def made(keys: Sequence[str]) -> tuple[str, ...] | None:
    """New keys, as many as the settings say, which Vault does not take yet; None where it does not take these. What was begun before
    is given up. Raises Refused.
    """
    with foreseen("making new unseal keys"):
        given_up()
        wanted = {"secret_shares": stack().vault_shares, "secret_threshold": stack().vault_threshold}
        begun = shaped(answers.Nonce, _asked("put", "init", wanted | {"require_verification": True}))
        try:
            answer = _submitted("update", keys, begun["nonce"])
        except hvac.exceptions.InvalidRequest:
            given_up()
            return None
        return tuple(shaped(answers.NewKeys, answer)["keys_base64"])


def given_up() -> None:
    """Nothing of it is under way any more. Raises Refused."""
    with foreseen("giving up new unseal keys that were not confirmed"):
        there = _asked("get", "init")
        if shaped(answers.Rekey, there)["started"]:
            _asked("delete", "init", dict(shaped(answers.Nonce, there)))


def confirmed(keys: Sequence[str]) -> bool:
    """From now on they count, and no others do. Raises Refused."""
    with foreseen("confirming the new unseal keys"):
        nonce = shaped(answers.Nonce, _asked("get", "verify"))["nonce"]
        return shaped(answers.Confirmed, _submitted("verify", keys, nonce))["complete"]


def _submitted(step: str, keys: Sequence[str], nonce: str) -> dict[str, Any]:
    """The answer to the last that it wants."""
    answer: dict[str, Any] = {}
    for key in keys:
        answer = _asked("put", step, {"key": key, "nonce": nonce})
        if answer.get("complete"):
            break
    return answer


def _asked(method: str, step: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    client = vault_session.deployer()
    url = f"/v1/sys/{PATHS[stack().vault_engine]}/{step}"
    found = getattr(client.adapter, method)(url=url, **({"json": body} if body else {}))
    answer = found if isinstance(found, dict) else {}
    return shaped(dict[str, Any], answer.get("data", answer))
