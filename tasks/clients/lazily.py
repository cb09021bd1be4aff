"""Modules that load at another time than where they are imported: in a wait, which there is always one of."""

import importlib
import importlib.util
import sys
from contextlib import suppress
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import gevent


class _Later(ModuleType):
    """Loads when something is asked of it that it has not. Not by importlib's LazyLoader, which loads as soon as anybody
    asks for a module's file: pyinfra asks all modules, at its first operation (inspect.stack).
    """

    def __getattr__(self, name: str) -> Any:
        """The module's own, once it is loaded."""
        spec = self.__dict__["__spec__"]
        if type(self) is not _Later or name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        object.__setattr__(self, "__class__", ModuleType)
        spec.loader.exec_module(self)
        return getattr(self, name)


def lazily(name: str) -> ModuleType:
    """The module of that name, loaded already or not. Raises ModuleNotFoundError."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return sys.modules.setdefault(name, _unloaded(spec))


def _unloaded(spec: ModuleSpec) -> ModuleType:
    module = importlib.util.module_from_spec(spec)
    module.__class__ = _Later
    return module


def ahead(*names: str) -> None:
    """From now on loads the modules whenever nothing else is done, one after another."""
    gevent.spawn(_load, names)


def _load(names: tuple[str, ...]) -> None:
    for name in names:
        with suppress(Exception):  # who imports it is told
            importlib.import_module(name)
        gevent.sleep(0)
