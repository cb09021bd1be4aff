"""Run: facts are read side by side, and still no more of them at once than sshd lets in on one connection."""

from typing import Any

import gevent
import pytest
from pyinfra.api.host import Host

from tasks import run
from tasks.facts import MachineFact, TreeFact
from tasks.run import Refused, known, read_ahead
from tests.fake import fake


def test_six_facts_at_most_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    under_way: list[str] = []
    seen: list[int] = []

    def ask(target: Host, fact: Any, path: str) -> dict[str, str]:
        under_way.append(path)
        seen.append(len(under_way))
        gevent.sleep(0.01)
        under_way.remove(path)
        return {}

    monkeypatch.setattr(run, "ask", ask)
    paths = [f"/{number}" for number in range(20)]
    with fake({}):
        read_ahead(*((TreeFact, path) for path in paths))
        assert [known(TreeFact, path) for path in paths] == [{}] * 20
    assert (len(seen), max(seen)) == (20, 6)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"success": False}, "runs no command of ours for this login"),
        (
            {"stdout": "smarteros-failed Docker does not answer", "stderr": "refused"},
            "Docker does not answer: refused",
        ),
        ({"stdout": "half of"}, "cannot read what the host says of itself: 'system'"),
    ],
)
def test_a_question_without_an_answer_is_refused_where_it_is_waited_for(answer: Any, said: str) -> None:
    with fake({"/etc/os-release": answer}), pytest.raises(Refused, match=said):
        known(MachineFact)
