"""Swarm differing: why a service of a swarm is not as it is described, and what of a swarm nobody needs any more. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tasks.operations.differing import DESCRIBED, SECRETS
from tasks.rendering.render import DIGEST_LABEL, SERVICE_LABEL

Found = Mapping[str, Any]

_SECRETS = "TaskTemplate.ContainerSpec.Secrets"
# The same without a change of what runs: `docker service update --force` counts it up.
_COUNTED = "ForceUpdate"


# What is waited for comes by itself.
WAITING = "its tasks run: they are waited for"


def reason(spec: Found, there: Found | None, able: int) -> str:
    """Why something has to be done about it; empty where nothing has. spec: as it is sent, but for ids of secrets and configs. able: how many
    of its tasks can run (``able``).
    """
    if there is None:
        return "does not exist"
    found = [*unlike(spec, there["Spec"])]
    if labels(there).get(DIGEST_LABEL) != spec["Labels"][DIGEST_LABEL]:
        inside = [
            path for path in found if not path.startswith(("Labels", "TaskTemplate.ContainerSpec.Labels"))
        ]
        return SECRETS if inside and all(path.startswith(_SECRETS) for path in inside) else DESCRIBED
    if found:
        return f"was changed by hand ({', '.join(found)})"
    running = there["ServiceStatus"]["RunningTasks"]
    return "" if running >= able else f"{running} of {able} of {WAITING}"


def able(spec: Found, nodes: Iterable[Found]) -> int:
    """How many of its tasks can run on the nodes that are there now, one at least: who waits for a node that is away waits for ever."""
    placement, replicas = spec["TaskTemplate"]["Placement"], int(spec["Mode"]["Replicated"]["Replicas"])
    asked = {tuple(text.removeprefix("node.labels.").split("==")) for text in placement["Constraints"]}
    there = [
        item
        for item in nodes
        if (item["Status"]["State"], item["Spec"]["Availability"]) == ("ready", "active")
        and asked <= {*labels(item).items()}
    ]
    most = placement.get("MaxReplicas") or replicas
    return max(1, min(replicas, most * len(there)))


def unlike(wanted: Any, there: Any, path: str = "") -> Iterator[str]:
    """Where what Docker has is not what it was told: all that was said is there as it was said, and no list has more. Docker adds words of
    its own, which change nothing.
    """
    if isinstance(wanted, Mapping):
        found = there if isinstance(there, Mapping) else {}
        for key in dict.fromkeys((*wanted, *found)):
            if key != _COUNTED:
                below = f"{path}.{key}" if path else str(key)
                yield from (
                    unlike(wanted[key], found.get(key), below) if key in wanted else _more(found[key], below)
                )
    elif isinstance(wanted, list):
        if len(wanted) != len(there or ()):
            yield path
            return
        for one, other in zip(wanted, there or (), strict=True):
            if [*unlike(one, other)]:
                yield path
                return
    elif wanted != there and (wanted or there):
        yield path


def _more(there: Any, path: str) -> Iterator[str]:
    if isinstance(there, Mapping):
        yield from unlike({}, there, path)
    elif isinstance(there, list) and there:
        yield path


def labels(there: Found) -> Found:
    """Of a service, a secret or a config; none where Docker has none."""
    found: Found = there["Spec"].get("Labels") or {}
    return found


def ours(there: Iterable[Found]) -> dict[str, str]:
    """Name of each service that is a service's of ours → that one's."""
    named = {item["Spec"]["Name"]: labels(item).get(SERVICE_LABEL, "") for item in there}
    return {name: service for name, service in named.items() if service}


def told(spec: Found, ids: Mapping[str, str]) -> dict[str, Any]:
    """With the ids that the swarm has for networks, secrets and configs. ids: name → id; what has none is as it was."""
    task = dict(spec["TaskTemplate"])
    inside = dict(task["ContainerSpec"])
    for kind, name in (("Secrets", "Secret"), ("Configs", "Config")):
        if kind in inside:
            inside[kind] = [
                {**item, f"{name}ID": ids[item[f"{name}Name"]]} if item[f"{name}Name"] in ids else item
                for item in inside[kind]
            ]
    networks = [
        {**item, "Target": ids.get(item["Target"], item["Target"])} for item in task.get("Networks", ())
    ]
    return {**spec, "TaskTemplate": {**task, "ContainerSpec": inside, "Networks": networks}}


def spare(kind: str, service: str, there: Iterable[Found], services: Iterable[Found]) -> list[str]:
    """Ids of what no service has any more, nor had before: a swarm takes away what only a rollback needs, and then starts nothing.
    Those of others are none of ours. kind: ``secrets`` or ``configs``.
    """
    key = f"{kind[:-1].capitalize()}ID"
    needed = {
        item[key]
        for found in services
        for spec in (found["Spec"], found.get("PreviousSpec") or {})
        for item in spec.get("TaskTemplate", {}).get("ContainerSpec", {}).get(kind.capitalize()) or ()
    }
    return [
        item["ID"]
        for item in there
        if labels(item).get(SERVICE_LABEL) == service and item["ID"] not in needed
    ]
