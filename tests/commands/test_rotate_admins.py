"""The first admins' passwords in a rotation: which one opens an application, what is changed, what stays, and what is said."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest

from tasks.commands import restore, rotate, rotate_admins
from tasks.model.catalogue import Service
from tasks.model.visitor import Denied, Failed, OutOfReach, TooSoon
from tasks.operations import described
from tasks.run import host, recall, remember, services
from tests.fake import commands, fake


@dataclass
class App:
    """One password opens it. trouble: raised in place of the next answers, one each; None lets one pass. forgets: it goes on taking that."""

    password: str
    trouble: list[Exception | None] = field(default_factory=list)
    forgets: str = ""
    tried: list[tuple[str, str]] = field(default_factory=list)

    def changes(self, _: Any, now: str, new: str) -> None:
        """As a service's file says it."""
        self.tried.append((now, new))
        if self.trouble and (error := self.trouble.pop(0)):
            raise error
        if now not in (self.password, self.forgets):
            raise Denied("POST /login: HTTP 401")
        self.password = new or self.password


@dataclass
class Vault:
    """The versions of one path, the oldest first."""

    versions: list[dict[str, str]]

    def hold(self, path: str) -> None:
        """A run reads them."""
        recall(("secrets", path))
        remember(("secrets", path), partial(tuple, (self.versions[-1], len(self.versions))))

    def write(self, path: str, values: dict[str, str], version: int) -> None:
        """On top of what was read."""
        assert version == len(self.versions)
        self.versions.append(values)
        self.hold(path)

    def older(self, _: str) -> dict[str, list[str]]:
        """As tasks/clients/vault_past.py has it."""
        now = self.versions[-1]["ADMIN_PASSWORD"]
        past = dict.fromkeys(one["ADMIN_PASSWORD"] for one in reversed(self.versions))
        return {"ADMIN_PASSWORD": [value for value in past if value != now]}


@contextmanager
def stage(
    monkeypatch: pytest.MonkeyPatch, app: App, *passwords: str, **settings: Any
) -> Iterator[tuple[Service, Vault]]:
    """Metabase, or what stands for it, whose password in Vault were these, the last one now."""

    class Nobody:
        def __init__(self, *_: object) -> None:
            pass

        def close(self) -> None:
            """The end of a visit."""

    with fake({}, **settings):
        found = next(item for item in services() if item.name == "metabase")
        assert found.admin
        service = replace(found, admin=replace(found.admin, changes=app.changes))
        vault = Vault([{"ADMIN_PASSWORD": each, "MB_DB_PASS": "p", "EXTRA": "mine"} for each in passwords])
        monkeypatch.setattr(rotate_admins, "Browser", Nobody)
        monkeypatch.setattr(rotate_admins, "trust", lambda: None)
        monkeypatch.setattr(rotate_admins, "older", vault.older)
        monkeypatch.setattr("tasks.clients.vault_past.older", vault.older)
        monkeypatch.setattr("tasks.commands.rotate_admins.time.sleep", lambda _: None)
        monkeypatch.setattr(rotate, "write", vault.write)
        monkeypatch.setattr(restore, "known", lambda _: described.name({}))
        monkeypatch.setattr(restore, "tree", dict)
        vault.hold("metabase")
        yield service, vault


def performed(operation: Any, service: Service) -> None:
    """All that it does, now."""
    for each in commands(operation, [service]):
        each.function(host().state, host())


def new(vault: Vault) -> str:
    return vault.versions[-1]["ADMIN_PASSWORD"]


def test_the_application_gets_the_new_one_and_the_old_one_is_tried(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    app = App("old")
    with stage(monkeypatch, app, "first", "old") as (service, vault):
        performed(rotate.renewed, service)
        assert (app.password, app.tried) == ("old", [("old", "")])
        made = new(vault)
        assert made not in ("old", "first")
        assert vault.versions[-1].keys() == {
            "ADMIN_PASSWORD",
            "MB_DB_PASS",
            "MB_ENCRYPTION_SECRET_KEY",
            "EXTRA",
        }
        performed(rotate_admins.changed, service)
    assert app.password == made
    assert app.tried[1:] == [("old", made), (made, ""), ("old", "")]
    assert "ops@smarterbot.cl signs in with the new password, and not with the one of before" in caplog.text
    assert [word for word in (made, "'old'", "first") if word in caplog.text] == []


@pytest.mark.parametrize("opens", ["second", "first"])
def test_after_one_that_was_cut_short_or_a_restore_an_earlier_one_of_vaults_opens_it(
    monkeypatch: pytest.MonkeyPatch, opens: str
) -> None:
    app = App(opens)
    with stage(monkeypatch, app, "first", "second", "third") as (service, vault):
        performed(rotate.renewed, service)
        performed(rotate_admins.changed, service)
        assert app.password == new(vault)
        assert app.tried[0] == ("third", "")


def test_one_that_a_person_has_changed_stays_with_what_to_do_and_the_rest_is_new(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    app = App("a person's")
    with stage(monkeypatch, app, "first", "old") as (service, vault):
        performed(rotate.renewed, service)
        assert (new(vault), vault.versions[-1]["MB_DB_PASS"] != "p") == ("old", True)
        assert commands(rotate_admins.changed, [service]) == []
    assert app.tried == [("old", ""), ("first", "")]
    assert (
        "metabase#ADMIN_PASSWORD stays: ops@smarterbot.cl is let in with no password that Vault has or had "
        "(secret/metabase#ADMIN_PASSWORD): a person has changed it, or the login, or has asked for a second factor: if it was the "
        "password, `make give-secrets NAME=metabase#ADMIN_PASSWORD` tells Vault the new one (POST /login: HTTP 401)"
    ) in caplog.text


def test_one_that_is_out_of_reach_stays(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    app = App("old", trouble=[OutOfReach("allow_from does not let it in")])
    with stage(monkeypatch, app, "old") as (service, vault):
        performed(rotate.renewed, service)
        assert new(vault) == "old"
        assert commands(rotate_admins.changed, [service]) == []
    assert (
        "out of reach from here (allow_from does not let it in): do it there, then `make give-secrets"
        in caplog.text
    )


def test_where_no_caddy_answers_for_it_it_stays(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    app = App("old")
    with stage(monkeypatch, app, "old", services=["vault", "postgres", "metabase"]) as (service, vault):
        performed(rotate.renewed, service)
        assert (new(vault), app.tried) == ("old", [])
    assert "out of reach from here (no Caddy answers for it)" in caplog.text


@pytest.mark.parametrize("error", [Failed("GET /: HTTP 502"), KeyError("id")])
def test_one_that_does_not_answer_before_is_asked_once_it_runs(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """As where a rotation was killed while the service stood still."""
    app = App("first", trouble=[error])
    with stage(monkeypatch, app, "first", "second") as (service, vault):
        performed(rotate.renewed, service)
        performed(rotate_admins.changed, service)
        assert app.password == new(vault)
        assert [now for now, _ in app.tried[1:4]] == [new(vault), "second", "first"]


def failed(operation: Any, service: Service, caplog: pytest.LogCaptureFixture) -> str:
    """What it says at its end."""
    done = [each.function(host().state, host()) for each in commands(operation, [service])]
    assert done == [False]
    return caplog.text


@pytest.mark.parametrize("at", [1, 2, 3])
def test_wherever_it_fails_the_same_command_again_ends_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, at: int
) -> None:
    app = App("old", trouble=[*[None] * at, Failed("POST /x: no answer")])
    with stage(monkeypatch, app, "old") as (service, vault):
        performed(rotate.renewed, service)
        said = failed(rotate_admins.changed, service, caplog)
        assert "Metabase KPI: POST /x: no answer: the same command again ends it" in said
        recall("doors")  # another run
        performed(rotate.renewed, service)
        performed(rotate_admins.changed, service)
        assert app.password == new(vault)
        assert len({each["ADMIN_PASSWORD"] for each in vault.versions}) == 3


def test_killed_between_vault_and_the_application_the_same_command_ends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = App("old")
    with stage(monkeypatch, app, "old") as (service, vault):
        performed(rotate.renewed, service)
        recall("doors")
        performed(rotate.renewed, service)
        assert app.password == "old"
        performed(rotate_admins.changed, service)
        assert app.password == new(vault)
        assert len({each["ADMIN_PASSWORD"] for each in vault.versions}) == 3


def test_killed_there_more_often_than_vault_has_versions_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App("old")
    with stage(monkeypatch, app, "old") as (service, vault):
        kept = vault.older
        monkeypatch.setattr(
            rotate_admins, "older", lambda path: {key: found[:3] for key, found in kept(path).items()}
        )
        for _ in range(12):
            performed(rotate.renewed, service)
            recall("doors")
        performed(rotate.renewed, service)
        performed(rotate_admins.changed, service)
        assert app.password == new(vault) != "old"


def test_one_that_takes_the_old_one_as_well_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = App("old", forgets="old")
    with stage(monkeypatch, app, "old") as (service, _):
        performed(rotate.renewed, service)
        said = failed(rotate_admins.changed, service, caplog)
    assert "Metabase KPI takes the new password of ops@smarterbot.cl and the one of before" in said


def test_one_that_takes_no_more_sign_ins_is_waited_for_and_that_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    app = App("old", trouble=[None, TooSoon("HTTP 429"), TooSoon("HTTP 429"), None])
    with stage(monkeypatch, app, "old") as (service, vault):
        performed(rotate.renewed, service)
        performed(rotate_admins.changed, service)
        assert app.password == new(vault)
    assert caplog.text.count("takes no more sign-ins for some minutes") == 1


def test_that_has_an_end(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    clock = iter(range(0, 10**6, 400))
    app = App("old", trouble=[None, *[TooSoon("POST /login: HTTP 429")] * 9])
    with stage(monkeypatch, app, "old") as (service, _):
        performed(rotate.renewed, service)
        monkeypatch.setattr("tasks.commands.rotate_admins.time.monotonic", lambda: next(clock))
        said = failed(rotate_admins.changed, service, caplog)
    assert "POST /login: HTTP 429: the same command again ends it" in said
    assert 2 <= len(app.tried) <= 5


def test_a_plan_tries_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotate_admins, "doors", lambda _: pytest.fail("tried"))
    with fake({}, executing=False):
        assert commands(rotate_admins.changed, [*services()]) == ["true"]


def test_a_host_that_is_not_as_described_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App("old")
    with stage(monkeypatch, app, "old") as (service, vault):
        monkeypatch.setattr(restore, "known", lambda _: "another")
        performed(rotate.renewed, service)
        assert (app.tried, len(vault.versions)) == ([], 1)


def test_an_admin_whose_file_has_no_way_is_a_persons_to_change(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with stage(monkeypatch, App("old"), "old") as (service, vault):
        assert service.admin
        bare = replace(service, admin=replace(service.admin, changes=None))
        performed(rotate.renewed, bare)
        assert new(vault) == "old"
    assert (
        "it is changed in the application; then `make give-secrets NAME=metabase#ADMIN_PASSWORD`"
        in caplog.text
    )
