"""What Dokploy's double does with the host's Docker, as far as it can be seen without one."""

from __future__ import annotations

import importlib
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.lab.images import FOLDER


@pytest.mark.parametrize(("volumes", "more"), [(False, []), (True, ["--volumes"])])
def test_what_was_deployed_goes_with_its_entry_and_what_stands_beside_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, volumes: bool, more: list[str]
) -> None:
    monkeypatch.syspath_prepend(FOLDER / "double")
    module: Any = importlib.import_module("double.dokploy_docker")
    ran: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_options: ran.append(command))
    monkeypatch.setattr(module, "COMPOSE", tmp_path)
    (tmp_path / "mine" / "data").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    module.remove("mine", volumes=volumes)
    assert ran == [["docker", "compose", "-p", "mine", "down", *more]]
    assert [path.name for path in tmp_path.iterdir()] == ["other"]
