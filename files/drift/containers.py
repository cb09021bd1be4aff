"""What Docker has of ours: containers, with what they were made from and their limits, and volumes."""

from __future__ import annotations

import hashlib
import json
import sys
import time

from ground import said, told

INSPECT = (
    '{{json .Name}} {{json .Image}} {{json .State}} {{json .Created}} {{json (index .Config.Labels "smarteros.digest")}} '
    '{{json (index .Config.Labels "com.docker.compose.config-hash")}} {{json (index .Config.Labels "com.docker.compose.oneoff")}} '
    '{{json (index .Config.Labels "com.docker.swarm.task.id")}} '
    "{{with .HostConfig}}{{json .RestartPolicy.Name}} {{json .Memory}} {{json .NanoCPUs}} {{json .PidsLimit}}{{end}}"
)
SERVICE = "{{json .Spec}} {{json .UpdatedAt}}"
# What ``docker update`` changes, by the words for it.
LIMITS = ("restart", "bytes of memory", "billionths of a core", "processes")


def containers(_: dict) -> dict:
    """Those that run for good: name → image, what compose made it from, whether it runs."""
    found = {}
    for line in described():
        name, image, state, created, digest, config, oneoff, task, *limits = decoded(line)
        running = state["Status"] == "running"
        if task:  # another one comes in its place, by another name
            continue
        # What stands in for one that is replaced is left there where a deploy was cut short (rolling.py); others are an operator's.
        if oneoff == "True" and not name.endswith("-second"):
            continue
        when = created if running else state["FinishedAt"]
        found[name.lstrip("/")] = {
            "image": image,
            "definition": f"{digest} {config}",
            "state": state["Status"],
            **dict(zip(LIMITS, limits, strict=False)),
            "_done": state["Status"] == "exited" and state["ExitCode"] == 0,
            "_since": seconds(when),
        }
    return found


def tasks(what: dict) -> dict:
    """What the swarm runs for this host, by name, and by no name that its managers have answered at all."""
    if not what.get("tasks") or not said("docker", "node", "ls", "-q"):
        return {}
    ids = said("docker", "service", "ls", "-q", "--filter", "label=smarteros.service")
    found = {"": {}}
    for line in said("docker", "service", "inspect", "--format", SERVICE, *ids) if ids else []:
        spec, updated = decoded(line)
        task = spec["TaskTemplate"]
        task.pop("ForceUpdate", None)
        found[spec["Name"]] = {
            "image": task["ContainerSpec"].pop("Image"),
            "replicas": spec.pop("Mode")["Replicated"]["Replicas"],
            "definition": hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest(),
            "_since": seconds(updated),
        }
    return found


def volumes(_: dict) -> dict:
    """Those that we made. One that is new is no drift."""
    ours = ("docker", "volume", "ls", "-q", "--filter", "label=smarteros.service")
    return {name: {} for name in said(*ours) or (told("docker", "version") and said(*ours))}


def described() -> list:
    """A line for each container of ours. Which there are is asked anew where one has gone since: copies for the bucket come and go."""
    told("docker", "version", "--format", "{{.Server.Version}}")
    for _ in range(10):
        ids = said("docker", "ps", "-aq", "--filter", "label=smarteros.service")
        lines = said("docker", "inspect", "--format", INSPECT, *ids) if ids else []
        if lines or not ids:
            return lines
    sys.exit("docker does not say how its containers are, so what differs is not known")


def decoded(line: str) -> list:
    """JSON values in a row."""
    decoder, values, at = json.JSONDecoder(), [], 0
    while at < len(line):
        value, at = decoder.raw_decode(line, at)
        values.append(value)
        at += 1
    return values


def seconds(when: str) -> float:
    """Docker's times."""
    return time.mktime(time.strptime(when[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone
