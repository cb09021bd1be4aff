"""What one proxy is told reaches a cluster's others, and goes with who has told it: the real shells, each in a folder of its own."""

import shlex
import socket
import time
from collections.abc import Callable
from pathlib import Path

import gevent
import pytest
from pyinfra.api.host import Host

from tasks.connection import line, tunnel
from tasks.model.catalogue import Route, Service
from tasks.operations import mirrored
from tasks.operations.rollout_shell import RUSH
from tests.fake import several
from tests.samples import container

SITE = Service("site", "Site", (container("web"),), routes=(Route("www", "web", 80),))
OTHERS = ("@fake/1", "@fake/2")
GROUPS = {"proxies": [0, 1, 2], "data": [0], "apps": [2]}


@pytest.fixture
def proxies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Node → the folder that its proxy's memory stands for."""
    folders = {f"@fake/{number}": tmp_path / str(number) for number in range(3)}
    for folder in folders.values():
        folder.mkdir()

    def spoken(host: Host, command: str) -> socket.socket:
        *words, script = shlex.split(command)
        assert words == ["docker", "exec", "--interactive", "caddy-proxy", "sh", "-c"]
        here = script.replace("/tmp", str(folders[host.name])).replace(f"sleep {RUSH}", "sleep 0.3")
        found: socket.socket = line.local(shlex.join(["sh", "-c", here]))
        return found

    monkeypatch.setattr(tunnel, "spoken", spoken)
    monkeypatch.setattr(mirrored, "executing", lambda: True)
    return folders


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not true():
        assert time.monotonic() < end
        gevent.sleep(0.02)


def marked(folder: Path) -> set[str]:
    return {item.name for item in folder.iterdir()} - {"led-on-mirrored"}


def test_the_others_do_as_it_does_and_what_is_left_goes_with_who_has_told_them(
    proxies: dict[str, Path],
) -> None:
    first, *others = proxies.values()
    (first / "notes of mine").touch()
    with several({}, {}, {}, groups=GROUPS), mirrored.marks("caddy-proxy", OTHERS):
        (first / "second-web").touch()
        until(lambda: all(marked(other) == {"second-web"} for other in others))
        (first / "replaced-web").touch()
        until(lambda: all(marked(other) == {"second-web", "replaced-web"} for other in others))
        (first / "second-web").unlink()
        until(lambda: all(marked(other) == {"replaced-web"} for other in others))
    until(lambda: not any(marked(other) for other in others))


def test_a_mark_of_the_next_replacement_stays(proxies: dict[str, Path]) -> None:
    first, other, _ = proxies.values()
    with several({}, {}, {}, groups=GROUPS):
        with mirrored.marks("caddy-proxy", OTHERS[:1]):
            (first / "replaced-web").touch()
            until(lambda: marked(other) == {"replaced-web"})
        until((other / "led-on-mirrored").exists)
        gevent.sleep(0.05)  # files of one moment are none newer than the other
        (other / "replaced-web").touch()
        gevent.sleep(0.6)
    assert marked(other) == {"replaced-web"}


def test_nothing_but_marks_is_said_to_another_one(proxies: dict[str, Path]) -> None:
    first, other, _ = proxies.values()
    (first / "second-$(touch pwned)").touch()
    (first / "second-web").touch()
    with several({}, {}, {}, groups=GROUPS), mirrored.marks("caddy-proxy", OTHERS[:1]):
        until(lambda: marked(other) == {"second-web"})


def test_one_that_does_not_answer_keeps_nobody(
    proxies: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, away, other = proxies.values()
    said: list[str] = []
    monkeypatch.setattr(Host, "log", lambda _, text: said.append(text))
    away.rmdir()  # its shell ends where there is no such folder
    with several({}, {}, {}, groups=GROUPS), mirrored.marks("caddy-proxy", OTHERS):
        (first / "replaced-web").touch()
        until(lambda: marked(other) == {"replaced-web"})
    assert [text[:42] for text in said] == ["the proxy of @fake/1 is not asked any more"]


def test_who_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with several({}, {}, {}, groups=GROUPS):
        assert mirrored.others(SITE) == OTHERS
        assert mirrored.others(Service("db", "DB", (container("db"),))) == ()
    with several({}):
        assert mirrored.others(SITE) == ()
