"""Give secrets: what is asked, what is written of the answer, and what is said then."""

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from tasks import lock
from tasks.commands import give_secrets, rotate
from tasks.run import host, remember
from tests.fake import commands, fake

Written = list[tuple[str, dict[str, str]]]


class Terminal:
    """Standard input that a person types into."""

    @staticmethod
    def isatty() -> bool:
        """It is one."""
        return True


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Iterator[Written]:
    """What comes into a Vault that holds a little."""
    found: Written = []
    held = {
        "metabase": {"ADMIN_PASSWORD": "old"},
        "dokploy-import": {"API_KEY": "k", "API_KEY_ID": "i", "N": "n"},
    }
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("tasks.clients.vault_session.write", lambda path, full, _: found.append((path, full)))
    give_secrets._asked.cache_clear()
    with fake({}):
        for path, values in held.items():
            remember(("secrets", path), partial(tuple, (values, 1)))
        yield found


def give(monkeypatch: pytest.MonkeyPatch, name: str, *answers: str | None) -> list[str]:
    """The command with these answers, None for Ctrl-D; the questions."""
    asked: list[str] = []

    def typed(question: str) -> str:
        answer = answers[len(asked)]
        asked.append(question)
        if answer is None:
            raise EOFError
        return answer

    monkeypatch.setattr(give_secrets, "getpass", typed)
    monkeypatch.setenv("SMARTEROS_SECRET", name)
    for step in commands(give_secrets.written):
        step.function(host().state, host())
    return asked


@pytest.mark.parametrize("answer", ["", None])
def test_enter_and_the_end_of_input_change_nothing(
    written: Written, monkeypatch: pytest.MonkeyPatch, answer: str | None
) -> None:
    questions = [
        "secret/metabase#ADMIN_PASSWORD (at least 6 characters and a digit; Enter keeps what is there): "
    ]
    assert give(monkeypatch, "metabase#ADMIN_PASSWORD", answer) == questions
    assert written == []


def test_what_is_missing_and_not_given_is_still_missing(
    written: Written, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    give(monkeypatch, "metabase#MB_DB_PASS", None)
    assert "secret/metabase#MB_DB_PASS is still missing: nothing was given" in caplog.text


@pytest.mark.parametrize(
    ("name", "form", "value"),
    [
        ("WEBHOOK_URL", "like https://host/path", "http://example.com/hook"),
        ("SLACK_URL", "like https://host/path", "hooks.slack.com"),
        ("NTFY_URL", "like https://ntfy.sh/a-long-topic", "https://ntfy.sh/"),
    ],
)
def test_what_a_deploy_would_refuse_is_not_taken_and_the_question_says_the_form(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, form: str, value: str
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal())
    give_secrets._asked.cache_clear()
    with fake({}, notify={"ntfy": True, "slack": True, "webhook": True}):
        remember(("secrets", "notify"), partial(tuple, ({}, 1)))
        asked = give(monkeypatch, f"notify#{name}", value, value)
    assert asked == [f"secret/notify#{name} ({form}): ", "once more: "]
    why = {
        "WEBHOOK_URL": "begins with http://, and would be readable to whoever is on the way: it has to be https:// (or lead to "
        "a private address)",
        "SLACK_URL": "is no address like https://host/path",
        "NTFY_URL": "ends without a topic (like https://ntfy.sh/a-long-topic)",
    }[name]
    said = (
        f"secret/notify#{name} {why}: nothing is written; `make give-secrets NAME=notify#{name}` asks again"
    )
    assert said in caplog.text


def test_a_named_secret_is_asked_for_twice(
    written: Written, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    give(monkeypatch, "metabase#ADMIN_PASSWORD", "new-1-word", "nwe-1-word")
    assert "secret/metabase#ADMIN_PASSWORD: the two are not the same: nothing is written" in caplog.text
    assert written == []
    assert give(monkeypatch, "metabase#ADMIN_PASSWORD", "new-1-word", "new-1-word")[1:] == ["once more: "]
    assert written == [("metabase", {"ADMIN_PASSWORD": "new-1-word"})]


def test_a_first_admins_password_is_said_so_that_it_fits_both_orders(
    written: Written, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    give(monkeypatch, "metabase#ADMIN_PASSWORD", "new-1-word", "new-1-word")
    assert "made with it: where you have not changed it there yet, do" in caplog.text


def test_dokploys_key_by_hand_comes_without_the_id_of_the_one_before(
    written: Written, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With that id a run would take it for a key that Dokploy no longer knows (tasks/dokploy.py)."""
    caplog.set_level("INFO")
    give(monkeypatch, "dokploy-import#API_KEY", "mine", "mine")
    assert written == [("dokploy-import", {"API_KEY": "mine", "N": "n"})]
    assert "a deploy that registers something uses it" in caplog.text


def test_all_is_asked_before_the_host_is_locked_and_once(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[Any] = []

    def typed(question: str) -> str:
        done.append(question)
        return "new-1-word"

    monkeypatch.setattr(give_secrets, "getpass", typed)
    monkeypatch.setenv("SMARTEROS_SECRET", "metabase#ADMIN_PASSWORD")
    monkeypatch.setenv("PYINFRA_PROGRESS", "")
    for operation in (give_secrets.answered, give_secrets.written):
        monkeypatch.setattr(
            give_secrets, operation.__name__, lambda _of=operation, **_: done.extend(commands(_of))
        )
    monkeypatch.setattr(lock, "run", lambda **words: done.append(words))
    monkeypatch.setattr("tasks.backup.copied", lambda: None)
    give_secrets.run()
    [first, second, lock_words, step] = done
    assert (first.endswith("keeps what is there): "), second) == (True, "once more: ")
    assert lock_words == {"deploy": False, "early": False}
    step.function(host().state, host())
    assert written == [("metabase", {"ADMIN_PASSWORD": "new-1-word"})]


def test_no_spinner_writes_over_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def operation(**_: Any) -> None:
        seen.append(os.environ["PYINFRA_PROGRESS"])

    monkeypatch.delenv("PYINFRA_PROGRESS", raising=False)
    monkeypatch.setattr(lock, "run", lambda **_: None)
    monkeypatch.setattr(give_secrets, "answered", lambda **_: None)
    monkeypatch.setattr(give_secrets, "written", operation)
    with fake({}):
        give_secrets.run()
    monkeypatch.setenv("PYINFRA_PROGRESS", "")
    assert seen == ["off"]


@pytest.mark.parametrize(
    ("command", "written"),
    [(give_secrets, "tasks.commands.give_secrets.written"), (rotate, "tasks.commands.rotate.renewed")],
)
def test_what_is_written_is_copied_away_afterwards(
    command: Any, written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that is lost before the hourly copy would come back with the values of before."""
    done: list[str] = []
    monkeypatch.setenv(rotate.CHOICE, rotate.ALL)
    phases = (
        "lock", "preflight", "vault", "secrets", "data", "applications", "proxy", "verify", "record",
    )  # fmt: skip
    for place in (
        written,
        "tasks.commands.give_secrets.answered",
        "tasks.commands.rotate.as_described",
        "tasks.commands.rotate.refused",
        "tasks.commands.rotate_admins.changed",
        "tasks.first_logins.renewed",
        "tasks.backup.copied",
        *(f"tasks.{one}.run" for one in phases),
    ):
        monkeypatch.setattr(place, lambda *_, _place=place, **__: done.append(_place))
    with fake({}):
        command.run()
    assert done.index(written) < done.index("tasks.backup.copied")
