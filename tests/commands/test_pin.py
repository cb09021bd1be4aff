"""Pin: what is written into the lock file, kept and dropped, and what fails."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.commands import pin
from tasks.connection.said import Said
from tasks.model import pins
from tests.fake import commands, fake, several

ONE, TWO, OLD = (f"sha256:{number * 64}" for number in "120")
# What is said of them; the file has them whole.
BRIEF_ONE, BRIEF_TWO, BRIEF_OLD = (f"sha256:{number * 12}" for number in "120")
# vault stands for what the operator's scripts run; caddy and redis for themselves.
FEW: dict[str, Any] = {"services": ["vault", "redis"], "acme_email": None}
USED = ["hashicorp/vault:2.0.4", "redis:7.4.11-alpine", "caddy:2.11.7-alpine"]
SAID = {"hashicorp/vault:2.0.4": ONE, "redis:7.4.11-alpine": TWO, "caddy:2.11.7-alpine": ONE}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the run that is under way has its pins, none yet."""
    monkeypatch.setattr(
        "sys.argv", ["/venv/bin/pyinfra", "-y", str(tmp_path / "prod.py"), "tasks.commands.pin.run"]
    )
    monkeypatch.setattr(pin, "_told", {})
    return tmp_path / "prod.lock.json"


def run(monkeypatch: pytest.MonkeyPatch, **answers: dict[str, str]) -> tuple[list[str], list[str]]:
    """What one run says, and how it fails. answers: image → what is said of it beside its name."""
    lines = [json.dumps({"image": image, **each}) for image, each in answers.items()]
    shown: list[str] = []
    failed: list[str] = []
    with fake({"/distribution/": lines}, **FEW) as host:
        monkeypatch.setattr(host, "log", shown.append)
        monkeypatch.setattr(host, "log_styled", lambda text, **_: failed.append(text))
        for failure in commands(pin.written):
            assert failure.function(host.state, host) is False
    return shown, failed


ANSWERS = {image: {"digest": digest} for image, digest in SAID.items()}


def test_all_images_are_pinned_in_one_file_that_diffs_well(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, failed = run(monkeypatch, **ANSWERS)
    assert failed == []
    assert file.read_text() == pins.text(SAID)
    assert shown == [
        f"pin: caddy:2.11.7-alpine: {BRIEF_ONE}",
        f"pin: hashicorp/vault:2.0.4: {BRIEF_ONE}",
        f"pin: redis:7.4.11-alpine: {BRIEF_TWO}",
        f"pin: {file} has 3 images: commit it; `make plan INVENTORY={file.with_name('prod.py')}` shows what a deploy changes by it",
    ]
    assert list(file.parent.iterdir()) == [file]


def test_a_lock_file_under_another_name_is_said_before_one_is_written(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.with_name("shop.lock.json").touch()
    _, [said] = run(monkeypatch, **ANSWERS)
    assert said.startswith(f"{file.with_name('shop.lock.json')}: no run reads it, since there is no ")


def test_again_nothing_changes_and_what_is_used_no_more_is_dropped(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(pins.text(SAID))
    assert run(monkeypatch, **ANSWERS) == ([f"pin: {file} is as it was: 3 images"], [])
    file.write_text(pins.text({**SAID, "redis:7.4.10-alpine": OLD, "redis:7.4.11-alpine": OLD}))
    shown, _ = run(monkeypatch, **ANSWERS)
    assert shown[:2] == [
        "pin: redis:7.4.10-alpine: is used no more, and dropped",
        f"pin: redis:7.4.11-alpine: {BRIEF_TWO}, before {BRIEF_OLD}",
    ]
    assert file.read_text() == pins.text(SAID)


def test_an_update_stays_and_gets_what_its_tag_stands_for(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(pins.text({**SAID, "redis:7.4.11-alpine": f"7.4.12-alpine@{OLD}"}))
    answers = {image: each for image, each in ANSWERS.items() if not image.startswith("redis")}
    shown, failed = run(monkeypatch, **answers, **{"redis:7.4.12-alpine": {"digest": TWO}})
    assert failed == []
    assert (
        shown[0] == f"pin: redis:7.4.11-alpine: 7.4.12-alpine@{BRIEF_TWO}, before 7.4.12-alpine@{BRIEF_OLD}"
    )
    assert pins.read(file) == {**SAID, "redis:7.4.11-alpine": f"7.4.12-alpine@{TWO}"}


def test_what_no_registry_says_keeps_its_pin_and_fails_the_run(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(pins.text({"redis:7.4.11-alpine": OLD}))
    answers = {**ANSWERS, "redis:7.4.11-alpine": {"wrong": "toomanyrequests"}}
    del answers["caddy:2.11.7-alpine"]
    _, [failed] = run(monkeypatch, **answers)
    assert failed.startswith("not pinned anew, since no registry says what they stand for:\n")
    assert failed.splitlines()[1:] == [
        "    redis:7.4.11-alpine: toomanyrequests",
        "    caddy:2.11.7-alpine: nothing was said",
    ]
    assert pins.read(file) == {"hashicorp/vault:2.0.4": ONE, "redis:7.4.11-alpine": OLD}


def test_a_host_without_docker_cannot_be_asked(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, [failed] = run(monkeypatch)
    assert failed.startswith("Docker is not there yet: `make deploy INVENTORY=")
    assert not file.exists()


def test_hosts_that_are_told_different_things_are_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pin, "_told", {"redis:7.4.11-alpine": (OLD, "first")})
    _, [failed] = run(monkeypatch, **ANSWERS)
    assert failed.startswith(
        "redis:7.4.11-alpine: first is told sha256:000000000000, @fake/one sha256:222222222222: a mirror is behind"
    )
    assert not file.exists()


def test_a_file_that_is_none_is_refused_before_anything_is_asked(file: Path) -> None:
    file.write_text("<<<<<<< HEAD\n")
    with fake({}, **FEW), pytest.raises(Said, match=r"prod\.lock\.json: is no lock file of images"):
        pin.run()


def test_a_file_that_cannot_be_written_is_said(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.with_name(f"{file.name}.partial").mkdir()
    _, [failed] = run(monkeypatch, **ANSWERS)
    assert failed == f"{file}: cannot be written: Is a directory"


def test_what_any_host_of_the_inventory_uses_stays(file: Path) -> None:
    assert not file.exists()
    with several(FEW, {**FEW, "zone": "other.cl", "services": ["vault", "postgres"]}):
        assert pin._used() == {*USED, "pgvector/pgvector:0.8.7-pg16-bookworm"}


def test_pins_that_are_there_do_not_hide_the_tags(file: Path) -> None:
    file.write_text(pins.text(SAID))
    with fake({}, **FEW):
        assert [*pin.references()] == USED
