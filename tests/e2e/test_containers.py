"""Containers: what Docker really confines them to, and that only Caddy is published to the world.

Names, sizes and exceptions are written out here, not taken from the catalogue: one more of any has to be meant.
"""

import re
from typing import Any

import httpx
import pytest

from tests.e2e.clients import containers, loopback
from tests.e2e.deployment import Deployment

SOCKET = "/var/run/docker.sock"

# Container → MB of memory, cores.
SIZES = {
    "botpress": (2048, 1.0),
    "caddy-proxy": (256, 0.5),
    "chatwoot": (1024, 1.0),
    "chatwoot-prepare": (768, 1.0),
    "chatwoot-sidekiq": (1536, 1.0),
    "dokploy": (1536, 1.0),
    "mcp-registry-web": (128, 0.25),
    "n8n": (1024, 1.0),
    "n8n-files": (64, 0.5),
    "odoo": (2048, 2.0),
    "odoo-init": (768, 1.0),
    "postgres": (1024, 2.0),
    "redis": (256, 0.5),
    "smarteros-metabase": (2048, 1.0),
    "vault": (512, 0.5),
    "vault-auth-validator": (128, 0.5),
}
JOB = {"restart": "no", "state": "exited (0)"}
EXCEPTIONS: dict[str, dict[str, Any]] = {
    # Both listen below 1024.
    "caddy-proxy": {"cap_add": ["CAP_NET_BIND_SERVICE"]},
    "mcp-registry-web": {"cap_add": ["CAP_NET_BIND_SERVICE"]},
    # Deploys what it is told to, from its folder, with the env files and build contexts that the stack files name.
    "dokploy": {
        "read_only": False,
        "host_paths": ["/etc/dokploy rw", "/opt/smarteros ro", f"{SOCKET} rw", "/vault/secrets ro"],
    },
    "chatwoot-prepare": JOB,
    "n8n-files": {**JOB, "cap_add": ["CAP_CHOWN", "CAP_DAC_READ_SEARCH"]},
    "odoo-init": JOB,
}


@pytest.fixture(scope="module")
def inspected(deployed: Deployment) -> dict[str, dict[str, Any]]:
    """What Docker says about every container on the deployed host."""
    return containers(deployed)


def test_only_caddy_is_published_to_the_world(inspected: dict[str, dict[str, Any]]) -> None:
    published = {name: ports(found) for name, found in inspected.items() if ports(found)}
    assert published == {
        "caddy-proxy": [
            "127.0.0.1:3100->3100/tcp",
            "127.0.0.1:3200->3200/tcp",
            "127.0.0.1:5678->5678/tcp",
            "127.0.0.1:8069->8069/tcp",
            "443->443/tcp",
            "443->443/udp",
            "80->80/tcp",
        ],
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


@pytest.mark.parametrize(
    ("port", "path", "sign"),
    [
        (3100, "/api", '"data_services":"ok"'),
        (3200, "/status", '"botpress":"up"'),
        (5678, "/healthz", '{"status":"ok"}'),
        (8069, "/web/health", '"status":"pass"'),
    ],
    ids=["chatwoot", "botpress", "n8n", "odoo"],
)
def test_a_service_answers_on_the_hosts_loopback_at_its_port(
    deployed: Deployment, port: int, path: str, sign: str
) -> None:
    with loopback(deployed.host, port) as ours:
        answer = httpx.get(f"http://127.0.0.1:{ours}{path}", timeout=20, trust_env=False)
    assert (answer.status_code, sign in "".join(answer.text.split())) == (200, True), answer.text


def test_every_container_is_confined(inspected: dict[str, dict[str, Any]]) -> None:
    assert {name: policy(found) for name, found in inspected.items()} == {
        name: {
            "cap_drop": ["ALL"],
            "cap_add": [],
            "security": ["no-new-privileges:true"],
            "privileged": False,
            "namespaces": ["private", "", "", ""],
            "devices": [],
            "read_only": True,
            "pids": 512,
            "memory_mb": memory,
            "cpus": cpus,
            "log": {"max-file": "3", "max-size": "10m"},
            "restart": "unless-stopped",
            "state": "running (healthy)",
            "host_paths": [],
            **EXCEPTIONS.get(name, {}),
        }
        for name, (memory, cpus) in SIZES.items()
    }


def test_one_container_of_the_host_has_the_docker_socket(
    deployed: Deployment, inspected: dict[str, dict[str, Any]]
) -> None:
    mounts = [(name, item["Source"]) for name, found in inspected.items() for item in found["Mounts"]]
    assert [
        name for name, source in mounts if source in ("/", "/run", "/var/run", "/run/docker.sock", SOCKET)
    ] == ["dokploy"]
    # As the kernel has it, whatever way it may have come in.
    seen = deployed.sh(
        "for name in $(docker ps --format '{{.Names}}'); do"
        " grep -q 'docker\\.sock' /proc/$(docker inspect -f '{{.State.Pid}}' $name)/mountinfo && echo $name; done; true"
    )
    assert seen == "dokploy\n"


def policy(found: dict[str, Any]) -> dict[str, Any]:
    """What confines a container, as Docker has it."""
    host, state = found["HostConfig"], found["State"]
    capabilities = [name if name.startswith("CAP_") else f"CAP_{name}" for name in host["CapAdd"] or []]
    ending = state["Health"]["Status"] if "Health" in state else state["ExitCode"]
    return {
        "cap_drop": host["CapDrop"],
        "cap_add": capabilities,
        "security": host["SecurityOpt"],
        "privileged": host["Privileged"],
        "namespaces": [host[f"{kind}Mode"] for kind in ("Ipc", "Pid", "UTS", "Userns")],
        "devices": host["Devices"] or [],
        "read_only": host["ReadonlyRootfs"],
        "pids": host["PidsLimit"],
        "memory_mb": host["Memory"] // 2**20,
        "cpus": host["NanoCpus"] / 1e9,
        "log": host["LogConfig"]["Config"],
        "restart": host["RestartPolicy"]["Name"],
        "state": f"{state['Status']} ({ending})",
        "host_paths": host_paths(found),
    }


def host_paths(found: dict[str, Any]) -> list[str]:
    """What a container has of the host, but our rendered files, which it may only read."""
    bound = [item for item in found["Mounts"] if item["Type"] == "bind"]
    others = [
        item for item in bound if item["RW"] or not item["Source"].startswith("/opt/smarteros/current/")
    ]
    return sorted(f"{item['Source']} {'rw' if item['RW'] else 'ro'}" for item in others)
