"""`make bootstrap`: whose key it takes, which records it asks for, and what it calls in which order."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import paramiko
import pytest

from tasks.commands import answers, bootstrap, overheard, records, trusting
from tasks.commands import described as describing
from tasks.commands.bootstrap import Bootstrap
from tasks.commands.described import Described
from tasks.commands.look import Look
from tasks.connection import host_key
from tasks.connection.said import Said
from tasks.run import Refused
from tests.samples import ROOT, settings
from tests.signals import heard


@dataclass
class Sshd:
    """Shows its key to whoever comes, and lets nobody in."""

    key: paramiko.PKey
    listening: socket.socket

    @property
    def login(self) -> dict[str, Any]:
        """What pyinfra is told."""
        return {"ssh_hostname": "127.0.0.1", "ssh_port": self.listening.getsockname()[1], "ssh_user": "root"}

    def serve(self) -> None:
        """Until its socket is closed."""
        while True:
            try:
                end, _ = self.listening.accept()
            except OSError:
                return
            transport = paramiko.Transport(end)
            transport.add_server_key(self.key)
            try:
                transport.start_server(server=paramiko.ServerInterface())
            except (EOFError, OSError, paramiko.SSHException):
                transport.close()


@pytest.fixture
def sshd() -> Iterator[Sshd]:
    found = Sshd(paramiko.ECDSAKey.generate(), socket.create_server(("127.0.0.1", 0)))
    threading.Thread(target=found.serve, daemon=True).start()
    yield found
    found.listening.shutdown(socket.SHUT_RDWR)
    found.listening.close()


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("YES", "FINGERPRINT", "WAIT", "KIT", "BUCKET", "NAME", "SERVICES", "MIRRORS"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def described(sshd: Sshd, known: Path) -> Described:
    return Described("root@here", sshd.login, {}, {}, known)


@pytest.fixture
def typed() -> Iterator[Callable[[str], None]]:
    """What this process reads from its standard input from now on."""
    before = os.dup(0)

    def give(text: str) -> None:
        reading, writing = os.pipe()
        os.write(writing, text.encode())
        os.dup2(reading, 0)
        os.close(reading)
        os.close(writing)

    yield give
    os.dup2(before, 0)
    os.close(before)


def test_a_key_is_shown_then_noted_once(
    sshd: Sshd, tmp_path: Path, typed: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    known = tmp_path / "prod.known_hosts"
    typed("yes\n")
    trusting.noted(described(sshd, known))
    fingerprint = host_key.shown(sshd.login).fingerprint
    done = subprocess.run(
        ["ssh-keygen", "-lf", str(known)], capture_output=True, text=True, check=True
    ).stdout
    assert done.split()[1] == fingerprint
    assert f"root@here shows the key {fingerprint} (ecdsa-sha2-nistp256)" in capsys.readouterr().err
    port = sshd.login["ssh_port"]
    assert known.read_text() == f"[127.0.0.1]:{port} ecdsa-sha2-nistp256 {sshd.key.get_base64()}\n"
    typed("")
    trusting.noted(described(sshd, known))
    assert capsys.readouterr().err == ""


def test_the_fingerprint_itself_is_an_answer_and_the_last_line_of_another_stays_whole(
    sshd: Sshd, tmp_path: Path, typed: Callable[[str], None]
) -> None:
    shown, known = host_key.shown(sshd.login), tmp_path / "known"
    other = replace(shown, name="203.0.113.9").line
    known.write_text(other.rstrip("\n"))
    typed(f"{shown.fingerprint}\n")
    trusting.noted(described(sshd, known))
    assert known.read_text() == other + shown.line


def test_a_key_that_nobody_confirms_is_noted_nowhere(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: Callable[[str], None]
) -> None:
    known = tmp_path / "known"
    for text, why in (("\n", "the answer was '', and nothing was done"), ("", "FINGERPRINT is missing, and")):
        typed(text)
        with pytest.raises(Refused, match=why):
            trusting.noted(described(sshd, known))
    monkeypatch.setenv("FINGERPRINT", "SHA256:another")
    with pytest.raises(Refused, match="and FINGERPRINT is SHA256:another: it is not that host"):
        trusting.noted(described(sshd, known))
    assert not known.exists()


@pytest.mark.parametrize("how", ["FINGERPRINT", "YES", "known"])
def test_a_key_that_is_vouched_for_is_not_asked_about(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: Callable[[str], None], how: str
) -> None:
    typed("")
    shown = host_key.shown(sshd.login)
    if how == "known":
        (tmp_path / "home/.ssh").mkdir(parents=True)
        (tmp_path / "home/.ssh/known_hosts").write_text(shown.line)
    else:
        monkeypatch.setenv(how, {"YES": "1", "FINGERPRINT": shown.fingerprint}[how])
    trusting.noted(described(sshd, tmp_path / "known"))
    assert (tmp_path / "known").read_text() == shown.line


@pytest.mark.parametrize("where", ["known", "home/.ssh/known_hosts"])
def test_another_key_than_the_known_one_is_refused(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.setenv("YES", "1")
    shown = host_key.shown(sshd.login)
    path = tmp_path / where
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(replace(shown, key=paramiko.ECDSAKey.generate()).line)
    before = path.read_text()
    with pytest.raises(Refused) as error:
        trusting.noted(described(sshd, tmp_path / "known"))
    assert str(error.value) == (
        f"root@here shows another key ({shown.fingerprint}) than {path} has: somebody may stand in between. Only if it was set "
        f"up anew: ssh-keygen -R '{shown.name}' -f {path}"
    )
    assert path.read_text() == before


def test_a_host_that_does_not_answer_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Said, match=f"127.0.0.1, port {port}: nothing listens there: see ssh_hostname"):
        host_key.shown({"ssh_hostname": "127.0.0.1", "ssh_port": port})


AWAY = {"crm.acme.io": "nowhere", "n8n.acme.io": "198.51.100.9", "kpi.acme.net": ""}
SEEN = Look(address="9.9.9.9", domains=("erp.acme.io", *AWAY), elsewhere=AWAY)


def test_the_missing_records_are_ready_to_paste() -> None:
    assert list(records.records(SEEN, None)) == [
        "crm.acme.io.  300 IN A 9.9.9.9",
        "n8n.acme.io.  300 IN A 9.9.9.9  ; leads to 198.51.100.9 now",
        "kpi.acme.net. 300 IN A 9.9.9.9  ; nobody answers",
    ]
    assert list(records.records(replace(SEEN, elsewhere={}), None)) == []
    six = records.records(replace(SEEN, address="2001:4860::7", elsewhere={"a.io": "nowhere"}), None)
    assert list(six) == ["a.io. 300 IN AAAA 2001:4860::7"]
    private = list(records.records(replace(SEEN, address="10.0.0.5"), None))
    assert private[0].startswith("; 10.0.0.5 is no address of the internet: ")
    assert next(records.records(replace(SEEN, address=""), None)).startswith("; ADDRESS is what the world")


def test_mail_has_its_records_where_it_is_set() -> None:
    mail = {"host": "smtp.relay.net", "from": "ops@acme.io"}
    assert list(records.records(replace(SEEN, elsewhere={}), mail)) == [
        "; mail from ops@acme.io: SPF and DKIM of acme.io as the provider of smtp.relay.net says; and where there is none yet:",
        '_dmarc.acme.io. 300 IN TXT "v=DMARC1; p=none"',
    ]


PROGRAM = """#!/bin/sh
echo "$* KIT=$KIT" >>{log}
case $* in
*look.run) echo "$SAYS"; cat {look} ;;
esac
case "$*" in
*"$FAILS"*) exit 1 ;;
esac
"""


@dataclass
class Machine:
    """The control machine, with a pyinfra that notes how it was called."""

    folder: Path
    seen: Look = SEEN

    def run(self, monkeypatch: pytest.MonkeyPatch, fails: str = "nothing", **variables: str) -> list[str]:
        """The calls. Raises Refused as the command does."""
        (self.folder / "bin").mkdir(exist_ok=True)
        note, log = self.folder / "look.json", self.folder / "log"
        note.write_text(f"smarteros-look {json.dumps(self.seen.__dict__)}\n")
        log.write_text("")
        program = self.folder / "bin/pyinfra"
        program.write_text(PROGRAM.format(log=log, look=note))
        program.chmod(0o755)
        for name in ("inventories", "group_data"):
            (self.folder / name).mkdir(exist_ok=True)
        (self.folder / "group_data/all.py").write_text((ROOT / "group_data/all.py").read_text())
        given = {"HOST": "@local", "ZONE": "acme.io", "EMAIL": "ops@acme.io", "FAILS": fails, **variables}
        with monkeypatch.context() as inner:
            inner.setattr(sys, "executable", str(self.folder / "bin/python"))
            for name, value in given.items():
                inner.setenv(name, value)
            Bootstrap(self.folder, "inventories/prod.py", "prod").run()
        return log.read_text().splitlines()

    @property
    def calls(self) -> list[str]:
        """How pyinfra was called."""
        return (self.folder / "log").read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_everything_is_called_in_its_order_and_the_end_says_what_is_next(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = "inventories/prod.py"
    assert machine.run(monkeypatch, YES="1", BUCKET="https://s3.acme.io/backups", KIT="~/kit.json") == [
        f"-y {where} tasks.commands.look.run KIT=~/kit.json",
        f"-y {where} tasks.commands.bucket.run KIT=~/kit.json",
        f"-y {where} deploy.py KIT=~/kit.json",
        f"-y {where} tasks.commands.kit_check.run KIT=~/kit.json",
        f"-y {where} tasks.commands.check.run KIT=~/kit.json",
    ]
    said = capsys.readouterr().err
    assert "1 of 4 domains lead to @local" in said
    assert "\ncrm.acme.io.  300 IN A 9.9.9.9\n" in said
    for line in (
        "first logins, once and within 24 hours: bash /root/generate-secrets.sh show",
        f"keep a copy of {settings()['state_dir']} on another machine: ",
        "sshd is as it was, since nobody could prove from here that a login still works: ",
        "keep ~/kit.json elsewhere, too, and on paper",
        "from now on: `make status`, `make plan`, `make deploy`",
    ):
        assert f"bootstrap: {line}" in said


def test_without_a_bucket_it_says_so_and_a_deploy_asks(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    where = "inventories/prod.py"
    assert machine.run(monkeypatch, WAIT="0") == [
        f"-y {where} tasks.commands.look.run KIT=",
        f"{where} deploy.py KIT=",
        f"-y {where} tasks.commands.check.run KIT=",
    ]
    said = capsys.readouterr().err
    assert "no bucket (BUCKET=https://s3.example.com/name): nothing of this host will be backed up" in said
    assert "backups: name a bucket, `make bootstrap BUCKET=https://s3.example.com/name`" in said


def test_the_end_names_logins_and_passwords_where_there_are_some(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = "first logins, once and within 24 hours: "
    later = "each password later: `make secret NAME=…` (without NAME it lists them)"
    for services, named in (
        ("n8n", [True, True]),
        ("postgres", [False, True]),
        ("mcp-registry", [False] * 2),
    ):
        machine.run(monkeypatch, YES="1", SERVICES=services)
        said = capsys.readouterr().err
        assert [text in said for text in (first, later)] == named, services
        assert "from now on: `make status`" in said


def test_what_the_host_is_not_fit_for_ends_before_anything_is_done(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.seen = replace(SEEN, refused=("memory: 900 MB, and … these would fit: vault, caddy",))
    with pytest.raises(Refused) as error:
        machine.run(monkeypatch, YES="1")
    assert str(error.value) == (
        "@local cannot take this deployment:\n    memory: 900 MB, and … these would fit: vault, caddy\n"
        '    Fewer services: SERVICES="…" of those that would fit. Then `make bootstrap` goes on'
    )
    assert len(machine.calls) == 1


@pytest.mark.parametrize(
    ("fails", "calls", "why"),
    [
        (
            "look.run",
            1,
            "inventories/prod.py: the host could not be looked at, as said above: mend that. `make bootstrap` goes",
        ),
        ("deploy.py", 2, "the deploy did not come to its end, as said above: then `make bootstrap` goes on"),
        ("check.run", 4, "These lead elsewhere, and have no certificate yet: crm.acme.io, n8n.acme.io, kpi"),
    ],
)
def test_a_step_that_fails_ends_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, fails: str, calls: int, why: str
) -> None:
    with pytest.raises(Refused) as error:
        machine.run(monkeypatch, fails=fails, YES="1")
    assert why in str(error.value)
    assert len(machine.calls) == calls


def test_records_that_are_still_wrong_are_shown_once_more_behind_all_that_a_deploy_says(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for fails, times in (("deploy.py", 1), ("check.run", 2)):
        with pytest.raises(Refused):
            machine.run(monkeypatch, fails=fails, YES="1")
        assert capsys.readouterr().err.count("\ncrm.acme.io.  300 IN A 9.9.9.9\n") == times


def test_who_ends_it_at_the_hosts_key_is_not_asked_for_the_rest_again(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, sshd: Sshd, typed: Callable[[str], None]
) -> None:
    typed("no\n")
    with pytest.raises(Refused, match="the answer was 'no', and nothing was done there: "):
        machine.run(monkeypatch, HOST=f"root@127.0.0.1:{sshd.login['ssh_port']}", MIRRORS="acme.net")
    asked = []

    def ask(variable: str, question: str) -> str:
        asked.append(variable)
        return "@local"

    found = describing.described(machine.folder, answers.given({}), ask)
    assert (asked, found.settings["zone"], found.settings["mirror_zones"]) == (
        ["HOST"],
        "acme.io",
        ["acme.net"],
    )


def test_a_look_that_takes_long_says_what_it_is_at_and_what_it_waits_for(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(overheard, "_SILENT", 0.5)
    waits = "root@here has not answered for 10 s; waits up to 120 s"
    says = f"    [root@here] Connected\n{waits}"
    machine.run(monkeypatch, YES="1", SAYS=says)
    quick = capsys.readouterr().err
    assert (f"\nbootstrap: {waits}\n" in quick, "takes more than" in quick) == (True, False)
    program = (machine.folder / "bin/pyinfra").read_text()
    slow = program.replace("cat ", "sleep 1; cat ")
    monkeypatch.setattr("tests.commands.test_bootstrap.PROGRAM", slow)
    machine.run(monkeypatch, YES="1", SAYS="    [root@here] Connected")
    said = capsys.readouterr().err
    line = "bootstrap: looking at it takes more than 0.5 s, and is at this by now: [root@here] Connected"
    assert said.splitlines().count(line) == 1


@pytest.mark.parametrize(
    ("says", "hint"),
    [
        (
            "it accepts none of the keys that this machine offers for the user root",
            "ssh-copy-id brings one there",
        ),
        (
            "sudo: sudo does not let admin work without a password (…): allow it",
            "want sudo without one. `make boot",
        ),
    ],
)
def test_a_host_that_lets_nobody_in_is_said_with_the_way(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, says: str, hint: str
) -> None:
    with pytest.raises(Refused, match=hint):
        machine.run(monkeypatch, fails="look.run", SAYS=f"    [203.0.113.7] {says}", YES="1")


def test_records_are_waited_for_as_long_as_was_said(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.commands.leading._POLL", 0.01)
    with pytest.raises(
        Refused, match=r"minutes crm[.]acme[.]io, n8n[.]acme[.]io, kpi[.]acme[.]net did not lead to @local"
    ):
        machine.run(monkeypatch, YES="1", WAIT="0.01")
    assert {call.split()[2] for call in machine.calls} == {"tasks.commands.look.run"}
    with pytest.raises(Refused, match="WAIT='soon': say it in minutes"):
        machine.run(monkeypatch, YES="1", WAIT="soon")


def test_minutes_that_are_none_are_asked_for_again(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, typed: Callable[[str], None]
) -> None:
    typed("30m\n.\n\n")
    assert machine.run(monkeypatch)[-1].startswith("-y inventories/prod.py tasks.commands.check.run")
    assert os.read(0, 10) == b""


def test_an_answer_is_one_line_and_the_rest_is_for_who_asks_next(typed: Callable[[str], None]) -> None:
    typed("root@203.0.113.7 \nyes\n")
    assert answers.asked("HOST", "Which VPS") == "root@203.0.113.7"
    assert os.read(0, 10) == b"yes\n"


def test_nobody_is_asked_who_has_said_so(
    typed: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed("root@203.0.113.7\n")
    monkeypatch.setenv("YES", "1")
    with pytest.raises(Refused, match="HOST is missing, and nobody can be asked: Which VPS"):
        answers.asked("HOST", "Which VPS")


# Takes a second to clean up what it was at.
TIDY = """#!/bin/sh
trap 'sleep 1; touch {folder}/cleaned; exit 0' INT
touch {folder}/began
while :; do sleep 0.1; done
"""
OF_OURS = """
import sys
from pathlib import Path
from tasks.commands import bootstrap
folder = Path(sys.argv[1])
sys.executable, bootstrap.HOME = str(folder / "bin/python"), folder
bootstrap.main()
"""


def test_ctrl_c_waits_for_what_pyinfra_cleans_up(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.run(monkeypatch, YES="1")
    (machine.folder / "bin/pyinfra").write_text(TIDY.format(folder=machine.folder))
    with heard():
        process = subprocess.Popen(
            [sys.executable, "-c", OF_OURS, machine.folder],
            cwd=ROOT,
            env={**os.environ, "HOST": "@local", "YES": "1"},
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    deadline = time.monotonic() + 20
    while not (machine.folder / "began").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=20)
    assert said.splitlines()[-1] == "bootstrap: ended; the same command goes on where it was"
    assert (process.returncode, (machine.folder / "cleaned").exists()) == (130, True)


def test_a_run_that_ctrl_c_has_ended_ends_it_as_well(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.run(monkeypatch, YES="1")
    (machine.folder / "bin/pyinfra").write_text("#!/bin/sh\nexit 130\n")
    monkeypatch.setattr(bootstrap, "HOME", machine.folder)
    monkeypatch.setattr(sys, "executable", str(machine.folder / "bin/python"))
    monkeypatch.setenv("HOST", "@local")
    monkeypatch.setenv("YES", "1")
    with pytest.raises(SystemExit) as ended:
        bootstrap.main()
    assert ended.value.code == 130
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == "bootstrap: ended; the same command goes on where it was"
