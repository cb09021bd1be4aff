"""Drafts: what the operations of a host would do, in their own words and noted by themselves, while nothing is done."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import click
from pyinfra import logger

from tasks.connection.memory import host, recall, remember, remembered
from tasks.model.effects import Effect, Step

_STEPS, _NOTED, _SAID = "steps of a draft", "noted for a draft", "said by drafts"


@contextmanager
def drafting() -> Iterator[list[Step]]:
    """Within, each operation is only pulled as far as its first command; yields the steps that would change something.

    What an operation logs stands in its step; what it warns of is said. Neither is said again before the run executes.
    """
    target, steps, said = host(), list[Step](), remember(_SAID, set[Any])
    remember(_STEPS, lambda: steps)

    def kept(message: str, log_func: Callable[[str], Any] = logger.info) -> None:
        text = click.unstyle(message)
        if log_func == logger.info:
            note(text)
        elif text not in said:
            said.add(text)
            type(target).log(target, message, log_func)

    def later(message: str, log_func: Callable[[str], Any] = logger.info) -> None:
        if target.state.is_executing or click.unstyle(message) not in said:
            type(target).log(target, message, log_func)

    vars(target)["log"] = kept
    try:
        yield steps
    finally:
        vars(target)["log"] = later
        recall(_STEPS)
        said.update(effect for step in steps for effect in step.effects if isinstance(effect, str))


def drafted() -> bool:
    """Whether nothing may be done, only said."""
    return remembered(_STEPS) is not None


def note(*effects: Effect) -> None:
    """What the operation at hand is about to do, for who drafts: text is what it says of it."""
    if (noted := remembered(_NOTED)) is not None:
        noted.extend(effects)


def pulled(name: str, operation: Callable[[], Generator[Any, None, None]]) -> bool:
    """Whether the operation would change something, which is a step of the draft then."""
    noted: list[Effect] = remember(_NOTED, list)
    commands = operation()
    try:
        changes = next(commands, None) is not None
    finally:
        commands.close()
        recall(_NOTED)
    if changes:
        remembered(_STEPS).append(Step(name, tuple(noted)))
    return changes
