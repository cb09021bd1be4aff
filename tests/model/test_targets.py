"""Targets: what a message advises stays on the hosts of its run."""

import pytest

from tasks.model.targets import command, inventory, target


@pytest.mark.parametrize(
    ("argv", "found"),
    [
        (["bin/pyinfra", "-y", "inventories/lab.py", "tasks.commands.check.run"], "inventories/lab.py"),
        (["pyinfra", "--dry", "inventories/staging.py", "deploy.py"], "inventories/staging.py"),
        (["/venv/pyinfra/__main__.py", "/srv/mine.py", "deploy.py"], "/srv/mine.py"),
        (["bin/pytest", "tests/model/test_targets.py"], "inventories/prod.py"),
    ],
)
def test_the_inventory_is_that_of_the_run(argv: list[str], found: str) -> None:
    assert inventory(argv) == found


def test_the_makefiles_own_inventory_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["pyinfra", "inventories/prod.py", "deploy.py"])
    assert target("deploy") == "`make deploy`"
    monkeypatch.setattr("sys.argv", ["pyinfra", "inventories/lab.py", "deploy.py"])
    assert target("secret NAME=a#B") == "`make secret NAME=a#B INVENTORY=inventories/lab.py`"


def test_a_hook_can_tell_a_rollback_from_a_deploy() -> None:
    before = ["pyinfra", "-y", "inventories/lab.py"]
    assert command([*before, "deploy.py"]) == "deploy"
    assert command([*before, "tasks.commands.rollback.run"]) == "rollback"
    assert [command([*before, f"tasks.commands.update_{part}.run"]) for part in ("on", "back")] == [
        "update"
    ] * 2
    assert command([*before, "tasks.commands.give_secrets.run"]) == "give-secrets"
