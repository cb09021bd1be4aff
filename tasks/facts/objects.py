"""Objects of Docker that are not ours, or not known to be: other containers, volumes; and what was adopted."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from shlex import quote
from typing import Any

from pyinfra.api import FactBase

# kind:name of what was there before us and was taken over, one a line.
ADOPTED = "/var/lib/smarteros/adopted"
# A line for each volume that there was after the last deploy (files/record.sh).
NOTED = "/opt/smarteros/records/.volumes"


@dataclass(frozen=True)
class Other:
    """A container without a label of ours. project, part: Compose's, where it is Compose's. temporary: ``--rm``.
    binds: what of the host it has mounted. aliases: network, and a name that it answers to there beside its own.
    """

    name: str
    image: str
    since: str
    status: str
    project: str = ""
    part: str = ""
    temporary: bool = False
    networks: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()

    @property
    def running(self) -> bool:
        """Whether it is at work, or would be."""
        return self.status in ("running", "restarting", "paused")


@dataclass(frozen=True)
class VolumeState:
    """A volume. service: whose it is by a label of ours; project, part: by Compose's."""

    name: str
    service: str = ""
    project: str = ""
    part: str = ""


def others(rows: Iterable[str]) -> tuple[Other, ...]:
    """From lines of JSON. Raises ValueError."""
    return tuple(_other(_object(row)) for row in rows)


def volumes(rows: Iterable[str]) -> dict[str, VolumeState]:
    """From lines of JSON. Raises ValueError."""
    found = [VolumeState(**{key: _text(item, key) for key in _VOLUME}) for item in map(_object, rows)]
    return {item.name: item for item in found}


_VOLUME = ("name", "service", "project", "part")


def _other(found: dict[str, Any]) -> Other:
    texts = {key: _text(found, key) for key in ("image", "status", "project", "part")}
    lists = {key: tuple(map(str, filter(None, found[key]))) for key in ("networks", "volumes", "binds")}
    # Docker resolves a hostname in every network, from 25 on.
    hostname = [(network, _text(found, "hostname")) for network in lists["networks"]]
    aliases = [(str(network), str(alias)) for network, alias in filter(None, found["aliases"])]
    name, since = _text(found, "name").removeprefix("/"), _text(found, "since")[:10]
    return Other(
        name=name,
        since=since,
        temporary=found["temporary"] is True,
        networks=lists["networks"],
        volumes=lists["volumes"],
        binds=lists["binds"],
        aliases=tuple(dict.fromkeys(each for each in (*aliases, *hostname) if each[1])),
        **texts,
    )


def _object(row: str) -> dict[str, Any]:
    found = json.loads(row)
    if not isinstance(found, dict):
        raise ValueError(f"{row[:40]!r} is no object")  # noqa: TRY004  what cannot be read, of whatever type
    return found


def _text(found: dict[str, Any], key: str) -> str:
    value = found.get(key) or ""
    if not isinstance(value, str):
        raise ValueError(f"{key} is no text")  # noqa: TRY004
    return value


def _label(name: str, labels: str) -> str:
    return f'{{{{json (index {labels} "{name}")}}}}'


_PROJECT, _PART = "com.docker.compose.project", "com.docker.compose.service"
# For docker inspect; a label of somebody else's may hold anything, so that all of it is JSON.
OTHER_FORMAT = (
    'x|{"name":{{json .Name}},"image":{{json .Config.Image}},"since":{{json .Created}},"status":{{json .State.Status}},'
    f'"project":{_label(_PROJECT, ".Config.Labels")},"part":{_label(_PART, ".Config.Labels")},'
    '"temporary":{{json .HostConfig.AutoRemove}},'
    '"networks":[{{range $name, $_ := .NetworkSettings.Networks}}{{json $name}},{{end}}null],'
    '"hostname":{{json .Config.Hostname}},"aliases":[{{range $name, $point := .NetworkSettings.Networks}}{{with $point}}'
    "{{range .Aliases}}[{{json $name}},{{json .}}],{{end}}{{end}}{{end}}null],"
    '"volumes":[{{range .Mounts}}{{if eq .Type "volume"}}{{json .Name}},{{end}}{{end}}null],'
    '"binds":[{{range .Mounts}}{{if eq .Type "bind"}}{{json .Source}},{{end}}{{end}}null]}'
)
# Before what is asked of a container of ours that is its host's own: a swarm's task is the swarm's, by a name that nobody knows before.
ALONE = '{{if not (index .Config.Labels "com.docker.swarm.task.id")}}'
# Volumes of a container of ours, after its own line.
USED_FORMAT = '{{range .Mounts}}{{if eq .Type "volume"}}{{println}}u|{{.Name}}{{end}}{{end}}'


def volume_format(service_label: str) -> str:
    """For docker volume ls."""
    labels = {"service": service_label, "project": _PROJECT, "part": "com.docker.compose.volume"}
    texts = ",".join(f'"{key}":{{{{json (.Label "{name}")}}}}' for key, name in labels.items())
    return f'v|{{"name":{{{{json .Name}}}},{texts}}}'


class RootsFact(FactBase[frozenset[str]]):
    """Which of these volumes hold something and are root's: Docker gives only empty ones to the image's user."""

    def command(self, *names: str) -> str:
        """A volume that is elsewhere (another driver's) says nothing."""
        return (
            f"for name in {' '.join(map(quote, names))}; do\n"
            "    folder=$(docker volume inspect --format '{{.Mountpoint}}' \"$name\" 2>/dev/null) || continue\n"
            '    [ "$(stat -c %u "$folder" 2>/dev/null)" = 0 ] && [ -n "$(ls -A "$folder")" ] && echo "$name"\n'
            "done\ntrue"
        )

    @staticmethod
    def default() -> frozenset[str]:
        """None."""
        return frozenset()

    def process(self, output: list[str]) -> frozenset[str]:
        """A name a line."""
        return frozenset(output)
