"""Each step of the forges' workflows does what it says: it is run, beside a pyinfra, a git and a forge that note what they are asked."""

import runpy
import subprocess
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.samples import ROOT
from tests.workflows import BOTH, FORGEJO, GITHUB, Forge, Runner, jobs


def plan_script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / ".ci" / "plan.py"))


def test_the_plan_is_the_command_below_make_plan() -> None:
    said = subprocess.run(
        ["make", "-n", "plan", "INVENTORY=inventories/staging.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    words = said.stdout.splitlines()[-1].split()
    ours = plan_script()["command"]("inventories/staging.py")
    strict = ["--data", "ssh_strict_host_key_checking=yes"]
    assert ours[2:4] == strict
    assert [*ours[:2], *ours[4:]] == words[1:]


def test_what_initialises_vault_is_called_so() -> None:
    assert f'name="{plan_script()["VAULT"]}"' in (ROOT / "tasks" / "vault.py").read_text()


def test_nothing_in_a_plan_ends_its_fence_and_it_fits() -> None:
    made = plan_script()
    text = made["markdown"]("inventories/prod.py", 2, f"~~~~~\n</details>\n{'x' * 100_000}")
    assert text.startswith(
        "<!-- plan of inventories/prod.py -->\n### Plan of `inventories/prod.py`: something to do\n"
    )
    assert text.count("~~~~~~\n") == 2
    assert len(text) < 65_536


def test_a_host_is_known_by_its_committed_key_whatever_its_settings_say() -> None:
    program, *words = plan_script()["command"]("inventories/staging.py")
    looked = [str(ROOT / program), *words[:-1], "debug-inventory"]
    said = subprocess.run(looked, cwd=ROOT, capture_output=True, text=True, check=True)
    assert '"ssh_strict_host_key_checking": "yes"' in said.stdout + said.stderr
    assert "ssh_strict" not in (ROOT / "group_data" / "staging.py").read_text()


@pytest.fixture
def forge() -> Iterator[str]:
    Forge.comments = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Forge)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def runner(tmp_path: Path, forge: str) -> Runner:
    return Runner(tmp_path, forge)


PLAN = "-y --data ssh_strict_host_key_checking=yes inventories/prod.py tasks.commands.plan.run"
WITH = ["(ED25519)", "key: none", "vault: r0le s3cret-id"]


@BOTH
def test_a_deploy_plans_deploys_and_checks(runner: Runner, path: Path) -> None:
    done = runner.run(path, "production", "Deploy")
    assert done.returncode == 0, done.stderr
    assert runner.calls() == [
        *(PLAN, *WITH, "YES="),
        *("inventories/prod.py deploy.py", *WITH, "YES=1"),
        *("-y inventories/prod.py tasks.commands.check.run", *WITH, "YES="),
    ]
    assert (runner.home / ".ssh" / "known_hosts").read_text() == "203.0.113.7 ssh-ed25519 AAAA\n"
    assert "s3cret-id" not in done.stdout + done.stderr
    assert "PRIVATE KEY" not in done.stdout + done.stderr


@BOTH
@pytest.mark.parametrize(
    ("code", "names", "why"),
    [
        (1, ["Services | n8n"], "--> the plan"),
        (3, [], "--> the plan"),
        (2, ["Vault | initialised and unsealed"], "deploy once from a machine of yours that keeps them"),
    ],
    ids=["refused", "broken", "a new Vault, whose keys would be lost"],
)
def test_nothing_is_deployed_that_cannot_be(
    runner: Runner, path: Path, code: int, names: list[str], why: str
) -> None:
    runner.planned(code, *names)
    done = runner.run(path, "production", "Deploy")
    assert done.returncode == 1
    assert why in done.stdout
    assert len(runner.calls()) == 5


@BOTH
def test_a_host_that_nobody_has_compared_is_not_reached(runner: Runner, path: Path) -> None:
    (runner.folder / "inventories" / "prod.known_hosts").unlink()
    done = runner.run(path, "production", "Deploy")
    assert (done.returncode, runner.calls()) == (1, [])
    assert "inventories/prod.known_hosts is not there" in done.stderr


@BOTH
def test_without_its_secret_it_says_so(runner: Runner, path: Path) -> None:
    done = runner.run(path, "production", "Deploy", SSH_KEY="")
    assert (done.returncode, runner.calls()) == (1, [])
    assert "SSH_KEY is empty" in done.stderr


@BOTH
def test_a_plan_is_one_comment_that_is_written_anew(runner: Runner, path: Path) -> None:
    # Whoever wrote this could change it after the plan stands there.
    marked = {"user": {"login": "eve"}, "body": "<!-- plan of inventories/prod.py -->\nall is well"}
    Forge.comments = [{"id": number, **marked} for number in range(60)]
    for code, says in ((2, "something to do"), (0, "nothing to do"), (1, "refused")):
        runner.planned(code)
        planned = runner.run(path, "plan-production", "Plan")
        assert planned.returncode == (1 if code == 1 else 0), planned.stderr
        posted = runner.run(path, "plan-production", "Post")
        assert posted.returncode == 0, posted.stderr
        assert len(Forge.comments) == 61
        assert Forge.comments[60]["body"] == (
            f"<!-- plan of inventories/prod.py -->\n### Plan of `inventories/prod.py`: {says}\n\n"
            "<details><summary>all of it</summary>\n\n~~~\n--> the plan, with ***\n~~~\n</details>\n"
        )


def test_whoever_approves_has_read_the_plan(runner: Runner) -> None:
    runner.run(GITHUB, "plan-production", "Plan")
    assert runner.run(GITHUB, "plan-production", "Summary").returncode == 0
    assert "something to do" in Path(runner.environment["GITHUB_STEP_SUMMARY"]).read_text()


def commit(folder: Path, text: str) -> str:
    (folder / "file").write_text(text)
    who = ["-c", "user.name=ann", "-c", "user.email=ann@example.net"]
    subprocess.run(["git", "-C", folder, "add", "file"], check=True)
    subprocess.run(["git", "-C", folder, *who, "commit", "-qm", text], check=True)
    said = subprocess.run(
        ["git", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    return said.stdout.strip()


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    folder = tmp_path / "forge" / "ann" / "stack"
    folder.mkdir(parents=True)
    subprocess.run(["git", "init", "-qb", "main", folder], check=True)
    return folder


@BOTH
def test_a_commit_that_its_branch_has_left_is_not_deployed(
    runner: Runner, upstream: Path, path: Path
) -> None:
    first = commit(upstream, "first")
    assert runner.run(path, "production", "Newest", GITHUB_SHA=first).returncode == 0
    second = commit(upstream, "second")
    done = runner.run(path, "production", "Newest", GITHUB_SHA=first)
    assert done.returncode == 1
    assert f"refs/heads/main is at {second} by now" in done.stderr
    for host in ("staging", "production"):
        names = [step.get("name") for step in jobs(path)[host]["steps"]]
        assert names.index("Newest") == names.index("Deploy") - 1


def test_forgejos_checkout_is_of_that_commit_and_leaves_no_token(runner: Runner, upstream: Path) -> None:
    sha = commit(upstream, "first")
    commit(upstream, "second")
    for name in jobs(FORGEJO):
        runner.values["vars.STAGING"] = "inventories/staging.py"
        done = runner.run(FORGEJO, name, "Checkout", GITHUB_SHA=sha)
        assert done.returncode == 0, done.stderr
        assert (runner.folder / "file").read_text() == "first"
        assert "t0ken" not in (runner.folder / ".git" / "config").read_text() + done.stdout + done.stderr
