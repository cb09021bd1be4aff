"""Labs of several checkouts on one machine: what tells them apart, and what is said of those that nobody removes."""

from pathlib import Path

import pytest

from tests.lab.neighbours import Neighbour, forgotten
from tests.lab.network import object_name
from tests.lab.publish import PublishError, Target, target
from tests.lab.state import State, StateError


def test_labs_of_one_name_in_two_checkouts_share_no_object(tmp_path: Path) -> None:
    one, two = (State("default", tmp_path / folder / ".lab") for folder in ("one", "two"))
    assert one.key != two.key
    assert one.key == State("default", tmp_path / "one" / ".lab").key
    assert object_name(one.key, "lab-1") == f"smarteros-lab-{one.key}-lab-1"


def test_a_lab_and_its_part_cannot_be_read_as_another_labs(tmp_path: Path) -> None:
    short, long = State("a", tmp_path).key, State("a-b", tmp_path).key
    assert object_name(short, "b-c") != object_name(long, "c")


def test_a_link_leads_to_the_labs_of_where_it_points(tmp_path: Path) -> None:
    (tmp_path / "one" / ".lab").mkdir(parents=True)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / ".lab").symlink_to(tmp_path / "one" / ".lab")
    one, two = (State("default", tmp_path / folder / ".lab") for folder in ("one", "two"))
    assert (two.key, two.checkout) == (one.key, tmp_path / "one")


def test_a_copied_checkout_has_none_of_the_first_ones_labs(tmp_path: Path) -> None:
    first = State("default", tmp_path / "one" / ".lab")
    (tmp_path / "one").mkdir()
    first.create()
    (tmp_path / "one").rename(tmp_path / "two")
    assert State("default", tmp_path / "two" / ".lab").key != first.key


@pytest.mark.parametrize("name", ["cache", "image", "authority", "a-", "-a", "A", "a.b", ""])
def test_a_name_that_would_be_no_labs_own_is_refused(name: str) -> None:
    with pytest.raises(StateError) as error:
        State(name)
    assert str(error.value) == f"{name!r} cannot name a lab: use small letters, digits and dashes"


def test_only_labs_that_nobody_else_can_remove_are_named(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    known = [
        Neighbour("default.11111111", str(tmp_path / "there")),
        Neighbour("default.22222222", str(tmp_path / "gone")),
        Neighbour("other.22222222", str(tmp_path / "gone")),
        Neighbour("default"),
        Neighbour("other"),
    ]
    assert list(forgotten(known, State("default"))) == [
        (
            f"left alone: lab default of {tmp_path}/gone, which is not there any more; "
            f"to remove it: python -m tests.lab down --name default --checkout {tmp_path}/gone"
        ),
        (
            f"left alone: lab other of {tmp_path}/gone, which is not there any more; "
            f"to remove it: python -m tests.lab down --name other --checkout {tmp_path}/gone"
        ),
        (
            "left alone: lab default of an earlier version of this project, which may be anybody's; "
            "to remove it, if nobody needs it: python -m tests.lab down --name default --checkout unknown"
        ),
    ]


@pytest.mark.parametrize(
    ("reference", "repository"),
    [
        ("redis:7", "default.1/library/redis"),
        ("docker.io/n8nio/n8n:7", "default.1/n8nio/n8n"),
        ("ghcr.io/a/b:7@sha256:" + "0" * 64, "default.1/ghcr.io/a/b"),
    ],
)
def test_each_labs_images_have_a_folder_of_their_own(reference: str, repository: str) -> None:
    assert target("default.1", reference) == Target(repository, "7")


def test_an_image_without_a_tag_cannot_be_served() -> None:
    with pytest.raises(
        PublishError, match="localhost:5000/a has no tag: the lab cannot tell which image it is"
    ):
        target("default.1", "localhost:5000/a")


def test_the_other_labs_of_a_checkout_are_known_by_name(tmp_path: Path) -> None:
    for name in ("one", "two", "authority"):
        (tmp_path / name).mkdir()
    for name in ("one", "two"):
        (tmp_path / name / "ssh_key").touch()
    assert State("one", tmp_path).others() == ["two"]
    assert State("gone", tmp_path).others() == ["one", "two"]
