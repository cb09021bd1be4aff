"""Words for what is wrong with a setting, and for what may have been meant."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import PurePath
from typing import Any

from pydantic_core import ErrorDetails

_EXAMPLE = re.compile(r" \(like [^)]*\)$")


def suggestion(name: str, names: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` for a near miss, else nothing."""
    near = get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


def meant(message: str, better: Any) -> str:
    """The message, with what may have been meant in place of its example."""
    return f"{_EXAMPLE.sub('', message)} (did you mean {better!r}?)" if better not in ("", None) else message


_KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, ""),
    (str, "text"),
    ((int, float), "a number"),
    ((list, tuple), "a list"),
    ((set, frozenset), "a set, which has no order"),
    (dict, "a table"),
    (PurePath, "a path object: write str(…) around it"),
)


def kind(value: Any) -> str:
    """What sort of thing it is, without what it holds, which may be a secret."""
    if value is None or isinstance(value, bool):
        return str(value)
    named = next((name for types, name in _KINDS if isinstance(value, types)), "")
    return named or f"a Python {type(value).__name__}"


_TYPES = {
    "string_type": "text",
    "dict_type": "a table like {…: …}",
    "model_type": "a table like {…: …}",
    "model_attributes_type": "a table like {…: …}",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "True or False",
    "bool_parsing": "True or False",
}
_BOUNDS = {
    "greater_than": "has to be more than {gt:g}",
    "greater_than_equal": "has to be {ge:g} or more",
    "less_than_equal": "has to be {le} or less",
    "finite_number": "has to be a finite number",
    "too_short": "has to list at least one",
    "string_too_long": "has more than {max_length} characters",
}


def wrong(detail: ErrorDetails) -> str:
    """Pydantic's finding in our words."""
    found, context = detail["type"], detail.get("ctx", {})
    if found in _TYPES:
        given = kind(detail["input"])
        return meant(f"has to be {_TYPES[found]}, and is {given}", _number_or_truth(found, detail["input"]))
    if found in _BOUNDS:
        return _BOUNDS[found].format(**context)
    if found == "literal_error":
        choices = re.findall(r"'([^']*)'", context["expected"])
        return f"has to be {context['expected']}{suggestion(str(detail['input']).lower(), choices)}"
    return detail["msg"].removeprefix("Value error, ")


_TRUTH = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def _number_or_truth(found: str, value: Any) -> Any:
    text = value.strip().lower() if isinstance(value, str) else ""
    if found.startswith(("int", "float")) and re.fullmatch(r"[1-9][0-9]{0,9}", text):
        return int(text)
    return _TRUTH.get(text) if found.startswith("bool") else None


# Free text, in which such a character may be meant: a container's environment, what the registry shows.
_FREE = re.compile(r"overrides\.[^.]*\.environment\..*|mcp_servers\.\d+\.description")


def hidden(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Path → line for each text that holds a character which nobody can see."""
    if isinstance(value, str):
        sign = next((sign for sign in value if invisible(sign)), "")
        if sign and not _FREE.fullmatch(path):
            name = unicodedata.name(sign, "a control character").lower()
            yield (
                path,
                f"holds a character that cannot be seen, U+{ord(sign):04X} ({name}): write it anew by hand",
            )
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from hidden(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from hidden(item, f"{path}.{index}")


def invisible(sign: str) -> bool:
    """A blank that is none of the keyboard's, or of no width at all."""
    return unicodedata.category(sign) in ("Cf", "Zs", "Zl", "Zp") and sign != " "


def ago(seconds: int) -> str:
    """A length of time as people say it."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


_STANDING = {
    "created": "was never started",
    "restarting": "ends again and again",
    "paused": "is paused",
    "exited": "has ended",
    "removing": "is being removed",
    "dead": "is half removed",
}


def stands(status: str) -> str:
    """How a container is, from Docker's one word for it."""
    return _STANDING.get(status, f"is {status}")


def apart(*lines: str) -> tuple[str, ...]:
    """The words of all lines."""
    return tuple(" ".join(lines).split())
