"""Bad settings: whatever a person runs alone refuses them as a plan does, before its operation."""

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tasks import commands
from tasks.connection.said import Said
from tests.fake import fake

MODULES = [import_module(f"tasks.commands.{path.stem}") for path in Path(commands.__path__[0]).glob("*.py")]
COMMANDS = [module for module in MODULES if hasattr(module, "run")]


def test_the_commands_were_found() -> None:
    assert {"check", "give_secrets", "secret", "status", "test_mail", "token", "undo_host", "verify"} <= {
        module.__name__.rpartition(".")[2] for module in COMMANDS
    }


@pytest.mark.parametrize("command", COMMANDS, ids=lambda module: module.__name__.rpartition(".")[2])
def test_a_command_refuses_bad_settings_before_its_operation(command: Any) -> None:
    with fake({}, zone="no zone"), pytest.raises(Said, match="the settings of @fake/one cannot be deployed"):
        command.run()
