"""Said: a failure in words of ours, which pyinfra shows as they are."""

from types import TracebackType
from typing import Any

from pyinfra.api import DeployError


class Said(DeployError):
    """pyinfra shows a DeployError with the file and line of this program that raised it, unless it has no traceback."""

    def __getattribute__(self, name: str) -> Any:
        """No traceback for who asks by name; Python itself keeps its own."""
        none: TracebackType | None = None
        return none if name == "__traceback__" else super().__getattribute__(name)


def once(name: str, message: str) -> str:
    """The message with the host's name before it, if it does not begin with that anyway."""
    return message if message.startswith((f"{name} ", f"{name}: ")) else f"{name}: {message}"


def nameless(name: str, message: str) -> str:
    """The message without the host's name at its beginning, where pyinfra has just written it."""
    return message.removeprefix(f"{name}: ").removeprefix(f"{name} ")
