"""The setting ``notify``: what its fields may hold, and what contradicts it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt

from tasks.model.domain_types import Email
from tasks.model.setting_types import Listed

_CHAT = re.compile(r"@[A-Za-z][A-Za-z0-9_]{3,31}")


def unfit(address: str) -> str:
    """Why nothing is sent to this address; empty where it is one. It may hold a token, so it is not repeated. Pure."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return _NONE
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or re.search(r"[\s\x00-\x1f\x7f]", address)
    ):
        return _NONE
    if parts.scheme == "http" and not _private(parts.hostname):
        return "begins with http://, and would be readable to whoever is on the way: it has to be https:// (or lead to a private address)"
    return ""


_NONE = "is no address like https://host/path"


def _private(name: str) -> bool:
    try:
        return ip_address(name).is_private
    except ValueError:
        return False


def _chat(value: int | str) -> int | str:
    if isinstance(value, str) and not _CHAT.fullmatch(value):
        raise ValueError(f"{value!r} is no chat (like -1001234567890 or @channel)")
    return value


def _server(text: str) -> str:
    if why := unfit(text):
        raise ValueError(why)
    return text.rstrip("/")


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Telegram(_Table):
    """A chat that the bot was invited into. api: another server of the Bot API than Telegram's own."""

    chat: Annotated[StrictInt | str, AfterValidator(_chat)]
    api: Annotated[str, AfterValidator(_server)] = "https://api.telegram.org"


class Recipients(_Table):
    """Who gets a mail, by the server of the setting ``mail``."""

    to: Annotated[tuple[Email, ...], Listed, Field(min_length=1)]


_Chosen = Annotated[bool, Field(strict=True)]


class Notify(_Table):
    """The channels. Those that are only chosen have all that they need in Vault: an address that whoever knows it may use."""

    ntfy: _Chosen = False
    slack: _Chosen = False
    webhook: _Chosen = False
    telegram: Telegram | None = None
    mail: Recipients | None = None


def untellable(notify: Any, mail: Any) -> Iterable[str]:
    """Contradictions; must hold on data of any type."""
    if not isinstance(notify, Mapping):
        return
    if not any(notify.values()):
        yield f"notify: names no channel ({', '.join(Notify.model_fields)}); None where nobody is to be told"
    if notify.get("mail") and mail is None:
        yield "notify.mail: needs the setting mail, which says through which server"
