"""Memory: what a run remembers of the host that it is at."""

from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from pyinfra import context
from pyinfra.api.host import Host

T = TypeVar("T")

_memory: WeakKeyDictionary[Host, dict[Any, Any]] = WeakKeyDictionary()


def host() -> Host:
    """The host that is being worked on."""
    found: Host = context.ctx_host.get()
    return found


def remember(key: Any, make: Callable[[], T]) -> T:
    """A value of this run and host, made once."""
    memory = _memory.setdefault(host(), {})
    if key not in memory:
        memory[key] = make()
    value: T = memory[key]
    return value


def remembered(key: Any) -> Any:
    """The same, None where it was never made."""
    return _memory.setdefault(host(), {}).get(key)


def recall(key: Any) -> None:
    """Drops a remembered value: what it was made from has changed."""
    _memory.setdefault(host(), {}).pop(key, None)
