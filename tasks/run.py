"""What a run shares: the stack and catalogue of the current host, facts read once, and clean failures.

pyinfra never caches facts. Between two changes a host cannot differ by our doing, so ``known`` keeps a
fact until an operation of ours is about to change something; that makes a run with nothing to do cheap.
"""

from collections.abc import Callable, Generator, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import gevent
from pyinfra import context, logger
from pyinfra.api import FactBase
from pyinfra.api import operation as pyinfra_operation
from pyinfra.api.command import FunctionCommand, PyinfraCommand
from pyinfra.api.host import Host
from pyinfra.api.operation import OperationMeta
from pyinfra.api.state import State

from tasks.connection import at_work, drafts, grouped, login, sessions
from tasks.connection.answer import NoAnswer
from tasks.connection.memory import host as host  # noqa: PLC0414  what a run shares, too
from tasks.connection.memory import recall as recall  # noqa: PLC0414
from tasks.connection.memory import remember as remember  # noqa: PLC0414
from tasks.connection.said import Said, nameless, once
from tasks.facts.question import ask, ask_all
from tasks.model import catalogue, pins, settings
from tasks.model.stack import BadSettings, Stack
from tasks.rendering.docker_calls import environment
from tasks.services import every, load

Command = PyinfraCommand | str
Commands = Generator[Command, None, None]
P = ParamSpec("P")
T = TypeVar("T")


class Refused(Exception):
    """A failure that was foreseen; its text says what is wrong, where, and what to do."""


def executing() -> bool:
    """False while something is only planned (``--dry``, before the question, ``make plan``): nothing may be changed then."""
    return bool(context.state.is_executing) and not drafts.drafted()


def stack() -> Stack:
    """The host's settings, parsed once. Raises Said with every mistake."""
    return remember("stack", _stack)


def services() -> tuple[catalogue.Service, ...]:
    """The host's enabled services in start order; of a cluster's node those that are its own (grouped.here)."""
    return remember("services", lambda: tuple(filter(grouped.here, load(stack()))))


def tasked() -> tuple[catalogue.Service, ...]:
    """Those whose images the host needs for a swarm's tasks (grouped.tasks)."""
    return remember("tasked", lambda: tuple(filter(grouped.tasks, load(stack()))))


def _stack() -> Stack:
    data = host().data.dict()
    try:
        return grouped.placed(settings.read(data, every()).with_pins(pins.of(data)))
    except BadSettings as error:
        lines = "\n".join(f"    {line}" for line in error.lines)
        raise Said(f"the settings of {host().name} cannot be deployed:\n{lines}") from None


def known(fact: type[FactBase[T]], *args: Any) -> T:
    """The fact, read at most once between two changes of ours. Raises Refused: on what is not known nothing is changed."""
    read_ahead((fact, *args))
    found: list[T] | NoAnswer = _facts()[(fact, *args)].get()
    if isinstance(found, NoAnswer):
        raise Refused(str(found))
    return found[0]


def read_ahead(*wanted: tuple[Any, ...]) -> None:
    """Starts to read these facts, each ``(fact, *args)``, side by side on the one connection; ``known`` waits."""
    for key in wanted:
        if key not in _facts():
            _facts()[key] = gevent.spawn(_read, host(), *key)


def read_as_one(*wanted: tuple[Any, ...]) -> None:
    """The same of facts that are quickly found, one after the other in one remote command."""
    keys = [key for key in wanted if key not in _facts()]
    if not keys:
        return
    job = gevent.spawn(_read_all, host(), keys)
    for place, key in enumerate(keys):
        _facts()[key] = gevent.spawn(_part, job, place)


def _part(job: gevent.Greenlet, place: int) -> list[Any] | NoAnswer:
    found: list[Any] | NoAnswer = job.get()
    return found if isinstance(found, NoAnswer) else [found[place]]


def _read_all(target: Host, keys: Sequence[tuple[Any, ...]]) -> list[Any] | NoAnswer:
    with sessions.place(target), context.ctx_host.use(target):
        try:
            return ask_all(target, keys)
        except NoAnswer as error:
            return error


def _read(target: Host, fact: type[FactBase[T]], *args: Any) -> list[T] | NoAnswer:
    """The fact, or why it is not known: said where somebody waits for it, and nowhere else."""
    with sessions.place(target), context.ctx_host.use(target):
        try:
            return [ask(target, fact, *args)]
        except NoAnswer as error:
            return error


def together(*calls: Callable[[], T]) -> list[T]:
    """The calls' results, made side by side. Raises what the first of them raised that failed."""
    target = host()

    def settled(call: Callable[[], T]) -> tuple[T | None, Exception | None]:
        with context.ctx_host.use(target):
            try:
                return call(), None
            except Exception as error:  # noqa: BLE001  raised again below, where it is waited for
                return None, error

    jobs = [gevent.spawn(settled, call) for call in calls]
    outcomes = [job.get() for job in jobs]
    for _, error in outcomes:
        if error:
            raise error
    return [value for value, _ in outcomes]


def straight_on() -> bool:
    """Whether the run executes without planning first (``-y``): what is read now still holds then."""
    changing = context.state.is_executing or context.state.should_check_for_changes()
    return not changing and not drafts.drafted()


def _facts() -> dict[tuple[Any, ...], gevent.Greenlet]:
    now = context.state.is_executing or not context.state.should_check_for_changes()
    return remember(("facts", bool(now)), dict)


def forget() -> None:
    """Something changes on the host: read its facts anew."""
    _facts().clear()


def operation(function: Callable[P, Commands]) -> Callable[..., OperationMeta]:
    """An operation that reads facts through ``known`` and fails cleanly when it raises Refused, or settings are bad."""

    @wraps(function)
    def converging(*args: P.args, **kwargs: P.kwargs) -> Commands:
        try:
            for command in function(*args, **kwargs):
                forget()
                with at_work.said(host(), really=executing()):
                    yield _guard()(command)
                forget()
        except Refused as error:
            if not executing():
                raise Said(once(host().name, str(error))) from None
            yield _failure(str(error))

    wrapped: Callable[..., OperationMeta] = pyinfra_operation()(converging)

    @wraps(wrapped)
    def clean(*args: Any, **kwargs: Any) -> OperationMeta:
        stack()  # what is wrong with it is said here; from within an operation pyinfra shows a traceback
        login.checked(
            host()
        )  # else pyinfra asks for sudo's password, on a terminal or not, for each of several commands
        if drafts.drafted():
            words = {key: value for key, value in kwargs.items() if key not in ("name", "_env")}
            return OperationMeta("", drafts.pulled(str(kwargs.get("name")), lambda: function(*args, **words)))
        return wrapped(*args, **{"_env": environment(host().data.get("_env")), **kwargs})

    return clean


def guard(look: Callable[[Command], Command]) -> None:
    """From now on each command of the host's operations passes through ``look`` before it runs (tasks/lock.py)."""
    recall("guard")
    remember("guard", lambda: look)


def _guard() -> Callable[[Command], Command]:
    return remember("guard", lambda: lambda command: command)


def step(function: Callable[[], Any]) -> FunctionCommand:
    """A change made from this machine (through an API), as a command of an operation."""

    def run(state: State, host: Host) -> bool:
        try:
            function()
        except Refused as error:
            _say(host, str(error))
            return False
        return True

    return FunctionCommand(run, (), {})


def _failure(message: str) -> FunctionCommand:
    def refuse() -> None:
        raise Refused(message)

    return step(refuse)


def _say(host: Host, message: str) -> None:
    host.log_styled(nameless(host.name, message), fg="red", log_func=logger.error)
