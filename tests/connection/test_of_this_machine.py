"""Which process of which machine a run is, and whether it is over."""

import os
import subprocess
from pathlib import Path

import pytest

from tasks.connection import of_this_machine


def test_this_process_is_not_over() -> None:
    name = of_this_machine.name()
    assert len(name.split(" ")) == 4
    assert not of_this_machine.over(name)


def test_one_that_is_gone_is_over() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        name = of_this_machine._named(process.pid)
        assert not of_this_machine.over(name)
        process.kill()
    assert of_this_machine.over(name)


def test_another_process_with_its_number_is_not_it() -> None:
    name = of_this_machine.name()
    assert of_this_machine.over(f"{name}0")


@pytest.mark.parametrize(
    "name",
    ["", "x", "another-boot pid:[4026531836] 1 5", "a b c d", "\0", "  99999999 5"],
)
def test_what_cannot_be_known_here_is_not_over(name: str) -> None:
    assert not of_this_machine.over(name)


def test_a_number_that_no_process_has_is_not_over() -> None:
    boot, space, _, started = of_this_machine.name().split(" ")
    assert not of_this_machine.over(f"{boot} {space} {'9' * 30} {started}")


def test_one_of_another_container_on_this_machine_is_not_over() -> None:
    boot, _, number, started = of_this_machine.name().split(" ")
    assert not of_this_machine.over(f"{boot} pid:[1] {number} {started}")


def test_one_that_is_another_users_is_not_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where /proc shows nobody the processes of others (hidepid)."""
    name = of_this_machine.name()

    def refused(*_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refused)
    assert not of_this_machine.over(f"{name}0")


def test_where_the_system_does_not_tell_nobody_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    name = of_this_machine.name()
    monkeypatch.setattr(of_this_machine, "_BOOT", Path("/no/such"))
    assert of_this_machine.name() == ""
    assert not of_this_machine.over(name)
