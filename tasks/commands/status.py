"""Status: how every service is, why it is not well and what to do, from one read-only run.

``pyinfra -y inventories/prod.py tasks.commands.status.run`` exits with 0 only when all is well, and with ``JSON=1`` prints one
JSON object besides, alone on standard output. ``tasks.commands.status.page`` writes it as a page, into the file ``OUT``, and
exits with 0 once that is written. It asks the host itself, so that it says more than ``verify`` when something is down; how
users reach the services is verify's question.
"""

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from weakref import WeakKeyDictionary

from pyinfra import logger
from pyinfra.api.state import State

from tasks.commands import printed, report
from tasks.commands.report import Report
from tasks.facts import Status, StatusFact
from tasks.model.targets import inventory, target
from tasks.operations import container_health
from tasks.rendering import page as pages
from tasks.run import Commands, Refused, executing, host, known, operation

Write = Callable[[report.Reports], None]

_made: WeakKeyDictionary[State, dict[str, Report]] = WeakKeyDictionary()


def run() -> None:
    """The command ``make status``."""
    well(name="Status | every service, and why it is not well")


def page() -> None:
    """The command ``make status-page``."""
    drawn(name="Status | a page of every service, and why it is not well")


@operation
def well() -> Commands:
    """Prints the table and fails the host when something is not well, with what to do."""
    if not executing():
        return
    yield from ()
    found = _looked(_print if os.environ.get("JSON") else None)
    if not found.status.docker:
        raise Refused(f"{host().name}: {found.problems[0]}")
    for text in (*container_health.table(found.lines, found.status), *report.lines(found)):
        logger.info(text)
    for text in found.notices:
        host().log_styled(text, fg="yellow", log_func=logger.warning)
    if found.problems:
        raise Refused(f"{host().name} is not well:\n" + "\n".join(f"    {text}" for text in found.problems))


@operation
def drawn() -> Commands:
    """Writes the page once all hosts have answered, and says where it is."""
    if not executing():
        return
    yield from ()
    path = Path(os.environ.get("OUT") or "status.html").expanduser()
    _looked(partial(_write, path))


def _looked(write: Write | None) -> Report:
    """The host's report; ``write`` gets those of all hosts of the run once the last of them is there."""
    try:
        found = report.made(known(StatusFact))
    except Refused as error:
        found = report.made(Status(), str(error))
    state = host().state
    made = _made.setdefault(state, {})
    made[str(host().name)] = found
    active = {str(item.name) for item in state.active_hosts} | {str(host().name)}
    if write and active <= made.keys():
        silent = [str(item.name) for item in state.limit_hosts or () if item not in state.activated_hosts]
        write(report.Reports(inventory(sys.argv), time.time(), made, tuple(silent)))
    return found


def _print(found: report.Reports) -> None:
    printed.data(report.data(found))


def _write(path: Path, found: report.Reports) -> None:
    """As a whole or not at all: who reloads it sees no half of one. Raises Refused."""
    beside = path.with_name(f".{path.name}.new")
    try:
        text = pages.page(report.data(found), report.drawings(found), target("status-page"))
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise Refused(f"OUT={path}: cannot be written: {error.strerror}") from None
    wrong = sum(len(item.problems) for item in found.hosts.values()) + len(found.silent)
    count = f"{wrong} problem{'s' * (wrong > 1)}"
    said = f"{count}, {target('status')} says what to do" if wrong else "all is well"
    logger.info("%s: %s", path, said)
