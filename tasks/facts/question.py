"""Question: a fact, asked so that what the host answers is the fact, or an error in words."""

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
    state = target.state
    lines = asked(
        target,
        f"{EXPORT} {_FRUGAL}\n{question.command(*args)}",
        print_output=state.print_fact_output,
        print_input=state.print_fact_input,
    )
    try:
        found = question.process(lines) if lines else question.default()
    except FactProcessError as error:
        raise NoAnswer(str(error)) from None
    logger.debug("%s says: %s", target.name, fact.__name__)
    return found
