"""Run: facts are read side by side, and still no more of them at once than sshd lets in on one connection."""

from typing import Any

import gevent
import pytest
from pyinfra.api.host import Host

from tasks.facts import TreeFact
from tasks.run import known, read_ahead
from tests.fake import fake


def test_six_facts_at_most_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    under_way: list[str] = []
    seen: list[int] = []

    def get_fact(self: Host, fact: Any, path: str) -> dict[str, str]:
        under_way.append(path)
        seen.append(len(under_way))
        gevent.sleep(0.01)
        under_way.remove(path)
        return {}

    monkeypatch.setattr(Host, "get_fact", get_fact)
    paths = [f"/{number}" for number in range(20)]
    with fake({}):
        read_ahead(*((TreeFact, path) for path in paths))
        assert [known(TreeFact, path) for path in paths] == [{}] * 20
    assert (len(seen), max(seen)) == (20, 6)
