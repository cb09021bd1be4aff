"""Targets: how a message names one of the Makefile, so that whoever copies it stays on the hosts of this run."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

# The Makefile's own: without INVENTORY a target is about these hosts.
DEFAULT = "inventories/prod.py"


def target(words: str, file: str = "") -> str:
    """```make deploy INVENTORY=inventories/staging.py```; the default is left out. words: the target, with what it is told.
    file: the hosts', where they are not this run's.
    """
    found = file or inventory(sys.argv)
    return f"`make {words}`" if found == DEFAULT else f"`make {words} INVENTORY={found}`"


def inventory(argv: Sequence[str]) -> str:
    """The file of hosts that pyinfra was called with; the default where it is another program, or has no such file. Pure."""
    return given(argv) or DEFAULT


def given(argv: Sequence[str]) -> str:
    """The same, and empty in place of the default. Pure."""
    program, *words = argv
    files = (word for word in words if word.endswith(".py"))
    return next(files, "") if "pyinfra" in Path(program).parts[-2:] else ""


# What says which service, or which generation, a command is about.
_CHOICES = {
    "rotate": "SMARTEROS_SERVICE",
    "update": "SMARTEROS_SERVICE",
    "rollback": "TO",
    "restore": "SMARTEROS_RESTORE",
    "restore-undo": "SMARTEROS_RESTORE",
    "drill": "SMARTEROS_RESTORE",
}


def about(argv: Sequence[str], environment: Mapping[str, str]) -> str:
    """What it is about: ``n8n`` of a rotation, ``all``; empty of what is about the whole host. Pure."""
    return environment.get(_CHOICES.get(command(argv), ""), "").strip()


def command(argv: Sequence[str]) -> str:
    """What a person has asked for, by its target: ``deploy``, ``rollback``, ``update``, ``give-secrets``. Pure."""
    found = next((word for word in argv if word.startswith("tasks.commands.") and word.endswith(".run")), "")
    name = found.split(".")[-2].replace("_", "-") if found else "deploy"
    return "update" if name.startswith("update-") else name  # there and back
