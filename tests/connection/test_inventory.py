"""Inventories: an empty one ends with one line, and the delivered ones load with settings that are fine."""

import runpy
from typing import Any

import pytest

from tasks.connection.inventory import hosts
from tasks.model import settings as outside
from tasks.services import every
from tests.samples import ROOT, settings


def test_an_empty_inventory_is_no_success() -> None:
    with pytest.raises(SystemExit) as ended:
        hosts()
    assert ended.value.code == "nodes: the inventory lists no host: add at least one to hosts(…)"


def test_entries_stay_as_they_are() -> None:
    entry: tuple[str, dict[str, Any]] = ("b", {"ssh_user": "root"})
    assert hosts("a", entry) == ["a", entry]


@pytest.mark.parametrize(
    ("name", "zone", "strict"),
    [
        ("prod", "smarterbot.cl", "yes"),
        ("staging", "staging.smarterbot.cl", None),
        ("local", "smarterbot.cl", None),
    ],
)
def test_a_delivered_inventory_loads(name: str, zone: str, strict: str | None) -> None:
    nodes = runpy.run_path(str(ROOT / "inventories" / f"{name}.py"))["nodes"]
    own = runpy.run_path(str(ROOT / "group_data" / f"{name}.py"))
    data = {key: value for key, value in own.items() if not key.startswith("_")}
    assert len(nodes) == 1
    assert outside.read(settings(**data), every()).zone == zone
    assert data.get("ssh_strict_host_key_checking") == strict


def test_every_inventory_has_settings_of_its_name() -> None:
    inventories = {path.name for path in (ROOT / "inventories").glob("*.py")}
    assert inventories <= {path.name for path in (ROOT / "group_data").glob("*.py")}
