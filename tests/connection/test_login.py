"""Login: a user who works through sudo may do so without a password, or has given it; else the run says what to do."""

from typing import Any

import pytest
from pyinfra.api import DeployError

from tasks.connection import line, login
from tests.fake import fake

PROBE = "sudo -n true"


def asked(responses: dict[str, Any], **data: Any) -> list[str]:
    """What the check asks of a host with this data and these answers."""
    with fake(responses, **data) as host:
        login.checked(host)
        connector: Any = host.connector
        return list(connector.executed_commands)


def test_root_is_not_asked() -> None:
    assert asked({}) == []


def test_a_user_who_may_is_asked_once_and_not_through_pyinfras_sudo() -> None:
    assert asked({PROBE: []}, _sudo=True) == ["sudo -n true 2>&1 | sed 's/^/said: /'"]


def test_a_user_who_has_given_the_password_is_asked_with_it() -> None:
    assert asked({"true": []}, _sudo=True, _sudo_password="pass") == ["true"]


@pytest.mark.parametrize(
    "said", ["sudo: a password is required", "sudo: sorry, user deploy may not run sudo on h1"]
)
def test_a_user_who_may_not_is_told_what_to_do(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "deploy")
    assert refusal(f"said: {said}") == (
        f"@fake/one: sudo does not let deploy work without a password ({said}): allow it there, as root "
        "(echo 'deploy ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/deploy), "
        "give the password (--same-sudo-password), or log in as root"
    )


def test_a_host_without_sudo_is_named() -> None:
    assert refusal("said: sh: 1: sudo: not found") == (
        "@fake/one: _sudo is set and there is no sudo: install it there (apt-get install sudo), or log in as root"
    )


def refusal(*answer: str) -> str:
    with pytest.raises(DeployError) as error:
        asked({PROBE: list(answer)}, _sudo=True)
    return str(error.value)


def test_a_wrong_password_is_refused() -> None:
    said = "sudo: 1 incorrect password attempt"
    with pytest.raises(DeployError) as error:
        asked({"true": {"success": False, "stderr": [said]}}, _sudo=True, _sudo_password="wrong")
    assert said in str(error.value)


def test_a_command_of_the_runs_own_channel_goes_through_sudo_as_every_other_does() -> None:
    with fake({}, _sudo=True) as host:
        assert line.composed(host, "echo 'a b'") == """sudo -H -n sh -c 'echo '"'"'a b'"'"''"""
    with fake({}) as host:
        assert line.composed(host, "id") == "sh -c id"
