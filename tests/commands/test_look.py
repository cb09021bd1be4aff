"""Look: what a bare host is said to be, and where its domains have to lead."""

from dataclasses import asdict

import pytest

from tasks.commands import look
from tests.facts.test_facts import MACHINE
from tests.fake import commands, fake

SERVICES = ["vault", "vault-auth-validator", "caddy"]
NEW = [line for line in MACHINE[:9] if not line.startswith("deployed")]
NAMES = ["own 10.0.0.7", "name api.smarterbot.cl 10.0.0.7", "name api.smarterbot.store 10.0.0.9"]


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1795413600.0)


def test_a_bare_host_that_is_fit(capsys: pytest.CaptureFixture[str]) -> None:
    with fake({"/etc/os-release": NEW, "perl -MSocket": NAMES}, services=SERVICES):
        assert commands(look.looked) == []
    assert look.read(
        f"--> Starting operation: Look\n{capsys.readouterr().out}    [one] No changes\n"
    ) == look.Look(
        address="10.0.0.7",
        domains=("api.smarterbot.cl", "api.smarterbot.store"),
        elsewhere={"api.smarterbot.store": "10.0.0.9"},
    )
    assert look.read("[one] it accepts none of the keys\n") is None


def test_one_that_is_not_and_one_that_needs_another_docker() -> None:
    small = ["memory_kb 500000" if line.startswith("memory") else line for line in NEW]
    with fake({"/etc/os-release": small, "perl -MSocket": NAMES}):
        (reason,) = look.look().refused
        assert "and the chosen services need " in reason
    twelve = [line.replace("13", "12") if line.startswith("release") else line for line in NEW]
    with fake({"/etc/os-release": twelve, "perl -MSocket": NAMES}, services=SERVICES):
        found = look.look()
    assert (found.docker_com, len(found.refused)) == (True, 1), asdict(found)
    with fake({"/etc/os-release": [*small, "deployed yes"], "perl -MSocket": NAMES}):
        assert look.look().refused == ()
