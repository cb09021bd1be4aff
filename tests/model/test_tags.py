"""Tags: what is newer than a tag among a registry's, of its line and of later ones."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from packaging.version import InvalidVersion
from packaging.version import Version as Theirs

from tasks.model import tags
from tasks.model.tags import Newer

REDIS = [
    "latest",
    "7",
    "7.4",
    "7-alpine",
    "7.4-alpine",
    "7.4.2-alpine",
    "7.4.9-alpine",
    "7.4.10-alpine",
    "7.4.11",
]
REDIS += [
    "7.4.12-alpine",
    "7.4.12-bookworm",
    "7.4.12-alpine3.22",
    "8.0-rc1-alpine",
    "8.0.3-alpine",
    "8.2.1-alpine",
    "alpine",
]
PGVECTOR = [
    "0.8.6-pg16-bookworm",
    "0.8.7-pg15-bookworm",
    "0.8.8-pg16",
    "0.8.8-pg16-bookworm",
    "0.8.8-pg17-bookworm",
]
PGVECTOR += ["0.9.0-pg16-bookworm", "0.8.8-pg18-trixie", "0.7.0-pg17-bookworm", "pg16-bookworm"]
METABASE = [
    "v0.64.1",
    "v0.64.1.5",
    "v0.64.1.6",
    "v0.64.2",
    "v0.64.2.1",
    "v0.64.x",
    "v0.65.1.2",
    "v1.64.2",
    "v0.63.9.9",
    "v0.64",
]
ODOO = [
    "16",
    "16.0",
    "16.0-20250909",
    "16.0-20251001",
    "17.0-20251001",
    "15.0-20251001",
    "latest",
    "17.0",
    "18.0-20261101",
]


@pytest.mark.parametrize(
    ("ours", "every", "numbers", "found"),
    [
        ("7.4.9-alpine", REDIS, 0, Newer(("7.4.12-alpine", "7.4.11-alpine", "7.4.10-alpine"), ("8.2.1-alpine",))),
        ("7.4.12-alpine", REDIS, 0, Newer((), ("8.2.1-alpine",))),
        ("7.4-alpine", REDIS, 0, Newer()),
        ("7.4.9-alpine", REDIS, 2, Newer(("7.4.12-alpine", "7.4.11-alpine", "7.4.10-alpine"), ("8.0.3-alpine", "8.2.1-alpine"))),
        ("16.1-alpine", ["16.9-alpine", "16.10-alpine", "17.1-alpine", "16.10", "16-alpine"], 0, Newer(("16.10-alpine", "16.9-alpine"), ("17.1-alpine",))),
        ("0.8.7-pg16-bookworm", PGVECTOR, 0, Newer(("0.8.8-pg16-bookworm",), ("0.8.8-pg17-bookworm", "0.9.0-pg16-bookworm"))),
        ("v0.64.1.5", METABASE, 0, Newer(("v0.64.2.1", "v0.64.2", "v0.64.1.6"), ("v0.65.1.2", "v1.64.2"))),
        ("16.0-20250909", ODOO, 0, Newer(("16.0-20251001",), ("17.0-20251001", "18.0-20261101"))),
        ("3.13-slim", ["3.13-slim", "3.14-slim", "3.14.2-slim", "3.15-rc-slim", "3.12-slim"], 2, Newer((), ("3.14-slim",))),
        ("1.2.3", ["1.2.4-rc1", "1.3.0", "1.2.4", "2.0.0b1", "1.3.0.dev1"], 0, Newer(("1.3.0", "1.2.4"))),
        ("1.2.3-rc1", ["1.2.3-rc2", "1.2.3", "1.2.2"], 0, Newer(("1.2.3", "1.2.3-rc2"))),
        ("0.0.3", ["0.0.4", "0.1.0"], 0, Newer((), ("0.0.4", "0.1.0"))),
        ("alpine", REDIS, 0, Newer()),
    ],
)  # fmt: skip
def test_what_is_newer(ours: str, every: list[str], numbers: int, found: Newer) -> None:
    if "7.4.11" in every:
        every = [*every, "7.4.11-alpine"]
    assert tags.newer(ours, every, numbers) == found


def test_what_is_newer_is_a_tag_whatever_a_registry_lists() -> None:
    listed = ["16.2.1\n", "16.2.1\x1b[2J", "v16.2.1", "٣", "16.2.٣", "16.2.1-٣", "16.2.1-alpine", " 16.2.1"]
    assert tags.newer("16.2.0", listed) == Newer()
    assert tags.newer("16.2.0-alpine3", ["16.2.1-alpine٣", "16.2.1-alpine3\n"]) == Newer()


@pytest.mark.parametrize(
    ("text", "line", "of"),
    [
        ("7.4.11-alpine", "7.4", True),
        ("7.40.1-alpine", "7.4", False),
        ("v0.64.1.5", "0.64", True),
        ("16.0-20250909", "16", True),
        ("0.8.7-pg16-bookworm", "pg16", True),
        ("0.8.7-pg17-bookworm", "pg16", False),
        ("latest", "7", False),
    ],
)
def test_which_line_a_tag_is_of(text: str, line: str, of: bool) -> None:
    assert tags.is_of(text, line) is of


NUMBERS = st.sampled_from(["", "0", "1", "2", "09", "10"])
SEPARATORS = st.sampled_from(["", ".", "-", "_"])


def part(*words: str) -> st.SearchStrategy[str]:
    """What may follow a release, or nothing."""
    return st.just("") | st.builds("{}{}{}{}".format, SEPARATORS, st.sampled_from(words), SEPARATORS, NUMBERS)


RELEASES = st.lists(NUMBERS, min_size=1, max_size=4).map(lambda all_: ".".join(each or "3" for each in all_))
TAILS = st.builds(
    "{}{}{}{}".format,
    part("a", "Beta", "alpha", "b", "c", "RC", "pre", "preview"),
    part("post", "rev", "r") | st.sampled_from(["-20250909", "-1", "-0"]),
    part("dev"),
    st.sampled_from([*[""] * 9, "x"]),
)
# Half of them of one release: what follows is what tells them apart.
PAIRS = st.builds(lambda one, *ends: (one + ends[0], one + ends[1]), RELEASES, TAILS, TAILS) | st.tuples(
    st.builds("{}{}".format, RELEASES, TAILS), st.builds("{}{}".format, RELEASES, TAILS)
)


@example(("1.dev1", "1a"))
@example(("1.0", "1"))
@given(PAIRS)
def test_versions_are_read_and_ordered_as_packaging_has_them(pair: tuple[str, str]) -> None:
    """Which hosts have not."""
    pairs = []
    for text in pair:
        found = tags.parsed_version(text)
        try:
            theirs = Theirs(text)
        except InvalidVersion:
            assert found is None
            return
        assert found is not None
        assert (found.release, found.early, found.daily) == (
            theirs.release,
            theirs.is_prerelease,
            theirs.post is not None,
        )
        pairs.append((found, theirs))
    (mine, theirs), (my_other, their_other) = pairs
    assert (mine < my_other, mine == my_other) == (theirs < their_other, theirs == their_other)


TAGS = st.from_regex(r"[0-9A-Za-z_][0-9A-Za-z_.-]{0,15}", fullmatch=True)


@given(TAGS, st.lists(TAGS, max_size=6))
def test_whatever_a_registry_lists_is_compared_or_left_out(ours: str, every: list[str]) -> None:
    found = tags.newer(ours, every)
    assert {*found.same, *found.following} <= {*every} - {ours}


@pytest.mark.parametrize(
    ("text", "than", "newer"),
    [
        ("2.30.9", "2.30.8", True),
        ("2.31.0", "2.30.8", True),
        ("2.30.8", "2.30.8", False),
        ("2.30.7", "2.30.8", False),
        ("2.30.9-alpine", "2.30.8", False),
        ("latest", "2.30.8", False),
        ("2.30.9", "latest", False),
    ],
)
def test_one_tag_is_later_than_another(text: str, than: str, *, newer: bool) -> None:
    assert tags.later(text, than) is newer
