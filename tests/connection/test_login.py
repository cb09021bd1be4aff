"""Login: a user who works through sudo may do so without a password, or has given it; else the run says what to do."""

from typing import Any

import pytest
from pyinfra.api import DeployError

from tasks.commands import look, status
from tasks.connection import line, login
from tests.fake import fake

PROBE = "sudo -H -n sh -c true"


def asked(responses: dict[str, Any], **data: Any) -> list[str]:
    """What the check asks of a host with this data and these answers."""
    with fake(responses, **data) as host:
        login.checked(host)
        connector: Any = host.connector
        return list(connector.executed_commands)


def test_root_is_not_asked() -> None:
    assert asked({}) == []


def test_a_user_who_may_is_asked_once_and_not_through_pyinfras_sudo() -> None:
    (command,) = asked({}, _sudo=True)
    assert f"{PROBE} || fail" in command.splitlines()


def test_the_user_that_sudo_is_to_change_to_is_asked_for() -> None:
    (command,) = asked({}, _sudo=True, _sudo_user="admin x")
    assert "sudo -H -n -u 'admin x' sh -c true || fail" in command.splitlines()


def test_a_user_who_has_given_the_password_is_asked_with_it() -> None:
    (command,) = asked({}, _sudo=True, _sudo_password="pass")
    assert "sudo" not in command


def test_what_sudo_prints_beside_its_yes_changes_nothing() -> None:
    warning = {"stderr": ["sudo: unable to resolve host h1: Name or service not known"]}
    assert len(asked({PROBE: warning}, _sudo=True)) == 1


@pytest.mark.parametrize(
    "said",
    [
        "sudo: a password is required",
        "sudo: sorry, user deploy may not run sudo on h1",
        "sudo: a terminal is required to read the password; either use ssh's -t option or configure an askpass helper",
    ],
)
def test_a_user_who_may_not_is_told_what_to_do(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "deploy")
    assert refusal({"stdout": "smarteros-failed ", "stderr": said}) == (
        f"@fake/one: sudo does not let deploy work without a password ({said}): allow it there, as root "
        "(echo 'deploy ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/deploy), "
        "give the password (--same-sudo-password), or log in as root"
    )


NO_TERMINAL = "sudo: sorry, you must have a tty to run sudo"


@pytest.mark.parametrize(
    ("answers", "data"),
    [
        ({PROBE: {"stdout": "smarteros-failed ", "stderr": NO_TERMINAL}}, {}),
        ({"true": {"success": False, "stderr": [NO_TERMINAL]}}, {"_sudo_password": "pass"}),
    ],
)
def test_a_sudo_that_wants_a_terminal_is_not_one_that_wants_a_password(
    answers: dict[str, Any], data: dict[str, str]
) -> None:
    with pytest.raises(DeployError) as error:
        asked(answers, _sudo=True, **data)
    assert str(error.value) == (
        "@fake/one: sudo wants a terminal there: take `Defaults requiretty` out of its sudoers, as root (visudo)"
    )


def test_a_host_without_sudo_is_named() -> None:
    assert refusal(["smarteros-failed not found"]) == (
        "@fake/one: _sudo is set and there is no sudo: install it there (apt-get install sudo), or log in as root"
    )


def refusal(answer: Any) -> str:
    with pytest.raises(DeployError) as error:
        asked({PROBE: answer}, _sudo=True)
    return str(error.value)


def test_no_command_leaves_the_asking_to_pyinfra_and_each_asks_once() -> None:
    no: Any = {"stdout": "smarteros-failed ", "stderr": "sudo: a password is required"}
    for command in (look.run, status.run):
        with fake({PROBE: no}, _sudo=True), pytest.raises(DeployError, match="without a password"):
            command()
        with fake({}, executing=False, _sudo=True) as host:
            command()
            command()
            connector: Any = host.connector
            assert len([each for each in connector.executed_commands if PROBE in each]) == 1


def test_a_wrong_password_is_refused() -> None:
    said = "sudo: 1 incorrect password attempt"
    with pytest.raises(DeployError) as error:
        asked({"true": {"success": False, "stderr": [said]}}, _sudo=True, _sudo_password="wrong")
    assert said in str(error.value)


def test_a_login_without_a_shell_is_not_taken_for_one_without_sudo() -> None:
    assert refusal({"success": False, "stdout": "This account is currently not available."}) == (
        "@fake/one: this login may run no commands there, it has no shell: give the user one, as root "
        "(chsh -s /bin/bash and the user's name), or log in as another user (ssh_user)"
    )


def test_a_command_of_the_runs_own_channel_goes_through_sudo_as_every_other_does() -> None:
    with fake({}, _sudo=True) as host:
        sudo = line.composed(host, "echo 'a b'")
    assert sudo.startswith("sudo -H -n sh -c 'export DOCKER_HOST=")
    assert sudo.endswith("""&& echo '"'"'a b'"'"''""")
    with fake({}) as host:
        plain = line.composed(host, "id")
    assert plain.startswith("sh -c 'export DOCKER_HOST=")
    assert plain.endswith("&& id'")
