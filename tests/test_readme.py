"""The README: what it names is there. Its commands are run by tests/e2e/test_make.py, its generated parts are checked by tests/readme.py."""

import re

from tasks.model import pins, tags
from tasks.services import load
from tests.lab.images import recipe_for
from tests.readme import README
from tests.samples import stack
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


def test_the_update_that_is_tried_in_a_lab_is_one() -> None:
    """Of a service whose stand-in the lab builds, to a later tag than the package has, and to the one that is served."""
    [(image, tag)] = re.findall(r"tests\.lab publish (\S+):(\S+)`", TEXT)
    [(service, to)] = re.findall(
        r"make update SERVICE=(\S+)\s+TO=(\S+) BACKUP=none INVENTORY=inventories/lab\.py", TEXT
    )
    [found] = [item for item in load(stack()) if item.name == service]
    there, _, now = next(pins.images(found.main)).partition(":")
    assert (image, tag) == (there, to)
    assert recipe_for(f"{image}:{tag}")
    assert tags.later(tag, now)


def test_it_says_by_which_event_each_command_is_told() -> None:
    """Filters of users go by it."""
    told = TEXT.partition("### Who is told\n")[2].partition("\n### ")[0]
    assert "`make update`, `make rollback` and `make rotate` ended" in told
    assert "(`deploy` stands for an update, a rollback and a rotation as well: `run.command`" in told
