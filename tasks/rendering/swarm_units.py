"""Swarm units: each key of a compose file's container → the part of a task that says the same, in the Engine API's words and units
(bytes, nanoseconds, billionths of a core). Pure.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Part = Mapping[str, Any]

_SECOND = 10**9
_BYTES = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_SPANS = {"ms": 10**6, "s": _SECOND, "m": 60 * _SECOND, "h": 3600 * _SECOND}


class Unreadable(ValueError):
    """A value that a swarm has no words for; the text says which."""


def dollars(value: Any) -> Any:
    """A value of a compose file as Compose reads it: ``$$`` stands for ``$`` in every text."""
    match value:
        case str():
            return value.replace("$$", "$")
        case list():
            return [dollars(item) for item in value]
        case dict():
            return {key: dollars(item) for key, item in value.items()}
    return value


def size(text: str | int) -> int:
    """``512m`` → bytes."""
    found = re.fullmatch(r"(\d+)([bkmg]?)b?", str(text).lower())
    if not found:
        raise Unreadable(f"{text} is no size")
    return int(found[1]) * _BYTES[found[2]]


def span(text: str) -> int:
    """``1m30s`` → nanoseconds."""
    found = re.findall(r"(\d+)(ms|h|m|s)", text)
    if "".join(map("".join, found)) != text or not found:
        raise Unreadable(f"{text} is no length of time")
    return sum(int(number) * _SPANS[unit] for number, unit in found)


def _inside(name: str) -> Callable[[Any], Part]:
    return lambda value: {"ContainerSpec": {name: value}}


def _limit(name: str, unit: Callable[[Any], int] = int) -> Callable[[Any], Part]:
    return lambda value: {"Resources": {"Limits": {name: unit(value)}}}


def _words(name: str) -> Callable[[Any], Part]:
    def read(value: Any) -> Part:
        if not isinstance(value, list):
            raise Unreadable(f"{value!r} is no list of words")
        return {"ContainerSpec": {name: value}}

    return read


def _environment(value: Mapping[str, Any]) -> Part:
    """What stands in two braces Docker would fill in by itself, or refuse."""
    for name, text in value.items():
        if "{{" in str(text):
            raise Unreadable(f"environment.{name} has {{{{ in it, which a swarm replaces")
    return {"ContainerSpec": {"Env": [f"{name}={text}" for name, text in sorted(value.items())]}}


def _health(value: Mapping[str, Any]) -> Part:
    spans = {
        "interval": "Interval",
        "timeout": "Timeout",
        "start_period": "StartPeriod",
        "start_interval": "StartInterval",
    }
    if more := value.keys() - {"test", "retries", *spans}:
        raise Unreadable(f"healthcheck: nobody reads {', '.join(sorted(more))}")
    found = {name: span(value[key]) for key, name in spans.items() if key in value}
    return {"ContainerSpec": {"Healthcheck": {"Test": value["test"], "Retries": value["retries"], **found}}}


def _security(value: Sequence[str]) -> Part:
    if list(value) != ["no-new-privileges:true"]:
        raise Unreadable(f"security_opt: {', '.join(value)} has no place in a swarm")
    return {"ContainerSpec": {"Privileges": {"NoNewPrivileges": True}}}


def _tmpfs(value: Sequence[str]) -> Part:
    return {"ContainerSpec": {"Mounts": [_memory(item) for item in value]}}


# What Docker gives a file system in memory by itself, and what else it has words for there.
_ALWAYS = {"noexec", "nosuid", "nodev"}


def _memory(text: str) -> dict[str, Any]:
    """A file system in memory. Where Docker has no words for what it is to be, it is one of the local driver's volumes: no name, so
    that it goes with its task.
    """
    target, _, rest = text.partition(":")
    options = rest.split(",")
    said = dict(item.split("=") for item in options if "=" in item)
    flags = {item for item in options if "=" not in item} - {"exec", "rw"}
    if said.keys() <= {"size", "mode"} and flags == _ALWAYS:
        return {
            "Type": "tmpfs",
            "Target": target,
            "TmpfsOptions": {"SizeBytes": size(said["size"]), "Mode": int(said.get("mode", "1777"), 8)},
        }
    data = {"size": str(size(said["size"])), **{key: item for key, item in said.items() if key != "size"}}
    words = ",".join([*sorted(flags), *(f"{key}={item}" for key, item in data.items())])
    driver = {"Name": "local", "Options": {"type": "tmpfs", "device": "tmpfs", "o": words}}
    return {"Type": "volume", "Target": target, "VolumeOptions": {"NoCopy": True, "DriverConfig": driver}}


def _shared(value: str) -> Part:
    mount = {
        "Type": "tmpfs",
        "Target": "/dev/shm",
        "TmpfsOptions": {"SizeBytes": size(value), "Mode": 0o1777},
    }
    return {"ContainerSpec": {"Mounts": [mount]}}


def _networks(value: Mapping[str, Any]) -> Part:
    """Which comes first is of no use where no container is hidden."""
    for name, more in value.items():
        if (more or {}).keys() - {"priority"}:
            raise Unreadable(f"networks.{name}: nobody reads {', '.join(sorted(more))}")
    return {"Networks": [{"Target": name} for name in value]}


def _hosts(value: Sequence[str]) -> Part:
    """``name:address`` → ``address name``."""
    return {"ContainerSpec": {"Hosts": [" ".join(reversed(item.split(":", 1))) for item in value]}}


def _ulimits(value: Mapping[str, Any]) -> Part:
    def both(item: Any) -> tuple[int, int]:
        return (item["soft"], item["hard"]) if isinstance(item, dict) else (item, item)

    found = [
        {"Name": name, "Soft": soft, "Hard": hard}
        for name, item in value.items()
        for soft, hard in (both(item),)
    ]
    return {"ContainerSpec": {"Ulimits": found}}


def _logging(value: Mapping[str, Any]) -> Part:
    return {"LogDriver": {"Name": value["driver"], "Options": {**value.get("options", {})}}}


FIELDS: dict[str, Callable[[Any], Part]] = {
    "image": _inside("Image"),
    "entrypoint": _words("Command"),
    "command": _words("Args"),
    "environment": _environment,
    "user": _inside("User"),
    "init": _inside("Init"),
    "read_only": _inside("ReadOnly"),
    "hostname": _inside("Hostname"),
    "working_dir": _inside("Dir"),
    "group_add": _inside("Groups"),
    "labels": _inside("Labels"),
    "sysctls": _inside("Sysctls"),
    "cap_drop": _inside("CapabilityDrop"),
    "cap_add": _inside("CapabilityAdd"),
    "stop_signal": _inside("StopSignal"),
    "stop_grace_period": lambda value: {"ContainerSpec": {"StopGracePeriod": span(value)}},
    "dns": lambda value: {"ContainerSpec": {"DNSConfig": {"Nameservers": value}}},
    "mem_limit": _limit("MemoryBytes", size),
    "cpus": _limit("NanoCPUs", lambda value: round(value * _SECOND)),
    "pids_limit": _limit("Pids"),
    "healthcheck": _health,
    "security_opt": _security,
    "tmpfs": _tmpfs,
    "shm_size": _shared,
    "networks": _networks,
    "extra_hosts": _hosts,
    "ulimits": _ulimits,
    "logging": _logging,
}
