"""Update: another tag of a service's image, or what its tag stands for by now; and the way back, image and database, where it fails.

``SERVICE=n8n TO=2.30.9 python -m tasks.commands.update inventories/prod.py``; without TO the newest of the same line. It calls pyinfra
with all that it is given: ``tasks.commands.update_on.run`` shows the plan, asks, makes a restore point, changes the pin, deploys and checks;
where that fails once it has begun, ``tasks.commands.update_back.run`` brings back what was there. A note beside the inventory says how far
it is (update_note.py): one that was cut short goes on, whichever way it was at.
"""

import os
import subprocess
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path

from tasks.commands import answers, update_note
from tasks.commands.update_note import BACK, RUN, Note
from tasks.connection.exit_code import INTERRUPTED
from tasks.model.targets import DEFAULT
from tasks.run import Refused

_ON, _BACK = "tasks.commands.update_on.run", "tasks.commands.update_back.run"


def main() -> None:
    """Ends with exit code 0 where the service runs what it should, and does what its users want."""
    arguments = sys.argv[1:] or [DEFAULT]
    try:
        _main(arguments)
    except Refused as error:
        sys.exit(f"update: {error}")
    except KeyboardInterrupt:
        answers.say("ended; the same command goes on where it was, or back", "update")
        sys.exit(INTERRUPTED)


def _main(arguments: Sequence[str]) -> None:
    file = update_note.at(Path(arguments[-1]))
    there = update_note.read(file)
    if there and there.way == BACK:
        update_note.is_of(there)
        answers.say(
            f"the update of {there.service} to {there.new} was cut short on its way back, which goes on",
            "update",
        )
        _back(arguments, there)
    own = uuid.uuid4().hex
    code = _pyinfra([*arguments, _ON], own)
    after = update_note.read(file)
    if code == 0:
        return
    if after is None or after.run != own:
        left = (
            f"; the update of {after.service} to {after.new} is still to be ended, by the same command"
            if after
            else ""
        )
        sys.exit(f"update: nothing was changed{left}")
    if code < 0:
        sys.exit("update: it was cut short: the same command goes on")
    answers.say(
        f"{after.service} with {after.new} has failed, as said above: what was there before comes back",
        "update",
    )
    _back(arguments, after)


def _back(arguments: Sequence[str], note: Note) -> None:
    if _pyinfra(["-y", *arguments, _BACK], note.run):
        sys.exit(
            f"update: {note.service} has not come back to {note.old}, as said above: the same command goes on"
        )
    sys.exit(f"update: {note.service} runs {note.old} again, as before, and is not updated")


def _pyinfra(arguments: Sequence[str], own: str) -> int:
    program = str(Path(sys.executable).with_name("pyinfra"))
    with subprocess.Popen([program, *arguments], env={**os.environ, RUN: own}) as child:
        try:
            code = child.wait()
        except KeyboardInterrupt:  # which it has heard as well, and cleans up
            child.wait()
            raise
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    return code


if __name__ == "__main__":
    main()
