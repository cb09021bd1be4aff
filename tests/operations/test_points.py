"""Points: a restore point is made before a program of another version starts on its database; where none can be, it is said why."""

from typing import Any

import pytest

from tasks.connection import drafts
from tasks.facts import DockerFact, MachineFact
from tasks.facts.containers import ContainerState
from tasks.facts.docker import DockerState
from tasks.facts.machine import Machine
from tasks.operations import points
from tasks.rendering import render
from tasks.run import services, stack
from tests.fake import fake, texts

BACKUP: dict[str, Any] = {"backup": {"endpoint": "https://s3.example.com", "bucket": "copies"}}
NEWER = "n8n: a new minor version, 2.1.0 → 2.2.0, which may change what is stored for good"


def settings(image: str, **changes: Any) -> dict[str, Any]:
    return {"overrides": {"n8n": {"image": f"n8nio/n8n:{image}"}}, **changes}


def host(
    monkeypatch: pytest.MonkeyPatch,
    *,
    bucket: bool = True,
    postgres: str = "running",
    server: str = "",
    base: str = "",
) -> None:
    """What the current settings describe runs, n8n in version 2.1.0; a bucket has its backups, or not yet.

    server: the image of Postgres' there, built on base.
    """
    images = {item.name: render.image(item) for service in services() for item in service.containers}
    found = {
        name: ContainerState(name, "x", "", "", "running", "healthy", 0, image, ())
        for name, image in {**images, "n8n": "n8nio/n8n:2.1.0"}.items()
    }
    found["postgres"] = ContainerState(
        "postgres", "x", "", "", postgres, "", 0, server or images["postgres"], ()
    )
    facts = {
        DockerFact: DockerState(found, bases={server: base} if base else {}),
        MachineFact: Machine(backup=render.bucket(stack()) if bucket else ""),
    }
    monkeypatch.setattr(points, "known", lambda fact: facts[fact])


def test_before_another_version_one_is_made_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with fake({}, **settings("2.2.0", **BACKUP)):
        host(monkeypatch)
        [command] = texts(points.before_migrations)
    assert "pg_create_restore_point" in command
    assert f"a restore point is made of the databases first: {NEWER}" in caplog.text


def test_the_plan_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake({}, executing=False, **settings("2.2.0", **BACKUP)), drafts.drafting() as steps:
        host(monkeypatch)
        points.before_migrations(name="Generation | a restore point before new versions start")
    [step] = steps
    assert step.effects == (f"a restore point is made of the databases first: {NEWER}",)


@pytest.mark.parametrize("image", ["2.1.0", "2.1.7"])
def test_a_patch_needs_none(monkeypatch: pytest.MonkeyPatch, image: str) -> None:
    with fake({}, **settings(image, **BACKUP)):
        host(monkeypatch)
        assert texts(points.before_migrations) == []


PGVECTOR, OURS = "pgvector/pgvector:0.8.7-pg16-bookworm", "smarteros/postgres:0123456789ab"


@pytest.mark.parametrize(
    ("server", "base", "changes", "moved"),
    [
        (PGVECTOR, "", BACKUP, []),
        (OURS, PGVECTOR, {}, []),
        (OURS, PGVECTOR, BACKUP, []),
        (
            OURS,
            PGVECTOR.replace("16", "15"),
            BACKUP,
            [
                "postgres: another build, 0.8.7-pg15-bookworm → 0.8.7-pg16-bookworm, which may not read what is stored"
            ],
        ),
    ],
    ids=["backups come", "backups go", "a newer build", "another base"],
)
def test_our_own_build_is_the_program_that_it_is_built_on(
    monkeypatch: pytest.MonkeyPatch, server: str, base: str, changes: dict[str, Any], moved: list[str]
) -> None:
    with fake({}, **settings("2.1.0", **changes)):
        host(monkeypatch, server=server, base=base)
        assert list(points.ahead()) == moved


@pytest.mark.parametrize(
    ("backup", "there", "why"),
    [
        ({}, {}, "nothing is backed up (the setting backup; README, Backups)"),
        (BACKUP, {"bucket": False}, "nothing has been copied into the bucket yet, which this run sets up"),
        (BACKUP, {"postgres": "exited"}, "Postgres does not run"),
    ],
)
def test_where_none_can_be_made_it_is_said_why_once_and_the_deploy_goes_on(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    backup: dict[str, Any],
    there: dict[str, Any],
    why: str,
) -> None:
    with fake({}, **settings("2.2.0", **backup)):
        host(monkeypatch, **there)
        assert texts(points.before_migrations) == texts(points.before_migrations) == []
    text = f"no restore point is made of the databases first, since {why}: {NEWER}"
    assert caplog.text.count(text) == 1


def test_one_that_was_made_before_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake({}, **settings("2.2.0", **BACKUP)):
        host(monkeypatch)
        [command] = texts(points.made, "0123456789ab")
        assert texts(points.before_migrations) == []
    assert command.startswith("tree=0123456789ab\nset -e\n")
    assert "time=$(date +%s.%6N)" in command
