"""Outdated: what make status says of images from what the host has found by itself."""

import json
from typing import Any

import pytest

from tasks.facts import StatusFact
from tasks.facts.outdated import Image, Outdated
from tasks.facts.outdated import outdated as parsed
from tasks.operations import outdated

NOW = 1795413600
IMAGES = ("redis:7.4.9-alpine", "odoo:16.0-20250909", "caddy:2.11.7-alpine")
REDIS, ODOO, CADDY = IMAGES


def found(**images: dict[str, str]) -> Outdated:
    """As the host leaves it, three days ago; what is not named is up to date."""
    every = {name: images.get(name.split(":")[0], {}) for name in (*IMAGES, "n8nio/n8n:2.30.4")}
    return parsed(json.dumps({"asked": NOW - 3 * 86400, "images": every}))


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ({}, "nothing newer, asked 3 days ago"),
        (
            {"redis": {"newer": "7.4.12-alpine"}, "odoo": {"ended": "2025-10-01"}},
            (
                "1 of 3 with newer tags (redis:7.4.9-alpine), 1 of 3 past the end of support (odoo:16.0-20250909), asked 3 days ago: "
                "`make outdated` says more"
            ),
        ),
        (
            {"caddy": {"moved": "sha256:1"}, "redis": {"unknown": "its registry does not say"}},
            (
                "1 of 3 pinned to what its tag was before (caddy:2.11.7-alpine), nothing known of 1 (redis:7.4.9-alpine), asked 3 days ago: "
                "`make outdated` says more"
            ),
        ),
        # It runs no more.
        ({"n8nio/n8n": {"newer": "2.30.9"}}, "nothing newer, asked 3 days ago"),
    ],
)
def test_what_is_outdated_is_counted_and_dated(images: dict[str, Any], said: str) -> None:
    assert outdated.words(found(**images), IMAGES, NOW) == said


def test_before_the_host_has_asked_nothing_is_known() -> None:
    said = "not asked about yet; the host does so weekly, and at once by systemctl start smarteros-outdated there"
    assert outdated.words(parsed("\n"), IMAGES, NOW) == said
    assert outdated.data(parsed(""), IMAGES, str) is None


def test_an_image_that_came_since_is_not_known_and_long_lists_are_cut() -> None:
    images = ["acme/crm:1", *IMAGES]
    assert outdated.words(found(), images, NOW) == (
        "nothing known of 1 (acme/crm:1), asked 3 days ago: `make outdated` says more"
    )
    every = Outdated(NOW, {f"acme/{number}:1": Image(newer="2") for number in range(5)})
    assert outdated.words(every, [*every.images], NOW) == (
        "5 of 5 with newer tags (acme/0:1, acme/1:1, acme/2:1 and 2 more), asked 0 s ago: `make outdated` says more"
    )


def test_as_data_each_image_in_use_has_the_same_keys() -> None:
    said = outdated.data(found(redis={"newer": "7.4.12-alpine\x1b[2J"}), IMAGES, lambda when: f"at {when}")
    assert said == {
        "asked": f"at {NOW - 3 * 86400}",
        "images": {
            REDIS: {"newer": "7.4.12-alpine\\x1b[2J", "moved": False, "ended": None, "unknown": False},
            ODOO: {"newer": None, "moved": False, "ended": None, "unknown": False},
            CADDY: {"newer": None, "moved": False, "ended": None, "unknown": False},
        },
    }


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"asked": 1, "images": {"a:1": 7}}', '{"asked": null, "images": {}}']
)
def test_what_a_power_cut_has_left_is_as_never_asked(text: str) -> None:
    assert StatusFact().process(["clock 1", f"outdated {text}"]).outdated == Outdated()
