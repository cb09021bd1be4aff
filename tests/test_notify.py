"""Notify: whom the host is told to tell, what is refused, and what a deploy says of who was not told."""

import base64
import gzip
import io
import json
import os
import re
import shlex
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from tasks import notify
from tasks.clients import vault_access
from tasks.connection import lock_says
from tasks.facts import Status
from tasks.model import given
from tasks.model import notify as model
from tasks.operations import host_health
from tasks.rendering import notify_files, render
from tasks.services import load
from tests.facts.test_facts import MACHINE
from tests.fake import commands, fake, stdin, texts
from tests.run_lock import RunLock
from tests.samples import refusals, stack

MAIL = {"host": "smtp.example.com", "user": "ops", "from": "smarteros@example.com"}
ALL: dict[str, Any] = {
    "ntfy": True,
    "slack": True,
    "webhook": True,
    "telegram": {"chat": -1001234567890},
    "mail": {"to": ["a@example.com", "b@example.com"]},
}
VAULT = {
    "notify": {
        "NTFY_URL": "https://:tk_1@ntfy.example.com/ops",
        "SLACK_URL": "https://hooks.slack.com/services/T0/B0/X",
        "WEBHOOK_URL": "https://example.com/hook\n",
        "TELEGRAM_TOKEN": "110:AAH",
    },
    "mail": {"PASSWORD": "of the relay"},
}


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({}, ["notify: names no channel (ntfy, slack, webhook, telegram, mail); None where nobody is to be told"]),
        ({"ntfy": False}, ["notify: names no channel (ntfy, slack, webhook, telegram, mail); None where nobody is to be told"]),
        ({"nfty": True}, ["notify.nfty: unknown setting (did you mean 'ntfy'?)"]),
        ({"ntfy": "https://ntfy.sh/ops"}, ["notify.ntfy: has to be True or False, and is text"]),
        ({"telegram": {}}, ["notify.telegram.chat: is required", "notify: names no channel (ntfy, slack, webhook, telegram, mail); None where nobody is to be told"]),
        ({"telegram": {"chat": "ops"}}, ["notify.telegram.chat: 'ops' is no chat (like -1001234567890 or @channel)"]),
        ({"telegram": {"chat": 1, "api": "http://api.example.com"}}, ["notify.telegram.api: begins with http://, and would be readable to whoever is on the way: it has to be https:// (or lead to a private address)"]),
        ({"mail": {"to": ["a@example.com"]}}, ["notify.mail: needs the setting mail, which says through which server"]),
        ({"mail": {"to": []}}, ["notify.mail.to: has to list at least one", "notify.mail: needs the setting mail, which says through which server"]),
    ],
)  # fmt: skip
def test_what_tells_nobody_is_refused(setting: dict[str, Any], said: list[str]) -> None:
    found = refusals(notify=setting)
    assert [line for line in found if line.startswith("notify")] == sorted(said)


def test_what_only_a_person_knows_is_asked_for_once() -> None:
    settings = stack(notify=ALL, mail=MAIL)
    assert model.places(settings) == (
        ("notify", "NTFY_URL"),
        ("notify", "SLACK_URL"),
        ("notify", "WEBHOOK_URL"),
        ("notify", "TELEGRAM_TOKEN"),
        ("mail", "PASSWORD"),
    )
    asked = given.asked(load(settings), settings)
    assert len(asked) == len(set(asked)) == 5
    assert given.asked(load(stack()), stack()) == ()


def test_the_sender_is_told_all_that_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "values", VAULT.__getitem__)
    monkeypatch.setattr(vault_access, "out_of_reach", lambda: False)
    with fake({"cd /vault/secrets": []}, notify=ALL, mail=MAIL):
        (command,) = commands(notify.configured)
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(base64.b64decode(stdin(command))))) as tar:
        (entry,) = tar.getmembers()
        found = json.loads(tar.extractfile(entry).read())  # type: ignore[union-attr]
    assert (entry.name, entry.mode) == ("notify.json", 0o600)
    assert found == {
        "name": "@fake/one",
        "zone": "smarterbot.cl",
        "channels": {
            "ntfy": {"url": "https://:tk_1@ntfy.example.com/ops"},
            "slack": {"url": "https://hooks.slack.com/services/T0/B0/X"},
            "webhook": {"url": "https://example.com/hook"},
            "telegram": {"token": "110:AAH", "chat": -1001234567890, "api": "https://api.telegram.org"},
            "mail": {
                "host": "smtp.example.com",
                "port": 587,
                "security": "starttls",
                "user": "ops",
                "password": "of the relay",
                "from": "smarteros@example.com",
                "to": ["a@example.com", "b@example.com"],
            },
        },
    }
    assert not any(secret in str(command) for secret in ("tk_1", "T0/B0", "110:AAH", "of the relay"))


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("https://ntfy.sh/ops", ""),
        ("http://10.0.0.7:8080/ops", ""),
        ("http://[fd00::7]/ops", ""),
        ("http://ntfy.sh/ops", "begins with http://, and would be readable to whoever is on the way: it has to be https:// (or lead to a private address)"),
        ("http://8.8.8.8/ops", "begins with http://, and would be readable to whoever is on the way: it has to be https:// (or lead to a private address)"),
        ("ntfy.sh/ops", "is no address like https://host/path"),
        ("https://", "is no address like https://host/path"),
        ("https://ntfy.sh:port/ops", "is no address like https://host/path"),
        ("https://[ntfy.sh/ops", "is no address like https://host/path"),
        ("https://ntfy.sh/o ps", "is no address like https://host/path"),
        ("file:///etc/shadow", "is no address like https://host/path"),
        ("https://ntfy.sh/", "ends without a topic (like https://ntfy.sh/a-long-topic)"),
    ],
)  # fmt: skip
def test_an_address_that_nothing_can_be_sent_to_is_refused_and_not_shown(address: str, why: str) -> None:
    found = list(model.wrong(stack(notify={"ntfy": True}), lambda _: {"NTFY_URL": address}))
    assert found == ([f"notify#NTFY_URL {why}"] if why else [])


def test_a_host_gets_the_sender_and_its_timers_only_where_people_are_told() -> None:
    settings = stack(notify={"slack": True})
    services = load(settings)
    assert sorted(notify_files.files(settings, services)) == [
        "notify/certificates.sh",
        "notify/channels.py",
        "notify/masks.py",
        "notify/send.py",
        "notify/send_mail.py",
        "notify/words.py",
        "notify/written.py",
    ]
    assert sorted(notify_files.units(settings, services, render.CURRENT, render.SECRETS)) == [
        "smarteros-certificates.service",
        "smarteros-certificates.timer",
        "smarteros-notify.service",
        "smarteros-notify.timer",
    ]
    assert notify_files.files(stack(), load(stack())) == {}
    assert notify_files.units(stack(), load(stack()), render.CURRENT, render.SECRETS) == {}
    assert {path for path in render.tree(settings) if path.startswith("notify/")} == {
        *notify_files.files(settings, services)
    }


def started(unit: str, root: Path) -> str:
    """What is printed by what the unit starts, on a host whose folder is this one."""
    settings = stack(notify={"slack": True})
    text = notify_files.units(settings, load(settings), f"{root}/current", render.SECRETS)[unit]
    [line] = re.findall(r"(?m)^ExecStart=(.*)$", text)
    return subprocess.check_output(shlex.split(line.replace("$$", "$")), text=True)


def test_people_are_told_also_while_a_generation_of_before_that_is_active(tmp_path: Path) -> None:
    """A rollback leads there, and so does a deploy with the first channel that fails."""
    for number, name in enumerate(("then", "old", "new")):
        tree = tmp_path / "generations" / name
        (tree / "notify").mkdir(parents=True)
        os.utime(tree, (number, number))
        if name != "then":
            (tree / "notify" / "send.py").write_text(f"print({name!r})")
            (tree / "notify" / "certificates.sh").write_text(f"echo {name}")
    for active, told in (("then", "new\n"), ("old", "old\n")):
        (tmp_path / "current").unlink(missing_ok=True)
        (tmp_path / "current").symlink_to(f"generations/{active}")
        assert [started(f"smarteros-{unit}.service", tmp_path) for unit in ("notify", "certificates")] == [
            told,
            told,
        ]


def test_without_the_setting_what_was_there_goes_with_its_addresses() -> None:
    unit = f"unit smarteros-notify.timer {'0' * 64} 644 root:root"
    with fake({"/etc/os-release": [*MACHINE, unit]}):
        (command,) = texts(notify.stopped)
    assert "systemctl disable --quiet --now smarteros-notify.timer" in command
    assert "rm -f /etc/systemd/system/smarteros-notify.timer /vault/secrets/notify.json" in command
    with fake({"/etc/os-release": MACHINE}):
        assert texts(notify.stopped) == []


def test_a_channel_that_takes_nothing_is_a_notice_of_status() -> None:
    found = Status(untold={"slack": "it answers 404 no_service"})
    (said,) = host_health.notices(found, [], [])
    assert said == (
        "notify: slack takes nothing, so nobody is told there: it answers 404 no_service: `make give-secrets` writes another "
        "address, `make test-notify` tries it"
    )


def test_who_was_not_told_of_a_deploy_is_a_warning_of_it() -> None:
    said = map(
        lock_says.said, ["smarteros-lock untold slack it answers 404 no_service", "", "smarteros-lock held"]
    )
    assert list(model.untold(said)) == [
        "notify: slack was not told: it answers 404 no_service; it is tried again for a day, and by `make test-notify`"
    ]


class Told(RunLock):
    """The script of a host that tells people, in which systemctl is a program of ours."""

    def script(self, **changes: str) -> Path:
        """With the folders of people's notices, too."""
        (self.folder / "timer").touch()
        program = self.folder / "systemctl"
        program.write_text(f'#!/bin/sh\necho "$*" >>{self.folder}/asked\n. {self.folder}/does\n')
        program.chmod(0o755)
        if not (self.folder / "does").exists():
            (self.folder / "does").write_text("")
        moved = {
            "/var/lib/smarteros/notify": f"{self.folder}/notify",
            "/etc/systemd/system/smarteros-notify.timer": f"{self.folder}/timer",
            "systemctl start": f"{program} start",
        }
        return super().script(**moved, **changes)

    @property
    def events(self) -> dict[str, str]:
        """What waits to be told."""
        return {path.name: path.read_text() for path in (self.folder / "notify" / "new").glob("*")}


def test_the_end_of_a_deploy_is_told_with_its_line_of_the_log(tmp_path: Path) -> None:
    host = Told(tmp_path)
    run = host.begin()
    assert run.hear() == "held"
    assert run.end('deploy yes\nat "Services | n8n"\nchange "Services | n8n"\nend failed\n') == []
    (text,) = host.events.values()
    first, line = text.splitlines()
    assert first == "deploy failed"
    assert json.loads(line) == json.loads(host.log.read_text())
    assert json.loads(line)["changed"] == ["Services | n8n"]
    assert (tmp_path / "asked").read_text() == "start smarteros-notify.service\n"
    assert (tmp_path / "notify").stat().st_mode & 0o777 == 0o700


def test_a_channel_that_takes_nothing_is_said_and_the_next_run_need_not_wait(tmp_path: Path) -> None:
    host = Told(tmp_path)
    (tmp_path / "does").write_text(
        f"mkdir -p {tmp_path}/notify/failed; echo 'it answers 404' >{tmp_path}/notify/failed/slack; sleep 3"
    )
    run = host.begin()
    assert run.hear() == "held"
    began = time.monotonic()
    run.say("deploy yes\nend ok\n")
    while not (tmp_path / "asked").exists():
        time.sleep(0.05)
    other = host.begin()
    assert other.hear() == "held"
    assert time.monotonic() - began < 2.5
    other.end()
    assert run.end() == ["", "smarteros-lock untold slack it answers 404"]


def test_a_deploy_that_was_killed_is_told_and_no_other_command(tmp_path: Path) -> None:
    host = Told(tmp_path)
    run = host.begin()
    assert run.hear() == "held"
    assert run.end("deploy yes\n") == []
    assert [text.splitlines()[0] for text in host.events.values()] == ["deploy interrupted"]
    for path in (tmp_path / "notify" / "new").glob("*"):
        path.unlink()
    run = host.begin()
    assert run.hear() == "held"
    assert run.end('at "Restore | odoo"\nend failed\n') == []
    assert host.events == {}


def test_where_nobody_is_told_nothing_is_left(tmp_path: Path) -> None:
    host = Told(tmp_path)
    run = host.begin()
    (tmp_path / "timer").unlink()
    assert run.hear() == "held"
    assert run.end("deploy yes\nend ok\n") == []
    assert not (tmp_path / "notify").exists()


@pytest.mark.parametrize(
    ("days", "left", "said"),
    [
        (90, 30, ""),
        (90, 16, ""),
        (90, 14, "api.smarterbot.cl: ends "),
        (90, -2, "api.smarterbot.cl: has ended "),
        (6, 1.5, ""),
        (6, 0.5, "api.smarterbot.cl: ends "),
    ],
)
def test_a_certificate_that_was_not_renewed_is_told(
    tmp_path: Path, days: float, left: float, said: str
) -> None:
    """Real certificates, read by the real openssl; Docker says where Caddy keeps them."""
    text = notify_files.files(stack(notify={"slack": True}), load(stack(notify={"slack": True})))[
        "notify/certificates.sh"
    ]
    folder = tmp_path / "caddy" / "certificates" / "acme" / "api.smarterbot.cl"
    folder.mkdir(parents=True)
    (tmp_path / "docker").write_text(f"#!/bin/sh\necho {tmp_path}\n")
    (tmp_path / "docker").chmod(0o755)
    (folder / "api.smarterbot.cl.crt").write_bytes(certificate(days, left))
    done = subprocess.run(
        ["sh", "-c", text.replace("/var/lib/smarteros/notify", f"{tmp_path}/notify")],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    event = tmp_path / "notify" / "new" / "certificate"
    assert event.exists() == bool(said)
    if said:
        first, second, *_ = event.read_text().splitlines()
        assert first == "certificate ending"
        assert second.startswith(said)


def certificate(days: float, left: float) -> bytes:
    """PEM of one for so many days that ends in so many."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "api.smarterbot.cl")])
    until = datetime.now(UTC) + timedelta(days=left)
    built = x509.CertificateBuilder(name, name, key.public_key(), 1, until - timedelta(days=days), until)
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
