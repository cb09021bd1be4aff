"""The points of a program's writes: before and after each call, by who calls, and none twice."""

import os
import subprocess
import sys
from pathlib import Path

WRITES = Path(__file__).parent / "faults" / "writes"
OURS = """
from pathlib import Path

def keep(path, text):
    draft = path.with_name(".draft")
    draft.write_text(text)
    draft.replace(path)
"""
PROGRAM = """
import os, sys
sys.path.insert(0, os.environ["BELOW"])
from pathlib import Path
from tasks.ours import keep

below = Path(os.environ["BELOW"])
(below.parent / "elsewhere").write_text("")
below.joinpath("read").exists() and below.joinpath("read").read_text()
keep(below / "one", "1")
for each in "234":
    keep(below / "two", each)
(below / "two").unlink()
"""


def run(folder: Path) -> tuple[int, str, list[str]]:
    """Exit code, where it was killed, and what is below with how much is in it."""
    before = (folder / "top/ended").read_text()
    done = subprocess.run(
        [sys.executable, "-B", folder / "program.py"],
        env={
            **os.environ,
            "BELOW": str(folder / "below"),
            "PYTHONPATH": str(WRITES),
            "SMARTEROS_FAULTS": str(folder / "top"),
        },
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    assert done.stderr == ""
    files = sorted(path for path in (folder / "below").glob("*") if path.is_file())
    ended = (folder / "top/ended").read_text().removeprefix(before).strip()
    return done.returncode, ended, [f"{path.name}={path.read_text()}" for path in files]


def made(folder: Path, *, armed: bool) -> None:
    for name in ("top", "below/tasks"):
        (folder / name).mkdir(parents=True)
    # A package: else the one that is installed would come before it.
    (folder / "below/tasks/__init__.py").touch()
    (folder / "below/tasks/ours.py").write_text(OURS)
    (folder / "program.py").write_text(PROGRAM)
    (folder / "top/below").write_text(str(folder / "below"))
    for name in ("course", "ended", "wanted", *(["armed"] if armed else [])):
        (folder / "top" / name).touch()


def test_a_program_is_killed_before_and_after_each_write_in_turn_and_then_comes_to_its_end(
    tmp_path: Path,
) -> None:
    made(tmp_path, armed=True)
    killed = []
    while (found := run(tmp_path))[0] != 0:
        assert found[0] == -9
        killed.append((found[1].replace("program: ", ""), found[2]))
    where = ".draft ours.py:6"
    assert killed[:4] == [
        (f"before open {where}*1", []),
        (f"after open {where}*1", [".draft="]),
        ("before os.rename .draft ours.py:7*1", [".draft=1"]),
        ("after os.rename .draft ours.py:7*1", ["one=1"]),
    ]
    # The second time by the same way, and no third one.
    assert killed[4:8] == [
        (f"before open {where}*2", ["one=1"]),
        (f"after open {where}*2", [".draft=", "one=1"]),
        ("before os.rename .draft ours.py:7*2", [".draft=2", "one=1"]),
        ("after os.rename .draft ours.py:7*2", ["one=1", "two=2"]),
    ]
    assert killed[8:] == [
        ("before os.remove two *1", ["one=1", "two=4"]),
        ("after os.remove two *1", ["one=1"]),
    ]
    assert found[2] == ["one=1"]


def test_one_that_is_not_to_be_killed_is_followed_and_so_are_points_that_were_chosen(tmp_path: Path) -> None:
    made(tmp_path, armed=False)
    assert run(tmp_path)[0] == 0
    course = (tmp_path / "top/course").read_text().splitlines()
    assert len(course) == 10
    (tmp_path / "top/armed").touch()
    (tmp_path / "top/wanted").write_text(f"{course[5]}\n")
    assert run(tmp_path)[:2] == (-9, course[5])
    assert run(tmp_path)[0] == 0
