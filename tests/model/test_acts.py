"""Acts: what an operator has to do after an update, by its number in the changelog."""

import pytest

from tasks.model import acts
from tests.samples import ROOT, refusals, settings

TEXT = """
### To do for an operator
- Whoever has time looks around.
- **1.** Take this out
  and put that in.
- **2.** And this.

- **3.**
"""


def test_an_act_is_a_line_with_a_number() -> None:
    assert acts.parsed(TEXT) == {1: "Take this out and put that in.", 2: "And this."}


def test_each_number_of_the_changelog_has_its_text_and_none_is_left_out() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    assert list(acts.every()) == list(range(1, acts.newest() + 1))
    assert text.count("\n- **") == acts.newest() > 0
    assert all(line.endswith(".") for line in acts.every().values())


@pytest.mark.parametrize(
    ("acknowledged", "noted", "lines"),
    [
        (0, None, []),
        (0, 0, [1, 2]),
        (1, 0, [2]),
        (0, 1, [2]),
        (2, 0, []),
        (0, 2, []),
        (0, 3, []),  # by a later version
    ],
)
def test_a_host_is_refused_with_what_is_beyond_what_was_done(
    monkeypatch: pytest.MonkeyPatch, acknowledged: int, noted: int | None, lines: list[int]
) -> None:
    monkeypatch.setattr(acts, "every", lambda: acts.parsed(TEXT))
    found = list(acts.refusals(acknowledged, noted))
    said = [f"        {number}. {text}" for number, text in acts.parsed(TEXT).items() if number in lines]
    assert [line for text in found for line in text.splitlines()[1:]] == said
    assert all("set acknowledged = 2:" in text for text in found)


def test_what_nobody_has_read_yet_is_not_acknowledged() -> None:
    number = acts.newest()
    assert list(acts.refusals(number + 1, None)) == [
        f"acknowledged: is {number + 1}, and CHANGELOG.md has numbers up to {number}"
    ]
    assert settings()["acknowledged"] == 0
    assert refusals(acknowledged=-1) != []
