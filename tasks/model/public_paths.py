"""Public paths: what of a service everybody reaches past a guard and allow_from, as settings and services name it."""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated

from tasks.model.setting_types import matching

# What Odoo takes for a language before a path: two letters as a rule, the others are what it ships beside (res.lang.csv).
_LANGUAGE = "(/([a-z]{2}|kab)([_@][a-z0-9]+)?)?"
_FORM = re.compile(r"/|(/(?!\.{1,2}(/|$))[\w.~@+-]+)+(/\*?)?")


def _mended(text: str) -> str:
    """The path of a URL; with a slash before it, and before its star."""
    path = "/" + re.sub(r"^(https?://[^/]*)?/*", "", text.strip())
    return re.sub(r"(?<=[^/*])\*$", "/*", path)


PublicPath = Annotated[
    str, matching(_FORM, "is no path, or one with all that is below it (like /our-shop/*)", _mended)
]


def named(paths: Iterable[str]) -> Iterator[str]:
    """What settings name: with ``/a/*`` there is ``/a``."""
    for path in paths:
        if path.endswith("/*"):
            yield path.removesuffix("/*")
        yield path


def expression(paths: Iterable[str], *, languages: bool = False) -> str:
    """The regular expression (Caddy's, and Python's) of decoded paths that are among these.

    A star at the end is all that follows, any other is part of one segment. languages: each stands for itself below a
    language, too, ``/a/*`` for ``/a``, and ``/a`` for ``/a/``, which is the same to Odoo.
    """
    found = "|".join(_expression(path, languages) for path in paths)
    return f"(?i)^{_LANGUAGE if languages else ''}({found})$"


def _expression(path: str, languages: bool) -> str:
    if languages and path.endswith("/*"):
        return f"{_literal(path[:-2])}(/.*)?"
    if languages and not path.endswith("*"):
        return f"{_literal(path.removesuffix('/'))}/?"
    return f"{_literal(path[:-1])}.*" if path.endswith("*") else _literal(path)


def _literal(text: str) -> str:
    return "[^/]*".join(re.escape(part) for part in text.split("*"))
