"""Record: at the end of a deploy the host notes what its generation is, so that it can be gone back to, and how all of it is then, so
that it sees what differs later.

Over the lock's own line (files/record.sh), so that it costs no command; nothing is noted where the files are those of the newest
record, and nothing differs. tasks/commands/rollback.py goes back, tasks/drift.py looks. What no deploy makes good (a new user, say)
is said when it becomes what is noted. Only where the run has changed something it costs one question, about rotations that nobody has ended.
"""

import json
from collections.abc import Iterator

from pyinfra import logger

from tasks import drift, lock
from tasks.clients import recovery
from tasks.connection import login
from tasks.connection.lock_says import said
from tasks.facts.last_run import CourseFact
from tasks.model.targets import target
from tasks.operations import cut_short, described
from tasks.run import Commands, Refused, executing, host, known, operation, services


def run(*, rotation: bool = False) -> None:
    """The phase. rotation: this run brings no files: what somebody has edited is no generation."""
    noted(rotation, name="Record | what this run has made, for a way back and for what differs later")


@operation
def noted(rotation: bool) -> Commands:
    """Fails where it cannot be noted; says which images went, what differs that no deploy makes good, and which rotation is not ended."""
    if not executing():
        return
    yield from ()
    databases = [item.name for service in services() for item in service.databases]
    package = recovery.package()
    number, settings = described.back()
    made = {
        "operator": login.operator(),
        "version": " ".join(filter(None, (package["version"], package["commit"][:12]))),
        "of": number,
        "settings": settings or recovery.given(),
        **({"unproven": True} if described.unproven() else {}),
        **({"rotation": True} if rotation else {}),
    }
    line = lock.held()
    line.send(f"look {json.dumps(drift.wanted())}")
    line.send(f"made {','.join(databases) or '-'} {json.dumps(made, default=str)}")
    for word, rest in _answers():
        if word == "removed":
            host().log(
                f"the image {rest}, which a deploy had brought, is removed: no generation that is kept has it, and no container"
            )
        elif word == "drifted" and rest.startswith("edited "):
            host().log_styled(
                f"drift: {rest.removeprefix('edited ')}, by hand, and left so: {target('deploy')} puts it back",
                fg="yellow",
                log_func=logger.warning,
            )
        elif word == "drifted":
            host().log_styled(
                f"drift: {rest}; from now on that is how it is meant to be",
                fg="yellow",
                log_func=logger.warning,
            )
    if not rotation:
        for text in cut_short.lines(
            cut_short.known(known(CourseFact).cut_short, [item.name for item in services()])
        ):
            host().log_styled(text, fg="yellow", log_func=logger.warning)


def _answers() -> Iterator[tuple[str, str]]:
    """What the host says until it has noted all. Raises Refused, with what has failed there."""
    others = []
    while (text := lock.held().receive()) is not None:
        word, _, rest = said(text).partition(" ")
        if word == "noted":
            return
        if word == "unnoted":
            break
        if word:
            yield word, rest
        elif text.strip():
            others.append(text.strip())
    why = f" ({'; '.join(others)})" if others else ""
    raise Refused(
        f"{host().name} is deployed, and what this run has made could not be noted there{why}, without which nothing goes back to it, and "
        f"nobody sees what differs from it later: {target('deploy')} notes it"
    )
