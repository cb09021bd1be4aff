"""Forks: sync-forks.sh run for real on repositories in a folder, the build's shell, and what settings refuse."""

import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tasks import docker
from tasks.facts import Machine
from tasks.model import forks
from tasks.model.overrides import overridden
from tasks.operations import apt, images
from tasks.rendering import render
from tasks.rendering.templates import jinja
from tasks.services import load
from tests.fake import commands, fake
from tests.samples import HELPDESK, container, refusals, stack
from tests.test_docker import INSTALLED

FORKS = {
    "chatwoot": {
        "fork": "https://github.com/SmarterCL/chatwoot.git",
        "upstream": "https://github.com/chatwoot/chatwoot.git",
        "dockerfile": "docker/Dockerfile",
    }
}


# The script


@dataclass(frozen=True)
class Yard:
    """A folder with n8n's upstream, its fork, and the host's /root/repos; git as a fresh root would have it."""

    folder: Path
    branch: str = "main"

    @property
    def here(self) -> Path:
        """The clone on the host."""
        return self.folder / "repos" / "n8n"

    def url(self, name: str) -> str:
        """Where a bare repository of the yard is."""
        return str(self.folder / f"{name}.git")

    @property
    def environment(self) -> dict[str, str]:
        """No settings of git's but its own."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "SMARTEROS_REPOS": str(self.folder / "repos"),
        }

    def git(self, where: str | Path, *arguments: str) -> str:
        """Git as somebody works with it."""
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        argv = ["git", "-C", str(self.folder / where), *identity, *arguments]
        done = subprocess.run(argv, env=self.environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, where: str | Path, **files: str) -> str:
        """A commit with these files; returns its first twelve digits."""
        for name, text in files.items():
            (self.folder / where / name).write_text(text)
        self.git(where, "add", "-A")
        self.git(where, "commit", "-q", "-m", "work")
        return self.git(where, "rev-parse", "--short=12", "HEAD")

    def publish(self, name: str, **files: str) -> str:
        """A commit pushed to the bare repository of that name, by somebody else."""
        head = self.commit(f"{name}-work", **files)
        self.git(f"{name}-work", "push", "-q", "origin", f"HEAD:{self.branch}")
        return head

    def script(self, *, branch: str = "", **more: Any) -> str:
        """The script as it is rendered for these forks."""
        entry = {"fork": self.url("fork"), "upstream": self.url("upstream"), "branch": branch}
        found = stack(forks={"n8n": entry, **more})
        return jinja().get_template("scripts/sync-forks.sh.j2").render(stack=found, services=())

    def sync(self, *arguments: str, script: str = "", **variables: str) -> tuple[int, str]:
        """Exit code and all that the script says."""
        done = subprocess.run(
            ["/bin/bash", "-s", "--", *arguments],
            input=script or self.script(),
            env={**self.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """Upstream with one commit, and a fork of it."""
    found = Yard(tmp_path)
    found.git(".", "init", "-q", "--bare", "-b", "main", "upstream.git")
    found.git(".", "clone", "-q", "upstream.git", "upstream-work")
    found.publish("upstream", app="one\n")
    found.git(".", "clone", "-q", "--bare", "upstream.git", "fork.git")
    found.git(".", "clone", "-q", "fork.git", "fork-work")
    return found


@pytest.fixture
def cloned(yard: Yard) -> Yard:
    """The same, after a first run of the script."""
    assert yard.sync()[0] == 0
    return yard


def test_a_fork_is_cloned_and_knows_its_upstream_and_a_second_run_changes_nothing(yard: Yard) -> None:
    head = yard.git("fork-work", "rev-parse", "--short=12", "HEAD")
    state = f"in step with the fork (main, {head}); nothing new in upstream/main\n"
    assert yard.sync() == (0, f"n8n: cloned; {state}")
    assert yard.git(yard.here, "remote", "get-url", "upstream") == yard.url("upstream")
    assert yard.sync() == (0, f"n8n: {state}")


def test_a_clone_that_was_cut_off_is_made_anew(yard: Yard) -> None:
    (yard.folder / "repos" / ".n8n.incoming" / ".git").mkdir(parents=True)
    assert yard.sync()[0] == 0
    assert sorted(path.name for path in (yard.folder / "repos").iterdir()) == ["n8n"]


def test_a_fork_that_moved_is_fast_forwarded(cloned: Yard) -> None:
    cloned.publish("fork", app="two\n")
    head = cloned.publish("fork", app="three\n")
    line = f"n8n: fast-forwarded by 2 (main, {head}); nothing new in upstream/main\n"
    assert (cloned.sync(), (cloned.here / "app").read_text()) == ((0, line), "three\n")


def test_new_work_upstream_that_merges_is_only_told(cloned: Yard) -> None:
    head = cloned.publish("fork", ours="x\n")
    cloned.publish("upstream", theirs="y\n")
    line = f"n8n: fast-forwarded by 1 (main, {head}); 1 new in upstream/main, which would merge without conflict\n"
    assert cloned.sync() == (0, line)
    assert sorted(path.name for path in cloned.here.iterdir()) == [".git", "app", "ours"]


def test_a_conflict_with_upstream_is_reported_with_its_files_and_nothing_is_merged(cloned: Yard) -> None:
    head = cloned.publish("fork", app="ours\n", more="ours\n")
    cloned.publish("upstream", app="theirs\n", more="theirs\n")
    line = (
        f"n8n: fast-forwarded by 1 (main, {head}); 1 new in upstream/main, which would conflict in app more\n"
    )
    assert cloned.sync() == (1, line)
    assert (cloned.here / "app").read_text() == "ours\n"
    assert cloned.git(cloned.here, "status", "--porcelain") == ""


def test_uncommitted_changes_and_new_files_are_left_alone(cloned: Yard) -> None:
    cloned.publish("fork", app="two\n")
    line = "n8n: has uncommitted changes: left alone (main, 0 ahead of the fork, 1 behind); nothing new in upstream/main\n"
    (cloned.here / "notes").write_text("mine\n")
    assert cloned.sync() == (1, line)
    (cloned.here / "notes").unlink()
    (cloned.here / "app").write_text("mine\n")
    assert (cloned.sync(), (cloned.here / "app").read_text()) == ((1, line), "mine\n")


def test_commits_of_ones_own_are_left_alone_and_told_how_to_push(cloned: Yard) -> None:
    head = cloned.commit(cloned.here, app="mine\n")
    push = f"git -C {cloned.here} push origin main"
    line = f"n8n: is 1 ahead of the fork: left alone; {push}; nothing new in upstream/main\n"
    assert cloned.sync() == (1, line)
    assert cloned.git(cloned.here, "rev-parse", "--short=12", "HEAD") == head


def test_a_repository_that_has_diverged_is_left_alone(cloned: Yard) -> None:
    head = cloned.commit(cloned.here, app="mine\n")
    cloned.publish("fork", app="two\n")
    line = "n8n: has diverged from the fork: left alone (main, 1 ahead, 1 behind); nothing new in upstream/main\n"
    assert cloned.sync() == (1, line)
    assert cloned.git(cloned.here, "rev-parse", "--short=12", "HEAD") == head


def test_another_branch_and_a_detached_head_are_left_alone(cloned: Yard) -> None:
    head = cloned.git(cloned.here, "rev-parse", "HEAD")
    cloned.git(cloned.here, "checkout", "-q", "-b", "mine")
    cloned.publish("fork", app="two\n")
    rest = "checked out, not main: left alone; nothing new in upstream/main\n"
    assert cloned.sync() == (1, f"n8n: has mine {rest}")
    cloned.git(cloned.here, "checkout", "-q", "--detach")
    assert cloned.sync() == (1, f"n8n: has no branch {rest}")
    assert cloned.git(cloned.here, "rev-parse", "HEAD", "main") == f"{head}\n{head}"


def test_the_branch_of_the_settings_is_the_one_that_is_cloned(yard: Yard) -> None:
    other = replace(yard, branch="smarter")
    head = other.publish("fork", app="two\n")
    line = f"n8n: cloned; in step with the fork (smarter, {head}); nothing new in upstream/main\n"
    assert yard.sync(script=yard.script(branch="smarter")) == (0, line)
    absent = "n8n: the fork has no branch gone; nothing new in upstream/main\n"
    assert yard.sync(script=yard.script(branch="gone")) == (1, absent)


def test_a_remote_that_the_settings_do_not_know_is_left_alone(cloned: Yard) -> None:
    cloned.git(cloned.here, "remote", "set-url", "origin", "/elsewhere.git")
    command = f"git -C {cloned.here} remote set-url origin {cloned.url('fork')}"
    line = (
        f"its remote origin is /elsewhere.git, the settings say {cloned.url('fork')}: left alone; {command}"
    )
    assert cloned.sync() == (1, f"n8n: {line}; nothing new in upstream/main\n")
    assert cloned.git(cloned.here, "remote", "get-url", "origin") == "/elsewhere.git"


def test_an_address_that_does_not_answer_is_named_and_leaves_nothing(yard: Yard) -> None:
    (yard.folder / "fork.git").rename(yard.folder / "gone")
    code, said = yard.sync()
    assert code == 1
    assert said == (
        f"n8n: cannot be cloned from {yard.url('fork')}: "
        f"fatal: repository '{yard.url('fork')}' does not exist\n"
    )
    assert list((yard.folder / "repos").iterdir()) == []


def test_an_upstream_that_does_not_answer_still_lets_the_fork_through(cloned: Yard) -> None:
    (cloned.folder / "upstream.git").rename(cloned.folder / "gone")
    head = cloned.publish("fork", app="two\n")
    code, said = cloned.sync()
    begin = f"n8n: fast-forwarded by 1 (main, {head}); upstream ({cloned.url('upstream')}) cannot be fetched: fatal: "
    assert (code, said.startswith(begin), said.count("\n")) == (1, True, 1)


def test_a_folder_that_is_no_repository_is_left_alone(yard: Yard) -> None:
    yard.here.mkdir(parents=True)
    (yard.here / "notes").write_text("mine\n")
    line = f"n8n: {yard.here} is no git repository: left alone; move it away and run this again\n"
    assert (yard.sync(), (yard.here / "notes").read_text()) == ((1, line), "mine\n")


def test_one_that_needs_a_person_does_not_keep_the_others_back(yard: Yard) -> None:
    missing = {"fork": str(yard.folder / "none"), "upstream": str(yard.folder / "none")}
    script = yard.script(botpress=missing)
    code, said = yard.sync(script=script)
    assert code == 1
    assert [line.split(" ")[:2] for line in said.splitlines()] == [
        ["botpress:", "cannot"],
        ["n8n:", "cloned;"],
    ]
    assert yard.sync("n8n", script=script)[0] == 0
    unknown = "odoo is not in the setting `forks` (botpress n8n)\n"
    assert yard.sync("n8n", "odoo", script=script) == (1, unknown)


def test_without_git_it_says_what_to_install(yard: Yard) -> None:
    empty = yard.folder / "empty"
    empty.mkdir()
    assert yard.sync(PATH=str(empty)) == (1, "git is not installed: apt-get install -y git\n")
    assert not yard.here.exists()


def test_without_forks_it_says_so(yard: Yard) -> None:
    text = jinja().get_template("scripts/sync-forks.sh.j2").render(stack=stack(), services=())
    line = "no forks: name them in the setting `forks` (group_data), then deploy\n"
    assert yard.sync(script=text) == (0, line)


# Images


def test_every_container_of_the_program_runs_the_image_of_the_fork() -> None:
    sidecar = container("helpdesk-cache", image="example/cache:7")
    several = replace(HELPDESK, name="chatwoot", containers=(*HELPDESK.containers, sidecar))
    found = overridden(stack(forks=FORKS, overrides={"chatwoot": {"build": "v4.15.1-acme"}}), several)
    assert [(item.name, render.image(item), item.fork) for item in found.containers] == [
        ("helpdesk-prepare", "smarteros/chatwoot:v4.15.1-acme", "docker/Dockerfile"),
        ("helpdesk-web", "smarteros/chatwoot:v4.15.1-acme", "docker/Dockerfile"),
        ("helpdesk-worker", "smarteros/chatwoot:v4.15.1-acme", "docker/Dockerfile"),
        ("helpdesk-cache", "example/cache:7", ""),
    ]
    assert found.main.extra == {**HELPDESK.main.extra, "pull_policy": "never"}


def test_a_fork_alone_changes_nothing_that_runs() -> None:
    assert load(stack(forks=FORKS)) == load(stack())


def test_the_composed_file_never_asks_a_registry_for_it() -> None:
    found = stack(forks=FORKS, overrides={"chatwoot": {"build": "0123abc"}})
    chatwoot = next(item for item in load(found) if item.name == "chatwoot")
    text = render.render(found, chatwoot)["dkcompose/chatwoot-deploy.yaml"]
    assert text.count('image: "smarteros/chatwoot:0123abc"') == 3
    assert text.count('pull_policy: "never"') == 3
    assert "\n    build:\n" not in text


def test_a_missing_image_is_built_not_pulled() -> None:
    built = replace(container("n8n", image="smarteros/n8n:0123abc"), fork="Dockerfile")
    assert images._fetch("smarteros/n8n:0123abc", built) == forks.build("smarteros/n8n:0123abc", "Dockerfile")


# A docker that keeps what it was asked, and the folder that it was given.
DOCKER = """#!/bin/sh
echo "$*" >"$HOME/asked"
for folder; do :; done
cat "$folder/app" >"$HOME/app"
git -C "$folder" rev-parse HEAD >"$HOME/head"
exit ${CODE:-0}
"""


def build(yard: Yard, revision: str, code: int = 0) -> tuple[int, str]:
    """The build's shell with that docker, as the start script runs it."""
    temporary = yard.folder / "temporary"
    temporary.mkdir(exist_ok=True)
    (yard.folder / "docker").write_text(DOCKER)
    (yard.folder / "docker").chmod(0o755)
    shell = forks.build(f"smarteros/n8n:{revision}", "docker/Dockerfile", str(yard.folder / "repos"))
    done = subprocess.run(
        ["sh", "-c", f"set -eu\n{shell} || echo again"],
        env={
            **yard.environment,
            "PATH": f"{yard.folder}:{os.environ['PATH']}",
            "CODE": str(code),
            "TMPDIR": str(temporary),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert list(temporary.iterdir()) == []
    return done.returncode, done.stdout + done.stderr


def test_what_is_built_is_the_commit_without_uncommitted_work(cloned: Yard) -> None:
    old = cloned.git(cloned.here, "rev-parse", "HEAD")
    cloned.commit(cloned.here, app="two\n")
    (cloned.here / "app").write_text("not yet\n")
    for revision in (old, old[:7]):
        assert build(cloned, revision) == (0, "")
        kept = [(cloned.folder / name).read_text() for name in ("app", "head")]
        assert kept == ["one\n", f"{old}\n"]
    *options, tree = (cloned.folder / "asked").read_text().split()
    assert (
        options
        == f"build --quiet --network host --tag smarteros/n8n:{old[:7]} --file {tree}/docker/Dockerfile".split()
    )
    assert Path(tree).parent == cloned.folder / "temporary"


def test_a_tag_is_built_a_branch_is_not(cloned: Yard) -> None:
    cloned.git(cloned.here, "tag", "-a", "-m", "x", "v1")
    cloned.commit(cloned.here, app="two\n")
    assert (build(cloned, "v1"), (cloned.folder / "app").read_text()) == ((0, ""), "one\n")
    for branch in ("b2", "deadbeef"):
        cloned.git(cloned.here, "branch", branch)
        line = f"n8n: {cloned.here} has no commit or tag {branch}: run bash /root/sync-forks.sh n8n\n"
        assert build(cloned, branch) == (1, line)


def test_without_the_repository_the_script_ends_and_says_what_to_run(yard: Yard) -> None:
    code, said = build(yard, "0123abc")
    line = f"n8n: {yard.here} has no commit or tag 0123abc: run bash /root/sync-forks.sh n8n\n"
    assert (code, said) == (
        1,
        f"fatal: cannot change to '{yard.here}': No such file or directory\n" * 2 + line,
    )


def test_a_build_that_fails_may_be_tried_again(cloned: Yard) -> None:
    assert build(cloned, cloned.git(cloned.here, "rev-parse", "HEAD"), code=1) == (0, "again\n")


# Git


def test_git_is_installed_where_forks_need_it_and_it_is_missing() -> None:
    install = apt.install("git")
    for lines, found, expected in (
        (INSTALLED, FORKS, [install]),
        ([*INSTALLED, "git yes"], FORKS, []),
        (INSTALLED, {}, []),
    ):
        with fake({"/etc/os-release": lines}, forks=found):
            assert [str(command) for command in commands(docker.engine)] == expected
    assert Machine().git is False


# Settings


def changed(**changes: Any) -> dict[str, Any]:
    return {"forks": {"chatwoot": {**FORKS["chatwoot"], **changes}}}


REPOSITORY = "is no address of a git repository (like https://host/owner/name.git)"
REVISION = (
    "is no commit (7 to 40 hexadecimal digits) and no tag with a digit (like v4.15.1-acme): "
    "name no branch, so that a run is repeatable"
)
LOGIN = "holds a login: use an address without one, or ssh (git@host:owner/name.git)"
MISTAKES: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"forks": {"chatwot": FORKS["chatwoot"]}},
        ["forks.chatwot: unknown service (did you mean 'chatwoot'?)"],
    ),
    (changed(brnch="x"), ["forks.chatwoot.brnch: unknown setting (did you mean 'branch'?)"]),
    ({"forks": {"n8n": {"fork": "/a"}}}, ["forks.n8n.upstream: is required"]),
    ({"forks": []}, ["forks: has to be a table like {…: …}, and is a list"]),
    *(
        (changed(fork=address), [f"forks.chatwoot.fork: {address!r} {REPOSITORY}"])
        for address in (
            "",
            "repos/chatwoot",
            "-uhttps://x.cl/a",
            "https://x.cl/a b",
            "https://x.cl/a'b",
            "https://x.cl/a\n",
            "https://x.cl/$(id)",
            "ssh://-oProxyCommand=id/x",
            "-o@x.cl:a",
            "ext::sh -c id",
            "git://x.cl/a",
            "file://x.cl/a",
        )
    ),
    (changed(upstream="https://me:hunter2@x.cl/a"), [f"forks.chatwoot.upstream: {LOGIN}"]),
    (changed(branch="-f"), ["forks.chatwoot.branch: '-f' is no name of a branch (like main)"]),
    (changed(branch="a..b"), ["forks.chatwoot.branch: 'a..b' is no name of a branch (like main)"]),
    *(
        (
            changed(dockerfile=path),
            [f"forks.chatwoot.dockerfile: {path!r} is no path in the repository (like docker/Dockerfile)"],
        )
        for path in ("", "/etc/passwd", "../x", "a/../../x", "a'b")
    ),
    *(
        (
            {"forks": FORKS, "overrides": {"chatwoot": {"build": name}}},
            [f"overrides.chatwoot.build: {name!r} {REVISION}"],
        )
        for name in ("main", "develop", "feature/1", "-v1", "", "v 1", "v1'")
    ),
    (
        {"overrides": {"n8n": {"build": "0123abc"}}},
        ["overrides.n8n.build: needs 'n8n' in forks, which says where its source is"],
    ),
    (
        {"forks": FORKS, "overrides": {"chatwoot": {"build": "0123abc", "image": "a/b:1"}}},
        ["overrides.chatwoot.build: contradicts overrides.chatwoot.image: choose one"],
    ),
    # What is wrong in forks is not said to be missing as well.
    (
        {**changed(branch="-f"), "overrides": {"chatwoot": {"build": "0123abc"}}},
        ["forks.chatwoot.branch: '-f' is no name of a branch (like main)"],
    ),
]


@pytest.mark.parametrize(("changes", "lines"), MISTAKES, ids=[item[1][0] for item in MISTAKES])
def test_each_mistake_is_one_line(changes: dict[str, Any], lines: list[str]) -> None:
    assert refusals(**changes) == lines


@pytest.mark.parametrize(
    "address",
    [
        "https://github.com/SmarterCL/chatwoot.git",
        "http://git.example.org:3000/~me/n8n",
        "ssh://git@git.example.org:2222/a/b.git",
        "git@github.com:SmarterCL/odoo.git",
        "/srv/git/n8n.git",
        "file:///srv/git/n8n.git",
    ],
)
def test_every_usual_address_is_fine(address: str) -> None:
    assert (
        refusals(**changed(fork=address, upstream=address, branch="feature/x-1", dockerfile="a/b.Dockerfile"))
        == []
    )


@pytest.mark.parametrize("revision", ["0123abc", "abcdefa", "0" * 40, "v4.15.1-acme", "20250909", "1.0_b"])
def test_commits_and_tags_are_fine(revision: str) -> None:
    assert refusals(forks=FORKS, overrides={"chatwoot": {"build": revision}}) == []
