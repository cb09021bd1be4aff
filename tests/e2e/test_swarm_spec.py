"""A swarm's tasks as Docker runs them, beside the containers that Compose makes of the same files: no policy is lost, and no value."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tasks.rendering import render
from tasks.services import load
from tests.e2e.deployment import Deployment, Run
from tests.e2e.test_bad_image import publish
from tests.lab import smarteros
from tests.lab.lab import Lab
from tests.rendering.test_swarm_spec import HOSTILE

# One with memory that is its user's, one with memory that runs programs, one whose command is a shell's, one without secrets.
SERVICES = ("postgres", "botpress", "redis", "mcp-registry")
CONTAINERS = ("postgres", "botpress", "redis", "mcp-registry-web")
VALUES = {
    "POSTGRES_PASSWORD": "p",
    "REDIS_PASSWORD": "p",
    "DATABASE_URL": "postgres://postgres:p@postgres:5432/postgres",
    **{f"V{number}": value for number, value in enumerate(HOSTILE)},
}
GOOD, BAD = (f"caddy:2.11.{number}-alpine" for number in ("7", "95"))
DEPLOY = "tests/e2e/deploys/swarm_spec.py"


@pytest.fixture(scope="module")
def swarm(lab: Lab) -> Iterator[Deployment]:
    """A host with Docker as its distribution ships it, a swarm of its own, and services of the catalogue in it."""
    host = Deployment(lab, lab.add_host("swarm", system="docker"))
    found = {service.name: service for service in load(smarteros.settings())}
    for name in SERVICES:
        for path, text in render.render(smarteros.settings(), found[name]).items():
            packed = base64.b64encode(text.encode()).decode()
            host.sh(
                f"mkdir -p $(dirname {render.CURRENT}/{path}) && echo {packed} | base64 -d >{render.CURRENT}/{path}"
            )
        for item in found[name].containers:
            host.sh(f"docker pull --quiet {render.image(item)}", timeout=300)
    spoken(host, "POSTGRES_PASSWORD")
    yield host
    lab.remove_host("swarm")


def spoken(host: Deployment, marked: str, code: int = 0, **settings: Any) -> Run:
    """The services as they are rendered, with these secrets and settings."""
    values = {**VALUES, "MARKED": marked}
    given = {"address": host.host.address, "services": SERVICES, "values": values}
    run = host.run(deploy=DEPLOY, environment={"SWARM_SPEC": json.dumps(given)}, **settings)
    assert run.code == code, run.output[-4000:]
    return run


def running_of(host: Deployment, name: str) -> str:
    """The id of a task's container; empty while there is none."""
    of_task = f"--filter label=com.docker.swarm.service.name={name} --filter status=running"
    return host.sh(f"docker ps -q --no-trunc {of_task}").strip()


def inspected(host: Deployment, name: str) -> dict[str, Any]:
    """The running container of a task, or Compose's of that name."""
    (found,) = json.loads(host.sh(f"docker inspect {running_of(host, name) if name in CONTAINERS else name}"))
    assert isinstance(found, dict)
    return found


def policy(found: dict[str, Any]) -> dict[str, Any]:
    """What confines a container, and how it is looked after."""
    limits, inside = found["HostConfig"], found["Config"]
    # How long a task has to end is the swarm's own matter, which no container is told.
    keys = (
        "CapAdd",
        "CapDrop",
        "ReadonlyRootfs",
        "Memory",
        "NanoCpus",
        "PidsLimit",
        "Init",
        "LogConfig",
        "Privileged",
    )
    own = ("User", "Healthcheck", "StopSignal", "Image")
    test = found["Config"]["Healthcheck"]["Test"]
    if "/run/secrets/env" in str(test):
        inside["Healthcheck"] = {**inside["Healthcheck"], "Test": ["CMD", *test[5:]]}
    return {
        **{key: limits[key] for key in keys},
        **{key: str(inside.get(key)).partition("@")[0] if key == "Image" else inside.get(key) for key in own},
        "SecurityOpt": [item.replace("=", ":") for item in limits["SecurityOpt"]],
        "service": inside["Labels"]["smarteros.service"],
    }


def memory(host: Deployment, found: dict[str, Any]) -> dict[str, set[str]]:
    """Path → what the kernel says of the file system in memory that is mounted there. Its mode is that of the image's folder with
    Compose, where none is said, and everybody's in a task, in which nobody else is.
    """
    lines = host.sh(f"cat /proc/{found['State']['Pid']}/mounts").splitlines()
    said = {line.split()[1]: set(line.split()[3].split(",")) for line in lines if line.split()[2] == "tmpfs"}
    return {
        path: {item for item in options if "=" not in item or item.startswith(("size=", "uid=", "gid="))}
        for path, options in said.items()
    }


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_task_is_confined_as_composes_container(swarm: Deployment, name: str) -> None:
    service = {"mcp-registry-web": "mcp-registry"}.get(name, name)
    task = inspected(swarm, name)
    inside = memory(swarm, task)
    values = {key: value for key, value in VALUES.items() if not key.startswith("V")}
    lines = "\\n".join(f"{key}={value}" for key, value in values.items())
    swarm.sh(f"mkdir -p /vault/secrets && printf '{lines}\\n' >/vault/secrets/{service}.env")
    file = f"sed s/container_name:.*/container_name:\\ compared/ {render.CURRENT}/dkcompose/{service}-deploy.yaml"
    volumes = "sed -E 's/(_data)(:|$)/\\1_compared\\2/'"
    swarm.sh(f"{file} | {volumes} | docker compose -p compared -f - up -d --no-build", timeout=300)
    try:
        compared = inspected(swarm, "compared")
        assert policy(task) == policy(compared)
        theirs = memory(swarm, compared)
    finally:
        swarm.sh("docker rm --force --volumes compared")
    ours = {path: options for path, options in inside.items() if path in theirs}
    assert ours == theirs


def test_values_arrive_as_they_are_and_are_nowhere_else(swarm: Deployment) -> None:
    task = inspected(swarm, "botpress")
    raw = swarm.sh(
        f"base64 -w0 /proc/$(pgrep -n -P {task['State']['Pid']} || echo {task['State']['Pid']})/environ"
    )
    found = dict(item.split("=", 1) for item in base64.b64decode(raw).decode().split("\0") if "=" in item)
    assert {name: found.get(name) for name in VALUES} == VALUES
    canary = max(VALUES.values(), key=len)
    disk = "find /var/lib/docker/swarm /var/lib/docker/containers -xdev -type f"
    assert swarm.sh(f"{disk} -exec grep -lF {canary} {{}} +; true").split() == []
    assert canary not in swarm.sh("docker service inspect botpress; docker inspect $(docker ps -aq)")


def test_docker_says_what_it_does_not_take(swarm: Deployment) -> None:
    run = swarm.converge(deploy="tests/e2e/deploys/engine_api.py")
    said = [line.partition("engine: ")[2] for line in run.lines if "engine: " in line]
    assert said[:2] == ["None", "None"]
    assert said[2].startswith("refused: docker: swarm refuses POST /services/create (400): ")
    assert said[3].startswith("stale: docker: swarm refuses POST /services/")
    assert said[3].endswith("update out of sequence")
    assert said[4:] == ["1"]


def test_the_same_again_changes_nothing_and_a_secret_rolls_its_tasks(swarm: Deployment) -> None:
    before = {name: running_of(swarm, name) for name in CONTAINERS}
    spoken(swarm, "POSTGRES_PASSWORD").unchanged()
    assert {name: running_of(swarm, name) for name in CONTAINERS} == before
    run = spoken(swarm, "other")
    assert run.changes == ["Swarm | PostgreSQL", "Swarm | Redis", "Swarm | Botpress Bot"]
    assert {name for name in CONTAINERS if running_of(swarm, name) in ("", before[name])} == {
        "mcp-registry-web"
    }
    # The one of before is what a rollback needs; the one before that goes.
    assert len(secrets(swarm, "redis")) == 2
    spoken(swarm, "third")
    assert len(secrets(swarm, "redis")) == 2
    spoken(swarm, "third").unchanged()


def secrets(host: Deployment, service: str) -> list[str]:
    return host.sh(f"docker secret ls -q --filter label=smarteros.service={service}").split()


def test_what_does_not_start_goes_back_and_is_a_failure(lab: Lab, swarm: Deployment) -> None:
    publish(lab, GOOD, BAD, ['ENTRYPOINT ["sh", "-c", "echo it is broken >&2; exit 3"]'])
    swarm.sh(f"docker pull --quiet {BAD}", timeout=300)
    run = spoken(swarm, "third", code=1, overrides={"mcp-registry": {"image": BAD}})
    assert (
        "mcp-registry-web: it does not start as described, it runs as before again: its task mcp-registry-web.1 on swarm says"
        in run.output
    )
    assert "it is broken" in run.output
    assert inspected(swarm, "mcp-registry-web")["Config"]["Image"].partition("@")[0] == GOOD
    spoken(swarm, "third").unchanged()
