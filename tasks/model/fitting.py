"""Fitting: what a value that a person gives has to be for the program that it is for."""

import re
from collections.abc import Callable, Iterator, Mapping

from tasks.model.rotation import Place

# What Secret.asks names: a sign of each class.
_CLASSES: Mapping[str, tuple[str, Callable[[str], bool]]] = {
    "A": ("an upper-case letter", str.isupper),
    "a": ("a lower-case letter", str.islower),
    "1": ("a digit", str.isdigit),
    "!": ("a character that is neither", lambda sign: not sign.isalnum()),
}
# bcrypt looks at no more.
_HASHED = 72


def lacks(place: Place, value: str) -> Iterator[str]:
    """What it does not have of that. Pure."""
    secret = place.secret
    if place.made and len(value.encode(errors="replace")) > _HASHED:
        yield f"no more than {_HASHED} bytes"
    if place.role and not (value.isascii() and value.isprintable()):
        yield "printable ASCII alone, for PostgreSQL"
    if secret and secret.kind == "hex" and not re.fullmatch(rf"[0-9a-fA-F]{{{secret.length}}}", value):
        yield f"exactly {secret.length} hexadecimal digits (`openssl rand -hex {secret.length // 2}` makes them)"
    if secret and len(value) < secret.least:
        yield f"at least {secret.least} characters"
    for words, is_one in (_CLASSES[sign] for sign in (secret.asks if secret else "")):
        if not any(map(is_one, value)):
            yield words
