"""Login keys: keys of people replaced on a deployed host; what is gone is refused, and nobody is locked out."""

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.deployment import Deployment
from tests.e2e.test_lock_out import back, inside, logs_in
from tests.e2e.test_plan import drawn, sent

KEYS = "SSH | whose keys let in"
DRIFT = "tasks.commands.drift.run"
FILE, SECOND = "/root/.ssh/authorized_keys", "/root/.ssh/authorized_keys2"
ALONE, HELD = (f"tests/e2e/deploys/{name}.py" for name in ("login_keys", "login_keys_held"))
SECONDS = 20


@dataclass(frozen=True)
class Pair:
    """A key of somebody's."""

    path: Path

    @property
    def line(self) -> str:
        """The public one."""
        return self.path.with_suffix(".pub").read_text().strip()

    @property
    def print(self) -> str:
        """Its fingerprint."""
        said = subprocess.run(["ssh-keygen", "-lf", self.path], capture_output=True, text=True, check=True)
        return said.stdout.split()[1]

    def ssh(self, host: Deployment, user: str = "root") -> list[str]:
        """The command that logs in with it."""
        words = host.host.ssh()
        words[words.index("-i") + 1] = str(self.path)
        return [*words[:-1], f"{user}@{host.host.address}"]

    def opens(self, host: Deployment, user: str = "root") -> bool:
        """Whether somebody comes in with it."""
        done = subprocess.run(
            [*self.ssh(host, user), "true"], capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0 or "Permission denied (publickey)" in done.stderr, done.stderr
        return done.returncode == 0


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return pair(tmp_path_factory.mktemp("old") / "key", "old@laptop")


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return pair(tmp_path_factory.mktemp("new") / "key", "new@laptop")


def pair(path: Path, comment: str) -> Pair:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path], check=True)
    return Pair(path)


@pytest.fixture(scope="module")
def own(deployed: Deployment) -> str:
    """By which the tests log in."""
    return deployed.lab.state.ssh_key.with_suffix(".pub").read_text().strip()


@pytest.fixture(scope="module", autouse=True)
def _as_before(deployed: Deployment) -> Iterator[None]:
    """The keys of before, afterwards."""
    kept = "/root/keys-of-before"
    deployed.sh(f"cp -a {FILE} {kept}")
    yield
    inside(
        deployed,
        f"cp -a {kept} {FILE}; rm -rf {kept} {SECOND} /etc/ssh/sshd_config.d/90-own.conf /usr/local/bin/ask-keys; userdel -rf bo",
    )
    deployed.sh("systemctl reload ssh")
    deployed.converge()
    deployed.unchanged()


def test_a_key_is_replaced_and_the_old_one_refused_in_whatever_file_it_was(
    deployed: Deployment, own: str, old: Pair, new: Pair
) -> None:
    deployed.sh(f"printf '%s\\r\\n' '{old.line}' >>{FILE}; echo '{old.line}' >{SECOND}")
    assert (old.opens(deployed), new.opens(deployed)) == (True, False)
    keys = {"root": [own, new.line]}
    code, plan, said = drawn(deployed, login_keys=keys)
    assert (code, [step["name"] for step in plan["steps"]]) == (2, [KEYS]), said
    (step,) = plan["steps"]
    assert step["says"][:3] == [
        f"login_keys.root: goes: {old.print} old@laptop: who has only this one cannot log in as root any more",
        f"login_keys.root: comes: {new.print} new@laptop: who has it logs in as root",
        f"login_keys.root: {SECOND} goes, which sshd reads as well",
    ]
    assert {item["path"]: item["change"] for item in plan["files"]} == {FILE: "changed", SECOND: "removed"}
    with subprocess.Popen([*old.ssh(deployed), "sleep 300"]) as session:
        try:
            while "sleep 300" not in inside(deployed, "ps -eo args"):
                time.sleep(0.1)
            run = deployed.converge(login_keys=keys)
            assert run.changes == [KEYS]
            assert "login_keys: 1 of 1 keys that have gone are refused" in run.lines
            (line,) = [text for text in run.lines if "a session that it has opened lives on" in text]
            assert session.poll() is None
            deployed.sh(line.split("`")[1])
            assert session.wait(timeout=20) != 0
        finally:
            session.kill()
    assert (old.opens(deployed), new.opens(deployed)) == (False, True)
    assert (
        deployed.sh(f"stat -c '%a %U' {FILE} /root/.ssh; ls {SECOND} 2>/dev/null", check=False)
        == "600 root\n700 root\n"
    )
    deployed.unchanged(login_keys=keys)
    commands = [sent(drawn(deployed, "-vvv", **more)[2]) for more in ({"login_keys": keys}, {})]
    assert commands[0] == commands[1] > 0


def test_a_key_added_by_hand_is_drift_and_goes_with_the_next_deploy(
    deployed: Deployment, own: str, old: Pair, new: Pair
) -> None:
    keys = {"root": [own, new.line]}
    deployed.converge(login_keys=keys)
    assert deployed.run(deploy=DRIFT, login_keys=keys).code == 0
    deployed.sh(f"echo '{old.line}' >>{FILE}")
    found = deployed.run(deploy=DRIFT, login_keys=keys)
    assert (found.code, [line.partition(",")[0] for line in found.lines if FILE in line]) == (
        2,
        [f"file {FILE}: other content"],
    )
    assert "user root" not in found.output
    assert deployed.converge(login_keys=keys).changes == [KEYS]
    assert not old.opens(deployed)
    assert deployed.run(deploy=DRIFT, login_keys=keys).code == 0


def test_the_key_of_the_run_itself_is_not_taken_away(deployed: Deployment, new: Pair) -> None:
    run = deployed.refused(login_keys={"root": [new.line], "eve": [new.line]})
    assert "login_keys.eve: there is no such user on lab-1" in run.output
    assert (
        f"login_keys.root: this run is logged in by {Pair(deployed.lab.state.ssh_key).print} " in run.output
    )
    assert (
        "and it is not listed, so that nobody could see whether a login still works: add it, or log in by one that stays"
        in run.output
    )


def test_what_locks_out_nevertheless_is_taken_back_by_the_host(
    deployed: Deployment, own: str, new: Pair
) -> None:
    deployed.converge(login_keys={"root": [own]})
    before = deployed.sh(f"cat {FILE}")
    started = time.monotonic()
    run = deployed.refused(deploy=ALONE, login_keys={"root": [new.line]}, revert_seconds=SECONDS)
    assert "the SSH keys on lab-1: no new SSH connection comes in after the change" in run.output
    assert not logs_in(deployed)
    assert back(deployed, started, SECONDS + 40) >= SECONDS
    assert (deployed.sh(f"cat {FILE}"), new.opens(deployed)) == (before, False)
    deployed.unchanged(login_keys={"root": [own]})


def test_killed_in_the_middle_the_same_command_ends_it(
    deployed: Deployment, own: str, old: Pair, new: Pair
) -> None:
    deployed.converge(login_keys={"root": [own, old.line]})
    keys = {"root": [own, new.line]}
    with deployed.under_way(deploy=HELD, login_keys=keys) as run:
        while "armed" not in inside(deployed, "ls /var/lib/smarteros"):
            assert run.poll() is None
            time.sleep(0.2)
        run.kill()
    assert deployed.converge(login_keys=keys).changes == ["Firewall | an unproven change is taken back", KEYS]
    assert (old.opens(deployed), new.opens(deployed)) == (False, True)
    deployed.unchanged(login_keys=keys)


def test_another_way_that_lets_it_in_fails_each_run_until_it_is_closed(
    deployed: Deployment, own: str, old: Pair
) -> None:
    deployed.sh(
        f"printf '#!/bin/sh\\necho \"{old.line}\"\\n' >/usr/local/bin/ask-keys; chmod 755 /usr/local/bin/ask-keys; "
        "printf 'AuthorizedKeysCommand /usr/local/bin/ask-keys\\nAuthorizedKeysCommandUser nobody\\n' >/etc/ssh/sshd_config.d/90-own.conf; "
        f"systemctl reload ssh; echo '{old.line}' >>{FILE}"
    )
    keys = {"root": [own]}
    still = f"login_keys.root: {old.print} old@laptop was taken away on lab-1 and still lets in as root: sshd finds it at /usr/local/bin/ask-keys:1: take it out there"
    first = deployed.refused(login_keys=keys)
    assert (
        "login_keys.root: sshd lets in as root by other ways, too, which stay as they are: authorizedkeyscommand /usr/local/bin/ask-keys"
        in first.lines
    )
    for run in (first, deployed.refused(login_keys=keys)):
        assert still in run.lines, run.output
    deployed.sh("rm /etc/ssh/sshd_config.d/90-own.conf; systemctl reload ssh")
    assert deployed.converge(login_keys=keys).changes == [KEYS]
    deployed.unchanged(login_keys=keys)


def test_a_users_keys_are_the_users_and_what_sshd_would_not_take_is_refused(
    deployed: Deployment, own: str, old: Pair, new: Pair
) -> None:
    deployed.sh(
        "useradd --create-home --shell /bin/sh bo; chmod 775 /home/bo; mkdir -p /home/bo/.ssh; ln -s /srv/keys /home/bo/.ssh/authorized_keys"
    )
    keys = {"root": [own], "bo": [old.line]}
    link = deployed.refused(login_keys=keys)
    assert (
        "login_keys.bo: /home/bo/.ssh/authorized_keys leads to /srv/keys, which others may write or read as well"
        in link.output
    )
    deployed.sh("rm -r /home/bo/.ssh")
    loose = deployed.refused(login_keys=keys)
    assert "login_keys.bo: /home/bo is mode 775 of " in loose.output
    assert "chown bo /home/bo; chmod go-w /home/bo" in loose.output
    deployed.sh("chmod 755 /home/bo")
    assert deployed.converge(login_keys=keys).changes == [KEYS]
    assert (
        deployed.sh("stat -c '%a %U:%G' /home/bo/.ssh /home/bo/.ssh/authorized_keys")
        == "700 bo:bo\n600 bo:bo\n"
    )
    assert old.opens(deployed, "bo")
    assert deployed.converge(login_keys={**keys, "bo": [new.line]}).changes == [KEYS]
    assert (old.opens(deployed, "bo"), new.opens(deployed, "bo")) == (False, True)
