"""The make targets and every command of the README, from a clean copy of the repository."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import Lab
from tests.lab.smarteros import ROOT

NAME = "make"

# What users type: eight names of the production zone, four mirrors.
DOMAINS = {
    "crm.smarterbot.cl": "chatwoot",
    "bot.smarterbot.cl": "botpress",
    "n8n.smarterbot.cl": "n8n",
    "erp.smarterbot.cl": "odoo",
    "kpi.smarterbot.cl": "metabase",
    "mcp.smarterbot.cl": "mcp-registry",
    "dokploy.smarterbot.cl": "dokploy",
    "api.smarterbot.cl": "vault-auth-validator",
    "kpi.smarterbot.store": "metabase",
    "mcp.smarterbot.store": "mcp-registry",
    "dokploy.smarterbot.store": "dokploy",
    "api.smarterbot.store": "vault-auth-validator",
}


def make(folder: Path, *words: str, given: str = "") -> str:
    """Output of a make target in the copy; it has to succeed."""
    return shell(folder, f"make {' '.join(words)}", given)


def shell(folder: Path, command: str, given: str = "") -> str:
    """Output of a command in the copy; it has to succeed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment | {"SMARTEROS_LAB": NAME},
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory, lab: Lab) -> Iterator[Path]:
    """What git knows of this repository, elsewhere, without an environment or a lab of its own."""
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    # The machine's one lab authority: another would mean other images, and building them again.
    shutil.copytree(ROOT / ".lab" / "authority", folder / ".lab" / "authority")
    yield folder
    if (folder / ".venv").exists():
        make(folder, "down")


def documented(sign: str) -> list[str]:
    """The README's commands: ``$`` on this machine, ``#`` on the host."""
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith(f"{sign} ")]


def test_make_up_deploys_to_a_bare_host_and_ends_with_the_table(copy: Path) -> None:
    output = make(copy, "up")
    assert re.search(r"images: (local|upstream|.*registry.*)", output)
    *_, last = output.rstrip().split("SERVICE ")
    rows = [line.split() for line in last.splitlines()[1:]]
    assert sorted((row[0], row[1]) for row in rows) == sorted(
        [(name, "-") for name in ("vault", "postgres", "redis", "caddy")]
        + [(name, f"https://{domain}/") for domain, name in DOMAINS.items()]
    )
    assert {tuple(row[2:4]) for row in rows if row[1] != "-"} == {("200", "Pebble")}
    assert all("healthy" in row for row in rows)


def test_make_up_again_changes_nothing(copy: Path) -> None:
    output = make(copy, "up")
    total = re.search(r"Grand total\s+(\d+)\s+(\S+)\s+(\S+)\s+(\d+)", output)
    assert total
    assert total[1] == total[4]
    assert (total[2], total[3]) == ("-", "-")


def test_every_command_of_the_readme_works(copy: Path) -> None:
    run_by_ci = {"make up", "make test"}
    commands = [command for command in documented("$") if command not in run_by_ci]
    assert {"make plan INVENTORY=inventories/prod.py", "make deploy INVENTORY=inventories/prod.py"} < set(
        commands
    )
    for command in commands:
        here = command.replace("inventories/prod.py", "inventories/lab.py")
        shell(
            copy,
            here
            + (f' BENCH="--pairs 1 --first 0 --lab {NAME} --host lab-1"' if here == "make bench" else ""),
            given="\n",
        )


def test_every_command_of_the_readme_on_the_host_works_and_changes_nothing(copy: Path) -> None:
    host = "inventories/lab.py"
    for command in documented("#"):
        wrapped = f".venv/bin/pyinfra -y {host} exec -- {command}"
        shell(copy, wrapped)
    output = make(copy, "deploy", f"INVENTORY={host}", given="\n")
    assert re.search(r"Grand total\s+(\d+)\s+-\s+-\s+\1", output)


def test_make_down_removes_all_that_make_up_made(copy: Path, lab: Lab) -> None:
    make(copy, "down")
    label = {"label": f"smarteros.lab={NAME}"}
    docker = lab.client
    assert docker.containers.list(all=True, filters=label) == []
    assert docker.volumes.list(filters=label) == []
    assert docker.networks.list(filters=label) == []
    assert not (copy / ".lab" / NAME).exists()
    assert not (copy / ".venv").exists()
