"""A docker exec that cannot start a program: whose answer it stands in for says so, and none takes it for one."""

from typing import Any

import pytest
from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

from tasks.facts import PostgresFact, RedisFact
from tasks.facts.restorable import ArchivedDatabasesFact, RestorableFact

SAID = "OCI runtime exec failed: open /run/runc-process\x1b1: no space left on device\r"


@pytest.mark.parametrize(
    ("fact", "container", "before"),
    [
        (RedisFact, "redis", ""),
        (PostgresFact, "postgres", ""),
        (RestorableFact, "postgres", "here"),
        (ArchivedDatabasesFact, "postgres", ""),
    ],
)
def test_a_docker_exec_that_starts_nothing_is_told(
    fact: type[FactBase[Any]], container: str, before: str
) -> None:
    with pytest.raises(FactProcessError) as error:
        fact().process([before, SAID])
    assert str(error.value) == (
        f"docker exec cannot start a program in {container}: open /run/runc-process\\x1b1: no space left on device: "
        "`df -h /tmp /run` and `df -i /tmp /run` there say whether there is room for that"
    )


def test_that_of_a_question_with_a_code_of_its_own_is_read() -> None:
    assert ArchivedDatabasesFact().command("20261127-053521F").endswith(" info || [ $? = 126 ]")
