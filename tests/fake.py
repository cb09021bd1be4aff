"""A pyinfra host that answers facts with given lines and runs nothing: operations show what they would do."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from pyinfra.api import Config, Inventory, State, StringCommand
from pyinfra.api.host import Host
from pyinfra.connectors.util import CommandOutput, OutputLine
from pyinfra.context import ctx_host, ctx_state

from tests.samples import settings

Responses = Mapping[str, list[str]]


@contextmanager
def fake(responses: Responses, *, executing: bool = True, **changes: Any) -> Iterator[Host]:
    """The host ``@fake/one`` as the current one. responses: part of a fact's command → the lines it prints."""
    data = {**settings(**changes), "fake_responses": dict(responses), "fake_delay": 0, "fake_delay_jitter": 0}
    state = State(Inventory(([("@fake/one", data)], {})), Config())
    state.is_executing = executing
    host = state.inventory.get_host("@fake/one")
    connector: Any = host.connector
    connector._lookup_response = partial(_answer, connector._lookup_response)
    with ctx_state.use(state), ctx_host.use(host):
        yield host


@contextmanager
def several(
    *changes: Mapping[str, Any],
    responses: Responses | None = None,
    groups: Mapping[str, list[int]] | None = None,
) -> Iterator[Host]:
    """The host ``@fake/0`` as the current one, beside others with these settings; only it answers, with the given lines. groups: name → the
    numbers of its hosts.
    """
    data = [settings(**each) for each in changes]
    entries = [(f"@fake/{number}", each) for number, each in enumerate(data)]
    data[0] |= {"fake_responses": dict(responses or {}), "fake_delay": 0, "fake_delay_jitter": 0}
    named: dict[str, Any] = {
        name: ([f"@fake/{number}" for number in found], {}) for name, found in (groups or {}).items()
    }
    state = State(Inventory((entries, {}), **named), Config())
    host = state.inventory.get_host("@fake/0")
    connector: Any = host.connector
    connector._lookup_response = partial(_answer, connector._lookup_response)
    with ctx_state.use(state), ctx_host.use(host):
        yield host


def _answer(lookup: Any, command: str) -> tuple[bool, CommandOutput]:
    """Between the marks that a question of ours asks for, unless the command as a whole fails."""
    succeeded, output = lookup(command)
    if not succeeded or "mark answer" not in command:
        return succeeded, output
    return True, CommandOutput(
        [
            OutputLine(name, line)
            for name in ("stdout", "stderr")
            for line in ("smarteros-answer", *getattr(output, f"{name}_lines"), "", "smarteros-end 0")
        ]
    )


def commands(operation: Any, *args: Any, **kwargs: Any) -> list[Any]:
    """Everything that the operation yields on the current host, in order."""
    return list(operation._inner(*args, **kwargs))


def texts(operation: Any, *args: Any, **kwargs: Any) -> list[str]:
    """The shell commands that the operation yields, as pyinfra logs them."""
    yielded = commands(operation, *args, **kwargs)
    return [str(item) if isinstance(item, StringCommand) else item for item in yielded]


def stdin(command: StringCommand) -> str:
    """What goes to the command over its standard input."""
    return str(command.connector_arguments["_stdin"])


__all__ = ["Responses", "commands", "fake", "several", "stdin", "texts"]
