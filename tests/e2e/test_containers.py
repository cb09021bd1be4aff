"""Containers: what Docker really confines them to, and that only Caddy is published to the world."""

import re
from typing import Any

import httpx
import pytest

from tests.e2e.clients import containers, loopback
from tests.e2e.deployment import Deployment


@pytest.fixture(scope="module")
def inspected(deployed: Deployment) -> dict[str, dict[str, Any]]:
    """What Docker says about every container on the deployed host."""
    return containers(deployed)


def test_only_caddy_is_published_to_the_world(inspected: dict[str, dict[str, Any]]) -> None:
    published = {name: ports(found) for name, found in inspected.items() if ports(found)}
    assert published == {
        "caddy-proxy": ["127.0.0.1:5678->5678/tcp", "443->443/tcp", "443->443/udp", "80->80/tcp"],
        "vault": ["127.0.0.1:8200->8200/tcp"],
    }


def ports(found: dict[str, Any]) -> list[str]:
    """What a container publishes, where; without an address it is all of them, of IPv4 and IPv6."""
    bindings = found["NetworkSettings"]["Ports"]
    return sorted(
        {
            f"{binding['HostIp']}:{binding['HostPort']}->{port}".replace("0.0.0.0:", "").replace(":::", "")
            for port, hosts in bindings.items()
            for binding in hosts or []
        }
    )


def test_only_ssh_and_caddy_listen_on_the_hosts_address(deployed: Deployment) -> None:
    listening = deployed.sh("ss -Htuln | awk '{print $1, $5}'").splitlines()
    open_to_all = {line for line in listening if not re.search(r" (127\.|\[::1\])", line)}
    assert {re.sub(r" .*:", " ", line) for line in open_to_all} == {"tcp 22", "tcp 80", "tcp 443", "udp 443"}


def test_n8n_answers_on_the_hosts_loopback(deployed: Deployment) -> None:
    with loopback(deployed.host, 5678) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=20, trust_env=False)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_every_container_is_confined(inspected: dict[str, dict[str, Any]]) -> None:
    added = {"caddy-proxy": ["CAP_NET_BIND_SERVICE"]}
    sizes = {
        "caddy-proxy": (128, 0.5),
        "n8n": (1024, 1.0),
        "postgres": (1024, 2.0),
        "redis": (256, 0.5),
        "vault": (512, 0.5),
        "vault-auth-validator": (128, 0.5),
    }
    assert {name: policy(found) for name, found in inspected.items()} == {
        name: {
            "cap_drop": ["ALL"],
            "cap_add": added.get(name, []),
            "security": ["no-new-privileges:true"],
            "privileged": False,
            "read_only": True,
            "pids": 512,
            "memory_mb": memory,
            "cpus": cpus,
            "log": {"max-file": "3", "max-size": "10m"},
            "restart": "unless-stopped",
            "health": "healthy",
            "host_paths": [],
        }
        for name, (memory, cpus) in sizes.items()
    }


def policy(found: dict[str, Any]) -> dict[str, Any]:
    """What confines a container, as Docker has it."""
    host = found["HostConfig"]
    capabilities = [name if name.startswith("CAP_") else f"CAP_{name}" for name in host["CapAdd"] or []]
    return {
        "cap_drop": host["CapDrop"],
        "cap_add": capabilities,
        "security": host["SecurityOpt"],
        "privileged": host["Privileged"],
        "read_only": host["ReadonlyRootfs"],
        "pids": host["PidsLimit"],
        "memory_mb": host["Memory"] // 2**20,
        "cpus": host["NanoCpus"] / 1e9,
        "log": host["LogConfig"]["Config"],
        "restart": host["RestartPolicy"]["Name"],
        "health": found["State"]["Health"]["Status"],
        "host_paths": writable_host_paths(found),
    }


def writable_host_paths(found: dict[str, Any]) -> list[str]:
    return [item["Source"] for item in found["Mounts"] if item["Type"] == "bind" and item["RW"]]
