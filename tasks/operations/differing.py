"""Differing: why a container is not as it is described, and its limits, which need no other container. Pure."""

from collections.abc import Mapping
from types import MappingProxyType

from tasks.facts import ContainerState
from tasks.facts.containers import Limits
from tasks.model.catalogue import Container
from tasks.model.size import PROCESSES
from tasks.model.words import stands
from tasks.rendering import render

_HEALTH = {
    "starting": "has not passed its health check yet: it is waited for",
    "unhealthy": "does not answer as it should: it is waited for",
}
NETWORKS, FILES, NEVER = "networks", "sees other files", "was made and never started"
# It is taken in as it is.
UNSHARED = "has not been taken into"
DESCRIBED, SECRETS = "its description has changed", "its secrets have changed"


def difference(
    container: Container,
    state: ContainerState | None,
    digest: str,
    secrets: str,
    files: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Why the container is not as it should be; empty when it is."""
    if state is None:
        return "does not exist"
    if state.digest != digest or state.image != render.image(container):
        return DESCRIBED
    if container.env_file and state.secrets_digest != secrets:
        return SECRETS
    return _job_state(state) if container.job else _running_state(container, state, files)


def _job_state(state: ContainerState) -> str:
    finished = (state.status, state.exit_code) == ("exited", 0)
    if state.status == "running":
        return "the job has not ended yet"
    return "" if finished else f"the job {stands(state.status)} (exit code {state.exit_code}): it runs again"


def _running_state(container: Container, state: ContainerState, files: Mapping[str, str]) -> str:
    """It sees the generation that it was started with, which a hand may have edited since, or removed."""
    if state.networks == tuple(sorted(container.networks)) and container.shared and state.status == "running":
        return f"{UNSHARED} {', '.join(container.shared)}"
    if state.networks != tuple(sorted((*container.networks, *container.shared))):
        if state.status == "created":  # until it is started, Docker may name its networks by their numbers
            return NEVER
        return f"{NETWORKS} differ: {', '.join(state.networks) or 'none'}"
    if state.status != "running":
        return f"{stands(state.status)}: it is started"
    wrong = {path for path, sha256 in files.items() if state.files.get(path) != sha256}
    if not container.reloads:
        wrong |= set(state.files) - set(files)
    if wrong:
        return f"{FILES} than it should: {', '.join(sorted(wrong))}"
    return "" if state.health == "healthy" else _HEALTH.get(state.health, "has no health check")


def limits(container: Container) -> Limits:
    """Those that Compose gives it."""
    restart = "no" if container.job else container.restart
    return Limits(restart, container.size.memory_mb, round(container.size.cpus, 2), PROCESSES)


def limited(container: Container, state: ContainerState | None) -> str:
    """How somebody has limited it otherwise (``docker update``), which Compose does not see; empty where nobody has."""
    there, wanted = state.limits if state else None, limits(container)
    if there is None or there == wanted:
        return ""
    pairs = (
        ("restart", there.restart, wanted.restart),
        ("MB of memory", there.memory_mb, wanted.memory_mb),
        ("cores", there.cpus, wanted.cpus),
        ("processes", there.processes, wanted.processes),
    )
    return ", ".join(f"{name}: {has} instead of {gets}" for name, has, gets in pairs if has != gets)


def limit(container: Container) -> list[str]:
    """The arguments of ``docker update`` for those that it should have."""
    wanted = limits(container)
    swap = wanted.memory_mb * 2 if container.swaps else wanted.memory_mb
    return [
        f"--restart={wanted.restart}",
        f"--memory={wanted.memory_mb}m",
        f"--memory-swap={swap}m",
        f"--cpus={wanted.cpus}",
        f"--pids-limit={wanted.processes}",
        container.name,
    ]
