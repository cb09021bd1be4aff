"""Plan: what a run will do, said before it asks; and what was said is what is done, or nothing is.

Every operation is pulled as far as its first command, and notes what it is about to do: so a plan is the run itself, held
back, and no second description of it.
"""

import sys
from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

from pyinfra import logger
from pyinfra.api.state import State

from tasks import hooks
from tasks.connection import drafts
from tasks.connection.answer import NoAnswer
from tasks.connection.memory import remembered
from tasks.facts import MachineFact
from tasks.facts.ahead import Ahead, look
from tasks.facts.last_run import CourseFact
from tasks.model.effects import WAITED, EnvFile, File, Gone, Pull, Start, Step
from tasks.model.targets import command
from tasks.operations import cut_short, described, dns, plan_lines, rolled
from tasks.operations.consequences import named
from tasks.operations.plan_lines import Plan
from tasks.rendering.templates import HOME
from tasks.run import Commands, Refused, executing, host, known, operation, remember, services, stack

_PHASES = HOME / "deploy.py"
_ASKED = {"update": "an update"}
# The steps that a run has before those of the deploy.
FIRST = "steps before a deploy's"


def run() -> None:
    """The phase, once a run: a rollback has it before the first thing that it does. With ``-y`` nobody reads, and nothing is planned."""
    if not drafts.drafted() and not remembered("planned"):
        remember("planned", lambda: True)
        kept(name="Plan | what was shown is what is done")


@operation
def kept() -> Commands:
    """Shows the plan before the question; after it, compares what there is to do by then, and refuses what nobody has seen."""
    if not executing():
        plan = drawn()
        remember("plan", lambda: plan)
        shown(plan)
        return
    yield from ()
    before: Plan | None = remembered("plan")
    if before is not None and (news := list(differing(before.steps, drafted()))):
        lines = "\n".join(f"    {line}" for line in news)
        raise Refused(
            f"{host().name} has changed since the plan was shown, and nothing was done:\n{lines}\n    the same command shows the new one"
        )


# Runs whose hooks were named.
_named_hooks: WeakSet[State] = WeakSet()


def shown(plan: Plan) -> None:
    """For people; the hooks, which are called once a run, are named once."""
    for line in plan_lines.lines(host().name, plan):
        logger.info("%s", line)
    state = host().state
    if plan.steps and state not in _named_hooks and (named := hooks.there()):
        _named_hooks.add(state)
        words = " and ".join(path.name for path in named)
        logger.info("hooks: %s of %s %s called", words, hooks.folder(), "are" if len(named) > 1 else "is")


def drafted() -> tuple[Step, ...]:
    """The steps of a run as things are. Raises Refused, as the run would."""
    code = compile(_PHASES.read_text("utf-8"), str(_PHASES), "exec")
    with drafts.drafting() as steps:
        exec(code, {"__name__": "plan"})  # noqa: S102  our own table of contents, in the order that it has
        return (*(remembered(FIRST) or ()), *steps)


def drawn() -> Plan:
    """The current host's. Raises Refused."""
    steps = drafted()
    number, _ = described.back()
    asked = f"a rollback to generation {number}" if number else _ASKED.get(command(sys.argv), "a deploy")
    course = known(CourseFact)
    back = None if number or not steps else rolled.standing(course)
    left = cut_short.known(course.cut_short, [item.name for item in services()])
    return Plan(
        steps, services(), stack(), known(MachineFact), _ahead(steps), dns.address(), asked, back, left
    )


def _ahead(steps: Sequence[Step]) -> Ahead:
    """Asked for only where something changes."""
    if not steps:
        return Ahead()
    effects = [effect for step in steps for effect in step.effects]
    paths = [item.path for item in effects if isinstance(item, File) and item.before]
    envs = [item.path for item in effects if isinstance(item, EnvFile) and item.before]
    try:
        return look(host(), paths, envs, named(steps, Ahead()).come)
    except NoAnswer as error:
        raise Refused(str(error)) from None


def differing(shown: Sequence[Step], now: Sequence[Step]) -> list[str]:
    """What is to do now and was not shown, and the other way round; not what is only waited for, which comes and goes by itself. Pure."""
    before, after = ({*_named(steps)} for steps in (shown, now))
    more = [f"{_said(step, item)}: was not shown" for step, item in sorted(after - before, key=repr)]
    return [
        *more,
        *(f"{_said(step, item)}: is not to do any more" for step, item in sorted(before - after, key=repr)),
    ]


def _named(steps: Sequence[Step]) -> Any:
    for step in steps:
        waits = [effect for effect in step.effects if isinstance(effect, Start) and effect.how == WAITED]
        passing = {*waits, *(f"{each.container}: {each.why}" for each in waits)}
        acts = [effect for effect in step.effects if effect not in passing]
        if acts or not step.effects:
            yield step.name, None
            yield from ((step.name, effect) for effect in acts)


def _said(step: str, item: Any) -> str:
    """Without a secret."""
    if isinstance(item, File | EnvFile):
        return f"{item.path}: {'another text' if item.before else 'not there'}"
    if isinstance(item, Start | Gone):
        return f"{item.container}: {getattr(item, 'why', 'goes')}"
    if isinstance(item, Pull):
        return f"image {item.image}"
    return f"{step}: {getattr(item, 'what', item)}" if item else step
