"""Update's way on: plan and question, the image, a restore point, the pin, the deploy and the check (tasks/commands/update.py calls it)."""

import os
import runpy
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from pyinfra.api import StringCommand

from tasks import hooks, lock, plan
from tasks.commands import check, restore, update_course, update_note
from tasks.commands.update_note import BACK, CHOICE, RUN, Host, Note, lock_file, note_file
from tasks.connection import grouped
from tasks.connection.said import Said, once
from tasks.facts import DockerFact
from tasks.facts.updating import UpdatingFact
from tasks.model import image_names, pins
from tasks.model.stack import BadSettings
from tasks.model.targets import target
from tasks.operations import described, images, points
from tasks.operations.described import tree
from tasks.rendering.templates import HOME
from tasks.run import Commands, Refused, executing, host, known, operation, remember, services, stack, step


def run() -> None:
    """What ``make update`` does first."""
    stack()
    if grouped.cluster():
        raise Said(
            "an update is about one host, and these are several: set the image in overrides, and deploy"
        )
    try:
        note = remember("update", course)
    except (Refused, BadSettings) as error:
        raise Said(once(host().name, f"{host().name} is not updated: {error}")) from None
    if note is None:
        if len({*host().state.active_hosts} | {host()}) == 1:
            sys.exit(0)  # nobody is asked about nothing
        return
    for line in told(note):
        host().log(line)
    update_note.describe(note.after)
    remember("unproven", lambda: True)
    lock.run()
    plan.run()
    hooks.run()
    names = ", ".join(note.services)
    arrived(note, name=f"Update | the image for {names} is there")
    if _mine(note).data and not _mine(note).point:
        points.made(described.name(tree()), name=f"Update | a restore point of {', '.join(_mine(note).data)}")
    begun(note, name=f"Update | {note.image} is {note.new} in the lock file")
    runpy.run_path(str(HOME / "deploy.py"))
    checked(note)
    ended(note, name=f"Update | {names}: it works")


def course() -> Note | None:
    """What is to be done on this host; None where nothing is. Raises Refused, BadSettings."""
    file = lock_file()
    there = update_note.read(note_file())
    if there:
        update_note.is_of(there)
        if there.way == BACK:
            raise Refused(
                f"its update is on its way back: {target(f'update SERVICE={there.service}')} ends that"
            )
        host().log(f"the update of {there.service} to {there.new} that was cut short goes on")
        if there.of(host().name).began:
            return there
        found = tuple(item for item in services() if item.name in there.services)
        return there.with_host(host().name, Host(data=update_course.coming_back(found)))
    choice = os.environ.get(CHOICE, "")
    image = update_course.image(choice)
    restore.as_described()
    wanted = update_course.asked(choice, image, os.environ.get("TO", ""))
    if not wanted:
        return None
    after = update_course.pinned(image, wanted)
    found = update_course.changed(after)
    old, new = (image_names.parted(name)[1] for name in (pins.led(stack().pins, image), wanted))
    text = file.read_text("utf-8") if file.exists() else None
    note = Note(choice, image, old, new, tuple(item.name for item in found), text, pins.text(after))
    return note.with_host(host().name, Host(data=update_course.coming_back(found)))


def told(note: Note) -> Iterator[str]:
    """What it means, before the plan."""
    yield f"{note.image}: {note.old} → {note.new}, for {', '.join(note.services)}"
    back = f"where the deploy or the check fails, {note.old} comes back"
    data = _mine(note).data
    lost = [
        item.name
        for item in services()
        if item.name in note.services and item.name not in data and update_course.lasting(item)
    ]
    yield f"{back}, and the databases of {', '.join(data)} as they were just before" if data else back
    if lost:
        yield f"what {', '.join(lost)} stores does not come back by itself: it stays as the new image leaves it"


def _mine(note: Note) -> Host:
    return note.of(host().name)


@operation
def arrived(note: Note) -> Commands:
    """It is pulled or built before anything else, so that little time lies between the restore point and its start."""
    present = known(DockerFact).images
    wanted = update_course.arriving(tuple(item for item in services() if item.name in note.services))
    for reference, container in wanted.items():
        if image_names.present(reference) not in present:
            yield StringCommand(images.wait(container))


@operation
def begun(note: Note) -> Commands:
    """From here on there is a way back: what it needs is noted before the pin is changed."""
    if not executing():
        yield "true"
        return
    there = update_note.read(note_file())
    if there and (there.service, there.after) != (note.service, note.after):
        raise Refused(
            f"{host().name}: another host of the inventory, or another run, is at {there.service} {there.new}: run again"
        )
    noted, now = there or note, known(UpdatingFact)
    mine = noted.of(host().name)
    if not mine.began:
        mine = replace(
            _mine(note),
            began=now.runs[-1].started if now.runs else now.clock,
            point=now.point if _mine(note).data else 0,
        )
    noted = noted.with_host(host().name, mine, run=os.environ.get(RUN, ""))
    yield step(partial(update_note.write, note_file(), noted))
    yield step(partial(update_note.keep, lock_file(), note.after))


def checked(note: Note) -> None:
    """What users do with it, where there is something to do."""
    found = [item.name for item in services() if item.name in note.services and item.users]
    if found:
        os.environ[check.CHOICE] = " ".join(found)
        check.used(name=f"Update | what users of {', '.join(found)} do")


@operation
def ended(note: Note) -> Commands:
    """Nothing is to be ended any more. Raises Refused where another host of the run goes back, and so does this one."""
    if not executing():
        yield "true"
        return
    if failed := sorted(item.name for item in host().state.failed_hosts):
        raise Refused(
            f"{', '.join(failed)} has failed, and one lock file is for all: {host().name} goes back as well"
        )
    yield step(partial(update_note.keep, note_file(), None))
    host().log(f"{', '.join(note.services)}: {note.old} → {note.new} works: commit {lock_file()}")
