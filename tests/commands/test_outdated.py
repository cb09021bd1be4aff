"""Outdated: what is said of an image, and with which exit code a run ends."""

import json
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tasks.commands import outdated, update_course
from tasks.commands.outdated import Line, lines, pin_of
from tasks.connection import exit_code
from tasks.facts.registries import Registered
from tasks.model import image_names, pins, tags, upstream
from tasks.model.catalogue import End, Upstream
from tasks.services import load
from tests.fake import commands, fake
from tests.samples import ROOT, stack

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
TODAY = date(2026, 11, 27)
ENDS = (
    End("7.4", "2026-11-26", "https://example.com/ends", "2026-08-22"),
    End("8.0", "2027-03-01", "https://example.com/ends", "2026-08-22"),
    End("8.2", "2030-09-01", "https://example.com/ends", "2026-08-22"),
)
REDIS = Upstream("redis", "https://example.com/{version}?{major}", ends=ENDS)


def said(image: str, found: Registered, locked: dict[str, str] | None = None, **changes: Any) -> list[Line]:
    upstreams = [Upstream("myredis", "no"), REDIS]
    pin = pin_of(image, locked, changes.get("own", {}))
    return list(lines(image, found, upstream.of(image, upstreams), pin, changes.get("now", TODAY)))


def test_newer_tags_have_the_notes_of_the_newest() -> None:
    found = Registered(
        ONE, tags=("8.2.1-alpine", "8.2.2-alpine", "9.0.1-alpine", "9.0.1", "8.2.0-alpine", "latest")
    )
    assert said("redis:8.2.0-alpine", found) == [
        Line("newer: 8.2.2-alpine, 8.2.1-alpine (https://example.com/8.2.2?8)", outdated=True),
        Line("next line: 9.0.1-alpine (https://example.com/9.0.1?9)"),
    ]
    many = Registered(ONE, tags=tuple(f"8.2.{number}-alpine" for number in range(10)))
    assert said("redis:8.2.0-alpine", many)[0].text.startswith(
        "newer: 8.2.9-alpine, 8.2.8-alpine, 8.2.7-alpine, 8.2.6-alpine and 5 more ("
    )


def test_a_mirrors_name_has_the_same_upstream_and_another_repository_none() -> None:
    found = Registered(ONE, tags=("8.2.1",))
    assert (
        said("mirror.example:5000/hub/redis:8.2.0", found)[0].text
        == "newer: 8.2.1 (https://example.com/8.2.1?8)"
    )
    assert said("acme/notredis:8.2.0", found)[0].text == "newer: 8.2.1"


def test_a_pin_is_compared_with_what_its_tag_stands_for() -> None:
    image = "redis:8.2.0"
    assert said(image, Registered(ONE), None) == []
    assert said(image, Registered(ONE), {image: ONE}) == []
    assert said(image, Registered(TWO), {image: ONE}) == [
        Line(
            "pinned to sha256:111111111111, and its tag is sha256:222222222222 now: `make pin`", outdated=True
        )
    ]
    assert said(image, Registered(ONE), {}) == [Line("is not pinned: `make pin`", outdated=True)]


def test_a_digest_in_the_settings_is_compared_too() -> None:
    found = Registered(TWO)
    [line] = said("redis:8.2.0", found, {}, own={"redis:8.2.0": ONE})
    assert line.text.endswith("and its tag is sha256:222222222222 now: name that one in the settings")
    overrides = {"n8n": {"image": f"n8nio/n8n:2.31.0@{ONE}"}, "dokploy": {"image": f"dokploy/dokploy@{TWO}"}}
    assert pins.own(load(stack(overrides=overrides))) == {"n8nio/n8n:2.31.0": ONE}


def test_a_registry_that_does_not_answer_is_said_and_nothing_is_outdated_by_it() -> None:
    image = "redis:8.2.0"
    found = Registered(wrong="no route to host", unlisted="redis.example does not answer")
    assert said(image, found, {image: ONE}) == [
        Line("what its tag stands for is not known: no route to host"),
        Line("newer tags are not known: redis.example does not answer"),
    ]


def test_ends_are_told_half_a_year_ahead_and_count_once_they_have_come() -> None:
    read = "(https://example.com/ends, read 2026-08-22)"
    assert said("redis:7.4.11-alpine", Registered(ONE)) == [
        Line(f"upstream's support of 7.4 ended on 2026-11-26 {read}", outdated=True)
    ]
    assert said("redis:8.0.1", Registered(ONE)) == [
        Line(f"upstream's support of 8.0 ends on 2027-03-01 {read}")
    ]
    assert said("redis:8.2.0", Registered(ONE)) == []
    assert said("redis:7.4.11", Registered(ONE), now=date(2026, 11, 26)) == [
        Line(f"upstream's support of 7.4 ends on 2026-11-26 {read}")
    ]


def run(
    monkeypatch: pytest.MonkeyPatch, now: date = TODAY, **answers: dict[str, Any]
) -> tuple[list[str], list[int], list[str]]:
    """What one run prints, the exit codes that it asks for, and how it fails."""
    text = [json.dumps({"image": image, **each}) for image, each in answers.items()]
    shown: list[str] = []
    codes: list[int] = []
    failed: list[str] = []
    with fake({"/distribution/": text}, services=["vault", "redis"], acme_email=None) as host:
        monkeypatch.setattr(outdated, "today", lambda: now)
        monkeypatch.setattr("tasks.commands.outdated.logger.info", shown.append)
        monkeypatch.setattr(exit_code, "leave", codes.append)
        monkeypatch.setattr(host, "log_styled", lambda text, **_: failed.append(text))
        for failure in commands(outdated.told):
            assert failure.function(host.state, host) is False
    return [line for line in shown if "Connected" not in line], codes, failed


WELL: dict[str, Any] = {
    "hashicorp/vault:2.0.4": {"digest": ONE, "tags": ["2.0.4", "2.0.3"]},
    "redis:7.4.11-alpine": {"digest": ONE, "tags": ["7.4.11-alpine", "8.2.1-alpine"]},
    "caddy:2.11.7-alpine": {"digest": ONE, "tags": ["2.11.7-alpine"]},
}


def test_a_later_line_alone_is_no_reason_for_another_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, codes, failed = run(monkeypatch, **WELL)
    assert shown == [
        "redis:7.4.11-alpine (redis)",
        "    next line: 8.2.1-alpine (https://github.com/redis/redis/releases/tag/8.2.1)",
        "nothing newer: hashicorp/vault:2.0.4, caddy:2.11.7-alpine",
        "nothing is pinned: each runs what its tag stood for when it was pulled, on another host something else; `make pin` pins",
    ]
    assert (codes, failed) == ([], [])


@pytest.mark.parametrize(
    ("pinned", "whole", "said"),
    [({"b:2": ONE}, False, ["not pinned: a:1, c:3: each runs"]), ({"b:2": ONE}, True, []), (dict.fromkeys(("a:1", "b:2", "c:3"), ONE), False, [])],
)  # fmt: skip
def test_what_runs_by_its_tag_alone_is_said(pinned: dict[str, str], whole: bool, said: list[str]) -> None:
    found = outdated.unpinned(("a:1", "b:2", "c:3"), pinned, whole=whole)
    assert [line.partition(" what")[0] for line in found] == said


def test_a_lock_file_that_no_run_reads_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "prod.lock.json").touch()
    monkeypatch.setattr("sys.argv", ["pyinfra", str(tmp_path / "shop.py"), "outdated"])
    shown, *_ = run(monkeypatch, **WELL)
    assert [line for line in shown if line.startswith(f"{tmp_path}/prod.lock.json: no run reads it")]


def test_something_newer_ends_the_run_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = {"digest": ONE, "tags": ["2.0.4", "2.0.5"]}
    shown, codes, failed = run(monkeypatch, **{**WELL, "hashicorp/vault:2.0.4": newer})
    assert shown[:2] == [
        "hashicorp/vault:2.0.4 (vault)",
        "    newer: 2.0.5 (https://github.com/hashicorp/vault/releases/tag/v2.0.5): `make update SERVICE=vault`",
    ]
    assert (codes, failed) == ([2], [])


def test_the_command_of_an_image_is_that_of_a_service_which_an_update_is_about() -> None:
    with fake({}):
        found = {image: way for image, way in outdated.updates().items() if image}
        assert [way for image, way in found.items() if image.startswith("n8nio/n8n:")] == [
            "`make update SERVICE=n8n`"
        ]
        for way in found.values():
            name = way.strip("`").partition("SERVICE=")[2]
            assert found[update_course.image(name)] == way


def test_an_end_that_is_known_is_said_and_no_reason_for_another_exit_code(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later = date(2030, 1, 1)
    for ended, expected in (("", [2]), ("redis", []), ("vault", [2]), ("vault, redis", [])):
        monkeypatch.setenv("ENDED", ended)
        shown, codes, failed = run(monkeypatch, later, **WELL)
        assert any("upstream's support of 7.4 ended on" in line for line in shown)
        assert (codes, failed) == (expected, [])
    monkeypatch.setenv("ENDED", "reddis")
    *_, [failure] = run(monkeypatch, **WELL)
    assert failure.startswith("ENDED=reddis: no service is called reddis: there are vault, ")


def test_a_host_without_docker_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    _, codes, [failed] = run(monkeypatch)
    assert failed.startswith("Docker is not there yet")
    assert codes == []


def test_the_catalogue_knows_each_image_that_it_ships() -> None:
    backup = {"endpoint": "https://s3.example.com", "bucket": "acme-backup"}
    for engine in ("vault", "openbao"):
        loaded = load(stack(vault_engine=engine, backup=backup))
        known = [item for service in loaded for item in service.upstream]
        for image in pins.references(loaded):
            name, tag, _ = image_names.parted(image)
            [upstream] = {item for item in known if item.image == name}
            assert upstream.notes.format(version="1", major=1).startswith("https://")
            assert tags.parsed(tag), image
            for end in upstream.ends:
                assert date.fromisoformat(end.read) <= date.today()  # noqa: DTZ011
                assert date.fromisoformat(end.on)
                assert end.source.startswith("https://")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("from tasks.run import operation\n@operation\ndef looked():\n    yield from ()\nlooked()", 2),
        ("import sys\nfrom pyinfra.operations import server\nserver.shell('false')", 1),
    ],
)
def test_pyinfra_ends_with_the_code_unless_a_host_has_failed(text: str, code: int, tmp_path: Path) -> None:
    deploy = tmp_path / "leaves.py"
    deploy.write_text(f"from tasks.connection import exit_code\nexit_code.leave(2)\n{text}\n")
    done = subprocess.run(
        [Path(sys.executable).with_name("pyinfra"), "-y", "inventories/local.py", str(deploy)],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    ends = [line.split("] ")[1] for line in done.stderr.splitlines() if re.match(r" +\[@local\] [NE]", line)]
    assert (ends == ["Nothing was touched"]) == (code == 2), done.stderr
