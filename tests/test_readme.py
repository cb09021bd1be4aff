"""The README: what it names is there. Its commands are run by tests/e2e/test_make.py, its generated parts are checked by tests/readme.py."""

import re

from tests.readme import README
from tests.test_style import TARGETS

TEXT = README.read_text()
# Code in a line, and whole blocks of it.
BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`[^`]+`")
# For who works on the package; `make help` says what they do.
UNNAMED = {"help", "format", "lock"}
MOST_ROWS = 16


def named() -> set[str]:
    code = [*BLOCK.findall(TEXT), *INLINE.findall(BLOCK.sub("", TEXT))]
    return {found for part in code for found in re.findall(r"\bmake\s+([a-z][a-z-]*)", part)}


def anchors() -> list[str]:
    """Of its headings, as a forge makes them."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", TEXT), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]


def test_each_target_that_it_names_exists_and_it_names_each() -> None:
    assert named() - {*TARGETS} == set()
    assert {*TARGETS} - named() == UNNAMED


def test_each_link_within_leads_to_a_heading() -> None:
    links = re.findall(r"\]\(#([^)]*)\)", TEXT)
    assert [link for link in links if anchors().count(link) != 1] == []


def test_day_two_begins_with_one_screen_of_what_to_run_and_each_row_leads_on() -> None:
    rows = TEXT.partition("## Day two\n")[2].partition("|---|---|---|\n")[2].partition("\n\n")[0].splitlines()
    assert 0 < len(rows) <= MOST_ROWS
    assert [row for row in rows if "](#" not in row] == []
