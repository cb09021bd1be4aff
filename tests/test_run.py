"""Run: facts are read side by side, and still no more of them at once than sshd lets in on one connection."""

from typing import Any

import gevent
import pytest
from pyinfra.api.host import Host

from tasks import run
from tasks.connection.answer import Late
from tasks.facts import MachineFact, TreeFact, question
from tasks.facts.login_keys import LoginKeysFact
from tasks.run import Refused, known, read_ahead, read_as_one
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


def test_what_is_quickly_found_comes_by_one_command() -> None:
    asked: list[str] = []
    answer = [
        f"s|{'0' * 64}  ./a",
        "m|644|root:root||a",
        "smarteros-next",
        "l|/b|/root/b",
        "",
        "smarteros-next",
    ]
    with fake({"/one": answer}) as host:
        shell = host.connector.run_shell_command

        def noted(command: Any, *args: Any, **kwargs: Any) -> Any:
            asked.append(str(command))
            return shell(command, *args, **kwargs)

        vars(host.connector)["run_shell_command"] = noted
        read_as_one((TreeFact, "/one"), (TreeFact, "/two"), (TreeFact, "/three"))
        found = [known(TreeFact, path) for path in ("/one", "/two", "/three")]
    assert len(asked) == 1
    assert [list(tree) for tree in found] == [["a"], ["/root/b"], []]


def test_one_that_ends_too_early_is_no_answer_of_any() -> None:
    with fake({"/one": ["m|644|root:root||a"]}):
        read_as_one((TreeFact, "/one"), (TreeFact, "/two"))
        for path in ("/one", "/two"):
            with pytest.raises(Refused, match="ended in the middle"):
                known(TreeFact, path)


@pytest.mark.parametrize(
    ("came", "about"),
    [([], "tree"), (["m|644|root:root||a", "smarteros-next"], "login keys"), (None, "tree, login keys")],
)
def test_one_that_has_no_answer_in_time_is_named(
    monkeypatch: pytest.MonkeyPatch, came: list[str] | None, about: str
) -> None:
    limits: list[int] = []

    def late(*_: Any, seconds: int, **__: Any) -> list[str]:
        limits.append(seconds)
        raise Late(seconds, came)

    monkeypatch.setattr(question, "asked", late)
    monkeypatch.setattr(LoginKeysFact, "patience", 300, raising=False)
    with fake({}):
        read_as_one((TreeFact, "/one"), (LoginKeysFact, ("ana",)))
        with pytest.raises(Refused, match=f"^no answer within 300 s to what is asked about {about}: "):
            known(TreeFact, "/one")
        with pytest.raises(Refused, match=r"^no answer within 120 s "):
            known(TreeFact, "/two")
    assert limits == [300, 120]
