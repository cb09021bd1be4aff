"""Update's way back: the pin, the image and the databases of before, by the deploy's own phases (tasks/commands/update.py calls it).

Databases come back only where the new image was started on them: before that nobody but the old one has written there. What was
written since is kept for 7 days, as after any restore.
"""

import os
import runpy
from datetime import UTC, datetime
from functools import partial
from shlex import quote

from pyinfra.api import StringCommand

from tasks import hooks, lock
from tasks.commands import rollback, rollback_data, update_note
from tasks.commands.update_note import BACK, Note, lock_file, note_file
from tasks.connection.said import Said, once
from tasks.facts.updating import UpdatingFact
from tasks.model.catalogue import Service
from tasks.model.stack import BadSettings
from tasks.model.targets import target
from tasks.operations import restoring
from tasks.rendering.render import RECORDS
from tasks.rendering.templates import HOME
from tasks.run import Commands, Refused, executing, host, known, operation, remember, services, stack, step

# Seconds after which what people have written since is not given up without a word.
_LONG = 3600


def run() -> None:
    """What ``make update`` does where its first half has failed."""
    stack()
    try:
        note = update_note.read(note_file())
        if note is None:
            return
        found = remember("going back", lambda: _with_data(note))
        update_note.describe(note.before)
    except (Refused, BadSettings) as error:
        raise Said(once(host().name, f"{host().name} does not go back: {error}")) from None
    lock.run()
    hooks.run()
    turned(note, name=f"Update | {note.image} is {note.old} again in the lock file")
    if found:
        names = ", ".join(item.name for item in found)
        os.environ["KEEP_FILES"] = "1"  # rows of then name files of then, and no file has gone since
        rollback_data.first([(item, _time(note)) for item in found])
        restored(name=f"Update | the databases of {names} are as before")
    runpy.run_path(str(HOME / "deploy.py"))
    ended(note, name=f"Update | {', '.join(note.services)}: as before")


def _with_data(note: Note) -> list[Service]:
    """Those whose databases the new image may have written to. Raises Refused where that is long ago."""
    mine, now = note.of(host().name), known(UpdatingFact)
    if not mine.point or mine.restored:
        return []
    changed = {
        name
        for item in now.runs
        if item.started >= mine.began - 1
        for name in (*item.changed, *item.at.split(", "))
    }
    found = [item for item in services() if item.name in mine.data and f"Services | {item.title}" in changed]
    if found and now.clock - mine.point > _LONG and not rollback.data_too():
        since = restoring.said(mine.point)
        raise Refused(
            f"its data of {since} would come back, and what was written since go: DATA=yes does it "
            f"({target(f'update SERVICE={note.service} DATA=yes')})"
        )
    return found


def _time(note: Note) -> datetime:
    return datetime.fromtimestamp(note.of(host().name).point, UTC)


@operation
def turned(note: Note) -> Commands:
    """From here on it goes back, however often it is cut short. What the update has made is marked, once: later there is what it leads to."""
    if note.way != BACK and note.of(host().name).began:
        words = quote(f"update of {note.service} to {note.new}")
        yield StringCommand(_MARK.format(began=int(note.of(host().name).began), words=words))
    yield step(partial(_noted, note))
    yield step(partial(update_note.keep, lock_file(), note.before))


# A record that a power cut has emptied has no time.
_MARK = f"""
for folder in {RECORDS}/[0-9]*; do
    [ "$(cat "$folder/time" 2>/dev/null || echo 0)0" -lt "{{began}}0" ] || {{{{ echo {{words}} >"$folder/failed" && sync "$folder/failed" "$folder"; }}}} || exit
done
""".strip()


def _noted(note: Note) -> None:
    update_note.write(note_file(), note.with_host(host().name, note.of(host().name), way=BACK))


@operation
def restored() -> Commands:
    """They are not taken back a second time, when people have written to them again."""
    if not executing():
        yield "true"
        return
    yield step(_kept)


def _kept() -> None:
    note = update_note.read(note_file())
    if note:
        mine = note.of(host().name)
        update_note.write(
            note_file(),
            note.with_host(host().name, update_note.Host(mine.began, mine.point, mine.data, restored=True)),
        )


@operation
def ended(note: Note) -> Commands:
    """Nothing is to be ended any more; where another host is still to go back, the note is for that one."""
    if not executing():
        yield "true"
        return
    if host().state.failed_hosts:
        return
    yield step(partial(update_note.keep, note_file(), None))
    host().log(f"{', '.join(note.services)}: {note.old} runs again, as before the update")
