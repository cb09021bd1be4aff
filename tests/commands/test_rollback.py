"""Rollback: the run describes the recorded generation, by its own files; what cannot be gone back to is refused in words."""

import base64
import gzip
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks import notify, plan, preflight
from tasks.clients import vault_access
from tasks.commands import generations, rollback, rollback_data
from tasks.commands import recorded as as_recorded
from tasks.facts import MachineFact
from tasks.facts.generations import hashes
from tasks.model import pins
from tasks.model.effects import Earlier, Lost, Step
from tasks.model.generations import Generation, Generations
from tasks.operations import backup_health, described, images
from tasks.rendering import render
from tasks.run import Refused, known, remember, services, stack
from tests import samples
from tests.facts.test_restorable import LINES
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


def test_each_is_listed_with_the_folder_that_status_names() -> None:
    first, again = recorded(tree="d7")[0], recorded(number=8, tree="d7+", of=7)[0]
    assert list(generations.table(Generations((first, again), again.files))) == [
        "*   8  2023-11-14T22:13:20Z  d7+  ann@laptop, back to 7",
        "    7  2023-11-14T22:13:20Z  d7  ann@laptop",
    ]


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


BACKUP: dict[str, Any] = {"backup": {"endpoint": "https://s3.example.com", "bucket": "copies"}}
MOVED = "n8n: its tables have changed since; its data stay, and its program of then may not take them: "
KEPT = "what was written since goes (kept for 7 days: `make restore-undo SERVICE=n8n`)"
NO_POINT = (
    "no restore point was made after generation 7; `make restore SERVICE=n8n TO='2023-11-14 22:13:20Z'` brings them back to when that "
    f"was noted, after the rollback and once your settings are those of generation 7, and {KEPT}"
)


def told(found: Generations, item: Generation, data: str = "") -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA", data)
        return list(rollback.told(found, item, rollback_data.behind(found, item)))


def test_what_it_means_is_said_first() -> None:
    item, _ = recorded(schemas={"n8n": "1"})
    found = Generations((item, replace(item, number=8, point=1700000100.25)), schemas={"n8n": "2"})
    with fake({}, **FEW, **BACKUP):
        said = told(found, item)
        assert said[0].startswith(
            "back to generation 7, by ann@laptop, 2023-11-14 22:13 UTC; cut short, `make rollback TO=7`"
        )
        assert "the next `make deploy` with them rolls forward again" in said[1]
        assert said[2:] == [
            f"{MOVED}`make rollback TO=7 DATA=yes` brings them back as well, to the restore point of 2023-11-14 22:15:00Z; {KEPT}"
        ]
        assert told(found, item, "yes")[0].endswith("; cut short, `make rollback TO=7 DATA=yes` ends it")
        assert told(found, item, "yes")[2:] == [f"n8n: its data go back to 2023-11-14 22:15:00Z, and {KEPT}"]


def test_that_an_update_went_back_from_it_is_said() -> None:
    item, _ = recorded(failed="update of n8n to 2.31.0")
    with fake({}, **FEW, **BACKUP):
        assert told(Generations((item,)), item)[1] == (
            "the update of n8n to 2.31.0 went back from generation 7: it had failed there"
        )


def test_where_no_restore_point_is_it_is_said_before_it_is_asked_for_with_the_whole_command() -> None:
    item, _ = recorded(schemas={"n8n": "1"})
    found = Generations((item, replace(item, number=8)), schemas={"n8n": "2"})
    with fake({}, **FEW, **BACKUP):
        assert told(found, item)[2:] == [f"{MOVED}{NO_POINT}"]
        with pytest.raises(Refused) as error:
            rollback_data.refused(rollback_data.behind(found, item), item)
        assert str(error.value) == f"DATA=yes: n8n: {NO_POINT}. Without DATA=yes all else goes back"
    with fake({}, **FEW):
        assert told(found, item)[2:] == [
            f"{MOVED}nothing is backed up (the setting backup), so no data come back"
        ]


def test_where_no_table_has_changed_asking_for_data_restores_none_and_says_so() -> None:
    item, _ = recorded(schemas={"n8n": "1"})
    with fake({}, **FEW, **BACKUP):
        found = Generations((item, replace(item, number=8, point=1700000100)), schemas={"n8n": "1"})
        assert told(found, item)[2:] == []
        assert told(found, item, "yes")[2:] == [
            (
                "DATA=yes: the tables of n8n are as they were, so no database is restored; `make restore SERVICE=… TO=…` brings rows back, "
                "after the rollback and once your settings are those of generation 7"
            )
        ]
        bare = replace(item, schemas={})
        assert told(found, bare, "yes")[2].startswith(
            "DATA=yes: no database was noted then, so none is restored; "
        )


def test_data_go_back_to_just_before_the_next_generation() -> None:
    item, _ = recorded(schemas={"n8n": "1"})
    with fake({}, **FEW, **BACKUP):
        later = (
            replace(item, number=8),
            replace(item, number=9, point=1700000100),
            replace(item, number=10, point=1700000200),
        )
        (one,) = rollback_data.behind(Generations((item, *later), schemas={"n8n": "2"}), item)
        assert one.point
        assert (one.service.name, one.point.timestamp()) == ("n8n", 1700000100)


def test_a_restore_that_was_cut_short_after_its_tables_came_back_is_ended() -> None:
    item, _ = recorded(schemas={"n8n": "1"})
    point = replace(item, number=8, point=1700000100)
    same = Generations((item, point), schemas={"n8n": "1"}, cut={"n8n": "to 2023-11-14 22:15:00.000000+00"})
    with fake({}, **FEW, **BACKUP):
        (one,) = rollback_data.behind(same, item)
        assert one.service.name == "n8n"
        assert told(same, item)[-1] == (
            "n8n: a restore of its data to 2023-11-14 22:15:00Z was cut short: `make rollback TO=7 DATA=yes` ends it"
        )
        for other in (
            {"n8n": "undo"},
            {"n8n": "to 2023-11-14 22:15:01.000000+00"},
            {"odoo": same.cut["n8n"]},
        ):
            assert not rollback_data.behind(replace(same, cut=other), item)
        cut = replace(known(MachineFact), cut=dict(same.cut))
        (said,) = backup_health.cut_short(cut.cut)
        remember(preflight.ENDED, lambda: dict(same.cut))
        assert said not in preflight.refusals(cut)


READY = [line.replace("service=odoo", "service=n8n") for line in LINES if not line.startswith("unfinished")]


def test_the_plan_has_which_database_goes_back_to_when_and_from_which_copy_its_files_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    item, _ = recorded(schemas={"n8n": "1"})
    point = replace(item, number=8, point=1795758087.25)
    monkeypatch.setenv("DATA", "yes")
    with fake({"backup/list.sh": READY}, **FEW, **BACKUP):
        behind = rollback_data.behind(Generations((item, point), schemas={"n8n": "2"}), item)
        (step,) = rollback._data_first(behind, item)
        assert step == Step(
            "Rollback | n8n Workflows's data as of 2026-11-27 05:41:27Z",
            (
                "database n8n: goes back to 2026-11-27 05:41:27Z",
                "its files come from the copy of 2026-11-27 05:39:24Z, 2 min before that time",
                Earlier("n8n"),
                Lost(
                    "n8n: what was written since 2026-11-27 05:41:27Z (kept for 7 days: `make restore-undo SERVICE=n8n`)"
                ),
            ),
        )
        remember(plan.FIRST, lambda: (step,))
        monkeypatch.setattr(plan, "_PHASES", Path("/dev/null"))
        assert plan.drafted() == (step,)
    little = [*(line for line in READY if not line.startswith("free")), "free 1000"]
    with fake({"backup/list.sh": little}, **FEW, **BACKUP), pytest.raises(Refused, match="too little disk"):
        rollback._data_first(behind, item)
    monkeypatch.setenv("DATA", "")
    with fake({}, **FEW, **BACKUP):
        assert rollback._data_first(behind, item) == ()


@pytest.mark.parametrize(("given", "wanted"), [("", False), ("yes", True)])
def test_data_has_to_be_asked_for_by_the_word(
    monkeypatch: pytest.MonkeyPatch, given: str, wanted: bool
) -> None:
    monkeypatch.setenv("DATA", given)
    assert rollback.data_too() is wanted
    monkeypatch.setenv("DATA", "1")
    with pytest.raises(Refused, match="DATA=yes restores databases"):
        rollback.data_too()
