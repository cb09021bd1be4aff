"""Update: which tag comes, what is refused before anything is done, what is noted, and which way a run that was cut short goes."""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api import StringCommand

from tasks.commands import restore, update, update_back, update_course, update_note, update_on
from tasks.commands.update_note import BACK, Host, Note
from tasks.connection.said import Said
from tasks.facts import DockerFact, MachineFact
from tasks.facts.containers import ContainerState
from tasks.facts.docker import DockerState
from tasks.facts.last_run import Deploy
from tasks.facts.machine import Machine
from tasks.facts.registries import Registered, RegistriesFact, TagsFact
from tasks.facts.restorable import GenerationFact, Restorable, RestorableFact
from tasks.facts.updating import Updating, UpdatingFact
from tasks.model import pins
from tasks.operations import described, points, restoring
from tasks.rendering import render
from tasks.run import Refused, services, stack
from tasks.run import host as current
from tests import samples
from tests.fake import commands, fake
from tests.signals import heard

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
BACKUP: dict[str, Any] = {"backup": {"endpoint": "https://s3.example.com", "bucket": "copies"}}
CLOCK = 1795867300.0
DRILLED = {f"n8n {part}": CLOCK - 86400 for part in ("database", "dump", "files")}
PLENTY = Restorable(here=True, clock=CLOCK, free=1 << 40, databases={"n8n": 9}, verified=DRILLED)
TAGS = ("2.30.8", "2.30.9", "2.30.10", "3.0.1", "latest")
NAME = "@fake/one"


@pytest.fixture(autouse=True)
def inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the run that is under way has its pins and its note, neither there yet."""
    monkeypatch.setattr(
        "sys.argv", ["/venv/bin/pyinfra", str(tmp_path / "prod.py"), "tasks.commands.update_on.run"]
    )
    for name in ("TO", "BACKUP", "DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(update_note.CHOICE, "n8n")
    monkeypatch.setenv(update_note.RUN, "run 1")
    return tmp_path / "prod.py"


@contextmanager
def host(
    monkeypatch: pytest.MonkeyPatch, facts: Mapping[Any, Any] | None = None, **changes: Any
) -> Iterator[None]:
    """A host as its settings describe it, with a bucket; facts: others than that."""
    with fake({}, **{**BACKUP, **changes}) as now:
        running = ContainerState("postgres", "x", "", "", "running", "healthy", 0, "", ())
        found = {
            GenerationFact: described.name(render.tree(samples.stack(**{**BACKUP, **changes}))),
            MachineFact: Machine(backup=render.bucket(stack()) if stack().backup else ""),
            DockerFact: DockerState({"postgres": running}),
            RestorableFact: PLENTY,
            UpdatingFact: Updating((Deploy("ann", CLOCK - 60, 0, "under way"),), CLOCK - 9.5, CLOCK),
            **(facts or {}),
        }

        def known(fact: Any, *images: Any) -> Any:
            if fact is TagsFact:
                return {image: Registered(ONE, tags=TAGS) for image in images}
            if fact is RegistriesFact:
                return {image: (facts or {}).get(fact, Registered(TWO)) for image in images}
            return found[fact]

        for module in (update_on, update_back, update_course, restore, points):
            monkeypatch.setattr(module, "known", known)
        monkeypatch.setattr(now, "log", lambda text, *_: print(text))
        yield


def ran(operation: Any, *arguments: Any) -> str:
    """What the operation does on this machine, done; why it fails, else empty."""
    for each in commands(operation, *arguments):
        if isinstance(each, StringCommand):
            continue
        try:
            each.function.__closure__[0].cell_contents()
        except Refused as error:
            return str(error)
    return ""


def test_without_a_tag_it_is_the_newest_of_the_same_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with host(monkeypatch):
        note = update_on.course()
        assert note is not None
        assert (note.old, note.new, note.services, note.before) == ("2.30.8", "2.30.10", ("n8n",), None)
        assert pins.parsed(note.after) == {"n8nio/n8n:2.30.8": f"2.30.10@{TWO}"}
        assert note.of(NAME) == Host(data=("n8n",))
        assert list(update_on.told(note)) == [
            "n8nio/n8n:2.30.8: 2.30.8 → 2.30.10, for n8n",
            "where the deploy or the check fails, 2.30.8 comes back, and the databases of n8n as they were just before",
        ]
        update_note.describe(note.after)
        [n8n] = [item for item in services() if item.name == "n8n"]
        assert {render.image(item) for item in n8n.containers} == {f"n8nio/n8n:2.30.10@{TWO}"}
        update_note.describe(note.before)
        assert stack().pins is None


def test_the_newest_is_not_updated_and_the_next_line_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], inventory: Path
) -> None:
    inventory.with_suffix(".lock.json").write_text(pins.text({"n8nio/n8n:2.30.8": f"2.30.10@{TWO}"}))
    found = pins.read(inventory.with_suffix(".lock.json"))
    tree = render.tree(samples.stack(**BACKUP).with_pins(found))
    with host(monkeypatch, {GenerationFact: described.name(tree)}):
        assert update_on.course() is None
    assert (
        "n8nio/n8n:2.30.10 is the newest of its line, and stands for what it did: nothing is to update; next line: 3.0.1"
        in capsys.readouterr().out
    )


def test_a_pinned_tag_that_has_moved_is_an_update_and_stays_a_plain_pin(
    monkeypatch: pytest.MonkeyPatch, inventory: Path
) -> None:
    found = {"n8nio/n8n:2.31.0": ONE, "redis:7.4.11-alpine": ONE}
    inventory.with_suffix(".lock.json").write_text(pins.text(found))
    changes: dict[str, Any] = {"overrides": {"n8n": {"image": "n8nio/n8n:2.31.0"}}}
    tree = render.tree(samples.stack(**BACKUP, **changes).with_pins(found))
    with host(monkeypatch, {GenerationFact: described.name(tree)}, **changes):
        note = update_on.course()
    assert note is not None
    assert (note.old, note.new) == ("2.31.0", "2.31.0")
    assert pins.parsed(note.after) == {**found, "n8nio/n8n:2.31.0": TWO}
    assert note.before == pins.text(found)


def test_services_with_the_same_image_are_updated_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(update_note.CHOICE, "mcp-registry")
    monkeypatch.setenv("TO", "2.11.8-alpine")
    with host(monkeypatch, {RestorableFact: replace(PLENTY, verified={"caddy files": CLOCK})}):
        note = update_on.course()
        assert note is not None
        assert (note.services, note.of(NAME).data) == (("mcp-registry", "caddy"), ())
        assert list(update_on.told(note))[1:] == [
            "where the deploy or the check fails, 2.11.7-alpine comes back",
            "what caddy stores does not come back by itself: it stays as the new image leaves it",
        ]


REFUSED: dict[str, tuple[dict[str, str], dict[Any, Any], dict[str, Any], str]] = {
    "no service": (
        {update_note.CHOICE: ""},
        {},
        {},
        "say which service it is, as SERVICE=n8n: there are vault, postgres, ",
    ),
    "another name": (
        {update_note.CHOICE: "n8m"},
        {},
        {},
        "SERVICE=n8m: nothing of that name has an image, did you mean n8n?",
    ),
    "its own digest": (
        {},
        {},
        {"overrides": {"n8n": {"image": f"n8nio/n8n:2.30.8@{ONE}"}}},
        "SERVICE=n8n: its image is built from a fork of yours, or named by its digest, in the settings (overrides.n8n)",
    ),
    "an older tag": ({"TO": "2.30.7"}, {}, {}, "TO=2.30.7 is older than n8nio/n8n:2.30.8, which runs"),
    "no tag": ({"TO": "latest"}, {}, {}, "TO=latest: 'n8nio/n8n:latest' is another program tomorrow"),
    "a tag that is not there": (
        {"TO": "2.99.0"},
        {RegistriesFact: Registered(wrong="manifest unknown: manifest unknown")},
        {},
        "@fake/one is not updated: n8nio/n8n:2.99.0: there is no such tag: `make outdated INVENTORY=",
    ),
    "a registry that is silent": (
        {"TO": "2.99.0"},
        {RegistriesFact: Registered(wrong="dial tcp 192.0.2.1:443: i/o timeout")},
        {},
        "n8nio/n8n:2.99.0: its registry does not answer (dial tcp 192.0.2.1:443: i/o timeout): run again once it does",
    ),
    "settings that wait": (
        {},
        {GenerationFact: "0123"},
        {},
        "has other files than this machine would give it",
    ),
    "an old drill": (
        {},
        {RestorableFact: replace(PLENTY, verified={**DRILLED, "n8n dump": CLOCK - 9 * 86400})},
        {},
        "the last proven restore of n8n dump is 9 days old, and an update may need one: `make drill SERVICE=n8n ",
    ),
    "no drill": (
        {},
        {RestorableFact: replace(PLENTY, verified={})},
        {},
        "no restore of n8n database was proven yet, and an update may need one",
    ),
    "no backup": (
        {},
        {},
        {"backup": None},
        "n8n stores what no backup has (the setting backup; README, Backups), so nothing would bring it back: BACKUP=none says",
    ),
    "a bucket without anything": ({}, {MachineFact: Machine()}, {}, "n8n stores what no backup has"),
    "Postgres down": (
        {},
        {DockerFact: DockerState()},
        {},
        "no restore point of n8n can be made, since Postgres does not run; BACKUP=none",
    ),
    "a bucket away": (
        {},
        {RestorableFact: replace(PLENTY, wrong=("refused",))},
        {},
        "the bucket cannot be read (refused)",
    ),
    "little disk": ({}, {RestorableFact: replace(PLENTY, free=1)}, {}, "too little disk: a restore takes"),
    "a restore cut short": (
        {},
        {RestorableFact: replace(PLENTY, unfinished="then")},
        {},
        "a restore of n8n to then was cut short: end that first",
    ),
    "another word": ({"BACKUP": "no"}, {}, {}, "BACKUP=no: BACKUP=none goes without a proven backup"),
}


@pytest.mark.parametrize("why", REFUSED)
def test_it_is_refused_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch, inventory: Path, why: str
) -> None:
    words, facts, changes, said = REFUSED[why]
    for name, value in words.items():
        monkeypatch.setenv(name, value)
    with host(monkeypatch, facts, **changes):
        with pytest.raises(Said) as refused:
            update_on.run()
        assert said in str(refused.value)
    assert list(inventory.parent.iterdir()) == []


def test_what_else_stands_in_the_way_is_said_with_a_tag_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TO", "2.99.0")
    gone = Registered(wrong="manifest unknown: manifest unknown")
    with host(monkeypatch, {RegistriesFact: gone, RestorableFact: replace(PLENTY, verified={})}):
        with pytest.raises(Said) as refused:
            update_on.run()
        first, second = str(refused.value).splitlines()
        assert ": there is no such tag: " in first
        assert second.startswith(
            "    also: no restore of n8n database was proven yet, and an update may need one: "
        )
        monkeypatch.setenv("BACKUP", "none")
        with pytest.raises(Said) as refused:
            update_on.run()
        assert len(str(refused.value).splitlines()) == 1


def test_who_goes_without_a_backup_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP", "none")
    with host(monkeypatch, {RestorableFact: replace(PLENTY, verified={})}):
        note = update_on.course()
        assert note is not None
        assert note.of(NAME).data == ("n8n",)  # what there is is used
    with host(monkeypatch, backup=None):
        note = update_on.course()
        assert note is not None
        assert note.of(NAME).data == ()
        assert (
            list(update_on.told(note))[-1]
            == "what n8n stores does not come back by itself: it stays as the new image leaves it"
        )


def noted(**changes: Any) -> Note:
    after = pins.text({"n8nio/n8n:2.30.8": f"2.30.10@{TWO}"})
    made = Note(
        "n8n",
        "n8nio/n8n:2.30.8",
        "2.30.8",
        "2.30.10",
        ("n8n",),
        None,
        after,
        hosts={NAME: Host(data=("n8n",))},
    )
    return replace(made, **changes)


def test_the_way_back_is_noted_before_the_pin_and_once(
    monkeypatch: pytest.MonkeyPatch, inventory: Path
) -> None:
    lock, file = inventory.with_suffix(".lock.json"), update_note.at(inventory)
    with host(monkeypatch):
        assert ran(update_on.begun, noted()) == ""
    there = update_note.read(file)
    assert there == noted(run="run 1", hosts={NAME: Host(CLOCK - 60, CLOCK - 9.5, ("n8n",))})
    assert lock.read_text() == noted().after
    # Again, by a later run: the point is that of before anything was started.
    monkeypatch.setenv(update_note.RUN, "run 2")
    with host(monkeypatch, {UpdatingFact: Updating((), CLOCK + 9, CLOCK + 9)}):
        assert update_on.course() == there
        assert ran(update_on.begun, there) == ""
    assert update_note.read(file) == replace(there, run="run 2")
    with host(monkeypatch):
        assert (
            ran(update_on.begun, noted(service="odoo"))
            == f"{NAME}: another host of the inventory, or another run, is at n8n 2.30.10: run again"
        )
        assert ran(update_on.ended, there) == ""
    assert (lock.exists(), file.exists()) == (True, False)


def test_where_another_host_of_the_run_has_failed_all_go_back(
    monkeypatch: pytest.MonkeyPatch, inventory: Path
) -> None:
    file = update_note.at(inventory)
    update_note.write(file, noted())
    with host(monkeypatch):
        state = current().state
        state.failed_hosts.add(current())
        said = ran(update_on.ended, noted())
        assert said == f"{NAME} has failed, and one lock file is for all: {NAME} goes back as well"
        assert commands(update_back.ended, noted()) == []
    assert update_note.read(file) == noted()


def test_no_other_update_begins_before_one_that_was_cut_short_is_ended(
    monkeypatch: pytest.MonkeyPatch, inventory: Path
) -> None:
    update_note.write(update_note.at(inventory), noted(run="run 0"))
    for name, value in ((update_note.CHOICE, "odoo"), ("TO", "2.31.0")):
        with monkeypatch.context() as patch, host(monkeypatch):
            patch.setenv(name, value)
            with pytest.raises(Refused, match=r"an update of n8n to 2\.30\.10 was cut short: end that first"):
                update_on.course()
    update_note.write(update_note.at(inventory), noted(way=BACK))
    with host(monkeypatch), pytest.raises(Refused, match="its update is on its way back"):
        update_on.course()
    update_note.at(inventory).write_text("{")
    with pytest.raises(Refused, match="is no note of an update"):
        update_note.read(update_note.at(inventory))


STARTED = Deploy(
    "ann", CLOCK - 60, 50, "failed", at="Update | what users of n8n do", changed=("Services | n8n Workflows",)
)
BEGUN = noted(hosts={NAME: Host(CLOCK - 60, CLOCK - 55, ("n8n",))})


@pytest.mark.parametrize(
    ("note", "run", "back"),
    [
        (BEGUN, STARTED, ["n8n"]),
        (BEGUN, replace(STARTED, changed=(), at="Services | n8n Workflows"), ["n8n"]),
        (BEGUN, replace(STARTED, changed=(), at="Secrets | all"), []),  # only the old one has written
        (BEGUN, replace(STARTED, started=CLOCK - 600), []),  # by an earlier deploy
        (noted(hosts={NAME: Host(CLOCK - 60, 0)}), STARTED, []),
        (noted(hosts={NAME: Host(CLOCK - 60, CLOCK - 55, ("n8n",), restored=True)}), STARTED, []),
    ],
)
def test_databases_come_back_where_the_new_image_was_started_on_them(
    monkeypatch: pytest.MonkeyPatch, note: Note, run: Deploy, back: list[str]
) -> None:
    with host(monkeypatch, {UpdatingFact: Updating((run,), 0, CLOCK)}):
        assert [item.name for item in update_back._with_data(note)] == back


def test_what_was_written_for_long_is_not_given_up_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    late = {UpdatingFact: Updating((STARTED,), 0, CLOCK + 3600)}
    with host(monkeypatch, late):
        with pytest.raises(
            Refused, match=r"would come back, and what was written since go: DATA=yes does it"
        ):
            update_back._with_data(BEGUN)
        monkeypatch.setenv("DATA", "yes")
        assert [item.name for item in update_back._with_data(BEGUN)] == ["n8n"]


def test_the_way_back_ends_with_the_lock_file_of_before(
    monkeypatch: pytest.MonkeyPatch, inventory: Path
) -> None:
    lock, file = inventory.with_suffix(".lock.json"), update_note.at(inventory)
    before = pins.text({"redis:7.4.11-alpine": ONE})
    for text in (None, before):
        note = replace(BEGUN, before=text)
        update_note.write(file, note)
        lock.write_text(note.after)
        with host(monkeypatch):
            assert ran(update_back.turned, note) == ""
            assert update_note.read(file) == replace(note, way=BACK)
            assert (lock.read_text() if lock.exists() else None) == text
            assert ran(update_back.restored) == ""
            assert update_note.read(file) == replace(
                note, way=BACK, hosts={NAME: replace(note.of(NAME), restored=True)}
            )
            assert ran(update_back.ended, note) == ""
        assert not file.exists()


def test_what_a_failed_update_has_made_is_marked_once_and_what_was_there_before_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    times = {"5": "1795757000", "6": "1795757700", "7": "", "8": "1795757701"}
    for number, time in times.items():
        (tmp_path / number).mkdir()
        (tmp_path / number / "time").write_text(time)
    note = replace(BEGUN, hosts={NAME: replace(BEGUN.of(NAME), began=1795757700.5)})
    with host(monkeypatch):
        [shell, *_] = commands(update_back.turned, note)
        assert not any(
            isinstance(each, StringCommand) for each in commands(update_back.turned, replace(note, way=BACK))
        )
    subprocess.run(["sh", "-c", str(shell).replace(render.RECORDS, str(tmp_path))], check=True)
    assert {path.parent.name: path.read_text() for path in tmp_path.glob("*/failed")} == {
        "6": "update of n8n to 2.30.10\n",
        "8": "update of n8n to 2.30.10\n",
    }


PYINFRA = """#!/bin/sh
echo "$SMARTEROS_UPDATE $*" >>{log}
case "$*" in
*update_back.run) {back} ;;
*) {on} ;;
esac
"""


def course(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, on: str, back: str = "true"
) -> tuple[str, list[str]]:
    """What main ends with, and what it calls, without the run's name. on, back: what pyinfra then does."""
    program, log = tmp_path / "pyinfra", tmp_path / "log"
    program.write_text(PYINFRA.format(log=log, on=on, back=back))
    program.chmod(0o755)
    log.unlink(missing_ok=True)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setattr("sys.argv", ["update.py", "--limit", "one", str(tmp_path / "prod.py")])
    said = ""
    try:
        update.main()
    except SystemExit as error:
        said = str(error.code)
    return said, [
        line.split(" ", 1)[1].replace(f"{tmp_path}/", "") for line in log.read_text().splitlines()
    ] if log.exists() else []


ON, WAY = (
    "--limit one prod.py tasks.commands.update_on.run",
    "-y --limit one prod.py tasks.commands.update_back.run",
)


def test_what_has_failed_once_it_has_begun_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = update_note.at(tmp_path / "prod.py")
    (tmp_path / "begun").write_text(_text(noted(run="RUN")))
    begins = f"sed s/RUN/$SMARTEROS_UPDATE/ {tmp_path}/begun >{file}"
    assert course(tmp_path, monkeypatch, on="true") == ("", [ON])
    assert course(tmp_path, monkeypatch, on="exit 1") == ("update: nothing was changed", [ON])
    back = f"rm {file}"
    assert course(tmp_path, monkeypatch, on=f"{begins}; exit 1", back=back) == (
        "update: n8n runs 2.30.8 again, as before, and is not updated",
        [ON, WAY],
    )
    # A no to the question of the next run leaves it as it is.
    assert course(tmp_path, monkeypatch, on=f"{begins}; kill -9 $$") == (
        "update: it was cut short: the same command goes on",
        [ON],
    )
    assert course(tmp_path, monkeypatch, on="exit 1") == (
        "update: nothing was changed; the update of n8n to 2.30.10 is still to be ended, by the same command",
        [ON],
    )
    assert course(tmp_path, monkeypatch, on=f"{begins}; exit 1", back="exit 1") == (
        "update: n8n has not come back to 2.30.8, as said above: the same command goes on",
        [ON, WAY],
    )


# The run alone, and both as a terminal does it.
@pytest.mark.parametrize("interrupt", ["exit 130", "kill -INT $PPID; sleep 1; exit 1"])
def test_ctrl_c_ends_it_as_it_ends_a_run_whichever_way_it_is_at(
    interrupt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = update_note.at(tmp_path / "prod.py")
    (tmp_path / "begun").write_text(_text(noted(run="RUN")))
    begins = f"sed s/RUN/$SMARTEROS_UPDATE/ {tmp_path}/begun >{file}"
    with heard():
        for on in (interrupt, f"{begins}; {interrupt}"):
            assert course(tmp_path, monkeypatch, on=on) == ("130", [ON])
        assert course(tmp_path, monkeypatch, on=f"{begins}; exit 1", back=interrupt) == ("130", [ON, WAY])
    said = capsys.readouterr().err
    assert said.count("update: ended; the same command goes on where it was, or back\n") == 3


def test_one_that_was_cut_short_on_its_way_back_goes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    update_note.write(update_note.at(tmp_path / "prod.py"), noted(way=BACK, run="0"))
    assert course(tmp_path, monkeypatch, on="true")[1] == [WAY]
    assert (
        "the update of n8n to 2.30.10 was cut short on its way back, which goes on" in capsys.readouterr().err
    )
    monkeypatch.setenv(update_note.CHOICE, "odoo")
    said, called = course(tmp_path, monkeypatch, on="true")
    assert (called, said) == (
        [],
        "update: an update of n8n to 2.30.10 was cut short: end that first, `make update SERVICE=n8n`",
    )


def _text(note: Note) -> str:
    return json.dumps(asdict(note))


def test_the_time_is_that_of_the_point() -> None:
    with fake({}):
        assert restoring.written(update_back._time(BEGUN)) == "2026-11-28 12:00:45.000000+00"
    assert os.environ.get("KEEP_FILES") is None
