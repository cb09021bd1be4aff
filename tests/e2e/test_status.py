"""Status: one read-only run names everything that is not well, and why; its exit code says whether all is well."""

import re
from itertools import takewhile

from tests.e2e.deployment import Deployment, Run


def status(deployment: Deployment) -> Run:
    return deployment.run(deploy="tasks.commands.status.run")


def rows(run: Run) -> dict[str, tuple[str, str]]:
    """Container → its state, and why it is not well."""
    start = next(number for number, line in enumerate(run.lines) if line.startswith("SERVICE  "))
    table = (re.split(r"\s{2,}", line) for line in run.lines[start + 1 :])
    return {row[1]: (row[2], row[4]) for row in takewhile(lambda row: len(row) == 5, table)}


def advice(run: Run) -> list[str]:
    """What is said to be done, a line each."""
    start = next(number for number, line in enumerate(run.lines) if line == "is not well:")
    return run.lines[start + 1 : run.lines.index("", start)]


SERVICES = (
    "vault", "postgres", "redis", "chatwoot", "chatwoot-sidekiq", "botpress", "n8n", "odoo", "smarteros-metabase",
    "mcp-registry-web", "dokploy", "vault-auth-validator", "caddy-proxy",
)  # fmt: skip
JOBS = ("chatwoot-prepare", "n8n-files", "odoo-init")
WELL = {**dict.fromkeys(SERVICES, ("healthy", "-")), **dict.fromkeys(JOBS, ("done", "-"))}


def test_a_host_that_is_well_says_so_and_nothing_is_touched(deployed: Deployment) -> None:
    state = "docker inspect --format '{{.Name}} {{.Id}} {{.State.StartedAt}}' $(docker ps -aq) | sort"
    before = deployed.sh(state)
    run = status(deployed)
    assert (run.code, run.changes, rows(run)) == (0, [], WELL), run.output
    assert deployed.sh(state) == before


def test_finished_jobs_that_somebody_cleared_away_are_no_fault(deployed: Deployment) -> None:
    deployed.sh("docker container prune --force")
    run = status(deployed)
    assert (run.code, rows(run)) == (0, WELL), run.output


# Something else for each of them; n8n's limit makes the kernel kill it, and Docker would start it again.
BREAK = """
docker rm -f mcp-registry-web
docker pause botpress
docker stop odoo
docker update --restart=no n8n
echo 1000 >/proc/$(pgrep -o -P $(docker inspect -f '{{.State.Pid}}' n8n))/oom_score_adj
docker exec n8n tail /dev/zero
systemctl stop smarteros-unseal
docker restart vault
systemd-run --quiet --unit smarteros-broken false
timeout 60 sh -c 'until docker inspect -f {{.State.Health.Status}} vault | grep -qx healthy; do sleep 0.5; done'
"""


def test_everything_that_is_not_well_is_named_with_why_and_what_to_do(deployed: Deployment) -> None:
    deployed.sh(BREAK, check=False, timeout=300)
    try:
        run = status(deployed)
    finally:
        deployed.sh("systemctl reset-failed smarteros-broken; docker rm -f n8n", check=False)
    found = rows(run)
    assert run.code == 1
    assert {name: found[name] for name in ("mcp-registry-web", "botpress", "odoo", "n8n", "vault")} == {
        "mcp-registry-web": ("missing", "does not exist"),
        "botpress": ("paused", "is paused"),
        "odoo": ("exited", "has ended (exit code 0)"),
        "n8n": ("exited", "has ended (exit code 137, killed for memory)"),
        "vault": ("sealed", "is sealed: nobody reads a secret"),
    }
    assert {found[name] for name in ("postgres", "caddy-proxy")} == {("healthy", "-")}
    lines = advice(run)
    assert {
        "mcp-registry-web: does not exist: `make deploy INVENTORY=inventories/lab.py` makes it",
        "botpress: is paused: `docker unpause botpress`",
        "odoo: has ended (exit code 0): see `docker logs --tail 50 odoo`; `make deploy INVENTORY=inventories/lab.py` starts it",
        (
            "n8n: has ended (exit code 137, killed for memory): give it more (overrides.n8n.memory_mb), "
            "then `make deploy INVENTORY=inventories/lab.py`"
        ),
        (
            "vault: is sealed: nobody reads a secret: `make deploy INVENTORY=inventories/lab.py` unseals it; `journalctl -u smarteros-unseal` "
            "says why the host did not"
        ),
        (
            "smarteros-unseal.service: is not active, so Vault would stay sealed after a boot: `make deploy INVENTORY=inventories/lab.py` "
            "mends it"
        ),
        (
            "smarteros-broken.service: has failed: see `journalctl -u smarteros-broken.service`; `make deploy INVENTORY=inventories/lab.py` "
            "sets it up again"
        ),
    } < set(lines), lines
    deployed.converge()
    again = status(deployed)
    assert (again.code, rows(again)) == (0, WELL), again.output
    deployed.unchanged()


def test_a_bare_host_is_told_to_be_deployed(bare: Deployment) -> None:
    run = status(bare)
    assert run.code == 1
    assert any(line.startswith("Docker does not answer, so nothing runs") for line in run.lines)
    assert run.changes == []
