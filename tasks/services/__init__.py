"""One service, one file: ``describe(stack) -> Service``. There is no other registry."""

import pkgutil
from importlib import import_module

from tasks.model import load as model
from tasks.model.catalogue import Describe, Service
from tasks.model.stack import Stack


def every() -> dict[str, Describe]:
    """Every service there is, by name: the files beside this one, but for what one of them has in a second file (_odoo_paths)."""
    names = (found.name for found in pkgutil.iter_modules(__path__) if not found.name.startswith("_"))
    modules = (import_module(f"{__name__}.{name}") for name in names)
    return {module.__name__.rpartition(".")[2].replace("_", "-"): module.describe for module in modules}


def load(stack: Stack) -> tuple[Service, ...]:
    """The enabled services in start order, overrides applied, routes with their domains. Raises Undeclared."""
    return model.load(stack, every())
