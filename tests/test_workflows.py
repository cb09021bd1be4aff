"""The forges' workflows: what they call is there, and what they may is the least."""

import os
import re
import subprocess
from pathlib import Path

from tests.samples import ROOT
from tests.workflows import BOTH, FORGEJO, GITHUB, jobs, steps, workflow

SECRETS = ("SSH_KEY", "VAULT_ROLE_ID", "VAULT_SECRET_ID")
CHECKOUT = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1"
OWN = "github.event.pull_request.head.repo.full_name == github.repository"


def commands(path: Path) -> list[str]:
    """Every line of every ``run``."""
    return [line for _, step in steps(path) for line in step.get("run", "").splitlines()]


def test_each_forge_has_one_workflow() -> None:
    found = [
        path for folder in (".github", ".forgejo") for path in (ROOT / folder).rglob("*") if path.is_file()
    ]
    assert sorted(found) == sorted([GITHUB, FORGEJO])


@BOTH
def test_what_a_forge_may_start_it_for(path: Path) -> None:
    """Never for pull_request_target, workflow_run or a comment, which give a stranger's code the secrets; `on` is YAML's true."""
    assert workflow(path)[True] == {"push": {"branches": ["**"]}, "pull_request": None}


@BOTH
def test_it_lints_tests_plans_and_deploys(path: Path) -> None:
    assert sorted(jobs(path)) == sorted(
        ["lint", "test", "plan-staging", "staging", "plan-production", "production"]
    )
    said = {(name, line) for name, step in steps(path) for line in step.get("run", "").splitlines()}
    sudo = "sudo " if path == GITHUB else ""
    assert {("lint", "make lint"), ("test", f"{sudo}make test")} <= said
    for host in ("staging", "production"):
        assert {line for name, line in said if name == host and ".ci/remote" in line} == {
            ".ci/remote .ci/plan.py plan.md || [ $? = 2 ]",
            ".ci/remote make deploy YES=1",
            ".ci/remote make check",
        }
        plans = {line for name, line in said if name == f"plan-{host}"}
        assert ".ci/remote .ci/plan.py plan.md || [ $? = 2 ]" in plans
        assert any(".ci/post.py plan.md" in line for line in plans)


@BOTH
def test_every_target_is_one_of_the_makefile_and_takes_its_variables(path: Path) -> None:
    recipes = dict(
        re.findall(r"^([\w$()./-]+):.*\n((?:\t.*\n)*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    )
    called = [words for line in commands(path) for words in re.findall(r"\bmake ([^|&;#]+)", line)]
    assert len(called) == 2 + 4 + 4
    for words in called:
        target, *given = words.split()
        assert target in recipes or target == ".venv/ready"
        asked = subprocess.run(
            ["make", "-n", target, *given], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert asked.returncode == 0, asked.stderr
        for name in (word.partition("=")[0] for word in given):
            assert f"$({name})" in recipes[target]
    assert "$(INVENTORY)" in recipes["deploy"]
    # It comes from the job's environment, which only ?= heeds.
    assert "INVENTORY ?= " in (ROOT / "Makefile").read_text()


@BOTH
def test_every_script_is_there(path: Path) -> None:
    named = {word for line in commands(path) for word in re.findall(r"\.ci/[\w.]+", line)}
    assert named == {".ci/remote", ".ci/plan.py", ".ci/post.py", ".ci/newest"}
    assert all(os.access(ROOT / name, os.X_OK) for name in named)


def test_the_only_action_is_a_checkout_by_its_commit_that_leaves_no_token() -> None:
    used = [step for _, step in steps(GITHUB) if "uses" in step]
    assert len(used) == len(jobs(GITHUB))
    assert all(step == {"uses": CHECKOUT, "with": {"persist-credentials": False}} for step in used)
    assert not [step for _, step in steps(FORGEJO) if "uses" in step]
    for path in (GITHUB, FORGEJO):
        assert not [name for name, job in jobs(path).items() if {"container", "services", "uses"} & set(job)]


def test_permissions_are_the_least() -> None:
    assert workflow(GITHUB)["permissions"] == {}
    posting = {name for name, step in steps(GITHUB) if ".ci/post.py" in step.get("run", "")}
    for name, job in jobs(GITHUB).items():
        more = {"pull-requests": "write"} if name in posting else {}
        assert job["permissions"] == {"contents": "read", **more}
    assert posting == {"plan-staging", "plan-production"}


def secret(value: str) -> str | None:
    """The secret's name, without the host's that Forgejo puts before it; None: it is none."""
    found = re.fullmatch(r"\$\{\{ secrets\.(?:(?:STAGING|PRODUCTION)_)?(\w+) \}\}", value)
    return found[1] if found else None


@BOTH
def test_a_secret_is_in_the_environment_of_the_step_that_needs_it_and_nowhere_else(path: Path) -> None:
    text = re.sub(r"^ *#.*", "", path.read_text(), flags=re.MULTILINE)
    seen = 0
    for _, step in steps(path):
        env = step.get("env", {})
        needs = ".ci/remote" in step.get("run", "")
        assert [secret(value) for value in env.values() if "secrets." in value] == (
            list(SECRETS) if needs else []
        )
        assert all(secret(value) == name for name, value in env.items() if "secrets." in value)
        seen += len(SECRETS) if needs else 0
        # The forge puts what stands in ${{ }} into the script's text: a title could be a command, a secret a line of the log.
        assert "${{" not in step.get("run", "")
        assert not re.search(r"\bset -\w*x|\bprintenv\b|(^|[;&|]\s*)env\b", step.get("run", ""), re.MULTILINE)
        assert not re.search(rf"\b({'|'.join(SECRETS)})\b", step.get("run", ""))
        for line in step.get("run", "").splitlines():
            if "TOKEN" in line:
                assert line.startswith("GIT_CONFIG_VALUE_0=")
    assert text.count("secrets.") == seen == 4 * len(SECRETS)
    assert not [job for job in jobs(path).values() if "secrets" in str(job.get("env", {}))]


def test_forgejo_gives_each_host_its_own_secrets() -> None:
    for name, step in steps(FORGEJO):
        if ".ci/remote" in step.get("run", ""):
            host = name.removeprefix("plan-").upper()
            assert [step["env"][one] for one in SECRETS] == [
                f"${{{{ secrets.{host}_{one} }}}}" for one in SECRETS
            ]
            assert jobs(FORGEJO)[name]["env"] == {"INVENTORY": f"${{{{ vars.{host} }}}}"}


def test_github_gives_secrets_through_environments() -> None:
    used = {name: job.get("environment") for name, job in jobs(GITHUB).items()}
    assert used == {
        "lint": None,
        "test": None,
        "plan-staging": "staging-plan",
        "staging": "staging",
        "plan-production": "production-plan",
        "production": "production",
    }


@BOTH
def test_who_gets_a_plan_and_what_is_deployed(path: Path) -> None:
    found = jobs(path)
    for host in ("staging", "production"):
        plan, deploy = (" ".join(found[name]["if"].split()) for name in (f"plan-{host}", host))
        assert f"vars.{host.upper()} != ''" in plan
        assert OWN in plan
        assert "github.event_name == 'push'" in deploy
        default = path == GITHUB or host == "staging"
        branch = "github.event.repository.default_branch" if default else "'production'"
        assert f"github.ref_name == {branch}" in deploy
    assert found["staging"]["needs"] == ["lint", "test"]
    if path == GITHUB:
        before = " ".join(found["plan-production"]["if"].split())
        for name in ("lint", "test", "staging"):
            assert name in found["plan-production"]["needs"]
            assert f"needs.{name}.result == 'success'" in before
        assert found["production"]["needs"] == "plan-production"
        assert "needs.plan-production.result == 'success'" in found["production"]["if"]
    else:
        assert found["production"]["needs"] == ["lint", "test"]


def test_one_deploy_of_a_host_at_a_time_and_none_is_cancelled() -> None:
    for host in ("staging", "production"):
        assert jobs(GITHUB)[host]["concurrency"] == {"group": f"deploy-{host}", "cancel-in-progress": False}
    # A cancelled workflow would take its deploys with it.
    assert "concurrency" not in workflow(GITHUB)
    assert workflow(FORGEJO)["concurrency"] == {
        "group": "smarteros-${{ github.ref }}",
        "cancel-in-progress": False,
    }


@BOTH
def test_every_job_has_an_end(path: Path) -> None:
    assert all(job["timeout-minutes"] <= 180 for job in jobs(path).values())


@BOTH
def test_staging_is_deployed_as_production_is(path: Path) -> None:
    for one, other in (("staging", "production"), ("plan-staging", "plan-production")):
        first, second = (
            [
                str(step).replace(name.removeprefix("plan-").upper(), "")
                for step in jobs(path)[name]["steps"]
                if step.get("name") not in ("Summary", "Post")
            ]
            for name in (one, other)
        )
        assert first == second
