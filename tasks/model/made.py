"""Made: the values that secrets of ours begin with, each by its kind."""

import secrets as random
import string
from collections.abc import Mapping

import bcrypt

from tasks.model.catalogue import Secret
from tasks.model.envfile import Impossible

_ALPHANUMERIC = string.ascii_letters + string.digits


def generated(declared: tuple[Secret, ...], present: Mapping[str, str]) -> dict[str, str]:
    """Values for the declared secrets that are not present; a hash is made from the value it is of. Raises Impossible."""
    made: dict[str, str] = {}
    for secret in declared:
        if secret.name not in present:
            made[secret.name] = _generate(secret, {**present, **made})
    return made


def _generate(secret: Secret, others: Mapping[str, str]) -> str:
    if secret.kind == "bcrypt":
        try:
            return bcrypt.hashpw(others[secret.of].encode(), bcrypt.gensalt(rounds=12)).decode()
        except ValueError as error:
            raise Impossible(f"{secret.name} cannot be made of {secret.of}: {error}") from None
    if secret.kind == "hex":
        return random.token_hex(secret.length // 2)
    if secret.kind == "password":
        return "Aa1!" + _token(secret.length - 4)
    return _token(secret.length)


def _token(length: int) -> str:
    return "".join(random.choice(_ALPHANUMERIC) for _ in range(length))
