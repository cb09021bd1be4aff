"""Pin: writes what the tags of all images stand for now into the inventory's lock file, which deploys then use.

``pyinfra -y inventories/prod.py tasks.commands.pin.run``. Each host is asked about its own images, since that is from where they
are pulled; nothing is pulled, and nothing changes there. What no host of the inventory uses any more is dropped.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from pyinfra import context, logger

from tasks.facts.registries import Registered, RegistriesFact
from tasks.model import image_names, pins
from tasks.model.image_names import short
from tasks.model.targets import target
from tasks.rendering import outdated_files
from tasks.run import Commands, Refused, executing, host, known, operation, stack

# Image → digest and the host that was told so first, of this run.
_told: dict[str, tuple[str, str]] = {}


def run() -> None:
    """The command ``make pin``."""
    _used()  # wrong settings of any host are said before one is asked
    written(name="Pin | what the tags of all images stand for now")


@operation
def written() -> Commands:
    """Writes what could be learnt, and fails the host where that was not everything."""
    if not executing():
        return
    yield from ()
    file = pins.path(sys.argv)
    if file is None:
        raise Refused("pins stand beside a file of hosts: name one, like inventories/prod.py")
    for line in pins.astray(sys.argv):
        host().log_styled(line, fg="yellow", log_func=logger.warning)
    wanted = references()
    found = known(RegistriesFact, *wanted)
    if wanted and not found:
        raise Refused(f"{host().name}: Docker is not there yet: {target('deploy')}, then pin what it runs")
    digests = {image: found[image].digest for image in wanted if image in found and found[image].digest}
    _agreed(digests)
    _write(file, _as_named(digests))
    if wrong := [
        f"{image}: {found.get(image, Registered()).why}" for image in wanted if image not in digests
    ]:
        lines = "\n".join(f"    {line}" for line in wrong)
        raise Refused(f"{host().name}: not pinned anew, since no registry says what they stand for:\n{lines}")


def references() -> dict[str, tuple[str, ...]]:
    """Image by tag, as it is run → the services that use it, of this host; and those of the operator's scripts."""
    return outdated_files.references(stack(), pins.moved(stack().pins))


def _as_named(digests: Mapping[str, str]) -> dict[str, str]:
    """What runs → its digest, as the lock file has it: by the names that the settings have, with the tag where that is another."""
    runs = {
        image: pins.led(pins.moved(stack().pins), image) for image in outdated_files.references(stack(), None)
    }
    return {
        image: digests[run] if run == image else f"{image_names.parted(run)[1]}@{digests[run]}"
        for image, run in runs.items()
        if run in digests
    }


def _agreed(digests: Mapping[str, str]) -> None:
    """Raises Refused where another host is told something else: by a mirror that is behind."""
    for image, digest in digests.items():
        first, other = _told.setdefault(image, (digest, host().name))
        if first != digest:
            raise Refused(
                f"{image}: {other} is told {_brief(first)}, {host().name} {_brief(digest)}: a mirror is behind "
                f"(registry-mirrors in /etc/docker/daemon.json): {target('pin')} once it has caught up"
            )


def _write(file: Path, digests: Mapping[str, str]) -> None:
    """With what stands there of other images that some host uses."""
    before = pins.read(file) or {}
    used = _used()
    after = {**{image: digest for image, digest in before.items() if image in used}, **digests}
    for image in sorted({*before, *after}):
        if line := _change(before.get(image, ""), after.get(image, "")):
            host().log(f"pin: {image}: {line}")
    if before == after:
        host().log(f"pin: {file} is as it was: {len(after)} images")
        return
    try:
        partial = file.with_name(f"{file.name}.partial")
        partial.write_text(pins.text(after), "utf-8")
        partial.replace(file)
    except OSError as error:
        raise Refused(f"{file}: cannot be written: {error.strerror}") from None
    host().log(
        f"pin: {file} has {len(after)} images: commit it; {target('plan')} shows what a deploy changes by it"
    )


def _change(before: str, after: str) -> str:
    """The file has the whole digests."""
    if before == after:
        return ""
    if not after:
        return "is used no more, and dropped"
    return f"{_brief(after)}, before {_brief(before)}" if before else _brief(after)


def _brief(pinned: str) -> str:
    """pinned: a digest, behind a tag or alone."""
    return short(f"@{pinned}")[1:]


def _used() -> frozenset[str]:
    """By the settings of any host of the inventory, also of those that this run is not about."""
    found: set[str] = set()
    for other in host().state.inventory:
        with context.ctx_host.use(other):
            found |= outdated_files.references(stack(), None).keys()
    return frozenset(found)
