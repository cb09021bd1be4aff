"""Boot: the unsealer against a real OpenBao, and what brings it to a host, run for real below a folder."""

import os
import re
import select
import shutil
import socket
import stat
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.host import Host

from tasks import boot
from tasks.clients.vault_kept import Kept, keep
from tasks.facts.unsealer import QUESTION
from tests.facts.test_facts import MACHINE
from tests.fake import commands, fake, stdin
from tests.openbao import OpenBao, new_openbao
from tests.samples import ROOT, refusals

BASH = shutil.which("bash") or ""
UNIT = "smarteros-unseal.service"
KEYS = ("a2V5LW9uZQ==", "a2V5LXR3bw==", "a2V5LXRocmVl", "a2V5LWZvdXI=", "a2V5LWZpdmU=")
THREE = "a2V5LW9uZQ==\na2V5LXR3bw==\na2V5LXRocmVl"
OLD = "b2xkLW9uZQ==\nb2xkLXR3bw==\nb2xkLXRocmVl"


# The program, against a real server.


@pytest.fixture
def bao(tmp_path: Path) -> Iterator[OpenBao]:
    """A server that nobody has initialised."""
    with new_openbao(tmp_path) as server:
        yield server


@contextmanager
def unsealing(
    folder: Path, port: int, keys: list[str], owner: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """The program as its unit runs it, with these keys for its credential."""
    (folder / "smarteros-unseal").write_text("".join(f"{key}\n" for key in keys))
    program = [
        BASH,
        str(ROOT / "files/boot/unseal"),
        str(port),
        str(os.getuid() if owner is None else owner),
    ]
    environment = {"PATH": os.environ["PATH"], "CREDENTIALS_DIRECTORY": str(folder)}
    with subprocess.Popen(
        program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def keys_of(bao: OpenBao) -> list[str]:
    """Initialises it with five keys, three of which unseal."""
    made = bao.call("PUT", "sys/init", {"secret_shares": 5, "secret_threshold": 3})
    return list(made["keys_base64"])


def said(process: subprocess.Popen[str]) -> str:
    """The next line of the program."""
    assert process.stdout
    assert select.select([process.stdout], [], [], 60)[0], "it says nothing"
    return process.stdout.readline()


def sealed(bao: OpenBao) -> bool:
    return bool(bao.call("GET", "sys/seal-status")["sealed"])


def test_a_sealed_vault_is_unsealed_each_time_it_has_started_again(bao: OpenBao, tmp_path: Path) -> None:
    keys = keys_of(bao)
    with unsealing(tmp_path, bao.port, keys[:3]) as process:
        assert said(process) == "Vault was sealed and is unsealed\n"
        assert not sealed(bao)
        for _ in range(2):
            bao.stop()
            bao.start()
            assert said(process) == "Vault was sealed and is unsealed\n"
            assert not sealed(bao)


def test_of_two_sets_the_one_that_counts_unseals_it(bao: OpenBao, tmp_path: Path) -> None:
    """As the host has while they are being changed."""
    keys = keys_of(bao)
    others = [b64encode(bytes([number]) * 33).decode() for number in (1, 2, 3)]
    with unsealing(tmp_path, bao.port, [*others, *keys[:3]]) as process:
        assert said(process) == "Vault was sealed and is unsealed\n"
    bao.stop()
    bao.start()
    with unsealing(tmp_path, bao.port, [*keys[:3], *others]) as process:
        assert said(process) == "Vault was sealed and is unsealed\n"


def test_it_hands_no_key_to_a_vault_that_is_new(bao: OpenBao, tmp_path: Path) -> None:
    with unsealing(tmp_path, bao.port, list(KEYS[:3])) as process:
        assert process.stdout
        assert select.select([process.stdout], [], [], 3)[0] == []


def test_keys_that_vault_does_not_take_are_told(bao: OpenBao, tmp_path: Path) -> None:
    keys_of(bao)
    with unsealing(tmp_path, bao.port, list(KEYS[:3])) as process:
        assert said(process) == (
            "Vault stays sealed: it does not take this host's keys; a deploy brings the right ones\n"
        )
        assert sealed(bao)


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_listener_that_is_not_roots_gets_no_key(tmp_path: Path, address: str) -> None:
    """Whoever takes the port while Vault is away; and one on every address is not how Docker publishes it."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, 0))
        listener.listen()
        listener.settimeout(3)
        port = listener.getsockname()[1]
        other = os.getuid() + 1 if address == "127.0.0.1" else None
        with unsealing(tmp_path, port, ["key"], other), pytest.raises(TimeoutError):
            listener.accept()


def test_it_waits_for_a_vault_that_is_away_and_no_key_is_in_a_command_line(
    bao: OpenBao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Vault is away, too: it finds no program but one, which notes what it is given."""
    keys = keys_of(bao)
    bao.stop()
    sleep = tmp_path / "bin" / "sleep"
    sleep.parent.mkdir()
    sleep.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/given\nexec {shutil.which("sleep")} "$@"\n')
    sleep.chmod(0o755)
    monkeypatch.setenv("PATH", str(sleep.parent))
    with unsealing(tmp_path, bao.port, keys[1:4]) as process:
        time.sleep(0.5)
        bao.start()
        assert said(process) == "Vault was sealed and is unsealed\n"
    assert set((tmp_path / "given").read_text().split()) == {"2"}


# What brings it to a host.


def operation(folder: Path, *lines: str, keys: tuple[str, ...] | None = KEYS, **options: Any) -> list[Any]:
    """What the operation yields on a host whose MachineFact has these lines too."""
    with fake({"/etc/os-release": [*MACHINE, *lines]}, state_dir=str(folder / "state"), **options):
        if keys is not None:
            keep(Kept(keys=keys))
        return commands(boot.unsealer)


def digest(keys: str = THREE) -> str:
    return boot.digest(keys)


SHARED = "26 1 254:1 /@ / rw,relatime shared:1 - btrfs /dev/vda1 rw\n"


class Machine:
    """A folder for /, with programs of the host that only note what they are asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("bin", "proc/self", "var/lib/systemd", "etc/systemd/system/multi-user.target.wants"):
            (folder / name).mkdir(parents=True)
        (folder / "var/lib/systemd/credential.secret").write_text("the host's key")
        (folder / "proc/self/mountinfo").write_text(f"22 1 0:20 / /proc rw shared:2 - proc proc rw\n{SHARED}")
        link = f"{folder}/etc/systemd/system/multi-user.target.wants/{UNIT}"
        self.program("systemd-creds", f'echo "$*" >>{folder}/log\ncat >"$5"')
        self.program(
            "systemctl",
            f'echo "$*" >>{folder}/log\ncase $1 in\n'
            f"enable) ln -sf ../{UNIT} {link} ;;\n"
            f"restart) touch {folder}/active ;;\n"
            f"disable) rm -f {folder}/active {link} ;;\n"
            f"is-active) [ -e {folder}/active ] ;;\nesac",
        )

    def program(self, name: str, text: str) -> None:
        """A program of the host."""
        path = self.folder / "bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def moved(self, text: str) -> str:
        """The text with paths below the folder."""
        return re.sub(r"(?<![\w/.])/(etc|opt|proc|usr/local|var/lib)/", rf"{self.folder}/\1/", text)

    def sh(self, text: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Runs shell of ours there; bash, so that a test can end it between two commands."""
        environment = {"PATH": f"{self.folder}/bin:{os.environ['PATH']}"}
        program = ["bash", "-c", self.moved(text)]
        return subprocess.run(
            program, input=given, capture_output=True, text=True, env=environment, check=False
        )

    def write(self, keys: str = THREE) -> None:
        """A run's one command."""
        done = self.sh(boot._write(keys), f"{keys}\n")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

    def says(self) -> list[str]:
        """The lines of MachineFact that are about it."""
        return sorted(self.sh(f"{QUESTION}\nwait").stdout.splitlines())

    def log(self) -> list[str]:
        """What its programs were asked."""
        return (self.folder / "log").read_text().splitlines()


CREDENTIAL = "etc/credstore.encrypted/smarteros-unseal"
PROGRAM = "usr/local/lib/smarteros/unseal"
IN_UNITS = f"etc/systemd/system/{UNIT}"
WHOLE = ["credentials yes", f"unsealer {digest()}"]
DIFFERS = ["credentials yes", "unsealer differs"]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


def test_a_host_gets_all_of_it_in_one_command(machine: Machine, tmp_path: Path) -> None:
    assert machine.says() == ["credentials yes"]
    [command] = operation(tmp_path, "credentials yes")
    assert (str(command), stdin(command)) == (boot._write(THREE), THREE)
    assert [key for key in KEYS if key in str(command)] == []
    machine.write()
    found = {name: (machine.folder / name) for name in (CREDENTIAL, PROGRAM, IN_UNITS)}
    assert {name: path.read_text() for name, path in found.items()} == {
        CREDENTIAL: f"{THREE}\n",
        PROGRAM: machine.moved((ROOT / "files/boot/unseal").read_text()),
        IN_UNITS: machine.moved((ROOT / "files/units" / UNIT).read_text()),
    }
    assert {name: oct(stat.S_IMODE(path.stat().st_mode)) for name, path in found.items()} == {
        CREDENTIAL: "0o600",
        PROGRAM: "0o644",
        IN_UNITS: "0o644",
    }
    assert machine.log() == [
        f"encrypt --name=smarteros-unseal --tpm2-pcrs= - {machine.folder}/{CREDENTIAL}.new",
        "daemon-reload",
        f"enable --quiet {UNIT}",
        f"restart {UNIT}",
    ]
    assert machine.says() == WHOLE
    assert operation(tmp_path, *WHOLE) == []


@pytest.mark.parametrize("mounts", [SHARED.replace("shared:1 ", ""), SHARED.replace("shared", "master"), ""])
def test_a_host_whose_mounts_are_private_has_no_credentials(machine: Machine, mounts: str) -> None:
    (machine.folder / "proc/self/mountinfo").write_text(
        f"22 1 0:20 / /proc rw shared:2 - proc proc rw\n{mounts}"
    )
    assert machine.says() == []


EDITS = {
    "a credential of somebody else's": f"echo x >/{CREDENTIAL}",
    "no credential": f"rm /{CREDENTIAL}",
    "a credential that others may read": f"chmod 644 /{CREDENTIAL}",
    "another key of the host": "echo x >/var/lib/systemd/credential.secret",
    "an edited unit": f"echo x >>/{IN_UNITS}",
    "no unit": f"rm /{IN_UNITS}",
    "an edited program": f"echo x >>/{PROGRAM}",
    "a program that others may write": f"chmod 666 /{PROGRAM}",
    "not enabled": f"rm /etc/systemd/system/multi-user.target.wants/{UNIT}",
    "no note": "rm /opt/smarteros/unseal",
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_what_a_hand_has_changed_is_found_and_mended(machine: Machine, tmp_path: Path, edit: str) -> None:
    machine.write()
    assert machine.sh(edit).returncode == 0
    assert machine.says() == DIFFERS
    assert texts_of(operation(tmp_path, *DIFFERS)) == [boot._write(THREE)]
    machine.write()
    assert machine.says() == WHOLE


def test_one_that_does_not_run_is_found(machine: Machine) -> None:
    """As where its credential cannot be decrypted any more: its TPM was cleared."""
    machine.write()
    (machine.folder / "active").unlink()
    assert machine.says() == DIFFERS


def test_a_run_killed_between_any_two_commands_is_finished_by_the_next(tmp_path: Path) -> None:
    for number in range(1, 60):
        machine = Machine(tmp_path / str(number))
        machine.write(OLD)
        killed = f"set -T; trap '[ $((count += 1)) -lt {number} ] || kill -9 $$' DEBUG\n{boot._write(THREE)}"
        if machine.sh(killed, f"{THREE}\n").returncode == 0:
            break
        seen = (machine.folder / CREDENTIAL).read_text(), len(machine.log())
        if machine.says() == ["credentials yes", f"unsealer {digest(OLD)}"]:
            assert seen == (f"{OLD}\n", 4)  # nothing was done yet
        elif machine.says() == WHOLE:
            assert seen == (f"{THREE}\n", 8)  # all was done
        else:
            assert machine.says() == DIFFERS
        machine.write()
        assert machine.says() == WHOLE
        assert (machine.folder / CREDENTIAL).read_text() == f"{THREE}\n"
    assert number > 15


def test_keys_that_were_cut_on_their_way_change_nothing(machine: Machine) -> None:
    done = machine.sh(boot._write(THREE), THREE[:-4])
    assert (done.returncode, done.stderr) == (1, "the unseal keys were cut on their way\n")
    assert machine.says() == ["credentials yes"]
    assert not (machine.folder / "log").exists()


def texts_of(yielded: list[Any]) -> list[str]:
    return [str(command) for command in yielded]


def test_other_keys_or_another_threshold_bring_another_credential(tmp_path: Path) -> None:
    two = "\n".join(KEYS[:2])
    assert stdin(operation(tmp_path, *WHOLE, vault_threshold=2)[0]) == two
    assert operation(tmp_path, "credentials yes", f"unsealer {digest(two)}", vault_threshold=2) == []
    assert stdin(operation(tmp_path, *WHOLE, keys=KEYS[1:])[0]) == "\n".join(KEYS[1:4])


def test_while_keys_are_being_changed_the_host_has_both(tmp_path: Path) -> None:
    with fake({"/etc/os-release": [*MACHINE, *WHOLE]}, state_dir=str(tmp_path / "state")):
        keep(Kept(keys=KEYS, other_keys=KEYS[::-1]))
        (command,) = commands(boot.unsealer)
    assert stdin(command) == "\n".join((*KEYS[:3], *KEYS[:1:-1]))


EXTERNAL = {"vault_address": "https://vault.example:8200", "services": ["postgres"]}


@pytest.mark.parametrize("settings", [EXTERNAL, {"unseal_at_boot": False}], ids=["external", "switched off"])
def test_it_is_removed_where_it_is_not_wanted(
    machine: Machine, tmp_path: Path, settings: dict[str, Any]
) -> None:
    assert operation(tmp_path, "credentials yes", **settings) == []
    for line in WHOLE[1], DIFFERS[1]:
        assert texts_of(operation(tmp_path, "credentials yes", line, **settings)) == [boot._REMOVE]
    machine.write()
    (machine.folder / f"{CREDENTIAL}.new").write_text(THREE)  # of a run that was killed
    assert machine.sh(boot._REMOVE).returncode == 0
    assert machine.says() == ["credentials yes"]
    rest = [path.name for path in machine.folder.rglob("*unseal*")]
    assert rest == []
    assert machine.log()[-2:] == [f"disable --quiet --now {UNIT}", "daemon-reload"]


def test_a_removal_killed_between_any_two_commands_is_finished_by_the_next(tmp_path: Path) -> None:
    for number in range(1, 10):
        machine = Machine(tmp_path / str(number))
        machine.write()
        killed = f"set -T; trap '[ $((count += 1)) -lt {number} ] || kill -9 $$' DEBUG\n{boot._REMOVE}"
        if machine.sh(killed).returncode == 0:
            break
        assert machine.says() in (DIFFERS, WHOLE), number
    assert number > 4


def logged(folder: Path, monkeypatch: pytest.MonkeyPatch, *lines: str, **options: Any) -> list[str]:
    """What the operator reads; nothing may change."""
    seen: list[str] = []
    monkeypatch.setattr(Host, "log", lambda _, text, **__: seen.append(text))
    assert operation(folder, *lines, **options) == []
    return seen


REST = "after a boot Vault stays sealed until the next run (`make deploy`)"


def test_a_host_without_encrypted_credentials_is_told_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = f"systemd cannot hand a unit an encrypted credential here (it is older than 250, or in a container): {REST}"
    assert logged(tmp_path, monkeypatch) == [said]
    assert logged(tmp_path, monkeypatch, executing=False) == []
    assert logged(tmp_path, monkeypatch, unseal_at_boot=False) == []


def test_a_machine_without_the_keys_leaves_what_is_there_and_says_what_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = f"this machine has no unseal keys: {REST}"
    for name, keys in (("none", None), ("taken away", ())):
        folder = tmp_path / name
        assert logged(folder, monkeypatch, "credentials yes", keys=keys) == [said]
        assert logged(folder, monkeypatch, *WHOLE, keys=keys) == []


def test_planning_on_a_bare_host_says_that_something_will_change(tmp_path: Path) -> None:
    assert operation(tmp_path, "credentials yes", keys=None, executing=False) == ["true"]


def test_planning_where_another_machine_has_brought_it_says_that_nothing_will_change(tmp_path: Path) -> None:
    assert operation(tmp_path, *WHOLE, keys=None, executing=False) == []


def test_a_host_with_other_keys_is_out_of_the_way_of_a_run_that_unseals(tmp_path: Path) -> None:
    def stops(*lines: str, keys: tuple[str, ...] = KEYS, new: bool = False) -> list[str]:
        with fake({"/etc/os-release": [*MACHINE, *lines]}, state_dir=str(tmp_path / "state")):
            keep(Kept(keys=keys))
            return texts_of(list(boot.out_of_the_way(new=new)))

    stopped = ["systemctl stop smarteros-unseal.service 2>/dev/null || true"]
    assert [stops(), stops(*WHOLE), stops(*DIFFERS)] == [[], [], stopped]
    assert [stops(*WHOLE, keys=KEYS[1:]), stops(*WHOLE, keys=())] == [stopped, []]
    assert [stops(keys=(), new=True), stops(*WHOLE, keys=(), new=True)] == [[], stopped]


def test_the_setting_is_true_or_false() -> None:
    assert refusals(unseal_at_boot="no") == [
        "unseal_at_boot: has to be True or False, and is text (did you mean False?)"
    ]
