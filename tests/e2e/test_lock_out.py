"""Lock-out: sshd and firewall really broken, control machines really killed; the host comes back by itself, as it was."""

import time
from collections.abc import Iterator

import pytest

from tests.e2e.deployment import Deployment, Run
from tests.lab.lab import Lab

FOLDER = "/var/lib/smarteros"
# Shorter than the default, which `make test-faults` has a test for; the way is the same.
SECONDS = 30


@pytest.fixture(scope="module")
def host(lab: Lab) -> Iterator[Deployment]:
    """A host of its own with firewall and sshd as they should be, and nothing else."""
    deployment = Deployment(lab, lab.add_host("lockout"))
    assert deployment.converge(deploy="tests/e2e/deploys/access.py").changes == [
        "Firewall | our table, loaded at boot",
        "SSH | keys only, named users",
    ]
    yield deployment
    lab.remove_host("lockout")


def inside(host: Deployment, command: str) -> str:
    """What a command says on the host, asked past sshd and firewall."""
    return host.host.inside(command)[1]


def state(host: Deployment) -> str:
    """All that the two phases are about, as it is."""
    return inside(
        host,
        "sha256sum /etc/ssh/sshd_config.d/* /etc/smarteros/* /etc/systemd/system/smarteros-firewall.service; "
        "stat -c '%n %a %U' /etc/ssh/sshd_config.d/* /etc/smarteros/*; nft -s list table inet smarter_fw; "
        "sshd -T | sort | sha256sum; ls /var/lib/smarteros",
    )


def armed(host: Deployment) -> bool:
    return inside(host, f"ls -d {FOLDER}/armed") == f"{FOLDER}/armed"


def logs_in(host: Deployment) -> bool:
    return host.host.run("true", check=False, timeout=30).returncode == 0


def back(host: Deployment, since: float, limit: float) -> float:
    """Seconds from then until a login works again and nothing is armed."""
    while armed(host) or not logs_in(host):
        assert time.monotonic() - since < limit
        # Not often: sshd shuts out who is refused too often.
        time.sleep(2)
    return time.monotonic() - since


def said(run: Run) -> str:
    """The line that says what is wrong."""
    return next(line for line in run.lines if "no new SSH connection" in line)


@pytest.mark.parametrize(
    ("deploy", "what", "why"),
    [
        ("no_user", "sshd", "it accepts none of the keys"),
        ("no_port", "the firewall", "nothing answers in time"),
    ],
)
def test_a_change_that_locks_us_out_is_taken_back(host: Deployment, deploy: str, what: str, why: str) -> None:
    before = state(host)
    started = time.monotonic()
    run = host.refused(deploy=f"tests/e2e/deploys/{deploy}.py", revert_seconds=SECONDS)
    where = f"{host.host.address}, port 22"
    sentence = f"{what} on lockout: no new SSH connection comes in after the change: {where}: {why}"
    assert said(run).startswith(sentence), run.output
    assert armed(host)
    assert not logs_in(host)
    assert back(host, started, SECONDS + 30) >= SECONDS
    assert state(host) == before
    host.unchanged(deploy="tests/e2e/deploys/access.py")


def test_settings_that_sshd_cannot_read_never_come_alive(host: Deployment) -> None:
    before = state(host)
    run = host.refused(deploy="tests/e2e/deploys/no_sense.py", revert_seconds=SECONDS)
    assert "Bad configuration option: NoSuchSetting" in run.output
    assert state(host) == before
    assert logs_in(host)


def test_a_file_that_overrides_ours_is_named_and_nothing_comes_alive(host: Deployment) -> None:
    theirs = "/etc/ssh/sshd_config.d/00-a.conf"
    inside(host, f"echo 'PermitEmptyPasswords yes' >{theirs}")
    try:
        before = state(host)
        run = host.refused(deploy="tests/e2e/deploys/access.py", revert_seconds=SECONDS)
        assert f"{theirs}:1:PermitEmptyPasswords yes" in run.output, run.output
        assert state(host) == before
    finally:
        inside(host, f"rm {theirs}")
    host.unchanged(deploy="tests/e2e/deploys/access.py")


def test_the_proof_is_a_login_of_its_own(host: Deployment) -> None:
    """Not the connection that is there already: sshd's journal has two logins of a run that changes something."""
    since = inside(host, "rm /etc/ssh/sshd_config.d/00-smarteros.conf; sleep 1; date +%s")
    host.converge(deploy="tests/e2e/deploys/access.py")
    assert inside(host, f"journalctl --since @{since} | grep -c 'Accepted publickey for root'") == "2"
