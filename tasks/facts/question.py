"""Question: a fact, asked so that what the host answers is the fact, or an error in words."""

from collections.abc import Sequence
from typing import Any, TypeVar

from pyinfra import logger
from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError
from pyinfra.api.host import Host

from tasks.connection.answer import NoAnswer, asked
from tasks.rendering.docker_calls import EXPORT

T = TypeVar("T")
# To collect garbage costs docker a sixth of what it takes to start and to say what is there.
_FRUGAL = "GOGC=400"


def ask(target: Host, fact: type[FactBase[T]], *args: Any) -> T:
    """The fact as the host is now. Raises NoAnswer: not to know is never the same as that nothing is there.

    Not by pyinfra's get_fact, which takes all that is printed for the answer, and no output for the default.
    """
    question = fact()
    lines = _asked(target, question.command(*args))
    return _found(target, question, lines)


# Between the answers of several; none of ours prints it.
_NEXT = "smarteros-next"


def ask_all(target: Host, keys: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Several facts, each with its arguments, by one command. Raises NoAnswer where one of them gives none."""
    questions = [fact() for fact, *_ in keys]
    texts = [question.command(*key[1:]) for question, key in zip(questions, keys, strict=True)]
    lines = _asked(target, f"\nprintf '\\n%s\\n' {_NEXT}\n".join(f"(\n{text}\n) || exit" for text in texts))
    parts: list[list[str]] = [[]]
    for line in lines:
        if line == _NEXT:
            if parts[-1][-1:] == [""]:  # what came before has ended its last line itself
                del parts[-1][-1]
            parts.append([])
        else:
            parts[-1].append(line)
    if len(parts) != len(keys):
        raise NoAnswer("the host has ended in the middle of an answer")
    return [_found(target, question, part) for question, part in zip(questions, parts, strict=True)]


def _asked(target: Host, text: Any) -> list[str]:
    state = target.state
    return asked(
        target,
        f"{EXPORT} {_FRUGAL}\n{text}",
        print_output=state.print_fact_output,
        print_input=state.print_fact_input,
    )


def _found(target: Host, question: FactBase[T], lines: list[str]) -> T:
    try:
        found = question.process(lines) if lines else question.default()
    except FactProcessError as error:
        raise NoAnswer(str(error)) from None
    logger.debug("%s says: %s", target.name, type(question).__name__)
    return found
