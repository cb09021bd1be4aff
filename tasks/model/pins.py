"""Pins: what tags of images stood for when ``make pin`` asked, in ``<inventory>.lock.json``, and the catalogue with them.

A file, and no setting: it is written by a program, committed beside the inventory, and read with every run.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tasks.model import dockerfiles, image_names
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
        return parsed(file.read_text()) if file else without
    except FileNotFoundError:
        return without
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        line = (
            f"{file}: is no lock file of images ({why}): take it as it was committed (git checkout), or remove it, and "
            f"{target('pin')} writes it anew"
        )
        raise BadSettings([line]) from None


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
        if not isinstance(digest, str) or not image_names.is_digest(digest):
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


def references(services: Iterable[Service]) -> dict[str, tuple[str, ...]]:
    """Image by tag → the services that run it or are built from it, in their order. A fork's bases are its own to name."""
    found: dict[str, tuple[str, ...]] = {}
    for service in services:
        for image in dict.fromkeys(each for item in service.containers for each in _images(item)):
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
        return replace(container, image=_at(pins, container.image))
    arguments = {
        name: _at(pins, image) for name, image in dockerfiles.images(container.build).items() if image in pins
    }
    return replace(container, base=_at(pins, container.base), arguments=arguments)


def _at(pins: Pins, image: str) -> str:
    return f"{image}@{pins[image]}" if image in pins else image


def _images(container: Container) -> Iterator[str]:
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
