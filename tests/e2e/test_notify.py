"""Notify: a host tells people how a deploy ended, by the services' shapes and by mail; what takes nothing fails no deploy."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests import receivers
from tests.e2e.deployment import Deployment
from tests.e2e.vault_access import opened
from tests.lab.services import SMTP_LOGIN, SMTP_NAME
from tests.samples import ROOT

PORT = 8977
HERE = f"http://127.0.0.1:{PORT}"
SECRETS = {
    "NTFY_URL": f"http://:{receivers.NTFY_TOKEN}@127.0.0.1:{PORT}/ntfy/ops",
    "SLACK_URL": f"{HERE}{receivers.SLACK}",
    "WEBHOOK_URL": f"{HERE}/hook/of-ours",
    "TELEGRAM_TOKEN": receivers.BOT,
}
SETTINGS: dict[str, Any] = {
    "mail": {"host": SMTP_NAME, "user": SMTP_LOGIN["USER"], "from": "smarteros@example.net"},
    "notify": {
        "ntfy": True,
        "slack": True,
        "webhook": True,
        "telegram": {"chat": receivers.CHAT, "api": HERE},
        "mail": {"to": ["ops@smarterbot.cl"]},
    },
}
TEST = "tasks.commands.test_notify.run"
HIDDEN = (receivers.NTFY_TOKEN, receivers.SLACK, receivers.BOT, SMTP_LOGIN["PASSWORD"])


@pytest.fixture(scope="module")
def telling(deployed: Deployment) -> Iterator[Deployment]:
    """The deployed host, on which receivers listen and whose Vault has their addresses; without them afterwards."""
    deployed.lab.mail()
    deployed.host.run("cat >/root/receivers.py", input=(ROOT / "tests" / "receivers.py").read_text())
    deployed.sh(f"systemd-run --unit receivers /usr/bin/python3 /root/receivers.py {PORT} /root/taken")
    try:
        with opened(deployed) as vault:
            vault.write("notify", SECRETS)
            vault.write("mail", {"PASSWORD": SMTP_LOGIN["PASSWORD"]})
        yield deployed
    finally:
        deployed.converge()
        with opened(deployed) as vault:
            vault.write("notify", {})
            vault.write("mail", {})
        deployed.sh("systemctl stop receivers; rm -rf /root/receivers.py /root/taken")


def taken(deployment: Deployment) -> dict[str, list[Any]]:
    """Channel → what it has taken since the last time."""
    names = deployment.sh("ls /root/taken").split()
    found: dict[str, list[Any]] = {}
    for name in sorted(names):
        found.setdefault(name.partition("-")[2], []).append(
            json.loads(deployment.sh(f"cat /root/taken/{name}"))
        )
    deployment.sh("rm -f /root/taken/*")
    return found


def test_a_deploy_that_ends_and_one_that_fails_are_told_to_everybody(telling: Deployment) -> None:
    run = telling.converge(**SETTINGS)
    told = taken(telling)
    assert sorted(told) == ["ntfy", "slack", "telegram", "webhook"], run.output[-3000:]
    (event,) = told["webhook"]
    assert (event["event"], event["result"], event["title"]) == ("deploy", "ok", "lab-1: deploy ok")
    assert event["run"] == json.loads(telling.sh("tail -n 1 /var/log/smarteros/runs.log"))
    assert any(mail["Subject"] == "lab-1: deploy ok" for mail in telling.lab.mails())
    refused = telling.refused(**{**SETTINGS, "login_users": ["nobody-of-this-name"]})
    (failed,) = taken(telling)["webhook"]
    assert (failed["result"], failed["type"], failed["run"]["at"].split(" | ")[0]) == (
        "failed",
        "failure",
        "Preflight",
    )
    everything = run.output + refused.output + telling.sh("journalctl --no-pager -u 'smarteros-*'")
    assert [word for word in HIDDEN if word in everything] == []
    assert telling.sh("stat -c '%a %U' /vault/secrets/notify.json /var/lib/smarteros/notify").split() == [
        "600",
        "root",
        "700",
        "root",
    ]


def test_everybody_is_tried_by_one_command(telling: Deployment) -> None:
    run = telling.run(deploy=TEST, **SETTINGS)
    assert run.code == 0, run.output
    said = [line for line in run.lines if line.startswith("notify: ")]
    assert said == [
        f"notify: {name} has taken it" for name in ("ntfy", "slack", "webhook", "telegram", "mail")
    ]
    assert {item["title"] for item in taken(telling)["webhook"]} == {"lab-1: test ok"}


def test_what_takes_nothing_fails_no_deploy_and_is_said_once_by_status_too(telling: Deployment) -> None:
    with opened(telling) as vault:
        vault.write("notify", {**SECRETS, "SLACK_URL": f"{HERE}/services/T00000000/B00000000/a-wrong-one"})
    began = time.monotonic()
    run = telling.converge(**SETTINGS)
    assert time.monotonic() - began < 90
    assert run.output.count("notify: slack was not told: it answers 404 no_service; it is tried again") == 1
    tried = telling.refused(deploy=TEST, **SETTINGS)
    assert "    slack: it answers 404 no_service" in tried.output
    status = telling.run(deploy="tasks.commands.status.run", **SETTINGS)
    assert "notify: slack takes nothing, so nobody is told there: it answers 404 no_service" in status.output
    assert "a-wrong-one" not in run.output + tried.output + status.output


def test_a_unit_that_fails_is_told_by_the_host_itself_and_without_the_setting_nothing_is_left(
    telling: Deployment,
) -> None:
    taken(telling)
    telling.sh(
        "printf 'drill failed drill-full\\nodoo: 3 files differ\\n' >/var/lib/smarteros/notify/new/drill-full"
    )
    assert (
        telling.sh("systemctl is-active smarteros-notify.timer smarteros-certificates.timer")
        == "active\nactive\n"
    )
    telling.sh("systemctl start smarteros-notify.service smarteros-certificates.service")
    told = taken(telling)
    assert len(told["webhook"]) == 1
    assert told["webhook"][0]["title"] == "lab-1: drill failed drill-full"
    run = telling.converge()
    assert run.changes
    left = telling.sh(
        "ls -d /etc/systemd/system/smarteros-notify* /vault/secrets/notify.json /var/lib/smarteros/notify",
        check=False,
    )
    assert left == ""
