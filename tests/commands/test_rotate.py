"""Rotate: which secrets get new values, what is written, and which earlier values are tried where."""

import base64
import os
import subprocess
from functools import partial
from pathlib import Path

import pytest
from pyinfra.api import StringCommand

from tasks import lock
from tasks.commands import restore, rotate
from tasks.connection import drafts
from tasks.connection.said import Said
from tasks.model.catalogue import Service
from tasks.operations import described
from tasks.operations.described import tree
from tasks.run import Refused, host, remember, services
from tests.facts.test_facts import MACHINE
from tests.fake import commands, fake, several, stdin, texts

Written = list[tuple[str, dict[str, str], int]]


def one(name: str) -> Service:
    return next(item for item in services() if item.name == name)


def test_what_only_its_owner_may_change_stays() -> None:
    with fake({}):
        assert [str(place) for place in rotate.brought(one("n8n"))] == [
            "n8n#DB_POSTGRESDB_PASSWORD",
            "n8n#N8N_OWNER_PASSWORD",
        ]
        assert [str(place) for place in rotate.brought(one("chatwoot"))] == [
            "chatwoot#SECRET_KEY_BASE",
            "chatwoot#POSTGRES_PASSWORD",
            "chatwoot#REDIS_PASSWORD",
            "chatwoot#ADMIN_PASSWORD",
        ]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ("", "say whose secrets are changed, as SERVICE=n8n or SERVICE=all: there are "),
        ("n8m", "SERVICE=n8m: nothing of that name has secrets that a run can change, did you mean n8n?"),
        (
            "caddy",
            "SERVICE=caddy: nothing of that name has secrets that a run can change: there are postgres, redis, ",
        ),
        (
            "ssh",
            "SERVICE=ssh: people's keys are their own, and login_keys names them: add the new one there, ",
        ),
    ],
)
def test_a_choice_that_names_none_is_told_which_there_are(choice: str, said: str) -> None:
    with fake({}), pytest.raises(Refused) as refusal:
        rotate.named(choice)
    assert str(refusal.value).startswith(said)


def test_all_are_those_that_have_secrets() -> None:
    with fake({}):
        assert {item.name for item in rotate.named("all")} == {
            "postgres", "redis", "chatwoot", "botpress", "n8n", "odoo", "metabase", "dokploy", "vault-auth-validator",
        }  # fmt: skip


def held(name: str) -> dict[str, str]:
    """Every secret of a service, and one of its owner's own."""
    return {each.name: f"old {each.name}" for each in one(name).secrets} | {"EXTRA": "mine"}


def test_one_write_changes_what_a_run_brings_and_what_is_made_of_it_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    written: Written = []
    monkeypatch.setattr(restore, "known", lambda _: described.name({}))
    monkeypatch.setattr(restore, "tree", dict)
    monkeypatch.setattr("tasks.clients.vault_session.write", lambda *given: written.append(given))
    with fake({}):
        before = held("n8n")
        remember(("secrets", "n8n"), partial(tuple, (before, 7)))
        for step in commands(rotate.renewed, [one("n8n")]):
            step.function(host().state, host())
    [(path, after, version)] = written
    assert (path, version, after.keys()) == ("n8n", 7, before.keys())
    assert {name for name in before if before[name] != after[name]} == {
        "DB_POSTGRESDB_PASSWORD",
        "N8N_OWNER_PASSWORD",
        "N8N_INSTANCE_OWNER_PASSWORD_HASH",
    }
    assert "n8n#N8N_ENCRYPTION_KEY stays: it would cost stored credentials" in caplog.text
    assert [value for value in after.values() if value in caplog.text] == []


POSTGRES = "c|/postgres|postgres|d||running|{}|0|pgvector/pgvector:0.8.7|smarter-net "


def test_what_postgres_could_not_be_told_is_seen_before_vault_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(restore, "known", lambda _: described.name({}))
    monkeypatch.setattr(restore, "tree", dict)
    monkeypatch.setattr("tasks.clients.vault_session.write", lambda *_: pytest.fail("written"))
    with fake({"docker ps -aq": [POSTGRES.format("healthy")]}):
        for name in ("n8n", "postgres"):
            remember(("secrets", name), partial(tuple, (held(name), 7)))
        first, *written = commands(rotate.renewed, [one("n8n"), one("postgres")])
    assert stdin(first).splitlines() == [
        "BEGIN;",
        "SELECT format('ALTER ROLE \"%s\" LOGIN', rolname) FROM pg_roles WHERE rolname IN ('n8n', 'postgres')",
        (
            "UNION ALL SELECT format('ALTER DATABASE \"%s\" RESET smarteros.taken', datname) FROM pg_database "
            "WHERE datname IN ('n8n', 'postgres') \\gexec"
        ),
        "ROLLBACK;",
        "\\q",
    ]
    assert len(written) == 2
    for code, said in (
        (0, ""),
        (
            3,
            "no secret has a new value, since Postgres cannot be told new passwords now (see the lines above); run this again once it can\n",
        ),
    ):
        (tmp_path / "docker").write_text(f"#!/bin/sh\ncat >/dev/null\nexit {code}\n")
        (tmp_path / "docker").chmod(0o755)
        path = f"{tmp_path}:{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-c", str(first)],
            env={"PATH": path},
            input="",
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (min(code, 1), said)


@pytest.mark.parametrize(("name", "health"), [("n8n", "starting"), ("redis", "healthy")])
def test_a_postgres_that_starts_is_waited_for_and_one_that_has_no_part_is_not_asked(
    name: str, health: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restore, "known", lambda _: described.name({}))
    monkeypatch.setattr(restore, "tree", dict)
    with fake({"docker ps -aq": [POSTGRES.format(health)]}):
        remember(("secrets", name), partial(tuple, (held(name), 7)))
        assert [
            item for item in commands(rotate.renewed, [one(name)]) if isinstance(item, StringCommand)
        ] == []


def test_what_may_never_change_and_is_gone_comes_back_with_what_is_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    written: Written = []
    monkeypatch.setattr(restore, "known", lambda _: described.name({}))
    monkeypatch.setattr(restore, "tree", dict)
    monkeypatch.setattr("tasks.clients.vault_session.write", lambda *given: written.append(given))
    monkeypatch.setattr(
        "tasks.clients.vault_past.older", lambda path: {"N8N_ENCRYPTION_KEY": [f"{path}'s", "older"]}
    )
    with fake({}):
        before = held("n8n")
        del before["N8N_ENCRYPTION_KEY"]
        remember(("secrets", "n8n"), partial(tuple, (before, 7)))
        for step in commands(rotate.renewed, [one("n8n")]):
            step.function(host().state, host())
    [(_, after, _)] = written
    assert after["N8N_ENCRYPTION_KEY"] == "n8n's"
    assert after["DB_POSTGRESDB_PASSWORD"] != before["DB_POSTGRESDB_PASSWORD"]


def test_a_host_with_something_else_to_deploy_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(restore, "known", lambda _: "another")
    monkeypatch.setattr(restore, "tree", dict)
    monkeypatch.setattr("tasks.clients.vault_session.write", lambda *_: pytest.fail("written"))
    with fake({}):
        for step in commands(rotate.renewed, [one("n8n")]):
            step.function(host().state, host())
    assert "has other files than this machine would give it" in caplog.text


def test_a_host_that_is_bare_ends_the_command_before_any_host_is_locked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(rotate.CHOICE, "n8n")
    monkeypatch.setattr(lock, "run", lambda: pytest.fail("goes ahead"))
    with several({}, {"zone": "other.cl"}), pytest.raises(Said) as refusal:
        rotate.run()
    assert str(refusal.value).startswith("@fake/0 has other files than this machine would give it")
    assert str(refusal.value).count("@fake/0") == 1


def test_hosts_that_a_deploy_would_refuse_together_are_left_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(rotate.CHOICE, "n8n")
    monkeypatch.setattr("time.time", lambda: 1795413600.0)
    with fake({}):
        responses = {"/etc/os-release": MACHINE[:9], "basename": [described.name(tree())]}
    with several({}, {}, responses=responses), drafts.drafting() as steps:
        with pytest.raises(Refused, match=r"domains: .* also deployed to the host @fake/1") as refusal:
            rotate.run()
        assert str(refusal.value).startswith("@fake/0 cannot take this deployment:")
        assert steps == []


def tried(*names: str, **older: list[str]) -> list[list[str]]:
    """The lines that the host gets, the value as it was."""
    found = []
    for command in commands(rotate.refused, [one(name) for name in names]):
        for line in command.connector_arguments["_stdin"].splitlines():
            *words, value = line.split(" ")
            found.append([*words, base64.b64decode(value).decode()])
    return found


def test_each_earlier_value_is_tried_at_what_it_has_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {
        "chatwoot": {"POSTGRES_PASSWORD": ["a", "b c\n"], "REDIS_PASSWORD": ["d"], "ADMIN_PASSWORD": ["e"]},
        "postgres": {"POSTGRES_PASSWORD": ["f"]},
        "redis": {"REDIS_PASSWORD": ["g"]},
    }
    monkeypatch.setattr(rotate, "older", lambda path: before[path])
    with fake({}):
        assert tried("postgres", "redis", "chatwoot") == [
            ["role", "postgres", "postgres", "f"],
            ["user", "default", "-", "g"],
            ["role", "chatwoot", "chatwoot", "a"],
            ["role", "chatwoot", "chatwoot", "b c\n"],
            ["user", "chatwoot", "-", "d"],
        ]
        assert [text for text in texts(rotate.refused, [one("chatwoot")]) if "b c" in text] == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ('FATAL:  password authentication failed for user "n8n"', ""),
        ("1", "an earlier password of role n8n still opens it\n"),
        (
            "FATAL:  sorry, too many clients already",
            "is not known: FATAL:  sorry, too many clients already\n",
        ),
        ("", "is not known: \n"),
    ],
)
def test_only_a_refused_password_is_refused(tmp_path: Path, answer: str, said: str) -> None:
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\ncat >>'{tmp_path}/given'\necho '{answer}' >&2\n")
    docker.chmod(0o755)
    line = f"role n8n n8n {base64.b64encode(b'old').decode()}\n"
    done = subprocess.run(
        ["sh", "-c", rotate._TRIED],
        input=line * 2,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr.endswith(said)) == (int(bool(said)), True)
    assert bool(done.stderr) == bool(said)
    assert (tmp_path / "given").read_text() == "oldold"
