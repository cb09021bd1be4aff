"""Exit code: another one than pyinfra's 0 for a run in which nothing has failed, as programs that call it want to know more."""

import sys
from typing import Any


def leave(code: int) -> None:
    """From now on pyinfra ends with it unless a host has failed, which stays 1."""
    command_line: Any = sys.modules.get("pyinfra_cli.cli")
    if command_line is None:
        return
    failed = command_line.ctx_state

    def end() -> None:
        sys.exit(1 if failed.isset() and command_line.state.failed_hosts else code)

    command_line._exit = end  # noqa: SLF001  pyinfra has no other door for it
