"""Outdated files: which images a host asks about, and that its programs are those that we ask and compare by ourselves."""

import json

from tasks.model import pins
from tasks.rendering import outdated_files
from tasks.services import load
from tests.samples import ROOT, stack

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
FEW = {"services": ["vault", "redis"], "acme_email": None}
REDIS = next(image for image in pins.references(load(stack())) if image.startswith("redis:"))


def test_programs_are_copies_and_what_is_asked_about_lies_beside_them() -> None:
    files = outdated_files.files(stack())
    copies = {
        "outdated/outdated.py": "files/outdated.py",
        "outdated/ask_registries.py": "files/ask_registries.py",
        "outdated/tags.py": "tasks/model/tags.py",
        "outdated/written.py": "files/written.py",
    }
    assert {path: files.pop(path) for path in copies} == {
        path: (ROOT / name).read_text() for path, name in copies.items()
    }
    wanted = json.loads(files.pop("outdated/images.json"))
    assert (files, wanted["socket"]) == ({}, "/var/run/docker.sock")
    assert wanted["images"] == outdated_files.images(stack())


def test_each_image_that_runs_is_asked_about_with_what_is_known_of_its_program() -> None:
    found = outdated_files.images(stack(**FEW))
    assert {name.split(":")[0] for name in found} == {"hashicorp/vault", "redis", "caddy"}
    assert found[REDIS]["line"] == 0
    assert found[REDIS]["ends"]["7.4"] == "2029-12-01"
    assert {item["digest"] for item in found.values()} == {""}


def test_what_is_pinned_or_updated_is_asked_about_as_it_runs() -> None:
    pinned = outdated_files.images(stack(**FEW).with_pins({REDIS: ONE}))
    assert pinned[REDIS]["digest"] == ONE
    moved = outdated_files.images(stack(**FEW).with_pins({REDIS: f"7.4.99-alpine@{TWO}"}))
    assert REDIS not in moved
    assert moved["redis:7.4.99-alpine"]["digest"] == TWO
    own = outdated_files.images(
        stack(**FEW, overrides={"redis": {"image": f"mirror.example/redis:7.4.1@{ONE}"}})
    )
    assert own["mirror.example/redis:7.4.1"]["digest"] == ONE
    assert own["mirror.example/redis:7.4.1"]["ends"]["7.4"]


def test_the_unit_is_started_weekly_and_not_before_there_is_something_to_start() -> None:
    units = outdated_files.units("/current")
    assert sorted(units) == ["smarteros-outdated.service", "smarteros-outdated.timer"]
    service, timer = (units[name].splitlines() for name in sorted(units))
    program = "/current/outdated/outdated.py"
    assert f"ExecStart=/usr/bin/python3 -I -B {program}" in service
    assert f"ConditionPathExists={program}" in service
    assert {"TimeoutStartSec=3600", "CapabilityBoundingSet=", "ProtectSystem=strict"} < {*service}
    assert {"OnCalendar=Mon 05:40", "Persistent=yes", "RandomizedDelaySec=12h"} < {*timer}
