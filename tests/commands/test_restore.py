"""Restore, its undoing and the drill: what is refused before anything is done, and what the host is asked to do."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tasks.commands import drill, restore, restore_undo
from tasks.facts.restorable import SCRIPT
from tasks.operations import described
from tasks.operations.restoring import moment
from tasks.rendering import render
from tasks.run import Refused
from tasks.services.backup import RESTORED
from tests.facts.test_restorable import LINES
from tests.fake import commands, fake, texts
from tests.samples import ROOT, stack

BACKUP = {"endpoint": "https://s3.example.com", "bucket": "acme-backup"}
SET = [
    json.dumps([{"backup": [{"database-ref": [{"name": name} for name in ("n8n", "odoo", "odoo_test")]}]}])
]
DESCRIBED = [described.name(render.tree(stack(backup=BACKUP)))]
# Within what LINES have, and 13 s before their clock.
TO = "2026-11-27 05:41:27.25Z"


@contextmanager
def host(lines: list[str], **changes: Any) -> Iterator[None]:
    answers = {"backup/list.sh": lines, "--set=": SET, "basename": DESCRIBED}
    with fake(answers, **{"backup": BACKUP, **changes}):
        yield


def restored(lines: list[str], to: str = TO) -> str:
    """The command that the host gets, all on one line. Raises Refused."""
    with host(lines):
        [text] = texts(restore.restored, restore.named("odoo"), moment(to))
        return text


READY = [line for line in LINES if not line.startswith("unfinished")]


def test_the_host_is_told_what_to_take_from_where() -> None:
    command = restored(READY)
    assert command.startswith("systemctl stop smarteros-restore.service")
    for word in (
        "--setenv='TARGET=2026-11-27 05:41:27.250000+00'",
        "--setenv=UNTIL=1795758087.250000",
        "--setenv=LABEL=20261127-053920F",
        "--setenv=BEFORE=608cb98dd863",
        "--setenv=AFTER=",
        f"/bin/bash {SCRIPT} odoo odoo odoo_test </dev/null",
    ):
        assert f" {word}" in command


def test_one_that_was_cut_short_is_ended_and_no_other_is_begun() -> None:
    began = "2026-11-27 05:39:42.013303+00"
    command = restored(LINES, "2026-11-27T02:39:42.013303-03:00")
    assert f"--setenv='TARGET={began}'" in command
    assert f"{SCRIPT} odoo </dev/null" in command
    refusal = refused(LINES)
    assert (
        refusal
        == f"a restore of odoo to {began} was cut short: end that first: `make restore SERVICE=odoo TO='{began}'`"
    )


def refused(lines: list[str], to: str = TO) -> str:
    """What the host's run fails with."""
    with host(lines):
        [step] = commands(restore.restored, restore.named("odoo"), moment(to))
        with pytest.raises(Refused) as error:
            step.function.__closure__[0].cell_contents()
        return str(error.value)


def test_a_host_with_other_files_than_this_machine_has_is_not_started_on_them() -> None:
    with fake({"basename": ["0123456789ab"]}, backup=BACKUP):
        [step] = commands(restore.restored, restore.named("odoo"), moment(TO))
        with pytest.raises(Refused, match="has other files than this machine would give it"):
            step.function.__closure__[0].cell_contents()
        with pytest.raises(Refused):
            restore.as_described()


def test_a_host_that_was_rolled_back_is_not_told_to_undo_that() -> None:
    made = json.dumps({"operator": "ann@laptop", "of": 3})
    rolled = ["generation 1795400000 0123456789ab", f"record 6 1795406400 {made}"]
    cut = '{"started": "2026-11-23T04:00:00Z", "seconds": 61, "operator": "ann@laptop", "login": "root", "command": "rollback", '
    cut += '"generation": "0123456789ab", "result": "interrupted", "at": "Data | PostgreSQL", "changed": []}'
    for lines, said in (
        (
            rolled,
            (
                "@fake/one was rolled back to generation 3 (ann@laptop, 2026-11-23 04:00:00Z), and your settings, or this version, describe "
                "another one. Either roll forward to those: `make plan` shows it, `make deploy` does it, and ends the rollback. Or keep "
                "what the host has: put the settings back as they were (`make generations` says what differs), until `make plan` finds "
                "nothing to do, then run this again"
            ),
        ),
        (
            [rolled[0], f"run {cut}"],
            (
                "@fake/one has other files than this machine would give it, since the last rollback (ann@laptop, 2026-11-23 04:00:00Z) did not "
                "come to its end: `make status` says what ends it"
            ),
        ),
    ):
        with fake({"runs.log": lines, "basename": ["0123456789ab"]}, backup=BACKUP):
            with pytest.raises(Refused) as error:
                restore.as_described()
            assert str(error.value) == said


def test_a_host_without_the_scripts_is_told_to_deploy() -> None:
    assert "has nothing to restore with: `make deploy` brings it" in refused([])


def test_what_is_not_there_is_refused_before_anything_is_done() -> None:
    assert "has not come yet" in refused(READY, "2026-11-27 06:00Z")
    assert "is earlier than the oldest" in refused(READY, "2026-11-20 06:00Z")
    little = [*(line for line in READY if not line.startswith("free")), "free 1000"]
    assert refused(little).startswith("too little disk: ")


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        (
            "",
            "say which service it is, as SERVICE=odoo: there are chatwoot, botpress, n8n, odoo, metabase, dokploy",
        ),
        (
            "odo",
            "SERVICE=odo: nothing of that name is restored by itself, did you mean odoo?",
        ),
        (
            "caddy",
            "SERVICE=caddy: nothing of that name is restored by itself: there are chatwoot, botpress, n8n, odoo, metabase, dokploy",
        ),
    ],
)
def test_what_does_not_come_back_alone_is_refused(choice: str, why: str) -> None:
    with host([]), pytest.raises(Refused) as error:
        restore.named(choice)
    assert str(error.value) == why


def test_without_a_bucket_there_is_nothing_to_restore() -> None:
    with host([], backup=None), pytest.raises(Refused, match=r"^nothing is backed up: "):
        restore.named("odoo")


def test_an_undo_asks_the_bucket_nothing() -> None:
    with host([]):
        [command] = texts(restore_undo.undone, restore.named("odoo"))
    assert f" /bin/bash {SCRIPT} odoo --undo </dev/null" in command
    assert "--setenv" not in command


CUT = "odoo: this was cut short, and it may be down: the same command goes on where it was\n"


@pytest.mark.parametrize(
    ("words", "journal", "code", "said"),
    [
        (("--undo",), "from _before_20261126_1", 255, CUT),
        ((), "from _new", 255, CUT),
        # It says itself what ends the other one.
        (("--undo",), "from _new", 1, ""),
        ((), "from _before_20261126_1", 1, ""),
        ((), "", 1, ""),
        ((), "", 0, ""),
    ],
)
def test_one_that_is_cut_short_says_what_ends_it(
    tmp_path: Path, words: tuple[str, ...], journal: str, code: int, said: str
) -> None:
    if journal:
        (tmp_path / "odoo.journal").write_text(f"to then\n{journal}\n")
    with host([]):
        command = restore.script(restore.named("odoo"), words)
    programs = f"systemctl() {{ :; }}; started() {{ return {code}; }}\n"
    shell = command.replace(RESTORED, str(tmp_path)).replace("systemd-run ", "started ")
    done = subprocess.run(["sh", "-c", programs + shell], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, said)


def test_a_drill_is_of_one_service_or_of_all() -> None:
    with fake({}, backup=BACKUP):
        assert drill.named("caddy") == "caddy"
        [one] = texts(drill.drilled, "odoo")
        [every] = texts(drill.drilled, "")
        with pytest.raises(Refused, match=r"^SERVICE=vault: nothing of that name is restored by itself"):
            drill.named("vault")
    assert one.endswith("/restore/drill.sh full odoo </dev/null")
    assert every.endswith("/restore/drill.sh full  </dev/null")


@pytest.mark.parametrize("code", [0, 1])
def test_what_a_drill_says_is_shown_once_however_it_ends(code: int, tmp_path: Path) -> None:
    """Pyinfra itself shows the lines of what fails, after its end, and no others."""
    (tmp_path / "shown.py").write_text(f"""
from pyinfra.api import operation
from tasks.commands.drill import Shown

@operation()
def shown():
    yield Shown("echo its files come back; exit {code}")

shown()
""")
    program = [str(Path(sys.executable).with_name("pyinfra")), "-y", "inventories/local.py"]
    done = subprocess.run(
        [*program, str(tmp_path / "shown.py")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert (done.stdout + done.stderr).count("[@local] its files come back\n") == 1
