"""Refusals: settings and hosts that cannot be deployed are refused before the first change, all reasons at once."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.deployment import Deployment, Run
from tests.lab.lab import Lab

CORE = ["vault", "postgres", "redis", "n8n", "vault-auth-validator", "caddy"]

# All that a run of ours could have left on a host, with the time of its last change.
TRACES = (
    "find /etc /opt /root /vault /usr/local /usr/bin /var/lib/dpkg /var/lib/docker -xdev"
    " -printf '%p %m %s %T@ %l\\n' 2>/dev/null | sort"
)


@pytest.fixture(scope="module")
def refusing(lab: Lab) -> Iterator[Deployment]:
    """A bare host that nothing here may change."""
    yield Deployment(lab, lab.add_host("refusing"))
    lab.remove_host("refusing")


def refused(deployment: Deployment, **settings: Any) -> Run:
    """A run that fails and leaves the host as it was."""
    before = deployment.sh(TRACES, check=False)
    run = deployment.refused(**settings)
    assert run.changes == []
    assert deployment.sh(TRACES, check=False) == before
    return run


def mistakes(deployment: Deployment, **settings: Any) -> list[str]:
    """The lines under the sentence that refuses the settings; nothing was even planned."""
    lines = refused(deployment, **settings).lines
    start = next(
        number
        for number, line in enumerate(lines)
        if line.endswith("the settings of refusing cannot be deployed:")
    )
    assert not [line for line in lines if "Starting operation" in line]
    return [line for line in lines[start + 1 :] if line]


def test_every_mistake_in_the_settings_is_named_at_once_and_nothing_is_touched(refusing: Deployment) -> None:
    found = mistakes(
        refusing,
        zoone="smarterbot.cl",
        zone="no domain",
        mirror_zones="smarterbot.store",
        acme_email=None,
        profile="huge",
        networks=["smarter-net", "tenants-net", "smarter-net"],
        services=[*CORE, "chatwot", "redis", "redi"],
        vault_shares="five",
        forks={"n8n": {"fork": "https://user:pw@example.org/n8n.git", "upstream": "n8n"}},
        mcp_servers=[{"name": "crm", "description": "CRM", "version": "latest"}],
        overrides={
            "n8n": {"image": "n8nio/n8n", "port": 8080, "domian": "a.cl", "networks": ["tenant-net"]},
            "odoo": {"build": "main"},
            "vault-auth-validator": {"domain": "api", "port": 8080, "guard": "perhaps"},
            "postgres": {"memory_mb": -1, "cpus": 0, "environment": {"TZ": 7}},
            "mysql": {},
        },
    )
    assert found == [
        "acme_email: is required: the contact of the account at the certificate authority, and the login of the services' first admin",
        "forks.n8n.fork: holds a login: use an address without one, or ssh (git@host:owner/name.git)",
        "forks.n8n.upstream: 'n8n' is no address of a git repository (like https://host/owner/name.git)",
        "mcp_servers.0.name: 'crm' is no name like io.github.owner/server",
        "mcp_servers.0.version: 'latest' is no version (like 1.2.0)",
        "mirror_zones: has to be a list, and is text (did you mean ['smarterbot.store']?)",
        "networks.2: 'smarter-net' is listed twice",
        "overrides.mysql: unknown service",
        "overrides.n8n.domian: unknown setting (did you mean 'domain'?)",
        "overrides.n8n.image: 'n8nio/n8n' names no tag and no digest: write repository:tag or repository@sha256:…, so that a run is repeatable",
        "overrides.n8n.networks: 'smarter-net' is missing, where Caddy, the databases and Vault are",
        "overrides.n8n.networks: 'tenant-net' is not in networks (smarter-net, tenants-net, smarter-net)",
        (
            "overrides.odoo.build: 'main' is no commit (7 to 40 hexadecimal digits) and no tag with a digit "
            "(like v4.15.1-acme): name no branch, so that a run is repeatable"
        ),
        "overrides.odoo.build: needs 'odoo' in forks, which says where its source is",
        "overrides.postgres.cpus: has to be 0.01 or more",
        "overrides.postgres.environment.TZ: has to be text, and is a number",
        "overrides.postgres.memory_mb: has to be 6 or more",
        "overrides.vault-auth-validator.domain: 'api' is no domain name (like smarterbot.cl)",
        "overrides.vault-auth-validator.guard: has to be True or False, and is text",
        "overrides.vault-auth-validator.port: 8080 is already n8n's",
        "profile: has to be 'minimum', 'recommended' or 'production'",
        "services.6: unknown service 'chatwot' (did you mean 'chatwoot'?)",
        "services.7: 'redis' is listed twice",
        "services.8: unknown service 'redi' (did you mean 'redis'?)",
        "vault_shares: has to be a whole number, and is text",
        "zone: 'no domain' is no domain name (like smarterbot.cl)",
        "zoone: unknown setting (did you mean 'zone'?)",
    ]


def test_mistakes_that_only_the_catalogue_sees_are_named_at_once_too(refusing: Deployment) -> None:
    found = mistakes(
        refusing,
        networks=["smarter-net"],
        services=["vault", "n8n", "vault-auth-validator", "caddy"],
        overrides={"n8n": {"domain": "api.smarterbot.cl"}},
    )
    assert found == [
        "overrides.n8n.domain: api.smarterbot.cl is already vault-auth-validator's",
        "overrides.n8n.networks: 'tenants-net' is not in networks (smarter-net)",
        "services: 'n8n' needs 'postgres', which is not in the list",
    ]


def test_an_inventory_without_a_host_is_refused(refusing: Deployment, tmp_path: Path) -> None:
    inventory = tmp_path / "empty.py"
    inventory.write_text("from tasks.connection.inventory import hosts\n\nnodes = hosts()\n")
    run = refusing.refused(inventory=str(inventory))
    assert run.lines[-1] == "nodes: the inventory lists no host: add at least one to hosts(…)"


@contextmanager
def unsuitable(deployment: Deployment) -> Iterator[None]:
    """Another system by its own word, a clock an hour ahead."""
    clock = 'printf \'#!/bin/sh\\nexec /usr/bin/date -d "1 hour" "$@"\\n\' > /usr/local/bin/date'
    deployment.sh(
        "cp -P /etc/os-release /root/os-release"
        " && rm /etc/os-release && printf 'ID=arch\\nVERSION_ID=99\\n' > /etc/os-release"
        f" && {clock} && chmod +x /usr/local/bin/date"
    )
    yield
    deployment.sh("rm /usr/local/bin/date; mv -f /root/os-release /etc/os-release")


def test_a_host_that_cannot_take_the_services_is_refused_with_every_reason(refusing: Deployment) -> None:
    larger = "choose fewer services, a smaller profile, or take a larger host"
    memory, cpus = refusing.sh("awk '/^MemTotal/ {print int($2 / 1024)}' /proc/meminfo; nproc").split()
    size = {"memory_mb": 1000000, "cpus": 500, "disk_gb": 100000}
    with unsuitable(refusing):
        run = refused(refusing, services=["vault", "redis"], overrides={"redis": size})
    start = run.lines.index("cannot take this deployment:") + 1
    found = [
        re.sub(r"(?<=disk: )\d+|(?<=clock: )3[56]\d\d", "…", line) for line in run.lines[start : start + 5]
    ]
    assert found == [
        "system: arch 99 is not supported; use one of: debian 12, 13; ubuntu 22.04, 24.04, 26.04",
        f"memory: {memory} MB, and the chosen services need 1000400 MB: {larger}",
        f"cpus: {cpus}, and the largest container needs 500 (redis; lowered by overrides.redis.cpus): {larger}",
        f"disk: … MB free below /var/lib/docker, and 102404966 MB are needed: {larger}",
        "clock: … s ahead: set it (timedatectl set-ntp true)",
    ]
    assert run.failed == {"refusing": ["Preflight | system, sizes, ports, clock"]}


def test_a_port_that_a_foreign_container_took_is_refused_until_it_is_free(deployed: Deployment) -> None:
    deployed.sh("docker stop caddy-proxy")
    deployed.sh(
        "docker run --detach --name squatter --publish 443:443 --entrypoint sleep redis:7.4.11-alpine 600"
    )
    run = deployed.refused()
    start = run.lines.index("cannot take this deployment:") + 1
    assert run.lines[start] == (
        "port 443: taken by the container squatter: stop it (docker stop squatter), "
        'or set takeover = "squatter" to have it replaced'
    ), run.output
    assert run.changes == []
    assert deployed.sh("docker inspect --format '{{.State.Status}}' caddy-proxy squatter").split() == [
        "exited",
        "running",
    ]
    deployed.sh("docker rm --force squatter")
    assert deployed.converge().changes == ["Proxy | Caddy"]
    deployed.unchanged()
