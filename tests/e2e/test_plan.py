"""The plan: says what a run would change, and changes nothing; test_sudo.py has the one of a bare host."""

import json
import os
import re
import subprocess
from itertools import takewhile
from typing import Any

from tasks.services import load
from tests.e2e.deployment import Deployment, Run
from tests.e2e.test_convergence import ids, managed
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
    "Outdated | the host asks weekly which images are outdated",
    "Drift | the host looks daily for what differs",
]
# Caddy starts with its Caddyfile: until it runs, the plan cannot know that there will be nothing to load.
PLANNED = [*CHANGES, "Proxy | the Caddyfile is loaded"]
CHECKS = [
    "Lock | one run at a time, noted in /var/log/smarteros/runs.log",
    "Plan | what was shown is what is done",
    "Hooks | what is to be done before a deploy, by hooks/before-deploy",
    "Preflight | system, sizes, ports, clock",
    "Host | swap, where memory is small",
    "Firewall | an unproven change is taken back",
    "SSH | whose keys let in",
    "Docker | its rules in the host's firewall",
    "Generation | a restore point before new versions start",
    "Notify | nobody is told",
    "Data | Redis: what was changed by hand",
    "Backup | none is set up",
    "Retire | services that are not listed; their volumes, databases and secrets stay",
    "Verify | every service answers by name over TLS",
    "Record | what this run has made, for a way back and for what differs later",
]

TRACES = "find / -xdev \\( -path /proc -o -path /sys -o -path /run -o -path /var/log \\) -prune -o"
TRACES += " -newer /root/before ! -path '/var/lib/systemd/*' ! -path '/tmp*' ! -path '/var/tmp*' -print"


def planned(run: Run) -> dict[str, str]:
    """Operation → the cell of the plan's table that says how many hosts it would change."""
    start = next(number for number, line in enumerate(run.lines) if line.startswith("Operation   ")) + 1
    rows = [re.split(r"\s{2,}", line) for line in run.lines[start:]]
    return {row[0]: row[1] for row in takewhile(lambda row: row != [""], rows) if len(row) > 1}


def test_the_plan_of_a_deployed_host_is_empty(deployed: Deployment) -> None:
    plan = deployed.run("--dry", yes=False)
    assert plan.code == 0, plan.output
    assert set(planned(plan).values()) == {"-"}
    of_every_service = {
        f"Services | {service.title}" for service in load(smarteros.settings()) if service.phase == "services"
    }
    assert {*CHECKS, *PLANNED, *of_every_service} < set(planned(plan))


PLAN = "tasks.commands.plan.run"
MOST_COMMANDS = 6


def drawn(deployed: Deployment, *flags: str, **settings: Any) -> tuple[int, Any, str]:
    """Exit code, the host's plan as data, and what is said beside it."""
    done = subprocess.run(
        deployed.argv("-y", *flags, deploy=PLAN, **settings),
        cwd=smarteros.ROOT,
        env={**os.environ, "SMARTEROS_LAB": deployed.lab.name, "JSON": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)["hosts"][deployed.host.name], done.stderr


def sent(output: str) -> int:
    """Remote commands."""
    return len(re.findall(r"^\S* *>>> ", re.sub(r"\x1b\[[0-9;]*m", "", output), re.MULTILINE))


def test_a_host_as_it_has_to_be_has_nothing_to_do_and_few_questions_say_so(deployed: Deployment) -> None:
    code, plan, said = drawn(deployed, "-vvv")
    assert (code, plan["nothing_to_do"], plan["steps"]) == (0, True, []), said
    assert 1 <= sent(said) <= MOST_COMMANDS
    assert "lab-1: nothing to do" in said


# Two that start quickly, one of them with secrets, and a page that another one sees.
CHANGED: dict[str, Any] = {
    "overrides": {"mcp-registry": {"memory_mb": 100}, "vault-auth-validator": {"memory_mb": 200}},
    "mcp_servers": [{"name": "io.github.a/b", "description": "A and B", "version": "1.0"}],
}
ENV = "/vault/secrets/vault-auth-validator.env"
SECRET = "correct horse battery staple"
RUNNING = "docker inspect --format '{{.Name}} {{.Id}} {{.State.StartedAt}}' $(docker ps -aq) | sort"
# What others write there all the time.
ALIVE = ("/var/lib/fail2ban/", "/var/lib/docker/", "/var/lib/containerd/")


def contents(deployed: Deployment) -> dict[str, str]:
    """Path → sum, of all files that a run manages; what is in /root are links to them."""
    rows = (
        line.split("  ", 1) for line in managed(deployed).splitlines() if re.match("[0-9a-f]{64}  ", line)
    )
    return {path: total for total, path in rows if not path.startswith("/root/")}


def test_what_it_names_is_what_the_deploy_then_does_and_looking_touches_nothing(deployed: Deployment) -> None:
    deployed.sh(f"echo 'LEFT=\"{SECRET}\"' >>{ENV}; touch /root/before")
    before = managed(deployed), deployed.sh(RUNNING)
    code, plan, said = drawn(deployed, "-vvv", **CHANGED)
    assert (managed(deployed), deployed.sh(RUNNING)) == before
    assert [path for path in deployed.sh(TRACES).splitlines() if not path.startswith(ALIVE)] == []
    assert (code, sent(said) <= MOST_COMMANDS) == (2, True), said
    assert SECRET not in json.dumps(plan) + said
    assert {
        "path": ENV,
        "change": "changed",
        "variables": {"added": [], "removed": ["LEFT"], "changed": []},
    } in plan["files"]
    assert {item["container"]: item["action"] for item in plan["containers"]} == {
        "mcp-registry-web": "made anew",
        "vault-auth-validator": "made anew",
    }
    seen = {item["domain"]: item["notices"] for item in plan["visitors"] if item["notices"] != "nothing"}
    assert {name.partition(".")[0] for name in seen} == {"mcp", "api"}
    assert all(text.startswith("rolls: nobody waits") for text in seen.values())

    there, files = ids(deployed), contents(deployed)
    run = deployed.run(yes=False, **CHANGED)
    assert (run.code, run.changes) == (0, [step["name"] for step in plan["steps"]]), run.output
    after = ids(deployed)
    assert {name for name in there if there[name] != after.get(name)} == {
        item["container"] for item in plan["containers"]
    }
    now = contents(deployed)
    assert {path for path in {*files, *now} if files.get(path) != now.get(path)} == {
        item["path"] for item in plan["files"]
    }

    assert drawn(deployed, **CHANGED)[0] == 0
    code, back, _ = drawn(deployed)
    times = {item["domain"]: item["seconds"] for item in back["visitors"] if item["domain"] in seen}
    assert (code, set(times)) == (2, set(seen))
    assert all(isinstance(seconds, int) and 0 <= seconds < 60 for seconds in times.values())


def test_what_has_changed_while_somebody_read_is_said_and_nothing_is_done(deployed: Deployment) -> None:
    deployed.converge()
    before = ids(deployed)
    with subprocess.Popen(
        deployed.argv(overrides={"mcp-registry": {"memory_mb": 101}}),
        cwd=smarteros.ROOT,
        env={**os.environ, "SMARTEROS_LAB": deployed.lab.name},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        assert run.stdin
        assert run.stdout
        shown = ""
        while not shown.endswith("anything else ends it: "):
            shown += (letter := run.stdout.read(1))
            assert letter, shown
        assert "mcp.smarterbot.cl, mcp.smarterbot.store: rolls: nobody waits" in shown
        deployed.sh("docker stop vault-auth-validator")
        output, _ = run.communicate("\n", timeout=120)
    assert run.returncode == 1, output
    assert "has changed since the plan was shown, and nothing was done:" in output
    assert "vault-auth-validator: has ended: it is started: was not shown" in output
    assert ids(deployed) == before
    deployed.converge()
