"""Generations: which one a rollback leads to, and what differs between two, in words."""

from dataclasses import replace

import pytest

from tasks.model.generations import (
    Generation,
    Generations,
    NoSuch,
    chosen,
    differences,
    moved,
)

ONE, TWO, THREE = (
    Generation(
        number, files={"a": str(number)}, images={f"n8nio/n8n:2.{number}": f"sha256:{number}"}, whole=True
    )
    for number in (1, 2, 3)
)
ALL = Generations((ONE, TWO, THREE), active=THREE.files, held=frozenset({"sha256:1", "sha256:3"}))


def test_without_to_it_is_the_one_before_the_newest() -> None:
    assert chosen(ALL, "previous") == TWO
    assert chosen(ALL, "1") == ONE


def test_what_is_active_and_not_recorded_goes_back_to_the_newest() -> None:
    assert chosen(replace(ALL, active={"a": "of a deploy that failed"}), "previous") == THREE


def test_a_rollback_that_was_cut_short_goes_on_to_the_same() -> None:
    assert chosen(replace(ALL, active=ONE.files), "previous") == ONE


def test_the_same_files_again_are_the_newest_of_them() -> None:
    """Number 4 went back to 1: what was before it is 3."""
    four = replace(ONE, number=4, of=1)
    assert chosen(replace(ALL, all=(*ALL.all, four), active=ONE.files), "previous") == THREE


def test_what_an_update_went_back_from_is_gone_back_to_by_its_number_alone() -> None:
    """Number 3 failed, and 4 is 2 again: what was before that is 1."""
    three, four = replace(THREE, failed="update of n8n to 2.3"), replace(TWO, number=4)
    back = replace(ALL, all=(ONE, TWO, three, four), active=TWO.files)
    assert chosen(back, "previous") == ONE
    assert chosen(back, "3") == three
    assert chosen(replace(back, all=(ONE, TWO, three), active=three.files), "previous") == TWO
    assert chosen(replace(back, active={"a": "of a way back that was cut short"}), "previous") == four
    with pytest.raises(NoSuch, match="generation 4 is the only good one: there is none before it"):
        chosen(replace(back, all=(TWO, three, four)), "previous")


@pytest.mark.parametrize(
    ("found", "to", "said"),
    [
        (ALL, "7", "TO=7: there is no such generation; there are 1, 2, 3"),
        (
            Generations(),
            "previous",
            "no generation is recorded on it yet: a deploy that comes to its end records one",
        ),
        (
            Generations((ONE,), active=ONE.files),
            "previous",
            "generation 1 is the only one: there is none before it",
        ),
    ],
)
def test_there_is_none(found: Generations, to: str, said: str) -> None:
    with pytest.raises(NoSuch) as refused:
        chosen(found, to)
    assert str(refused.value) == said


def test_what_is_gone_is_named() -> None:
    assert ALL.lacking(ONE) == ()
    assert ALL.lacking(TWO) == ("the image n8nio/n8n:2.2",)
    assert ALL.lacking(replace(ONE, whole=False)) == ("its files",)


def test_what_differs_is_said_in_words_and_no_setting_with_its_value() -> None:
    before = replace(
        ONE,
        version="0.1.0 aaa",
        settings={"zone": "a.cl", "overrides": {"n8n": {"environment": {"KEY": "s3cret"}}}},
        files={"caddy/Caddyfile": "1", "gone": "1", "same": "1"},
    )
    after = replace(
        TWO,
        version="0.1.0 bbb",
        settings={"zone": "b.cl", "overrides": {"n8n": {"environment": {"KEY": "other"}}}},
        files={"caddy/Caddyfile": "2", "same": "1"},
    )
    assert list(differences(before, after)) == [
        "overrides.n8n.environment.KEY",
        "zone",
        "image n8nio/n8n: 2.1 → 2.2",
        "files: caddy/Caddyfile, gone",
        "package: 0.1.0 aaa → 0.1.0 bbb",
    ]
    assert list(differences(before, before)) == []


def test_tables_that_are_others_since_are_named_and_a_silent_postgres_is_no_change() -> None:
    item = replace(ONE, schemas={"n8n": "1", "odoo": "1"})
    assert moved(item, {"n8n": "2", "odoo": "1", "new": "1"}) == ("n8n",)
    assert moved(item, {}) == ()
