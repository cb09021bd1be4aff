"""Room ahead: what the steps of a plan mean for ports, memory, disk, and for what other versions of a program store. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import yaml

from tasks.facts.ahead import Ahead
from tasks.model import image_names, sizing, tags
from tasks.model.catalogue import Service
from tasks.model.effects import Pull, Step
from tasks.operations.consequences import Change, change, files, starts
from tasks.rendering.render import CURRENT, image


def ports(steps: Iterable[Step], ahead: Ahead, firewall: str) -> Change:
    """What opens and closes: in the firewall to the world, and of what containers publish. firewall: its file."""
    before: list[str] = []
    after: list[str] = []
    for item in files(steps):
        have = ahead.texts.get(item.path, "")
        if item.path == firewall and item.before:
            before += _rules(have)
            after += _rules(item.after or "")
        elif item.path.startswith(f"{CURRENT}/dkcompose/"):
            before += _published(have)
            after += _published(item.after or "")
    return change(before, after)


def _rules(text: str) -> Iterator[str]:
    """Of the chain: what is let in by port or protocol."""
    for line in re.findall(
        r"^ +((?:(?:tcp|udp) dport|ip6? saddr|meta l4proto) .*) accept", text, re.MULTILINE
    ):
        found = re.fullmatch(r"(tcp|udp) dport \{ (.*) \}", line)
        yield from (
            (f"{found[1]} {port}" for port in found[2].split(", "))
            if found
            else (line.replace("dport ", ""),)
        )


def _compose(text: str) -> Mapping[str, Mapping[str, object]]:
    try:
        found = yaml.safe_load(text) if text else {}
    except yaml.YAMLError:  # by hand
        return {}
    services = found.get("services") if isinstance(found, dict) else None
    return services if isinstance(services, dict) else {}


def _published(text: str) -> Iterator[str]:
    for name, container in _compose(text).items():
        listed = container.get("ports") if isinstance(container, dict) else None
        yield from (f"{name} {port}" for port in (listed if isinstance(listed, list) else ()))


def limits(steps: Iterable[Step], ahead: Ahead) -> int:
    """By how many MB the memory that containers may take grows."""
    found = [item for item in files(steps) if item.path.startswith(f"{CURRENT}/dkcompose/")]
    return sum(_limit(item.after or "") - _limit(ahead.texts.get(item.path, "")) for item in found)


def _limit(text: str) -> int:
    found = (str(item.get("mem_limit", "")) for item in _compose(text).values() if isinstance(item, dict))
    return sum(int(limit.removesuffix("m")) for limit in found if re.fullmatch(r"\d+m", limit))


def needed_mb(chosen: Sequence[Service]) -> int:
    """What the programs take at the same time, with the system."""
    return int(sizing.demand(chosen).memory_mb)


def pulled_gb(steps: Iterable[Step], chosen: Iterable[Service]) -> float:
    """About what the images that are missing take on the disk."""
    missing = {effect.image for step in steps for effect in step.effects if isinstance(effect, Pull)}
    sizes = {image(item): item.size.image_gb for service in chosen for item in service.containers}
    return round(sum(sizes.get(name, 0) for name in missing), 1)


def migrations(steps: Iterable[Step], chosen: Iterable[Service]) -> Iterator[str]:
    """Databases and volumes that a container's other version will change, or may not read."""
    described = {service.name: service for service in chosen}
    told = set()
    for start in starts(steps):
        service = described.get(start.service)
        moved = version(start.before, start.image) if start.before else ""
        if not service or not moved or (service.name, moved) in told:
            continue
        told.add((service.name, moved))
        # What others keep are caches and logs, or files that programs of any version read.
        if not (service.databases or service.phase in ("vault", "data")):
            continue
        data = [f"database {item.name}" for item in service.databases]
        data += dict.fromkeys(
            f"volume {item.name}" for each in service.containers for item in each.volumes if not item.reads
        )
        if data:
            yield f"{service.name}: {moved}: {', '.join(data)}"


def version(before: str, after: str) -> str:
    """How far apart two images are; empty where it is no more than a patch."""
    if _program(before) != _program(after):
        return f"another program, {before} → {after}"
    old, new = (tags.parsed(image_names.parted(name)[1]) for name in (before, after))
    if not (old and new):
        if before == after:
            return ""
        return (
            f"{_shown(before)} → {_shown(after)}, of which nobody can say whether it changes what is stored"
        )
    pair = f"{old.text} → {new.text}"
    if new.version < old.version:
        return f"an older version, {pair}, which may not read what the newer one has written"
    if old.numbers != new.numbers:  # pg16, alpine3.22
        return f"another build, {pair}, which may not read what is stored"
    kinds = ("major", "minor")
    places = [
        kind
        for kind, one, other in zip(kinds, *map(_two, (old.version, new.version)), strict=False)
        if one != other
    ]
    return f"a new {places[0]} version, {pair}, which may change what is stored for good" if places else ""


def _shown(reference: str) -> str:
    """Its tag, or what there is of it."""
    name, tag, digest = image_names.parted(image_names.short(reference))
    return "@".join(filter(None, (tag, digest))) or name


def _program(reference: str) -> str:
    return image_names.parted(reference)[0]


def _two(found: tags.Version) -> tuple[int, int]:
    major, minor = (*found.release, 0)[:2]
    return major, minor
