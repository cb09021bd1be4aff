"""What tells people on a host (files/notify), run as its unit runs it, against servers that take what the services' documents say."""

import base64
import json
import os
import runpy
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.rendering import notify_files
from tasks.services import load
from tests import receivers
from tests.samples import ROOT, stack

SETTINGS = stack(notify={"slack": True})
PROGRAMS = notify_files.files(SETTINGS, load(SETTINGS))

RUN = {
    "started": "2026-11-28T04:00:00Z",
    "seconds": 42,
    "operator": "ann@laptop",
    "login": "root",
    "command": "rotate",
    "generation": "6f3a90c2",
    "result": "failed",
    "at": "Services | n8n <Workflows> & more",
    "changed": ["Docker | packages", "Services | n8n <Workflows> & more"],
    "kept": [],
}


@dataclass
class Box:
    """A host's folders, and where the servers are."""

    root: Path
    address: str

    def __post_init__(self) -> None:
        """A generation with the programs."""
        (self.root / "notify").mkdir()
        for path, text in PROGRAMS.items():
            (self.root / path).write_text(text)

    def channels(self, **channels: Any) -> None:
        """Whom to tell."""
        whom = {"name": "vps-1", "zone": "example.com", "channels": channels}
        (self.root / "channels").write_text(json.dumps(whom))

    def all(self) -> None:
        """Each of them, well."""
        token = self.address.replace("http://", f"http://:{receivers.NTFY_TOKEN}@")
        self.channels(
            ntfy={"url": f"{token}/ntfy/ops"},
            slack={"url": f"{self.address}{receivers.SLACK}"},
            telegram={"token": receivers.BOT, "chat": receivers.CHAT, "api": self.address},
            webhook={"url": f"{self.address}/hook/of-ours"},
        )

    def event(self, name: str, text: str) -> None:
        """Something that has happened."""
        (self.root / "state" / "new").mkdir(parents=True, exist_ok=True)
        (self.root / "state" / "new" / name).write_text(text)

    def send(self) -> str:
        """One run of the unit; all that it printed."""
        done = subprocess.run(
            [sys.executable, "-I", "-B", str(self.root / "notify" / "send.py"), str(self.root / "state")],
            env={**os.environ, "CREDENTIALS_DIRECTORY": str(self.root)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def told(self) -> dict[str, list[Any]]:
        """Channel → what it has taken."""
        found: dict[str, list[Any]] = {}
        for path in sorted((self.root / "taken").glob("[!.]*")):
            found.setdefault(path.name.partition("-")[2], []).append(json.loads(path.read_text()))
        return found

    def files(self) -> dict[str, str]:
        """What of the state is left, but how the last went."""
        state = self.root / "state"
        return {
            str(path.relative_to(state)): path.read_text()
            for path in sorted(state.rglob("*"))
            if path.is_file() and path.name != "last"
        }


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    server = receivers.serving(tmp_path / "taken")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Box(tmp_path, f"http://127.0.0.1:{server.server_address[1]}")
    server.shutdown()


def test_a_failed_deploy_is_told_to_everybody_in_the_words_of_each(box: Box) -> None:
    box.all()
    box.event("1-deploy", f"deploy failed\n{json.dumps(RUN)}\n")
    assert box.send() == ""
    told = box.told()
    body = (
        "ann@laptop, 42 s, 2 changes, generation 6f3a90c2\nat Services | n8n <Workflows> & more\n"
        + "\n".join(
            RUN["changed"]  # type: ignore[arg-type]
        )
    )
    (hook,) = told["webhook"]
    stamp = hook.pop("time")
    assert abs(time.mktime(time.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ")) - time.timezone - time.time()) < 60
    assert hook == {
        "version": 1,
        "event": "deploy",
        "result": "failed",
        "type": "failure",
        "host": "vps-1",
        "zone": "example.com",
        "title": "vps-1: rotate failed",
        "body": body,
        "run": RUN,
    }
    assert told["ntfy"] == [
        {
            "topic": "ops",
            "title": "vps-1: rotate failed",
            "message": body,
            "tags": ["rotating_light"],
            "priority": 4,
        }
    ]
    assert told["slack"] == [
        {
            "text": ":rotating_light: vps-1: rotate failed\n"
            + body.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        }
    ]
    assert told["telegram"] == [
        {
            "chat_id": receivers.CHAT,
            "text": f"vps-1: rotate failed\n{body}",
            "link_preview_options": {"is_disabled": True},
        }
    ]
    assert box.files() == {}
    assert (box.root / "state" / "last").read_text() == "ntfy ok\nslack ok\ntelegram ok\nwebhook ok\n"


@pytest.mark.parametrize(
    ("event", "title", "kind"),
    [
        ("deploy ok\n{}", "vps-1: deploy ok", "success"),
        ("drill failed drill-full\nodoo: 3 files differ", "vps-1: drill failed drill-full", "failure"),
        ("drift changed\n/root/Caddyfile", "vps-1: drift changed", "warning"),
        ("images outdated\nredis:7.4.9-alpine: 7.4.12-alpine is there", "vps-1: images outdated", "info"),
        ("certificate ending\nn8n.example.com", "vps-1: certificate ending", "warning"),
        ("test ok\nhello", "vps-1: test ok", "success"),
        ("nonsense", "vps-1: nonsense", "warning"),
        ("deploy failed\n{cut short", "vps-1: deploy failed", "failure"),
        ("\x00\xff", "vps-1: \x00\xff", "warning"),
    ],
)
def test_each_event_has_a_title_and_says_how_bad_it_is(box: Box, event: str, title: str, kind: str) -> None:
    box.all()
    box.event("1", event)
    box.send()
    (hook,) = box.told()["webhook"]
    assert (hook["title"], hook["type"]) == (title, kind)


def test_what_takes_nothing_is_said_once_without_its_secrets_and_tried_again_for_a_day(box: Box) -> None:
    box.all()
    whom = json.loads((box.root / "channels").read_text())
    whom["channels"]["slack"]["url"] = f"{box.address}/services/T00000000/B00000000/wrong-secret"
    whom["channels"]["telegram"]["token"] = "110201543:wrong-token"
    (box.root / "channels").write_text(json.dumps(whom))
    box.event("1-deploy", f"deploy ok\n{json.dumps(RUN)}")
    printed = box.send()
    left = box.files()
    assert (left["failed/slack"], left["failed/telegram"]) == (
        "it answers 404 no_service\n",
        'it answers 401 {"ok": false, "error_code": 401, "description": "Unauthorized"}\n',
    )
    assert json.loads(left["later/1-deploy"])["left"] == ["slack", "telegram"]
    assert not any(word in printed + "".join(left.values()) for word in ("wrong-secret", "wrong-token"))
    # At once it is not asked again; the others are told no second time.
    box.all()
    box.send()
    assert "later/1-deploy" in box.files()
    os.utime(box.root / "state" / "later" / "1-deploy", (time.time() - 400,) * 2)
    box.send()
    assert box.files() == {}
    assert {name: len(taken) for name, taken in box.told().items()} == {
        "ntfy": 1,
        "slack": 1,
        "telegram": 1,
        "webhook": 1,
    }


@pytest.mark.parametrize(
    ("kind", "channel", "said"),
    [
        ("webhook", {"url": "http://ops:pa%3As%22s@{}/echo"}, "Basic *** /***"),
        ("ntfy", {"url": "http://:tk_pa%3As@{}/echo/ops-topic"}, "Bearer *** /***/"),
        ("slack", {"url": "http://ops-team@{}/echo?auth=Zm9v%2Bbar"}, "Basic *** /***?***"),
        (
            "telegram",
            {"token": "1102:AA+/x&y", "chat": 1, "api": "http://{}/echo"},
            "/echo/bot***/sendMessage",
        ),
    ],
)
def test_a_server_that_says_back_what_it_was_sent_tells_nobody_a_secret(
    box: Box, kind: str, channel: dict[str, Any], said: str
) -> None:
    secrets = ["pa:s", "pa%3As", "tk_pa", "ops-team", "Zm9v", "1102:", "1102%3A", "AA+"]
    secrets += [base64.b64encode(text).decode()[:8] for text in (b'ops:pa:s"s', b"ops-team:")]
    host = box.address.removeprefix("http://")
    box.channels(**{kind: json.loads(json.dumps(channel).replace("{}", host))})
    box.event("1", "test ok")
    printed = box.send()
    failed = box.files()[f"failed/{kind}"]
    assert failed.startswith("it answers 400 ")
    assert [text for text in secrets if text in printed + failed] == []
    assert said in failed


def test_a_mail_server_that_says_back_the_login_tells_nobody_the_password() -> None:
    plain, alone = (base64.b64encode(text).decode() for text in (b"\0ops\0secret-1", b"secret-1"))
    said = f"535 AUTH PLAIN {plain} {alone} {alone.rstrip('=')}"
    masked = runpy.run_path(str(ROOT / "files" / "notify" / "masks.py"))["masked"]
    assert masked(said, {"user": "ops", "password": "secret-1"}) == "535 AUTH PLAIN *** *** ***"


def test_what_nobody_takes_for_a_day_is_given_up(box: Box) -> None:
    box.channels(webhook={"url": "http://127.0.0.1:9/hook"})
    box.event("1", "test ok")
    box.send()
    path = box.root / "state" / "later" / "1"
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**kept, "since": time.time() - 90000}))
    os.utime(path, (time.time() - 400,) * 2)
    box.send()
    assert box.files() == {"failed/webhook": "[Errno 111] Connection refused\n"}


@pytest.mark.parametrize("text", ["", '{"left": ["webh', "[]", '{"left": ["webhook"]}', "\0\0\0"])
def test_what_a_power_cut_has_left_of_an_event_is_said_once_and_holds_up_no_other(
    box: Box, text: str
) -> None:
    box.channels(webhook={"url": "http://127.0.0.1:9/hook"})
    box.event("2", "test ok")
    box.send()
    later = box.root / "state" / "later"
    (later / "1").write_text(text)
    box.event("0", text if text.strip("\0") == "" else "test ok")
    for path in later.iterdir():
        os.utime(path, (time.time() - 400,) * 2)
    box.all()
    lost = ": is empty or was cut short (a power cut does that): what it told is lost\n"
    assert box.send().count(lost) == (2 if text.strip("\0") == "" else 1)
    assert box.files() == {}
    assert box.send() == ""
    assert len(box.told()["webhook"]) == (1 if text.strip("\0") == "" else 2)


@pytest.mark.parametrize("run", ["[]", '{"changed": []}', '{"changed": ["a'])
def test_a_line_of_the_log_that_is_none_is_told_all_the_same(box: Box, run: str) -> None:
    box.all()
    box.event("1", f"deploy failed\n{run}")
    box.send()
    (hook,) = box.told()["webhook"]
    assert hook["title"] == "vps-1: deploy failed"


@pytest.mark.parametrize("path", ["/slow/hook", "/dribble/hook"])
def test_a_server_that_does_not_come_to_an_end_delays_nobody_for_long(box: Box, path: str) -> None:
    box.all()
    whom = json.loads((box.root / "channels").read_text())
    whom["channels"]["webhook"]["url"] = f"{box.address}{path}"
    (box.root / "channels").write_text(json.dumps(whom))
    for number in range(3):
        box.event(f"{number}", "test ok")
    began = time.monotonic()
    box.send()
    assert time.monotonic() - began < 25
    assert len(box.told()["ntfy"]) == 3
    assert box.files()["failed/webhook"] in ("timed out\n", "it has not answered within 20 s\n")


def test_nobody_is_led_elsewhere(box: Box) -> None:
    box.channels(webhook={"url": f"{box.address}/moved"})
    box.event("1", "test ok")
    box.send()
    assert box.told() == {}
    assert box.files()["failed/webhook"] == "it answers 302 Found\n"


def test_a_topic_without_its_token_is_refused_in_the_servers_words(box: Box) -> None:
    box.channels(ntfy={"url": f"{box.address}/ntfy/ops"})
    box.event("1", "test ok")
    box.send()
    assert box.files()["failed/ntfy"].startswith('it answers 403 {"code": 40301')


def test_a_message_of_any_length_is_taken(box: Box) -> None:
    box.all()
    box.event("1", "drift changed\n" + "/opt/a/file: differs\n" * 5000)
    box.send()
    assert sorted(box.told()) == ["ntfy", "slack", "telegram", "webhook"]


@pytest.mark.parametrize("gone", sorted({*PROGRAMS} - {"notify/send.py", "notify/certificates.sh"}))
def test_where_a_part_of_it_is_gone_it_says_what_writes_it_anew(box: Box, gone: str) -> None:
    (box.root / gone).unlink()
    done = subprocess.run(
        [sys.executable, "-I", "-B", str(box.root / "notify" / "send.py")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        1,
        "",
        f"No module named '{Path(gone).stem}': files of the active generation are gone, which a deploy writes anew; nobody is told\n",
    )
