"""What Vault answers: the shapes of what we read of it, and an adapter that takes nothing else for an answer."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from tasks.clients.lazily import lazily
from tasks.model.shapes import Misshapen, shaped

if TYPE_CHECKING:
    import hvac
else:
    hvac = lazily("hvac")


class Seal(TypedDict):
    """What an unseal key is answered with."""

    sealed: bool


class Keys(TypedDict):
    """The one answer of its kind: to the initialisation."""

    keys_base64: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
    root_token: Annotated[str, Field(min_length=1)]


class Data(TypedDict):
    """What most paths answer with."""

    data: dict[str, Any]


class _Metadata(TypedDict):
    version: Annotated[int, Field(ge=1)]


class _Gone(_Metadata):
    destroyed: bool


class Deleted(TypedDict):
    """A secret whose last version was deleted, or destroyed."""

    metadata: _Gone


class _Version(TypedDict):
    data: dict[str, Any]
    metadata: _Metadata


class Stored(TypedDict):
    """A secret of KV v2."""

    data: _Version


class _PolicyText(TypedDict):
    policy: str


class Policy(TypedDict):
    """A policy."""

    data: _PolicyText


class _RoleIdText(TypedDict):
    role_id: Annotated[str, Field(min_length=1)]


class RoleId(TypedDict):
    """An AppRole's id."""

    data: _RoleIdText


class _SecretIdText(TypedDict):
    secret_id: Annotated[str, Field(min_length=1)]


class SecretId(TypedDict):
    """A new secret id of an AppRole."""

    data: _SecretIdText


class Rekey(TypedDict):
    """Whether new unseal keys are under way."""

    started: bool


class Nonce(TypedDict):
    """What belongs to such a course is told by it."""

    nonce: Annotated[str, Field(min_length=1)]


class NewKeys(TypedDict):
    """The answer to the last of the old ones."""

    keys_base64: Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]


class Confirmed(TypedDict):
    """The answer to the last of the new ones."""

    complete: bool


class Accessors(TypedDict):
    """Of an AppRole's secret ids."""

    keys: list[str]


def adapter() -> Any:
    """An adapter, since hvac's own takes any page with status 200 for an answer, and any redirection for success."""

    class Strict(hvac.adapters.JSONAdapter):  # type: ignore[misc]
        def request(self, *args: Any, raise_exception: bool = True, **kwargs: Any) -> Any:
            answer = super().request(*args, raise_exception=raise_exception, **kwargs)
            nothing = getattr(answer, "status_code", 0) == 204 or not raise_exception
            if not isinstance(answer, dict) and not nothing:
                raise Misshapen(f"status {getattr(answer, 'status_code', 200)} without a JSON object")
            return answer

    return Strict


def entered(client: hvac.Client, role_id: str, *secret_ids: str) -> None:
    """Logged in with the first that Vault takes. Raises what hvac does for the last."""
    for secret_id in secret_ids[:-1]:
        with suppress(hvac.exceptions.InvalidRequest):
            client.auth.approle.login(role_id, secret_id)
            return
    client.auth.approle.login(role_id, secret_ids[-1])


def absent(error: hvac.exceptions.InvalidPath) -> dict[str, Any]:
    """Vault's own word that there is nothing: a 404 with errors or data. Raises Misshapen for any other server's."""
    found = shaped(dict[str, Any], error.json)
    if "errors" not in found and "data" not in found:
        raise Misshapen("status 404 without a list of errors")
    return found
