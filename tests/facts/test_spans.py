"""Which times databases come back to, from pgBackRest's words and the runs of its log."""

from math import inf
from typing import Any

import pytest

from tasks.facts.line import Line
from tasks.facts.spans import Span, gaps, leading, runs, spans


def backup(label: str, start: int, stop: int, ended: float, **more: Any) -> dict[str, Any]:
    """As pgBackRest 2.55.1 says it. start, stop: the last digits of segments of the first timeline."""
    return {
        "archive": {"start": f"{1 << 64 | start:024X}", "stop": f"{1 << 64 | stop:024X}"},
        "error": False,
        "label": label,
        "reference": None,
        "timestamp": {"start": ended - 60, "stop": ended},
        **more,
    }


OLD = backup("1F", 3, 4, 1000)
MORE = backup("1F_2I", 8, 9, 2000, reference=["1F"])
NEW = backup("3F", 13, 14, 5000)
THERE = [{"name": "main", "backup": [OLD, MORE, NEW]}]
ALL = "000000010000000000000001 000000010000000000000014 6000 0"
BROKEN = "000000010000000000000001 00000001000000000000000A 2500 0 00000001000000000000000C 000000010000000000000014 6000 1"


def test_a_log_without_a_gap_is_one_span() -> None:
    assert spans(THERE, ALL, ()) == (Span(1000),)
    # Where nobody knows better.
    assert spans(THERE, "", ()) == (Span(1000),)
    assert spans([], ALL, ()) == spans([{"backup": []}], "", ()) == ()


def test_behind_a_gap_databases_come_back_from_the_next_backup_on() -> None:
    found = spans(THERE, BROKEN, ())
    assert found == (Span(1000, 2500), Span(5000))
    assert list(gaps(found)) == [(2500, 5000)]


def test_up_to_a_gap_alone_where_none_was_made_since() -> None:
    found = spans([{"backup": [OLD, MORE]}], BROKEN, ())
    assert found == (Span(1000, 2500),)
    assert list(gaps(found)) == [(2500, inf)]
    assert list(gaps(spans(THERE, ALL, ()))) == list(gaps(())) == []


def test_a_backup_whose_own_log_is_not_whole_leads_nowhere() -> None:
    log = "000000010000000000000001 00000001000000000000000D 2500 0 00000001000000000000000F 000000010000000000000014 6000 1"
    assert spans(THERE, log, ()) == (Span(1000, 2500),)


def test_a_new_timeline_goes_on() -> None:
    later = backup("4F", 0, 0, 9000) | {
        "archive": {"start": "000000020000000000000016", "stop": "000000020000000000000016"}
    }
    log = "000000010000000000000001 000000020000000000000018 9500 0"
    assert spans([{"backup": [NEW, later]}], log, ()) == (Span(5000),)


def test_what_is_damaged_or_was_made_with_an_error_leads_nowhere_nor_does_what_needs_it() -> None:
    assert spans(THERE, ALL, ["1F"]) == (Span(5000),)
    assert spans(THERE, BROKEN, ["1F_2I"]) == (Span(1000, 2500), Span(5000))
    assert spans([{"backup": [OLD | {"error": True}, NEW]}], ALL, ()) == (Span(5000),)


@pytest.mark.parametrize("log", ["one two", f"{ALL} 1", ALL.replace("6000", "soon") + " 2 3 4 0"])
def test_other_words_are_an_error(log: str) -> None:
    with pytest.raises(ValueError, match=r"argument|convert"):
        spans(THERE, log, ())


def test_it_ends_where_more_comes() -> None:
    assert Span(1).until == inf


def segment(line: int, log: int, number: int) -> str:
    return f"{line:08X}{log:08X}{number:08X}"


def test_a_log_is_followed_whatever_size_its_segments_have() -> None:
    for last in (0xFF, 0x3FF, 0x3F):  # of 16, 4 and 64 MB
        names = [segment(1, 0, last - 1), segment(1, 0, last), segment(1, 1, 0)]
        assert runs(names) == [(names[0], names[2])]
        assert runs([*names[:2], segment(1, 1, 1)]) == [
            (names[0], names[1]),
            (segment(1, 1, 1), segment(1, 1, 1)),
        ]
    assert runs([]) == []
    assert runs([segment(1, 0, 4), segment(1, 0, 6)]) == [(segment(1, 0, n),) * 2 for n in (4, 6)]


def test_what_an_earlier_line_went_on_with_leads_nowhere() -> None:
    first = [segment(1, 0, number) for number in (4, 5, 6, 8)]
    second, third = [segment(2, 0, 6), segment(2, 0, 7)], [segment(3, 0, 5)]
    everything = {*first, *second, *third}
    assert leading(everything, Line()) == first
    assert leading(everything, Line(2, {1: 1})) == [*first[:3], *second]
    assert leading(everything, Line(3, {1: 1})) == [*first[:2], *third]
    # A later line that begins behind a gap.
    assert runs([*first[:2], segment(2, 0, 7)]) == [(first[0], first[1]), (segment(2, 0, 7),) * 2]
