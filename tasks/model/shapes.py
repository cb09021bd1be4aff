"""Shapes: what a host or a server answers is of the shape that it has to be, or it is no answer.

Strict: "false" is no truth value and "5" no number. What is wrong is named without what it holds, which may
be a secret.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")

_LONGEST = 600


class Misshapen(ValueError):
    """An answer of another shape; the text says where, and what it should have been, in one line."""


def shaped(shape: type[T], value: Any) -> T:
    """The value, without what the shape does not know. Raises Misshapen."""
    try:
        adapter: TypeAdapter[T] = _adapter(cast("Any", shape))
        return adapter.validate_python(value, strict=True)
    except ValidationError as error:
        raise Misshapen(_first(error)) from None


def parsed(shape: type[T], text: str) -> T:
    """What the JSON text says. Raises Misshapen."""
    try:
        adapter: TypeAdapter[T] = _adapter(cast("Any", shape))
        return adapter.validate_json(json.dumps(json.loads(text)), strict=True)
    except ValidationError as error:
        raise Misshapen(_first(error)) from None
    except (ValueError, RecursionError) as error:
        raise Misshapen(f"no JSON: {shown(str(error))}") from None


def shown(text: str) -> str:
    """One line of it that moves no cursor; of a long one both ends."""
    line = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} … {line[-_LONGEST // 2 :]}"


def masked(text: str, secrets: Mapping[str, str]) -> str:
    """One line of it, without what is secret."""
    for value in sorted(filter(None, secrets.values()), key=len, reverse=True):
        text = text.replace(value, "***")
    return shown(re.sub(r"\s+", " ", text).strip())


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)[0]
    path = ".".join(map(str, found["loc"]))
    return shown(f"{path}: {found['msg']}" if path else found["msg"])
