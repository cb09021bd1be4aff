"""The plan: says what a run would change, and changes nothing; test_sudo.py has the one of a bare host."""

import re

from tasks.services import load
from tests.e2e.deployment import Deployment, Run
from tests.lab import smarteros

CHANGES = [
    "Host | packages, updates, kernel, logs, audit, clock",
    "Host | changed programs and settings are noted every day",
    "Firewall | our table, loaded at boot",
    "SSH | keys only, named users",
    "Docker | engine, compose, buildx, daemon settings",
    "Networks | smarter-net, tenants-net, dokploy-network",
    "Generation | rendered files and their links",
    "Generation | missing images start to arrive",
    "Vault | Vault runs and answers",
    "Vault | initialised and unsealed",
    "Vault | mounts, policies and roles",
    "Boot | Vault is unsealed after a boot and a restart of its container",
    "Secrets | what is missing is generated into Vault",
    "Secrets | /vault/secrets/<service>.env",
    "Data | PostgreSQL",
    "Data | Redis",
    "Data | roles, databases and extensions",
    "Services | Metabase KPI",
    "Services | Metabase KPI: its first admin",
    "Services | Vault Auth API",
    "Proxy | Caddy",
    "First logins | a timer removes them after 24 hours",
    "First logins | /root/GENERATED-SECRETS-<date>.txt",
]
# Caddy starts with its Caddyfile: until it runs, the plan cannot know that there will be nothing to load.
PLANNED = [*CHANGES, "Proxy | the Caddyfile is loaded"]
CHECKS = [
    "Lock | one run at a time, noted in /var/log/smarteros/runs.log",
    "Preflight | system, sizes, ports, clock",
    "Host | swap, where memory is small",
    "Firewall | an unproven change is taken back",
    "Docker | its rules in the host's firewall",
    "Backup | none is set up",
    "Retire | services that are not listed; their volumes, databases and secrets stay",
    "Verify | every service answers by name over TLS",
]

TRACES = "find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /var/log \\) -prune -o"
TRACES += " -newer /root/before ! -path '/var/lib/systemd/*' ! -path '/tmp*' ! -path '/var/tmp*' -print"


def planned(run: Run) -> dict[str, str]:
    """Operation → the cell of the plan's table that says how many hosts it would change."""
    start = next(number for number, line in enumerate(run.lines) if line.startswith("Operation   ")) + 1
    rows = [re.split(r"\s{2,}", line) for line in run.lines[start:]]
    return {row[0]: row[1] for row in rows[: rows.index([""])]}


def test_the_plan_of_a_deployed_host_is_empty(deployed: Deployment) -> None:
    plan = deployed.run("--dry", yes=False)
    assert plan.code == 0, plan.output
    assert set(planned(plan).values()) == {"-"}
    of_every_service = {
        f"Services | {service.title}" for service in load(smarteros.settings()) if service.phase == "services"
    }
    assert {*CHECKS, *PLANNED, *of_every_service} < set(planned(plan))
