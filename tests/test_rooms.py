"""The house: imports run one way, no module imports itself in a circle, and `ls tasks/` reads like deploy.py."""

import ast

import pytest

from tests.rooms import MODULES, ORDER, ROOT, TASKS, arrows, imports, room


@pytest.mark.parametrize("name", [name for name in MODULES if name != "tasks"])
def test_a_module_imports_from_its_own_room_or_one_below(name: str) -> None:
    climbs = [other for other in imports(name) if ORDER.index(room(other)) > ORDER.index(room(name))]
    assert climbs == []


def test_the_model_knows_nobody() -> None:
    assert arrows()["model"] == set()


def test_no_module_imports_itself_in_a_circle() -> None:
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join((*path, name))
        if name not in done:
            for other in imports(name):
                walk(other, (*path, name))
            done.add(name)

    for name in MODULES:
        walk(name, ())


def test_tasks_holds_the_phases_that_deploy_names_and_the_rooms() -> None:
    deploy = ast.parse((ROOT / "deploy.py").read_text())
    phases = {alias.name for node in deploy.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    files = {path.stem for path in TASKS.glob("*.py")}
    folders = {path.name for path in TASKS.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert files == {*phases, "__init__", "run"}
    assert folders == {*ORDER} - {"phases", "run"}
