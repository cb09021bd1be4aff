"""Hooks: real runs of pyinfra on this machine, with an inventory beside which executables lie."""

import json
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tasks import hooks
from tests.samples import ROOT

DEPLOY = """
from tasks import hooks
from tasks.facts import Machine
from tasks.model.effects import Start, Step
from tasks.operations.plan_lines import Plan
from tasks.run import Refused, host, operation, remember, services, stack

@operation
def shell(command):
    yield command

if host().state.should_check_for_changes():
    start = Start("redis", "redis", "made anew", "its description has changed")
    remember("plan", lambda: Plan((Step("Data | Redis", (start,)),), services(), stack(), Machine()))
hooks._SECONDS = 0.5
hooks.run()
shell("{command}", name="Phase | work")
"""


@dataclass
class Place:
    """A folder with an inventory of one host, or two, and what its hooks leave there."""

    root: Path

    def hook(self, name: str, text: str, mode: int = 0o755) -> None:
        """An executable of the operator's."""
        path = self.root / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(mode)

    def argv(self, *flags: str, command: str = "true", hosts: int = 1) -> list[str]:
        """Of one run."""
        names = ["@local", "@fake/two"][:hosts]
        data = {"acme_email": "a@b.cl", "fake_responses": {"echo": [""]}, "fake_delay": 0}
        (self.root / "acme.py").write_text(f"hosts = [(name, {data!r}) for name in {names!r}]\n")
        (self.root / "deploy.py").write_text(DEPLOY.format(command=command))
        program = str(Path(sys.executable).with_name("pyinfra"))
        return [program, *flags, str(self.root / "acme.py"), str(self.root / "deploy.py")]

    def run(self, *flags: str, command: str = "true", hosts: int = 1) -> tuple[int, str]:
        """Its exit code and output."""
        done = subprocess.run(
            self.argv(*flags, command=command, hosts=hosts),
            cwd=ROOT,
            input="\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)

    def got(self, name: str) -> list[dict[str, object]]:
        """What the hook of that name was told, each time."""
        path = self.root / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def keeping(place: Place, name: str) -> str:
    return f"cat >>{place.root}/{name}; echo >>{place.root}/{name}"


def test_both_are_told_what_the_run_is_about_and_the_second_how_it_went(place: Place) -> None:
    place.hook("before-deploy", f"{keeping(place, 'before')}; echo a word of the hook")
    place.hook("after-deploy", keeping(place, "after"))
    code, output = place.run("-y", command=f"echo done >>{place.root}/work")
    assert (code, "a word of the hook" in output) == (0, True), output
    (before,), (after,) = place.got("before"), place.got("after")
    assert (before["version"], before["event"], before["command"], before["inventory"]) == (
        1,
        "before-deploy",
        "deploy",
        str(place.root / "acme.py"),
    )
    found = before["hosts"]["@local"]  # type: ignore[index]
    assert (found["zone"], found["changes"], found["plan"]) == ("smarterbot.cl", None, None)
    assert re.fullmatch("[0-9a-f]{12}", found["generation"])
    assert "n8n" in found["services"]
    assert "n8n.smarterbot.cl" in found["domains"]
    assert (after["event"], after["result"]) == ("after-deploy", "ok")
    assert after["hosts"]["@local"]["result"] == "ok"  # type: ignore[index]


def test_a_run_that_was_planned_says_what_changes(place: Place) -> None:
    place.hook("before-deploy", keeping(place, "before"))
    code, output = place.run(command=f"echo done >>{place.root}/work")
    assert code == 0, output
    (before,) = place.got("before")
    found = before["hosts"]["@local"]  # type: ignore[index]
    assert found["changes"] == ["Phase | work"]
    assert found["plan"]["containers"] == [
        {
            "service": "redis",
            "container": "redis",
            "action": "made anew",
            "why": "its description has changed",
        }
    ]


def test_one_that_fails_stops_the_run_before_anything_is_changed(place: Place) -> None:
    place.hook("before-deploy", "echo not on a Friday >&2; exit 3")
    place.hook("after-deploy", keeping(place, "after"))
    code, output = place.run("-y", command=f"echo done >>{place.root}/work")
    assert code == 1
    assert "not on a Friday" in output
    assert f"{place.root}/hooks/before-deploy has failed (exit code 3): nothing was changed" in output
    assert not (place.root / "work").exists()
    assert place.got("after")[0]["result"] == "failed"


def test_it_is_called_once_for_all_hosts_and_stops_all(place: Place) -> None:
    place.hook("before-deploy", f"{keeping(place, 'before')}; exit 1")
    code, output = place.run("-y", command=f"echo done >>{place.root}/work", hosts=2)
    assert (code, (place.root / "work").exists()) == (1, False), output
    (before,) = place.got("before")
    assert sorted(before["hosts"]) == ["@fake/two", "@local"]  # type: ignore[call-overload]


def test_a_plan_calls_none(place: Place) -> None:
    place.hook("before-deploy", keeping(place, "before"))
    place.hook("after-deploy", keeping(place, "after"))
    code, output = place.run("--dry")
    assert (code, place.got("before"), place.got("after")) == (0, [], []), output


def test_one_that_cannot_be_executed_is_said_with_what_to_do(place: Place) -> None:
    place.hook("before-deploy", "true", mode=0o644)
    code, output = place.run("-y")
    path = f"{place.root}/hooks/before-deploy"
    assert code == 1
    assert f"{path} cannot be executed: `chmod +x {path}`, or take it away" in output


def test_whichever_could_not_be_called_is_refused_before_anything_is_changed(place: Place) -> None:
    place.hook("before-deploy", keeping(place, "before"))
    place.hook("after-deploy", "true", mode=0o644)
    path = f"{place.root}/hooks/after-deploy"
    said = f"{path} cannot be executed: `chmod +x {path}`, or take it away"
    for flags in (("-y",), ()):
        code, output = place.run(*flags, command=f"echo done >>{place.root}/work")
        assert (code, said in output) == (1, True), output
        assert (place.got("before"), (place.root / "work").exists()) == ([], False)
    place.hook("before-deploy", "true", mode=0o644)
    assert said in (output := place.run("-y")[1])
    assert said.replace("after", "before") in output


def test_a_plan_says_so_as_well(place: Place) -> None:
    place.hook("after-deploy", "true", mode=0o644)
    code, output = place.run("--dry")
    path = f"{place.root}/hooks/after-deploy"
    assert (code, f"`chmod +x {path}`" in output) == (1, True), output


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("#!/bin/sh\ntrue\n", ""),
        ("#! /usr/bin/env sh\ntrue\n", ""),
        ("\x7fELF\0\0\n", ""),
        ("true\n", "its first line does not say what reads it, as #!/bin/sh does"),
        ("#!/bin/sh\r\ntrue\r\n", "its first line names '/bin/sh\\r', which is not there"),
        ("#!/gone/python3 -u\n", "its first line names '/gone/python3', which is not there"),
    ],
)
def test_what_the_system_would_not_start_is_known_before(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "after-deploy"
    path.write_text(text, newline="")
    path.chmod(0o755)
    assert hooks.unfit(path) == (f"{path} cannot be executed: {why}: mend it, or take it away" if why else "")


def test_a_folder_is_no_hook(tmp_path: Path) -> None:
    assert hooks.unfit(tmp_path) == f"{tmp_path} is no file: take it away"
    assert hooks.unfit(tmp_path / "none") == ""


def test_a_link_that_leads_nowhere_is_no_absent_hook(place: Place) -> None:
    """As a moved checkout leaves it."""
    hook = place.root / "hooks/before-deploy"
    hook.parent.mkdir(exist_ok=True)
    hook.symlink_to("/gone/before-deploy")
    code, output = place.run("-y")
    assert code == 1
    assert f"{hook} leads to /gone/before-deploy, which is not there: mend it, or take it away" in output


def test_a_deploy_that_failed_is_told_and_a_failing_hook_after_it_fails_nothing(place: Place) -> None:
    place.hook("after-deploy", f"{keeping(place, 'after')}; exit 4")
    code, output = place.run("-y", command="false")
    assert (code, place.got("after")[0]["result"]) == (1, "failed"), output
    code, output = place.run("-y", command="true")
    assert code == 0
    assert (
        f"{place.root}/hooks/after-deploy has failed (exit code 4); the deploy has ended before it, and is as it is"
        in output
    )


def test_where_there_is_none_nothing_is_said(place: Place) -> None:
    code, output = place.run("-y")
    assert (
        code,
        "hooks/" in output.replace("Hooks | what is to be done before a deploy, by hooks/before-deploy", ""),
    ) == (0, False)


def test_one_that_takes_long_is_named_and_ctrl_c_ends_it_with_the_run(place: Place) -> None:
    place.hook(
        "before-deploy",
        f"trap 'kill $!; echo ended >{place.root}/trapped; exit 1' TERM\ntouch {place.root}/begun\nsleep 100 & wait",
    )
    place.hook("after-deploy", keeping(place, "after"))
    with subprocess.Popen(
        place.argv("-y"),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        assert run.stdout
        said = []
        for line in run.stdout:
            said.append(line)
            if "is at work, since " in line:
                break
        run.send_signal(signal.SIGINT)
        said.append(run.stdout.read())
    output = "".join(said)
    found = rf"{place.root}/hooks/before-deploy is at work, since \d\d:\d\d:\d\d \(\d+ s\); Ctrl-C ends it, and this run\n"
    assert re.search(found, output), output
    assert run.returncode == 130, output
    assert "Phase | work" not in output
    assert (place.root / "trapped").read_text() == "ended\n"
    (told,) = place.got("after")
    assert told["result"] == "failed"
