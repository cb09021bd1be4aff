"""Room ahead: versions that change what is stored, and what opens in the firewall."""

import pytest

from tasks import firewall
from tasks.facts.access import FIREWALL, Access
from tasks.facts.ahead import Ahead
from tasks.model.effects import File, Pull, Start, Step
from tasks.operations import room_ahead
from tasks.operations.room_ahead import version
from tasks.services import load
from tests.fake import fake
from tests.samples import stack


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("n8nio/n8n:2.30.8", "n8nio/n8n:2.30.9", ""),
        ("n8nio/n8n:2.30.8", f"n8nio/n8n:2.30.8@sha256:{'a' * 64}", ""),
        (
            "n8nio/n8n:2.30.8",
            "n8nio/n8n:2.31.0",
            "a new minor version, 2.30.8 → 2.31.0, which may change what is stored for good",
        ),
        (
            "n8nio/n8n:2.30.8",
            "n8nio/n8n:3.0.0",
            "a new major version, 2.30.8 → 3.0.0, which may change what is stored for good",
        ),
        (
            "n8nio/n8n:2.30.8",
            "n8nio/n8n:2.29.1",
            "an older version, 2.30.8 → 2.29.1, which may not read what the newer one has written",
        ),
        ("odoo:16.0-20250909", "odoo:16.0-20251010", ""),
        (
            "pgvector/pgvector:0.8.7-pg16-bookworm",
            "pgvector/pgvector:0.8.7-pg17-bookworm",
            "another build, 0.8.7-pg16-bookworm → 0.8.7-pg17-bookworm, which may not read what is stored",
        ),
        (
            "own/n8n:stable",
            "own/n8n:edge",
            "stable → edge, of which nobody can say whether it changes what is stored",
        ),
        ("own/n8n:stable", "own/n8n:stable", ""),
        ("n8nio/n8n:2.30.8", "own/n8n:1.0.0", "another program, n8nio/n8n:2.30.8 → own/n8n:1.0.0"),
    ],
)
def test_how_far_apart_two_images_are(before: str, after: str, said: str) -> None:
    assert version(before, after) == said


def test_what_another_version_changes_is_named_once_a_service_and_a_cache_is_none() -> None:
    moved = [
        Start(
            "n8n",
            name,
            "made anew",
            "its description has changed",
            image="n8nio/n8n:2.31.0",
            before="n8nio/n8n:2.30.8",
        )
        for name in ("n8n", "n8n-files")
    ]
    moved.append(
        Start(
            "caddy",
            "caddy-proxy",
            "made anew",
            "x",
            image="caddy:2.12.0-alpine",
            before="caddy:2.11.7-alpine",
        )
    )
    assert list(room_ahead.migrations([Step("x", tuple(moved))], load(stack()))) == [
        (
            "n8n: a new minor version, 2.30.8 → 2.31.0, which may change what is stored for good: database n8n, "
            "volume n8n_data, volume n8n_files"
        )
    ]


def test_images_that_come_take_their_room() -> None:
    chosen = load(stack())
    size = next(item.main.size.image_gb for item in chosen if item.name == "odoo")
    image = next(item.main.image for item in chosen if item.name == "odoo")
    assert room_ahead.pulled_gb([Step("x", (Pull(image), Pull("other:1")))], chosen) == round(size, 1)


def test_ports_that_open_to_the_world_and_close_again_are_named() -> None:
    access = Access(wan=("eth0",), ssh_ports=(22,))
    opened = [{"port": 8443}, {"port": 25, "from": ["192.0.2.0/24"]}]
    with fake({}):
        old, new = (firewall.text(access, stack(open_ports=ports)) for ports in ([], opened))
    found = room_ahead.ports([Step("x", (File(FIREWALL, new, "0"),))], Ahead(texts={FIREWALL: old}), FIREWALL)
    assert (found.come, found.go) == (("ip saddr { 192.0.2.0/24 } tcp 25", "tcp 8443"), ())
    back = room_ahead.ports([Step("x", (File(FIREWALL, old, "0"),))], Ahead(texts={FIREWALL: new}), FIREWALL)
    assert (back.come, back.go) == ((), found.come)
