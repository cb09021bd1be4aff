"""Recorded: a run that describes an earlier generation in place of what settings and package would make now."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tasks.clients import recovery
from tasks.facts.generations import RecordedFilesFact, hashes
from tasks.model import diffs, settings
from tasks.model.catalogue import Service
from tasks.model.generations import PLACES, ROLLED, Generation, Generations
from tasks.model.stack import Stack
from tasks.model.targets import target
from tasks.rendering import render
from tasks.run import Refused, host, known, recall, remember, stack
from tasks.services import every, load


def become(found: Generations, item: Generation) -> None:
    """From now on this run describes that generation. Raises Refused, BadSettings."""
    if lacking := found.lacking(item):
        raise Refused(
            f"generation {item.number} is not whole on the host any more, which lacks {', '.join(lacking)}: choose another "
            f"({target('generations')}), or describe it in the settings and {target('deploy')}"
        )
    files = known(RecordedFilesFact, item.tree)
    if hashes(files) != item.files:
        edited = diffs.names(item.files, hashes(files)).all
        raise Refused(
            f"generation {item.number} was edited by hand on the host since: {', '.join(edited)}: choose another"
        )
    now = stack()
    rolled = described(now, host().data.dict(), item)
    chosen_services = tuple(as_recorded(item, service, files) for service in load(rolled))
    given = {**recovery.given(), **{key: item.settings.get(key) for key in ROLLED if key in item.settings}}
    _set("now", now)
    _set("stack", rolled)
    _set("services", chosen_services)
    _set("tree", files)
    _set("back", (item.number, given))


def _set(key: str, value: object) -> None:
    recall(key)
    remember(key, lambda: value)


def described(now: Stack, data: Mapping[str, Any], item: Generation) -> Stack:
    """Its settings, with the host's own as they are now, and who is told. Raises Refused, BadSettings."""
    wrong = [key for key in PLACES if key in item.settings and _of(item.settings, key) != getattr(now, key)]
    if wrong:
        raise Refused(
            f"generation {item.number} had its secrets elsewhere ({', '.join(wrong)}), and nothing goes back to that by itself: set it, "
            f"then {target('deploy')}"
        )
    # Mailboxes are told through the mail server of now, which it may not have had.
    kept = {key: value for key, value in data.items() if key not in (*ROLLED, "notify")}
    rolled = settings.read(
        {**kept, **{key: item.settings[key] for key in ROLLED if key in item.settings}}, every()
    )
    if (
        now.backup
        and rolled.backup
        and (now.backup.endpoint, now.backup.bucket)
        != (
            rolled.backup.endpoint,
            rolled.backup.bucket,
        )
    ):
        raise Refused(
            f"generation {item.number} was backed up to {rolled.backup.bucket} at {rolled.backup.endpoint}, whose keys are not here any "
            f"more: set backup, then {target('deploy')}"
        )
    return rolled.model_copy(update={"notify": now.notify}).with_pins(now.pins)


def _of(found: Mapping[str, Any], key: str) -> Any:
    return found[key] or None if key == "vault_address" else found[key]


def as_recorded(item: Generation, service: Service, files: Mapping[str, str]) -> Service:
    """The service with the images of its recorded compose file, none of them built. Raises Refused where this package knows it with
    other containers.
    """
    text = files.get(render.compose_path(service), "services: {}")
    images = render.images(text)
    here = {container.name for container in service.containers}
    if here != images.keys():
        other = ", ".join(sorted(here ^ images.keys()))
        raise Refused(
            f"generation {item.number} was made by {item.version}, whose {service.name} has other containers than this package's "
            f"({other}): check that version out, and {target('deploy')} from there"
        )
    return replace(
        service,
        containers=tuple(
            replace(each, image=images[each.name], build="", base="", fork="", arguments={})
            for each in service.containers
        ),
    )
