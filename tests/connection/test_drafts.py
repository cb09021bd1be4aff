"""Drafts: what a plan has said is not said again until it is done."""

import pytest
from pyinfra import logger

from tasks.connection import drafts
from tasks.run import Commands, host, operation
from tests.fake import commands, fake


@operation
def acts() -> Commands:
    """Warns, says what it does and does it."""
    host().log("no bucket", log_func=logger.warning)
    host().log("n8n: its description has changed")
    yield "true"


@operation
def looks() -> Commands:
    """Says what no plan has: it changes nothing."""
    host().log("Vault stays sealed")
    yield from ()


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage().rpartition("] ")[2] for record in caplog.records]
    caplog.clear()
    return found


def test_between_the_plan_and_its_run_nothing_is_said_twice(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with fake({}, executing=False) as one:
        with drafts.drafting() as steps:
            acts(name="Acts")
            looks(name="Looks")
        assert [step.effects for step in steps] == [("n8n: its description has changed",)]
        assert said(caplog) == ["no bucket"]
        commands(acts), commands(looks)
        assert said(caplog) == ["Vault stays sealed"]
        one.state.is_executing = True
        with drafts.drafting():
            acts(name="Acts")
        assert said(caplog) == []
        commands(acts)
        assert said(caplog) == ["no bucket", "n8n: its description has changed"]


def test_of_two_warnings_alike_a_plan_has_one(caplog: pytest.LogCaptureFixture) -> None:
    with fake({}, executing=False), drafts.drafting():
        acts(name="Acts"), acts(name="Acts once more")
        assert said(caplog) == ["no bucket"]
