"""A swarm's services are brought to their description through the Engine API, and what nobody needs goes. With real Docker:
tests/e2e/test_swarm_spec.py, test_cluster.py.
"""

import base64
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.host import Host

from tasks.connection import drafts
from tasks.facts.node import Node
from tasks.model.catalogue import Service
from tasks.operations import nodes, swarm_services
from tasks.operations.swarm_rolling import Wanted
from tasks.rendering import render, swarm_spec
from tasks.rendering.swarm_spec import Brought, Start
from tasks.run import host
from tests import swarm_engine
from tests.fake import fake, several
from tests.samples import container, stack

SERVICE = Service(
    "helpdesk",
    "Helpdesk",
    (
        container(
            "helpdesk-web", env_file=True, files={"redis": "/etc/x"}, twice="it keeps nothing", replicas=2
        ),
    ),
    nodes=2,
)
BROKEN = "example/broken:1"


class Swarm:
    """The one that the host's Docker answers for."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @property
    def state(self) -> Any:
        """As the program keeps it."""
        return json.loads(self.file.read_text())

    def change(self, change: Callable[[Any], object]) -> None:
        """Somebody else's doing."""
        state = self.state
        change(state)
        self.file.write_text(json.dumps(state))

    def asked(self) -> list[str]:
        """What was changed since it was last asked."""
        found: list[str] = self.state["asked"]
        self.change(lambda state: state.update(asked=[]))
        return found

    def named(self, kind: str) -> list[str]:
        """The names of its secrets or configs."""
        return sorted(item["Spec"]["Name"] for item in self.state[kind].values())

    @property
    def service(self) -> Any:
        """The one that there is."""
        (found,) = self.state["services"].values()
        return found


@pytest.fixture
def swarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Swarm]:
    """An empty one of two nodes."""
    shutil.copy(swarm_engine.__file__, tmp_path / "engine.py")
    (tmp_path / "swarm.json").write_text(json.dumps(swarm_engine.EMPTY))
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {tmp_path}/engine.py "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with fake({}):
        yield Swarm(tmp_path / "swarm.json")


def wanted(secret: str = "one", image: str = "", text: str = "a", seconds: int = 5) -> list[Wanted]:
    item = SERVICE.main
    files = {"redis/x.conf": text}
    compose = render.compose(stack(), SERVICE, files)
    brought = Brought(files, Start((), ("serve",)), render.digest(secret), image)
    spec = swarm_spec.spec(SERVICE, item, compose, brought)
    texts = {
        "secrets": {swarm_spec.secret_name(SERVICE, render.digest(secret)): secret},
        "configs": {name: text for name, (_, text) in swarm_spec.configs(SERVICE, item, files).items()},
    }
    return [Wanted("helpdesk", spec, texts, seconds)]


def steps(
    found: list[Wanted] | None = None, asked: Callable[[], Host | None] = host, *, known: bool = True
) -> Iterator[bool]:
    """Whether each step has succeeded, one after the other, as a run does them."""
    target: Host = host()
    operation: Any = swarm_services.converged
    for item in operation._inner(SERVICE, lambda: (found or wanted()) if known else None, asked):
        yield item.function(target.state, target)


def test_it_is_made_with_what_it_needs_and_the_same_again_changes_nothing(swarm: Swarm) -> None:
    assert [*steps()] == [True]
    assert swarm.asked() == ["POST /secrets/create", "POST /configs/create", "POST /services/create"]
    spec = swarm.service["Spec"]
    inside = spec["TaskTemplate"]["ContainerSpec"]
    assert inside["Secrets"][0]["SecretID"] in swarm.state["secrets"]
    (kept,) = swarm.state["secrets"].values()
    assert base64.b64decode(kept["_data"]) == b"one"
    assert spec["TaskTemplate"]["Networks"] == [{"Target": "net-1"}]
    assert [*steps()] == []
    assert swarm.asked() == []


def test_another_secret_rolls_it_and_the_one_of_before_stays_until_the_next(swarm: Swarm) -> None:
    names = [swarm_spec.secret_name(SERVICE, render.digest(each)) for each in ("one", "two", "three")]
    assert [*steps(wanted("one"))] == [True]
    assert [*steps(wanted("two"))] == [True]
    assert swarm.named("secrets") == sorted(names[:2])
    assert [*steps(wanted("three"))] == [True, True]
    assert swarm.named("secrets") == sorted(names[1:])
    assert [*steps(wanted("three"))] == []


@pytest.mark.parametrize(
    "change",
    [
        lambda spec: spec["Mode"]["Replicated"].update(Replicas=0),
        lambda spec: spec["TaskTemplate"]["ContainerSpec"].update(Image="evil:1"),
        lambda spec: spec["TaskTemplate"]["ContainerSpec"].update(Env=["LD_PRELOAD=/tmp/x"]),
        lambda spec: spec["TaskTemplate"]["Placement"].update(Constraints=[]),
    ],
    ids=["scaled", "another image", "a variable", "anywhere"],
)
def test_what_somebody_has_changed_is_put_back(swarm: Swarm, change: Any, caplog: Any) -> None:
    caplog.set_level("INFO")
    assert [*steps()] == [True]
    before = swarm.service["Spec"]

    def by_hand(state: Any) -> None:
        (found,) = state["services"].values()
        change(found["Spec"])
        found["Version"]["Index"] += 1
        for task in state["tasks"]:
            task["Spec"] = found["Spec"]["TaskTemplate"]
            if not found["Spec"]["Mode"]["Replicated"]["Replicas"]:
                task |= {"DesiredState": "shutdown", "Status": {**task["Status"], "State": "shutdown"}}

    swarm.change(by_hand)
    assert [*steps()] == [True]
    assert "helpdesk-web: was changed by hand (" in caplog.text
    assert swarm.service["Spec"] == before
    assert [*steps()] == []


def test_one_that_is_gone_is_made_again(swarm: Swarm) -> None:
    assert [*steps()] == [True]
    swarm.change(lambda state: state.update(services={}, tasks=[]))
    swarm.asked()
    assert [*steps()] == [True]
    assert swarm.asked() == ["POST /services/create"], "its secret and its configuration are there"


def test_what_goes_back_is_a_failure_that_says_why(swarm: Swarm, caplog: Any) -> None:
    assert [*steps()] == [True]
    swarm.change(lambda state: state.update(broken=[BROKEN]))
    assert [*steps(wanted(image=BROKEN))] == [False]
    said = "helpdesk-web: it does not start as described, it runs as before again: its task helpdesk-web.1 on node-2 says 'task: non-zero exit (3)'"
    assert said in caplog.text
    assert "it is broken" in caplog.text
    assert [*steps()] == [], "it is as it was"


def test_how_an_earlier_update_has_ended_says_nothing_of_what_is_waited_for(
    swarm: Swarm, caplog: Any
) -> None:
    assert [*steps()] == [True]

    def away(state: Any) -> None:
        (found,) = state["services"].values()
        found["UpdateStatus"] = {"State": "rollback_completed"}
        state["tasks"][1]["Status"]["State"] = "starting"

    swarm.change(away)
    assert [*steps(wanted(seconds=1))] == [False]
    assert "helpdesk-web: it does not run after 1 s; its last 50 log lines:" in caplog.text
    swarm.change(lambda state: state["nodes"][1]["Status"].update(State="down"))
    assert [*steps()] == [], "nobody waits for a node that is away"


def test_what_never_starts_is_a_failure_at_once(swarm: Swarm, caplog: Any) -> None:
    swarm.change(lambda state: state.update(broken=[BROKEN]))
    assert [*steps(wanted(image=BROKEN))] == [False]
    assert "helpdesk-web: it does not start: its task helpdesk-web.2 on node-3 says" in caplog.text
    assert [*steps()] == [True]


def test_a_plan_says_what_it_would_do_and_does_nothing(swarm: Swarm) -> None:
    with drafts.drafting() as planned:
        swarm_services.converged(SERVICE, wanted, host, name="Services | Helpdesk")
        swarm_services.converged(SERVICE, lambda: None, host, name="Services | unknown")
        swarm_services.converged(SERVICE, wanted, lambda: None, name="Services | no swarm")
    first, second, third = planned
    (made,) = (effect for effect in first.effects if not isinstance(effect, str))
    assert (made.container, made.how, made.why) == ("helpdesk-web", "made", "does not exist")  # type: ignore[union-attr]
    (unknown,), (bare,) = second.effects, third.effects
    assert unknown.why == "is made, or made anew, where it is not as described"  # type: ignore[union-attr]
    assert bare.why == "does not exist"  # type: ignore[union-attr]
    assert swarm.asked() == []


def test_who_manages_answers_and_nobody_before_there_is_a_swarm(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = {"managers": [1], "proxies": [0], "data": [0], "apps": [1]}

    def asked(manages: bool) -> str | None:
        there = {"@fake/0": Node("active"), "@fake/1": Node("active", manages=manages)}
        monkeypatch.setattr(nodes, "nodes", lambda _: there)
        with several({}, {}, groups=groups):
            found = swarm_services.manager()
        return str(found.name) if found else None

    assert (asked(manages=True), asked(manages=False)) == ("@fake/1", None)


def test_a_run_is_not_silent_where_there_is_no_swarm_or_no_image(swarm: Swarm, caplog: Any) -> None:
    assert (swarm_services.manager(), swarm_services.left(set())) == (None, {})
    assert [*steps(asked=lambda: None)] == [False]
    assert "helpdesk: a node that manages the swarm is gone: the same command" in caplog.text
    assert [*steps([], known=False)] == [False]
    assert "helpdesk: its image is gone: the same command" in caplog.text
    assert swarm.asked() == []


def test_what_is_left_of_others_goes_with_its_secrets(swarm: Swarm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swarm_services, "manager", host)
    assert [*steps()] == [True]

    def theirs(state: Any) -> None:
        spec = {"Name": "theirs", "Labels": None, "Mode": {"Replicated": {"Replicas": 1}}}
        state["services"]["x"] = {
            "ID": "x",
            "Version": {"Index": 1},
            "Spec": {**spec, "TaskTemplate": {"ContainerSpec": {}}},
        }

    swarm.change(theirs)
    swarm.asked()
    assert swarm_services.left({"helpdesk-web"}) == {}
    found = swarm_services.left(set())
    assert found == {"helpdesk": ["helpdesk-web"]}
    target: Host = host()
    for item in swarm_services.removed(found):
        assert item.function(target.state, target)  # type: ignore[union-attr]
    assert [word.partition("/")[2].partition("/")[0] for word in swarm.asked()] == [
        "services",
        "secrets",
        "configs",
    ]
    assert [*swarm.state["services"]] == ["x"]
