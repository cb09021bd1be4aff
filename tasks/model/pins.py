"""Pins: what tags of images stood for when ``make pin`` asked, in ``<inventory>.lock.json``, and the catalogue with them.

A file, and no setting: it is written by a program, committed beside the inventory, and read with every run. An image as the settings
name it → ``sha256:…``, or, where ``make update`` has brought another tag of it, ``2.30.9@sha256:…``. Such a line holds for the tag
that it names and for those from there up to its own; settings with a later tag count as they are.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasks.model import dockerfiles, image_names, tags
from tasks.model.catalogue import Container, Service
from tasks.model.stack import BadSettings
from tasks.model.targets import given, target

Pins = Mapping[str, str]


def of(data: Mapping[str, Any]) -> Pins | None:
    """Those of the inventory of this run; a host that was recovered brings what it had in its data. Raises BadSettings."""
    return read(path(sys.argv), data.get("_pins"))


def path(argv: Sequence[str]) -> Path | None:
    """Where the pins of the inventory are that pyinfra was called with; None where it was called with no file."""
    inventory = given(argv)
    return Path(inventory).with_suffix(".lock.json") if inventory else None


def read(file: Path | None, without: Pins | None = None) -> Pins | None:
    """Image → digest. without: what holds where there is no such file. Raises BadSettings for one that is none."""
    try:
        return parsed(file.read_text("utf-8")) if file else without
    except FileNotFoundError:
        return without
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        line = (
            f"{file}: is no lock file of images ({why}): take it as it was committed (git checkout), or remove it, and "
            f"{target('pin')} writes it anew"
        )
        raise BadSettings([line]) from None


# What stands beside an inventory by its name, and what a run without it does not know.
_BESIDE = {".lock.json": "its pins count", ".update.json": "the update that was cut short goes on"}


def astray(argv: Sequence[str]) -> Iterator[str]:
    """Of an inventory that has none of its own: what beside it is another's that is gone. It may have been renamed."""
    inventory = Path(given(argv))
    for suffix, then in _BESIDE.items() if inventory.name else ():
        own = inventory.with_suffix(suffix)
        for file in () if own.exists() else sorted(inventory.parent.glob(f"[!.]*{suffix}")):
            name = file.with_name(file.name.removesuffix(suffix) + ".py")
            if not name.exists():
                yield (
                    f"{file}: no run reads it, since there is no {name}: if that is {inventory} by now, `git mv {file} {own}`, and {then}; "
                    "else remove it"
                )


def parsed(text: str) -> dict[str, str]:
    """The text of a lock file → image → digest. Raises ValueError."""
    found = json.loads(text, object_pairs_hook=_distinct)
    images = found.get("images") if isinstance(found, dict) else None
    if not isinstance(images, dict) or found.keys() != {"images"}:
        raise ValueError('it has to be {"images": {"name:tag": "sha256:…"}}')
    for image, digest in images.items():
        name, tag, own = image_names.parted(image)
        if not tag or own or image_names.checked(image) != image:
            raise ValueError(f"{image!r} is no name:tag of an image")
        moved, at, own = digest.rpartition("@") if isinstance(digest, str) else ("", "", "")
        if not image_names.is_digest(own) or bool(at) != image_names.is_tag(moved):
            raise ValueError(f"{name}:{tag} has no digest, which is sha256: and 64 hexadecimal digits")
    return images


def text(pins: Pins) -> str:
    """What ``parsed`` reads: an image a line, in order, so that a change is one line of a diff."""
    return json.dumps({"images": dict(sorted(pins.items()))}, indent=2) + "\n"


def pinned(pins: Pins | None, service: Service) -> Service:
    """The service with each of its images by the digest that its tag is pinned to; as it is without pins."""
    if not pins:
        return service
    return replace(service, containers=tuple(_pinned(pins, item) for item in service.containers))


def moved(pins: Pins | None) -> dict[str, str] | None:
    """What ``make update`` has brought, by tag: as pins, without a digest. None where there is nothing at all."""
    if pins is None:
        return None
    return {image: value.partition("@")[0] for image, value in pins.items() if "@" in value}


def led(pins: Pins | None, image: str) -> str:
    """An image by tag → what is run of it, with the digest where one is pinned."""
    name, tag, digest = image_names.parted(image)
    around = () if digest else (each for key, each in (pins or {}).items() if _holds(key, each, name, tag))
    value = (pins or {}).get(image) or next(iter(around), "")
    if not value:
        return image
    return f"{image}@{value}" if image_names.is_digest(value) else f"{name}:{value}"


def _holds(key: str, value: str, name: str, tag: str) -> bool:
    """Whether an update from one tag to another is about this one in between, or the other itself."""
    other, start, _ = image_names.parted(key)
    end = "" if image_names.is_digest(value) else value.partition("@")[0]
    return bool(name == other and end and tags.later(tag, start) and (tag == end or tags.later(end, tag)))


def by_tag(pins: Pins | None) -> dict[str, str]:
    """What is run, by tag → its digest."""
    parts = (image_names.parted(led(pins, image)) for image in pins or ())
    return {f"{name}:{tag}": digest for name, tag, digest in parts}


def whole(pins: Pins | None) -> bool:
    """Whether ``make pin`` was asked for: updates alone pin what they have brought, and nothing else is missed."""
    return any(image_names.is_digest(value) for value in (pins or {}).values())


def references(services: Iterable[Service]) -> dict[str, tuple[str, ...]]:
    """Image by tag → the services that run it or are built from it, in their order. A fork's bases are its own to name."""
    found: dict[str, tuple[str, ...]] = {}
    for service in services:
        for image in dict.fromkeys(each for item in service.containers for each in images(item)):
            found[image] = (*found.get(image, ()), service.name)
    return {image: tuple(dict.fromkeys(names)) for image, names in found.items()}


def own(services: Iterable[Service]) -> dict[str, str]:
    """Image by tag → the digest that the settings themselves name beside it."""
    images = (item.image for service in services for item in service.containers)
    parts = (image_names.parted(image) for image in images)
    return {f"{name}:{tag}": digest for name, tag, digest in parts if tag and digest}


def _pinned(pins: Pins, container: Container) -> Container:
    if container.fork:
        return container
    if not container.build:
        return replace(container, image=led(pins, container.image))
    given = {name: (image, led(pins, image)) for name, image in dockerfiles.images(container.build).items()}
    arguments = {name: runs for name, (image, runs) in given.items() if runs != image}
    return replace(container, base=led(pins, container.base), arguments=arguments)


def images(container: Container) -> Iterator[str]:
    """What is pulled for it by a tag."""
    if container.fork:
        return
    found = [container.image]
    if container.build:
        found = [container.base, *{**dockerfiles.images(container.build), **container.arguments}.values()]
    yield from (image for image in found if image and "@" not in image)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """What a merge may leave behind is not read as if the last one counted."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(name for name in names if names.count(name) > 1)} stands there twice")
    return found
