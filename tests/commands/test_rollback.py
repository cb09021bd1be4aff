"""Rollback: the run describes the recorded generation, by its own files; what cannot be gone back to is refused in words."""

import base64
import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from tasks import notify
from tasks.clients import vault_access
from tasks.commands import recorded as as_recorded
from tasks.commands import rollback
from tasks.facts.generations import hashes
from tasks.model import pins
from tasks.model.generations import Generation, Generations
from tasks.operations import described, images
from tasks.rendering import render
from tasks.run import Refused, services, stack
from tests import samples
from tests.fake import commands, fake, stdin

FEW: dict[str, Any] = {"services": ["vault", "postgres", "n8n", "caddy"]}
OLD: dict[str, Any] = {**FEW, "overrides": {"n8n": {"image": "n8nio/n8n:2.29.1", "memory_mb": 900}}}
PINNED = f"sha256:{'0' * 64}"


def recorded(**changes: Any) -> tuple[Generation, dict[str, str]]:
    files = render.tree(samples.stack(**OLD))
    return replace(
        Generation(
            7,
            1700000000,
            "d7",
            "ann@laptop",
            "0.1.0",
            settings=samples.settings(**OLD),
            files=hashes(files),
            whole=True,
        ),
        **changes,
    ), files


def become(
    monkeypatch: pytest.MonkeyPatch,
    item: Generation,
    files: Mapping[str, str],
    found: Generations | None = None,
) -> None:
    monkeypatch.setattr(as_recorded, "known", lambda *_: files)
    as_recorded.become(found or Generations((item,)), item)


def test_the_run_is_of_its_settings_files_and_images_and_of_the_hosts_own_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    item, files = recorded()
    # An earlier package made another file of them.
    files = {**files, "scripts/sync-forks.sh": "of then\n"}
    item = replace(item, files=hashes(files))
    with fake({}, **FEW, open_ports=[{"port": 25}]):
        assert stack().override("n8n").memory_mb is None
        become(monkeypatch, item, files)
        assert (stack().override("n8n").memory_mb, len(stack().open_ports)) == (900, 1)
        assert described.tree() == files
        [n8n] = [each for each in services() if each.name == "n8n"]
        assert render.image(n8n.main) == "n8nio/n8n:2.29.1"
        assert described.digests(n8n) == render.labelled(files["dkcompose/n8n-deploy.yaml"])
        assert described.links()["/root/sync-forks.sh"] == "/opt/smarteros/current/scripts/sync-forks.sh"
        number, settings = described.back()
        assert (number, settings["overrides"], settings["open_ports"]) == (
            7,
            OLD["overrides"],
            [{"port": 25}],
        )


def test_images_of_before_they_were_pinned_are_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    item, files = recorded()
    monkeypatch.setattr(pins, "of", lambda _: {"n8nio/n8n:2.30.8": PINNED})
    with fake({}, **FEW):
        assert [line.partition(" ")[0] for line in images.unpinned()] == ["images:"]
        become(monkeypatch, item, files)
        assert list(images.unpinned()) == []


def test_people_are_told_of_it_as_the_settings_are_now(monkeypatch: pytest.MonkeyPatch) -> None:
    item, files = recorded()
    mail = {"host": "smtp.example.com", "from": "smarteros@example.com"}
    monkeypatch.setattr(vault_access, "out_of_reach", lambda: False)
    with fake({"cd /vault/secrets": []}, **FEW, mail=mail, notify={"mail": {"to": ["ops@example.com"]}}):
        become(monkeypatch, item, files)
        assert (stack().mail, stack().notify is None) == (None, False)
        (command,) = commands(notify.configured)
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(base64.b64decode(stdin(command))))) as tar:
        told = json.loads(tar.extractfile("notify.json").read())  # type: ignore[union-attr]
    assert (told["channels"]["mail"]["host"], told["channels"]["mail"]["to"]) == (
        "smtp.example.com",
        ["ops@example.com"],
    )


def test_nothing_of_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    few: dict[str, Any] = {"services": ["vault", "postgres", "vault-auth-validator", "caddy"]}
    files = render.tree(samples.stack(**few))
    name = render.images(files["dkcompose/vault-auth-validator-deploy.yaml"])
    text = files["dkcompose/vault-auth-validator-deploy.yaml"].replace(
        name["vault-auth-validator"], "built/then:0123"
    )
    files["dkcompose/vault-auth-validator-deploy.yaml"] = text
    item, _ = recorded(settings=samples.settings(**few), files=hashes(files))
    with fake({}, **few):
        become(monkeypatch, item, files)
        [service] = [each for each in services() if each.name == "vault-auth-validator"]
        assert (render.image(service.main), service.main.build, service.main.fork) == (
            "built/then:0123",
            "",
            "",
        )


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "its files are gone": (
        {"whole": False},
        "generation 7 is not whole on the host any more, which lacks its files: choose another",
    ),
    "an image is gone": (
        {"images": {"n8nio/n8n:2.29.1": "sha256:1"}},
        "which lacks the image n8nio/n8n:2.29.1: choose another",
    ),
    "a hand edited it": ({"files": {"a": "0"}}, "generation 7 was edited by hand on the host since: "),
    "another vault": (
        {"settings": samples.settings(**OLD, vault_mount="kv")},
        "generation 7 had its secrets elsewhere (vault_mount), and nothing goes back to that by itself",
    ),
}


@pytest.mark.parametrize(("changes", "said"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: str) -> None:
    item, files = recorded(**changes)
    with fake({}, **FEW), pytest.raises(Refused) as refused:
        become(monkeypatch, item, files)
    assert said in str(refused.value)


def test_other_containers_of_another_package_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    item, files = recorded()
    files["dkcompose/n8n-deploy.yaml"] = files["dkcompose/n8n-deploy.yaml"].replace(
        "\n  n8n:\n", "\n  n8n-main:\n", 1
    )
    with fake({}, **FEW), pytest.raises(Refused) as refused:
        become(monkeypatch, replace(item, files=hashes(files)), files)
    assert (
        "generation 7 was made by 0.1.0, whose n8n has other containers than this package's (n8n, n8n-main)"
        in str(refused.value)
    )


def test_what_it_means_is_said_first(monkeypatch: pytest.MonkeyPatch) -> None:
    item, _ = recorded(schemas={"n8n": "1"})
    found = Generations((item, replace(item, number=8, point=1700000100)), schemas={"n8n": "2"})
    monkeypatch.delenv("DATA", raising=False)
    with fake({}, **FEW):
        said = list(rollback.told(found, item))
        assert said[0].startswith(
            "back to generation 7, by ann@laptop, 2023-11-14 22:13 UTC; cut short, `make rollback TO=7`"
        )
        assert "the next `make deploy` with them rolls forward again" in said[1]
        assert (
            said[2]
            == "tables have changed since in n8n; they stay, and its programs may not take them: DATA=yes restores them"
        )
        with pytest.raises(Refused, match="nothing is backed up"):
            rollback.restored(found, item)


def test_data_go_back_to_just_before_the_next_generation() -> None:
    item, _ = recorded(schemas={"n8n": "1"})
    backup = {"endpoint": "https://s3.example.com", "bucket": "copies"}
    with fake({}, **FEW, backup=backup):
        later = (
            replace(item, number=8),
            replace(item, number=9, point=1700000100),
            replace(item, number=10, point=1700000200),
        )
        [(service, time)] = rollback.restored(Generations((item, *later), schemas={"n8n": "2"}), item)
        assert (service.name, time.timestamp()) == ("n8n", 1700000100)
        with pytest.raises(Refused, match="no restore point was made after generation 7"):
            rollback.restored(Generations((item, later[0]), schemas={"n8n": "2"}), item)
        assert rollback.restored(Generations((item, *later), schemas={"n8n": "1"}), item) == []


@pytest.mark.parametrize(("given", "wanted"), [("", False), ("yes", True)])
def test_data_has_to_be_asked_for_by_the_word(
    monkeypatch: pytest.MonkeyPatch, given: str, wanted: bool
) -> None:
    monkeypatch.setenv("DATA", given)
    assert rollback.data_too() is wanted
    monkeypatch.setenv("DATA", "1")
    with pytest.raises(Refused, match="DATA=yes restores databases"):
        rollback.data_too()
