"""Swarm spec: a container of a compose file → the service that a swarm is asked for, in the Engine API's words (POST /services/create). Pure.

The policy is written down once, in templates/compose.yaml.j2: here each of its keys is read, and one that nobody reads is refused
instead of lost, as ``docker stack deploy`` loses some. What only the swarm knows, the ids of secrets and configs, is filled in by who
sends it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from typing import Any

from tasks.model.catalogue import Container, Service
from tasks.rendering.render import CURRENT, DIGEST_LABEL, SERVICE_LABEL, defined, digest
from tasks.rendering.swarm_units import FIELDS, Unreadable, dollars

# Where a task has its service's secrets: in memory alone, on the node that runs it.
ENV = "/run/secrets/env"
# A container that nobody else is in: whatever its user's number is, it may read what would be in its environment anyway.
_MODE = 0o444
# Its variables are in no spec, which every manager shows, and which each worker keeps on its disk.
_SHIM = f'set -a; . {ENV}; set +a; exec "$@"'
_SECOND = 10**9
# Docker takes a task's address out of the names two seconds before it ends it.
_UPDATE = {"Parallelism": 1, "Delay": 2 * _SECOND, "Monitor": 10 * _SECOND, "MaxFailureRatio": 0}


@dataclass(frozen=True)
class Start:
    """What an image starts by itself: its ENTRYPOINT and CMD."""

    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()


@dataclass(frozen=True)
class Brought:
    """What comes with a task. secrets: the keyed digest of its service's, empty where it has none. files: those that are rendered
    (render.render). start: of its image. image: that, by what it is, so that all nodes have the same; as in the compose file where empty.
    """

    files: Mapping[str, str]
    start: Start = Start()
    secrets: str = ""
    image: str = ""


def secret_name(service: Service, digested: str) -> str:
    """Of the swarm's secret. digested: the keyed digest of its values."""
    return f"{service.name}-{digested}"


def secret_text(values: Mapping[str, str]) -> str:
    """Variables → what the shim reads: words of the shell that mean nothing but themselves."""
    return "".join(f"{name}={quote(value)}\n" for name, value in sorted(values.items()))


def configs(service: Service, container: Container, files: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Name of the swarm's config → path in the container and text, of each file that is mounted there."""
    found = {}
    for path, text in sorted(files.items()):
        folder, _, rest = path.partition("/")
        if folder in container.files:
            found[f"{service.name}-{digest(path, text)}"] = (f"{container.files[folder]}/{rest}", text)
    return found


def spec(service: Service, container: Container, text: str, brought: Brought) -> dict[str, Any]:
    """The service. text: the compose file. Raises Unreadable for what a swarm has no words for."""
    said = dollars(defined(text)[container.name])
    made: dict[str, Any] = {"ContainerSpec": {}, "Resources": {"Limits": {}}}
    for key, value in said.items():
        if key in _ELSEWHERE:
            continue
        read = FIELDS.get(key)
        if read is None:
            raise Unreadable(f"{container.name}: {key} has no place in a swarm")
        _merge(made, read(value))
    inside = made["ContainerSpec"]
    inside["Image"] = brought.image or inside["Image"]
    inside["Mounts"] = [*_mounts(service, said), *inside.get("Mounts", ())]
    inside["Configs"] = [
        {"ConfigName": name, "File": {"Name": path, "UID": "0", "GID": "0", "Mode": _MODE}}
        for name, (path, _) in configs(service, container, brought.files).items()
    ]
    if container.env_file:
        _shielded(inside, service, container, brought)
    made["RestartPolicy"] = {"Condition": "any", "Delay": 5 * _SECOND}
    made["Placement"] = {"Constraints": [*_placed(service, container)], **_apart(service, container)}
    order = "start-first" if container.twice and container.replicas == 1 else "stop-first"
    found = {
        "Name": container.name,
        "TaskTemplate": made,
        "Mode": {"Replicated": {"Replicas": container.replicas}},
        "UpdateConfig": {**_UPDATE, "Order": order, "FailureAction": "rollback"},
        "RollbackConfig": {**_UPDATE, "Order": order, "FailureAction": "pause"},
        "EndpointSpec": {"Mode": "dnsrr"},
    }
    inside["Labels"].pop(DIGEST_LABEL, None)  # Compose's, which is of less
    marked = {**inside["Labels"], DIGEST_LABEL: digest(json.dumps(found, sort_keys=True))}
    inside["Labels"] = found["Labels"] = marked
    return found


# By another way than one value: the container's name is the service's, and what of these a task has is made below.
_ELSEWHERE = {"container_name", "restart", "env_file", "volumes", "build", "pull_policy"}


def _shielded(inside: dict[str, Any], service: Service, container: Container, brought: Brought) -> None:
    """Docker forgets what an image starts once it is told something else, so that is said in full. What asks for its health is started
    beside that, and has none of its variables by itself.
    """
    entrypoint = inside.get("Command") or brought.start.entrypoint
    command = inside.get("Args") or ([] if "Command" in inside else brought.start.command)
    if not [*entrypoint, *command]:
        raise Unreadable(f"{container.name}: nobody says what its image starts")
    shim = ["/bin/sh", "-c", _SHIM, "sh"]
    inside["Command"], inside["Args"] = shim, [*entrypoint, *command]
    kind, *test = inside["Healthcheck"]["Test"]
    if kind != "CMD":
        raise Unreadable(f"{container.name}: healthcheck: {kind} is no CMD")
    inside["Healthcheck"] = {**inside["Healthcheck"], "Test": ["CMD", *shim, *test]}
    inside["Secrets"] = [
        {
            "SecretName": secret_name(service, brought.secrets),
            "File": {"Name": ENV.rpartition("/")[2], "UID": "0", "GID": "0", "Mode": _MODE},
        }
    ]


def _placed(service: Service, container: Container) -> Iterator[str]:
    """A volume is on the node where it was made, and a swarm would start its container on another with an empty one."""
    if container.state:
        yield f"node.labels.smarteros.home.{service.name}==1"
    else:
        yield f"node.labels.smarteros.{service.role}==1"


def _apart(service: Service, container: Container) -> dict[str, int]:
    """What keeps them on nodes of their own, where one that comes first would find no place: so one goes first, while others answer."""
    if not service.nodes or container.replicas == 1:
        return {}
    return {"MaxReplicas": -(-container.replicas // service.nodes)}


def _mounts(service: Service, said: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for given in said.get("volumes", ()):
        if isinstance(given, dict):
            if given["source"].startswith(f"{CURRENT}/"):
                continue  # it comes as configs
            yield _long(given)
            continue
        source, target, *options = given.split(":")
        mount: dict[str, Any] = {
            "Type": "bind" if source.startswith("/") else "volume",
            "Source": source,
            "Target": target,
        }
        if options == ["ro"]:
            mount["ReadOnly"] = True
        elif options:
            raise Unreadable(f"{given}: nobody reads {options[0]}")
        if mount["Type"] == "volume":
            mount["VolumeOptions"] = {"Labels": {SERVICE_LABEL: service.name}}
        yield mount


def _long(given: Mapping[str, Any]) -> dict[str, Any]:
    """A folder of the host. A swarm makes none that is missing, as is said with it."""
    more = given.keys() - {"type", "source", "target", "read_only", "bind"}
    if more or given["type"] != "bind" or given.get("bind", {}).keys() - {"create_host_path"}:
        raise Unreadable(f"{given['target']}: nobody reads all of {', '.join(sorted(given))}")
    read_only = {"ReadOnly": True} if given.get("read_only") else {}
    return {"Type": "bind", "Source": given["source"], "Target": given["target"], **read_only}


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        elif isinstance(value, list) and isinstance(into.get(key), list):
            into[key] = [*into[key], *value]
        else:
            into[key] = value
