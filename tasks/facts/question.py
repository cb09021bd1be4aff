"""Question: a fact, asked so that what the host answers is the fact, or an error in words.

One that may take longer than others says so: ``patience``, in seconds.
"""

import re
from collections.abc import Sequence
from typing import Any, TypeVar

from pyinfra import logger
from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError
from pyinfra.api.host import Host

from tasks.connection import trouble
from tasks.connection.answer import PATIENCE, Late, NoAnswer, asked
from tasks.rendering.docker_calls import EXPORT

T = TypeVar("T")
# To collect garbage costs docker a sixth of what it takes to start and to say what is there.
_FRUGAL = "GOGC=400"


def ask(target: Host, fact: type[FactBase[T]], *args: Any) -> T:
    """The fact as the host is now. Raises NoAnswer: not to know is never the same as that nothing is there.

    Not by pyinfra's get_fact, which takes all that is printed for the answer, and no output for the default.
    """
    question = fact()
    lines = _asked(target, [question], question.command(*args))
    return _found(target, question, lines)


# Between the answers of several; none of ours prints it.
_NEXT = "smarteros-next"


def ask_all(target: Host, keys: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Several facts, each with its arguments, by one command. Raises NoAnswer where one of them gives none."""
    questions = [fact() for fact, *_ in keys]
    texts = [question.command(*key[1:]) for question, key in zip(questions, keys, strict=True)]
    whole = f"\nprintf '\\n%s\\n' {_NEXT}\n".join(f"(\n{text}\n) || exit" for text in texts)
    lines = _asked(target, questions, whole)
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


def _asked(target: Host, questions: Sequence[FactBase[Any]], text: Any) -> list[str]:
    state = target.state
    seconds = max(getattr(each, "patience", PATIENCE) for each in questions)
    try:
        return asked(
            target,
            f"{EXPORT} {_FRUGAL}\n{text}",
            seconds=seconds,
            print_output=state.print_fact_output,
            print_input=state.print_fact_input,
        )
    except Late as late:
        # The first that had not answered.
        first = questions if late.out is None else questions[late.out.count(_NEXT) :][:1]
        raise NoAnswer(trouble.late(seconds, ", ".join(map(_subject, first)))) from None


def _subject(question: FactBase[Any]) -> str:
    """``KeysGoneFact`` → keys gone."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(question).__name__.removesuffix("Fact")).lower()


def _found(target: Host, question: FactBase[T], lines: list[str]) -> T:
    try:
        found = question.process(lines) if lines else question.default()
    except FactProcessError as error:
        raise NoAnswer(str(error)) from None
    logger.debug("%s says: %s", target.name, type(question).__name__)
    return found
