"""Hardening: the daemon as it runs, and what each container's program may do as the kernel has it."""

import json
import re
from pathlib import Path

import pytest

from tests.audit import Target, docker_bench
from tests.audit.docker_bench import Seen
from tests.e2e.clients import containers
from tests.e2e.deployment import Deployment

# Container → capabilities that its program may ever have, as the kernel writes them. Nobody else has any.
NET_BIND_SERVICE = "0000000000000400"
CAPABILITIES = {"caddy-proxy": NET_BIND_SERVICE, "mcp-registry-web": NET_BIND_SERVICE}
# Everybody else is somebody else; the jobs have ended.
ROOT = {"caddy-proxy", "chatwoot", "chatwoot-sidekiq", "dokploy"}
JOBS = {"chatwoot-prepare", "n8n-files", "odoo-init"}
USERS = {
    "botpress": "999",
    "mcp-registry-web": "65534",
    "n8n": "1000",
    "odoo": "101",
    "postgres": "999",
    "redis": "999",
    "smarteros-metabase": "2000",
    "vault": "100",
    "vault-auth-validator": "10001",
}


@pytest.fixture(scope="module")
def target(deployed: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Target:
    """The deployed host as the audit sees it."""
    return Target(deployed.lab, deployed.host, tmp_path_factory.mktemp("audit"))


@pytest.fixture(scope="module")
def seen(target: Target) -> Seen:
    """All that the audit asks the host."""
    return docker_bench.look(target)


def test_the_bench_finds_nothing_without_a_reason(target: Target) -> None:
    (verdict,) = docker_bench.check(target)
    assert verdict.details == ()
    assert verdict.passed
    report = (target.folder / "docker-bench.txt").read_text()
    assert "5.14 restarts are not limited to five" in report
    assert "dokploy: bind /var/run/docker.sock:/var/run/docker.sock: it deploys what it is told to" in report
    assert '"Env": []' in (target.folder / "docker-inspect.json").read_text()


def test_the_daemon_runs_with_our_settings(deployed: Deployment, seen: Seen) -> None:
    assert {option for option in seen.info["SecurityOptions"] if "apparmor" not in option} - {
        "name=cgroupns"
    } == {"name=seccomp,profile=builtin", "name=no-new-privileges"}
    assert (seen.info["LoggingDriver"], seen.info["LiveRestoreEnabled"]) == ("json-file", False)
    assert seen.bridge["com.docker.network.bridge.enable_icc"] == "false"
    assert seen.members == ""
    # The core of a program would be a copy of its secrets.
    limits = "for pid in $(docker ps -q | xargs docker inspect -f '{{.State.Pid}}'); do cat /proc/$pid/limits; done"
    lines = [re.split(r"\s{2,}", line) for line in deployed.sh(limits).splitlines()]
    found = {
        (words[0], words[1], words[2])
        for words in lines
        if words[0] in ("Max open files", "Max core file size")
    }
    assert found == {("Max open files", "16384", "16384"), ("Max core file size", "0", "0")}


def test_no_program_can_do_more_than_its_service_says(deployed: Deployment, seen: Seen) -> None:
    assert set(seen.containers) - set(seen.kernel) <= JOBS
    assert {name: found["CapBnd"] for name, found in seen.kernel.items()} == {
        name: CAPABILITIES.get(name, "0" * 16) for name in seen.kernel
    }
    assert {(found["NoNewPrivs"], found["Seccomp"]) for found in seen.kernel.values()} == {("1", "2")}
    uids = {name: found["Uid"].split()[0] for name, found in seen.kernel.items()}
    assert {name for name, uid in uids.items() if uid == "0"} == ROOT
    assert {name: uid for name, uid in uids.items() if uid != "0"} == USERS


# Botpress unpacks native modules there.
EXECUTABLE = {"botpress": {"/tmp": {"noexec"}}}


def test_nothing_is_executed_where_a_container_may_write(deployed: Deployment) -> None:
    """Every tmpfs of ours, as the kernel has mounted it, holds half of the container's memory at most."""
    names = [name for name, found in containers(deployed).items() if found["State"]["Running"]]
    for name in names:
        (found,) = json.loads(deployed.sh(f"docker inspect {name}"))
        mounts = deployed.sh(f"cat /proc/{found['State']['Pid']}/mounts").splitlines()
        tmpfs = {line.split()[1]: line.split()[3].split(",") for line in mounts if line.split()[2] == "tmpfs"}
        # /var/run is a link in the images.
        declared = [path.replace("/var/run/", "/run/") for path in found["HostConfig"]["Tmpfs"]]
        assert "/tmp" in declared
        half = f"size={found['HostConfig']['Memory'] // 2048}k"
        wrong = {path: {"noexec", "nosuid", "nodev", half} - set(tmpfs[path]) for path in declared}
        assert {path: missing for path, missing in wrong.items() if missing} == EXECUTABLE.get(name, {}), name


def test_a_container_that_nobody_declared_is_found(
    deployed: Deployment, target: Target, tmp_path: Path
) -> None:
    deployed.sh("docker run --detach --name stranger --privileged --entrypoint sleep redis:7.4.11-alpine 600")
    try:
        (verdict,) = docker_bench.check(Target(target.lab, target.host, tmp_path))
    finally:
        deployed.sh("docker rm --force stranger")
    assert verdict.details == ("no reason for: not declared: stranger",)
