"""The points of a script: each command once, the first two times that it is come to in the same way, and none twice."""

import os
import subprocess
from pathlib import Path

POINTS = Path(__file__).parent / "faults" / "points.sh"
LIBRARY = """
said() {
    echo "$1"
}
"""
SCRIPT = """
. TOP/current/restore/lib.sh
prepared() {
    said a
    said b
}
prepared
for each in 1 2 3; do
    said $each
done
sleep 0.4
said end
"""


def run(folder: Path) -> tuple[int, list[str], str]:
    """Exit code and output of one run, and where it was killed."""
    before = (folder / "ended").read_text()
    done = subprocess.run(
        ["bash", folder / "current/restore/restore.sh"],
        env={**os.environ, "BASH_ENV": str(folder / "points.sh")},
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.split(), (folder / "ended").read_text().removeprefix(before).strip()


def test_a_script_is_killed_at_each_command_in_turn_and_then_comes_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "current/restore").mkdir(parents=True)
    (tmp_path / "current/restore/lib.sh").write_text(LIBRARY.strip())
    (tmp_path / "current/restore/restore.sh").write_text(SCRIPT.strip().replace("TOP", str(tmp_path)))
    (tmp_path / "points.sh").write_text(POINTS.read_text().replace("/run/faults", str(tmp_path)))
    (tmp_path / "kill").write_text("pkill -KILL -s 0\n")
    for name in ("armed", "ended", "wanted"):
        (tmp_path / name).touch()
    (tmp_path / "chosen").write_text("1 7\n")
    (tmp_path / "long").write_text("restore/restore.sh:10*1 0.1\n")
    killed = []
    while (found := run(tmp_path))[0] != 0:
        killed.append((found[2].replace("restore/", ""), "".join(found[1])))
    assert found == (0, ["a", "b", "1", "2", "3", "end"], "")
    assert killed == [
        ("restore.sh:1*1", ""),
        ("restore.sh:6*1", ""),
        # What makes ready: each line once.
        ("restore.sh:2*1", ""),
        ("restore.sh:3*1", ""),
        ("lib.sh:1*1", ""),
        ("lib.sh:2*1", ""),
        ("restore.sh:4*1", "a"),
        # All else by the way it is come to.
        ("restore.sh:7*1", "ab"),
        ("restore.sh:8*1", "ab"),
        ("lib.sh:1<8*1", "ab"),
        ("lib.sh:2<8*1", "ab"),
        ("restore.sh:7*2", "ab1"),
        ("restore.sh:8*2", "ab1"),
        ("lib.sh:1<8*2", "ab1"),
        ("lib.sh:2<8*2", "ab1"),
        ("restore.sh:10*1", "ab123"),
        ("restore.sh:10*1+", "ab123"),
        ("restore.sh:11*1", "ab123"),
        ("lib.sh:1<11*1", "ab123"),
        ("lib.sh:2<11*1", "ab123"),
    ]
