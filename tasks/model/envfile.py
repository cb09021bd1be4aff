"""The env-file encoder: any text arrives in the container byte for byte, whatever it holds.

Compose's reader keeps double-quoted values exact when backslash, quote, dollar and line ends are
escaped; unquoted ones lose ``$b`` and ``#``, single-quoted ones cannot hold every text.
"""

from collections.abc import Mapping

# The kernel's limit for one string of an environment (MAX_ARG_STRLEN: 32 pages), its end mark included.
LONGEST = 128 * 1024

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "$": "\\$", "\n": "\\n", "\r": "\\r"})


class Impossible(ValueError):
    """A value that no container environment can hold; the text names the variable and why."""


def encode(values: Mapping[str, str]) -> str:
    """Variables → text of an env file, sorted by name. Raises Impossible for NUL and for more than 128 KiB."""
    return "".join(
        f'{name}="{_checked(name, value).translate(_ESCAPES)}"\n' for name, value in sorted(values.items())
    )


def _checked(name: str, value: str) -> str:
    if "\0" in value:
        raise Impossible(f"{name} holds a NUL character, which no environment can carry")
    try:
        size = len(f"{name}={value}".encode()) + 1
    except UnicodeEncodeError:
        raise Impossible(f"{name} holds a lone surrogate, which is no text") from None
    if size > LONGEST:
        raise Impossible(f"{name} has {size} bytes; an environment carries at most {LONGEST} in one variable")
    return value
