"""Ahead: its shell, run for real, shows texts, times and names, and of a secret's value nothing that could be tried out."""

import subprocess
from pathlib import Path

import pytest

from tasks.facts import ahead
from tasks.facts.ahead import Ahead, parsed, question
from tasks.model import diffs

SECRET = 'hunter2 \\"x\\" $y'
BEFORE = f'A="1"\nPASSWORD="{SECRET}"\nGONE="2"\n'
AFTER = f'A="9"\nPASSWORD="{SECRET}"\nNEW="3"\n'


def printed(folder: Path, key: str) -> str:
    """What the host prints of the folder's files."""
    text = question([str(folder / "a b.txt"), str(folder / "absent")], [str(folder / "x.env")], ())
    done = subprocess.run(
        ["sh", "-c", text.replace(ahead.TIMES, str(folder / "times"))],
        input=f"{key}\n",
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    assert done.stderr == ""
    return done.stdout


def host(folder: Path) -> Path:
    (folder / "a b.txt").write_text("größer\n\nlast without an end")
    (folder / "x.env").write_text(BEFORE)
    (folder / "times").mkdir()
    (folder / "times" / "n8n").write_text("12\n")
    return folder


def test_texts_times_and_the_names_of_variables_come_by_one_command(tmp_path: Path) -> None:
    found = parsed(printed(host(tmp_path), "k").splitlines(), "k")
    assert found.texts == {str(tmp_path / "a b.txt"): "größer\n\nlast without an end"}
    assert found.seconds == {"n8n": 12}
    lines = found.lines[str(tmp_path / "x.env")]
    assert diffs.names(lines, found.wanted(AFTER)) == diffs.Names(("NEW",), ("GONE",), ("A",))
    assert diffs.names(lines, found.wanted(BEFORE)) == diffs.Names()


def test_of_values_it_prints_no_more_than_what_a_new_key_makes_of_them(tmp_path: Path) -> None:
    host(tmp_path)
    one, other = (printed(tmp_path, key) for key in ("k" * 64, "l" * 64))
    assert "hunter2" not in one
    sums = (
        [line.split()[1] for line in text.splitlines() if line.startswith("line ")] for text in (one, other)
    )
    assert set(next(sums)).isdisjoint(next(sums))


def test_a_host_without_any_of_it_shows_nothing(tmp_path: Path) -> None:
    assert parsed(printed(tmp_path, "k").splitlines()) == Ahead()


@pytest.mark.parametrize("left", ["", "\n", "1x\n", "\0\0"])
def test_a_measure_that_a_power_cut_has_emptied_is_none(tmp_path: Path, left: str) -> None:
    host(tmp_path)
    (tmp_path / "times" / "odoo").write_text(left)
    assert parsed(printed(tmp_path, "k").splitlines()).seconds == {"n8n": 12}


def test_where_names_lead_follows_the_rest() -> None:
    found = parsed(["took 3 odoo", "names", "name a.example.org 192.0.2.1", "own 192.0.2.2"])
    assert (found.seconds, found.names.leads) == ({"odoo": 3}, {"a.example.org": frozenset({"192.0.2.1"})})


def test_of_a_secret_file_that_has_no_variables_nothing_shows(tmp_path: Path) -> None:
    text = '{\n "token": "hunter2",\nhunter2\nhunter2 = 3\n"url=hunter2"\n}\n'
    (tmp_path / "x.env").write_text(text)
    out = printed(tmp_path, "k")
    assert "hunter2" not in out
    assert parsed(out.splitlines()).lines == {}
    assert Ahead(key="k").wanted(text) == {}
