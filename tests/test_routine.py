"""What the routine of backups costs: an hour is put together of its parts, and each limit fails."""

import pytest

from tests.bench.routine import TIMES, Phase, told

MB = 1024


def phases(always: float = 0.07, files: float = 2.0, peak: int = 200 * MB) -> dict[str, Phase]:
    """A host that takes 5 % of a core without backups."""
    found = {name: Phase(name, 10, 0.5 + (files if name == "files" else 1), 130 * MB) for name in TIMES}
    found["idle"] = Phase("idle", 100, 5, 0)
    found["always"] = Phase("always", 100, always * 100, 30 * MB)
    found["together"] = Phase("together", 10, 9, peak, {"container restic": peak})
    return found


def test_an_hour_has_as_many_of_each_part_as_its_timer_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(phases())
    said = capsys.readouterr().out
    # 2 % all the time, 12 times 2 s, and 5.25 times 1 s.
    assert "files: 2.0 s of CPU, 12.00 times an hour (0.67%)" in said
    assert said.endswith("routine: 2.81% of a core (at most 3%), 200 MB (at most 300)\n")


@pytest.mark.parametrize("more", [{"always": 0.08}, {"files": 6.0}, {"peak": 301 * MB}])
def test_each_limit_fails(more: dict[str, float]) -> None:
    assert not told(phases(**more))  # type: ignore[arg-type]
