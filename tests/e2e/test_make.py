"""The make targets and every command of the README, from a clean copy of the repository."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from secrets import token_urlsafe

import pytest

from tests.lab import state
from tests.lab.lab import Lab
from tests.lab.smarteros import ROOT

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


# What `git pull` asks.
UPSTREAM = """
set -e
git init --quiet --initial-branch main
git add --all
git -c user.name=copy -c user.email=copy@example.net commit --quiet --message copy
git clone --quiet --bare . ../upstream.git
git remote add origin ../upstream.git
git fetch --quiet
git branch --quiet --set-upstream-to origin/main
"""


@dataclass(frozen=True)
class Copy:
    """What git knows of this repository, elsewhere, and the lab that its make targets are about."""

    folder: Path
    lab: str

    def make(self, *words: str, given: str = "") -> str:
        """Output of a make target; it has to succeed."""
        return self.shell(f"make {' '.join(words)}", given)

    def shell(self, command: str, given: str = "") -> str:
        """Output of a command; it has to succeed."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=environment | {"SMARTEROS_LAB": self.lab},
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
def copy(tmp_path_factory: pytest.TempPathFactory, lab_name: str) -> Copy:
    """Without an environment of its own, but with this repository's labs: the host that is made here is `deployed`."""
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
    state.FOLDER.mkdir(mode=0o700, exist_ok=True)
    (folder / ".lab").symlink_to(state.FOLDER)
    copy = Copy(folder, lab_name)
    copy.shell(UPSTREAM)
    return copy


def documented(sign: str) -> list[str]:
    """The README's commands: ``$`` on this machine, ``#`` on the host."""
    blocks = re.findall(r"```console\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith(f"{sign} ")]


def _trial() -> list[str]:
    """How `make bootstrap` is tried in a lab."""
    commands = documented("$")
    last = next(place for place, line in enumerate(commands) if line.startswith("make bootstrap NAME=trial"))
    return commands[last - 3 : last + 1]


def test_make_up_deploys_to_a_bare_host_and_ends_with_the_table(copy: Copy) -> None:
    output = copy.make("up")
    assert re.search(r"images: (local|upstream|.*registry.*)", output)
    _, last = output.rstrip().split("SERVICE ")
    table = takewhile(lambda line: line.strip() and "[" not in line, last.splitlines()[1:])
    rows = [line.split() for line in table]
    assert sorted((row[0], row[1]) for row in rows) == sorted(
        [(name, "-") for name in ("vault", "postgres", "redis", "caddy")]
        + [(name, f"https://{domain}/") for domain, name in DOMAINS.items()]
    )
    assert {tuple(row[2:4]) for row in rows if row[1] != "-"} == {("200", "Pebble")}
    assert all("healthy" in row for row in rows)


def test_make_up_again_changes_nothing(copy: Copy) -> None:
    output = copy.make("up")
    total = re.search(r"Grand total\s+(\d+)\s+(\S+)\s+(\S+)\s+(\d+)", output)
    assert total
    assert total[1] == total[4]
    assert (total[2], total[3]) == ("-", "-")


def test_every_command_of_the_readme_works(copy: Copy) -> None:
    run_by_ci = {"make up", "make test"}
    # The lab's own settings name no server for mails (test_mail.py), nobody to be told (test_notify.py), and no bucket (test_bucket.py, test_backup.py, test_losses.py), which would
    # be there for all tests that come after: what gives a lab one is tried in the lab that goes, below. Pins make all containers anew, twice (test_pins.py).
    # So does a rotation (test_secrets.py).
    # Without backups there is no update (test_update.py).
    # A host that was deployed once has no generation before it (test_rollback.py).
    elsewhere = (
        "make test-mail",
        "make test-notify",
        "make bucket",
        "make kit-check",
        "make backup",
        "make give-secrets NAME=backup#",
        "make pin",
        "make rotate",
        "make rollback",
        "make update",
        "export AWS_",
        "eval",
        # A lab of its own, which the last test here has.
        *_trial(),
    )
    commands = [
        command
        for command in documented("$")
        if command not in run_by_ci and not command.startswith(elsewhere)
    ]
    assert {"make plan INVENTORY=inventories/prod.py", "make deploy INVENTORY=inventories/prod.py"} < set(
        commands
    )
    for command in commands:
        here = command.replace("inventories/prod.py", "inventories/lab.py")
        bench = f' BENCH="--pairs 1 --first 0 --lab {copy.lab} --host lab-1"' if here == "make bench" else ""
        # What it asks for stays in Vault, and other tests look at how long it is.
        given = token_urlsafe(30) if here.startswith("make give-secrets NAME=") else "yes"
        copy.shell(here + bench, given=f"{given}\n")
        if here.startswith("make undo-host"):
            copy.make("deploy", "INVENTORY=inventories/lab.py", given="\n")


def test_every_command_of_the_readme_on_the_host_works_and_changes_nothing(copy: Copy) -> None:
    host = "inventories/lab.py"
    for command in documented("#"):
        copy.shell(f".venv/bin/pyinfra -y {host} exec -- {command}")
    output = copy.make("deploy", f"INVENTORY={host}", given="\n")
    assert re.search(r"Grand total\s+(\d+)\s+-\s+-\s+\1", output), output


def _gets_a_bucket(doomed: Copy) -> None:
    """By the README's two commands, in one shell; a third sees it in the lab's settings."""
    given = [line for line in documented("$") if "tests.lab bucket" in line or "KIT=.lab/" in line]
    assert len(given) == 2
    given.append(
        "make kit-check KIT=.lab/default/kit.json INVENTORY=inventories/lab.py || echo nothing is deployed"
    )
    said = doomed.shell("\n".join(["set -e", *given]).replace(".lab/default", ".lab/doomed"))
    assert "the kit .lab/doomed/kit.json is that of smarteros-backup-lab-1" in said.replace(
        f"{doomed.folder}/", ""
    )
    assert "it was refused what would destroy backups" in said
    assert said.endswith("nothing is deployed\n")


def _is_bootstrapped(doomed: Copy) -> None:
    """By the README's commands, as far as a lab goes whose images are not served: to what is asked about the DNS."""
    named, up, copied, bootstrap = _trial()
    assert named == f"export SMARTEROS_LAB={bootstrap.split('NAME=')[1].split()[0]}"
    doomed.shell(up.removesuffix(" --smarteros"))
    doomed.shell(copied)
    known = state.State(doomed.lab).read()
    assert known is not None
    address = known.hosts["lab-1"]
    said = doomed.shell(f"{bootstrap.replace('ADDRESS', address)} || echo refused", given="yes\n")
    shown = doomed.shell("ssh-keygen -lf .lab/doomed/known_hosts").split()[1]
    assert f"bootstrap: root@{address} shows the key {shown} (ssh-ed25519)" in said
    assert f"\ncrm.smarterbot.cl.        300 IN A {address}" in said, said
    assert "bootstrap: WAIT is missing, and nobody can be asked: " in said
    assert said.endswith("refused\n")


def test_make_down_removes_a_lab_and_no_other(copy: Copy, lab: Lab) -> None:
    doomed = replace(copy, lab="doomed")
    _is_bootstrapped(doomed)
    _gets_a_bucket(doomed)
    label = {"label": f"smarteros.lab={state.State('doomed').key}"}
    docker = lab.client
    kinds = (docker.containers, docker.volumes, docker.networks)
    assert all(kind.list(filters=label) for kind in kinds)
    assert (state.FOLDER / "doomed").exists()
    said = doomed.make("down")
    assert docker.containers.list(all=True, filters=label) == []
    assert docker.volumes.list(filters=label) == []
    assert docker.networks.list(filters=label) == []
    assert not (state.FOLDER / "doomed").exists()
    # It is what the others are removed with.
    assert f"still up: lab {lab.name}; to remove it: SMARTEROS_LAB={lab.name} make down\n" in said
    assert (copy.folder / ".venv").exists()
    assert "lab doomed was not up\n" in doomed.make("down")
    assert lab.host("lab-1").run("docker exec caddy-proxy true").returncode == 0
