"""Status: one read-only run names everything that is not well, and why; its exit code says whether all is well."""

import json
import os
import re
import subprocess
from itertools import takewhile
from pathlib import Path

from tests.e2e.deployment import Deployment, Run
from tests.e2e.test_make import DOMAINS
from tests.lab.smarteros import ROOT


def status(deployment: Deployment) -> Run:
    return deployment.run(deploy="tasks.commands.status.run")


def rows(run: Run) -> dict[str, tuple[str, str]]:
    """Container → its state, and why it is not well."""
    start = next(number for number, line in enumerate(run.lines) if line.startswith("SERVICE  "))
    table = (re.split(r"\s{2,}", line) for line in run.lines[start + 1 :])
    return {row[1]: (row[2], row[6]) for row in takewhile(lambda row: len(row) == 7, table)}


def advice(run: Run) -> list[str]:
    """What is said to be done, a line each."""
    start = next(number for number, line in enumerate(run.lines) if line == "is not well:")
    return [*takewhile(bool, run.lines[start + 1 :])]


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


MOST_COMMANDS = 6
IMAGES = "docker inspect --format '{{slice .Name 1}} {{.Config.Image}}' $(docker ps -aq --filter label=smarteros.service)"
DUE = "echo '*** System restart required ***' >/run/reboot-required; echo linux-image-9 >/run/reboot-required.pkgs"


def test_all_of_it_is_one_object_and_one_page_without_a_secret(deployed: Deployment, tmp_path: Path) -> None:
    deployed.sh(DUE)
    try:
        done = subprocess.run(
            deployed.argv("-y", "-vvv", deploy="tasks.commands.status.run"),
            cwd=ROOT,
            env={**os.environ, "SMARTEROS_LAB": deployed.lab.name, "JSON": "1"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        drawn = deployed.run(
            deploy="tasks.commands.status.page", environment={"OUT": str(tmp_path / "a.html")}
        )
    finally:
        deployed.sh("rm /run/reboot-required /run/reboot-required.pkgs")
    assert done.returncode == 0, done.stderr
    sent = re.findall(r"^\S* *>>> ", re.sub(r"\x1b\[[0-9;]*m", "", done.stderr), re.MULTILINE)
    assert 1 <= len(sent) <= MOST_COMMANDS
    found = json.loads(done.stdout)
    host = found["hosts"][deployed.host.name]
    assert (found["well"], host["well"], host["problems"]) == (True, True, [])
    assert host["generation"]["name"] == deployed.sh("basename $(readlink /opt/smarteros/current)").strip()
    log = map(json.loads, deployed.sh("cat /var/log/smarteros/runs.log").splitlines())
    last = host["last_deploy"]
    assert (last["operator"], last["started"], last["result"]) in [
        (line["operator"], line["started"], line["result"]) for line in log
    ]
    assert host["reboot"]["packages"] == ["linux-image-9"]
    images = dict(line.split(" ") for line in deployed.sh(IMAGES).splitlines())
    shown = {item["container"]: item["image"] for item in host["containers"] if item["image"]}
    assert shown == {name: image for name, image in images.items() if name in {*SERVICES, *JOBS}}
    small = [
        item
        for item in host["containers"]
        if item["container"] in SERVICES and not 0 < item["memory_mb"] <= item["limit_mb"]
    ]
    assert small == []
    assert {item["domain"] for item in host["certificates"] if "Pebble" in (item["issuer"] or "")} == {
        *DOMAINS
    }
    assert host["memory"]["total_mb"] > host["memory"]["available_mb"] > 0
    page = (tmp_path / "a.html").read_text()
    drawn.unchanged()
    assert "All is well" in page
    assert all(
        name in page
        for name in (*DOMAINS, *SERVICES, host["generation"]["name"].rstrip("+"), "linux-image-9")
    )
    secrets = {
        line.partition("=")[2].strip("\"'")
        for line in deployed.sh("cat /vault/secrets/*.env").splitlines()
        if "=" in line
    }
    long = {value for value in secrets if len(value) >= 16}
    assert len(long) > 10
    assert [value for value in long if value in page or value in done.stdout or value in done.stderr] == []


# By tag, those that are not built here; what an operator's scripts use is among them.
PULLED = (
    "docker inspect --format '{{.Config.Image}}' $(docker ps -aq --filter label=smarteros.service) | "
    "grep -v '^smarteros/' | sort -u"
)


def test_the_host_asks_by_itself_which_images_are_outdated_and_is_well_all_the_same(
    deployed: Deployment,
) -> None:
    assert deployed.sh("systemctl is-enabled smarteros-outdated.timer") == "enabled\n"
    deployed.sh("systemctl start smarteros-outdated.service")
    state = json.loads(deployed.sh("cat /var/lib/smarteros/outdated/found.json"))
    images = state["images"]
    assert {*deployed.sh(PULLED).split()} <= {*images}
    (odoo,) = [name for name in images if name.startswith("odoo:16")]
    assert images[odoo]["ended"]
    assert [name for name, item in images.items() if "unknown" in item] == []
    modes = "stat -c '%a %U' /var/lib/smarteros/outdated/found.json /var/lib/smarteros/metrics/outdated.prom"
    assert deployed.sh(modes) == "600 root\n644 root\n"
    run = status(deployed)
    assert (run.code, run.changes, rows(run)) == (0, [], WELL), run.output
    (line,) = [line for line in run.lines if line.startswith("images: ")]
    assert re.search(rf"1 of {len(images)} past the end of support \({odoo}\), asked \d+ s ago: ", line)


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


def test_everything_that_is_not_well_is_named_with_why_and_what_to_do(
    deployed: Deployment, tmp_path: Path
) -> None:
    deployed.sh(BREAK, check=False, timeout=300)
    try:
        run = status(deployed)
        drawn = deployed.run(
            deploy="tasks.commands.status.page", environment={"OUT": str(tmp_path / "a.html")}
        )
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
    page = (tmp_path / "a.html").read_text()
    assert drawn.code == 0, drawn.output
    said = ("Not well", "vault: is sealed: nobody reads a secret", "n8n: has ended (exit code 137,")
    assert [text for text in said if text not in page] == []
    deployed.converge()
    again = status(deployed)
    assert (again.code, rows(again)) == (0, WELL), again.output
    deployed.unchanged()


def test_a_bare_host_is_told_to_be_deployed(bare: Deployment) -> None:
    run = status(bare)
    assert run.code == 1
    assert any(line.startswith("Docker does not answer: ") for line in run.lines)
    assert run.changes == []
