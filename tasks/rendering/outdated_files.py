"""Outdated files: what asks on the host which images are outdated, about which ones, and the units that start it weekly. Pure."""

import json
from typing import Any

from tasks.model import pins, upstream
from tasks.model.stack import Stack
from tasks.rendering.docker_calls import SOCKET
from tasks.rendering.host_files import tools
from tasks.rendering.templates import HOME, jinja
from tasks.services import load

PROGRAM = "outdated/outdated.py"
_COPIES = {
    PROGRAM: HOME / "files" / "outdated.py",
    "outdated/ask_registries.py": HOME / "files" / "ask_registries.py",
    "outdated/tags.py": HOME / "tasks" / "model" / "tags.py",
    "outdated/written.py": HOME / "files" / "written.py",
}
_UNITS = ("service", "timer")


def files(stack: Stack) -> dict[str, str]:
    """Path in a generation → text."""
    wanted = {"socket": SOCKET.removeprefix("unix://"), "images": images(stack)}
    texts = {path: file.read_text("utf-8") for path, file in _COPIES.items()}
    return {**texts, "outdated/images.json": json.dumps(wanted, indent=1) + "\n"}


def images(stack: Stack) -> dict[str, dict[str, Any]]:
    """Image by tag → ``line`` and ``ends`` of its upstream, and the ``digest`` that it is pinned to, empty without."""
    bare = stack.with_pins(None)
    own = pins.own(load(bare))
    upstreams = [item for service in (*load(bare), *tools(bare)) for item in service.upstream]
    pinned = {**pins.by_tag(stack.pins), **own}
    found = {
        image: upstream.of(image, upstreams) for image in (*own, *references(stack, pins.moved(stack.pins)))
    }
    return {
        image: {
            "line": item.line if item else 0,
            "ends": {end.of: end.on for end in item.ends} if item else {},
            "digest": pinned.get(image, ""),
        }
        for image, item in found.items()
    }


def references(stack: Stack, found: pins.Pins | None) -> dict[str, tuple[str, ...]]:
    """Image by tag → the services that use it, and those of the operator's scripts. found: by which pins."""
    bare = stack.with_pins(found)
    return pins.references((*load(bare), *tools(bare)))


def units(current: str) -> dict[str, str]:
    """Name → text of each systemd unit. current: the path of the active generation."""
    program = f"{current}/{PROGRAM}"
    return {
        f"smarteros-outdated.{kind}": jinja()
        .get_template(f"units/outdated.{kind}.j2")
        .render(program=program)
        for kind in _UNITS
    }
