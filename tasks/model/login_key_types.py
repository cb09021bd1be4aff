"""The setting ``login_keys``: user → lines of authorized_keys. Nothing of what stands in a line's place is repeated: it may be a private key."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from tasks.model.login_keys import PRIVATE, key
from tasks.model.setting_types import User
from tasks.model.words import kind


def _one(value: Any) -> Any:
    return key(value).line if isinstance(value, str) else value


def _each(value: Any) -> Any:
    """Like other lists, but nothing of what stands in its place is repeated: it may be a private key."""
    if not isinstance(value, list | tuple):
        raise ValueError(f"has to be a list of lines, and is {kind(value)}")  # noqa: TRY004  pydantic reports no TypeError
    if not value:
        raise ValueError(
            "lists no key, and nobody could log in as this user: take the user out of login_keys, and the keys stay as they are; who may "
            "not log in at all is not named in login_users"
        )
    return value


def _distinct(lines: tuple[str, ...]) -> tuple[str, ...]:
    found = [key(line) for line in lines]
    for index, one in enumerate(found):
        if one.who in (other.who for other in found[:index]):
            raise ValueError(f"{one} is listed twice")
    return lines


def _table(value: Any) -> Any:
    if isinstance(value, Mapping) and any(
        not isinstance(name, str) or len(name) > 40 or PRIVATE.search(name) for name in value
    ):
        raise ValueError('names keys where users have to stand: {"root": ["ssh-ed25519 AAAA… ana@laptop"]}')
    return value


_Line = Annotated[str, BeforeValidator(_one)]
LoginKeys = Annotated[
    dict[User, Annotated[tuple[_Line, ...], BeforeValidator(_each), AfterValidator(_distinct)]],
    BeforeValidator(_table),
]


def unlisted(login_keys: Any, login_users: Iterable[str]) -> Iterator[str]:
    """Who has keys, and may not log in. Must hold on data of any type."""
    users = [*login_users]
    for name in login_keys if isinstance(login_keys, Mapping) and users else ():
        if isinstance(name, str) and len(name) <= 40 and name not in users:
            yield f"login_keys.{name}: is not in login_users, so that no key lets them in: add the name there, or take it out here"
