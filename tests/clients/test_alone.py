"""Alone: the lock of a check, with processes of this machine in the place of a host's."""

from collections.abc import Iterator
from pathlib import Path

import gevent
import pytest
from pyinfra.api.host import Host
from pyinfra.context import ctx_host

from tasks.clients import alone as module
from tasks.clients.alone import alone
from tasks.run import Refused, host
from tests.fake import fake


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """On a host whose /run is a folder of the test's; what it is told to say."""
    told: list[str] = []
    hold = module._HOLD.replace("/run/smarteros", str(tmp_path / "run")).replace("-w 300", "-w 1")
    monkeypatch.setattr(module, "_HOLD", hold)
    with fake({}) as host:
        monkeypatch.setattr(host, "log", lambda text, **_: told.append(text))
        yield told


def test_a_second_check_waits_until_the_first_has_ended(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HOLD", module._HOLD.replace("-w 1", "-w 60"))
    target = host()
    with alone():
        assert said == []
        begun = gevent.spawn(second, target)
        with gevent.Timeout(60):
            while not said:
                gevent.sleep(0.05)
        assert not begun.ready()
    begun.get(timeout=60)
    assert said == ["waits for another check of this host to end"]


def second(target: Host | None = None) -> None:
    with ctx_host.use(target or host()), alone():
        pass


def test_one_that_does_not_end_is_named(said: list[str], tmp_path: Path) -> None:
    with alone():
        pid = (tmp_path / "run" / "check").read_text().strip()
        with pytest.raises(Refused) as refused:
            second()
    assert str(refused.value) == (
        f"another check of @fake/one does not end; if it is gone for good, `kill {pid}` there"
    )
    second()


def test_what_a_host_says_instead_is_said(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_HOLD", "echo mkdir: Permission denied >&2; exit 1")
    with pytest.raises(Refused, match=r"^@fake/one lets no check begin: mkdir: Permission denied$"):
        second()
    assert said == []
