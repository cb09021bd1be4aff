"""First run: each service's script as a shell runs it, with a docker and a curl that note what they are asked."""

import json
import os
import subprocess
from functools import partial
from pathlib import Path

import pytest

from tasks import applications
from tasks.operations import containers, first_run, postgres, questions
from tasks.rendering import host_files
from tasks.services import load
from tests.fake import commands, fake, texts
from tests.samples import stack

STACK = stack()
SERVICES = {item.name: item for item in load(STACK)}
OWNED = {name: item for name, item in SERVICES.items() if item.admin}
PASSWORD = 'Aa1!"\\$HOME`id`%s ñ'
SQL = {
    "chatwoot": "SELECT FROM users",
    "botpress": "SELECT FROM strategy_default",
    "n8n": 'SELECT FROM "user" WHERE email IS NOT NULL AND password IS NOT NULL',
    "odoo": "SELECT FROM ir_config_parameter WHERE key = 'smarteros.first_admin'",
    "metabase": "SELECT FROM core_user WHERE is_superuser",
    "dokploy": "SELECT FROM member WHERE role = 'owner'",
}

# $W/owned: there is an admin. $W/makes: the command that makes one. $W/stopped: the container does not run.
DOCKER = """#!/bin/sh
# Compose gets no environment.
export W=${0%/*}
echo "$*" >> $W/calls
case "$*" in
*psql*) cat > $W/sql; if [ -e $W/owned ]; then echo yes; fi ;;
inspect*) if [ -e $W/stopped ]; then echo exited; else echo running; fi ;;
*" sh") sh || exit 1; touch $W/owned ;;
*"$(cat $W/makes)"*) touch $W/owned ;;
*" run "*) echo "first line"; echo "no such host" >&2; exit 1 ;;
esac
"""
CURL = """#!/bin/sh
echo "$*" >> $W/requests
case "$*" in
*properties) echo '{"site-name": "x", "setup-token": "0a-1b", "has-user-setup": false}' ;;
*) cat > $W/body; printf %s "$(cat $W/status)" ;;
esac
"""


class Host:
    """A host with our scripts, a docker, a curl, and a sleep that does not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        programs = {
            "docker": DOCKER,
            "curl": CURL,
            "sleep": "#!/bin/sh\n",
            "hostname": "#!/bin/sh\necho vps\n",
        }
        scripts = host_files.files(STACK, tuple(SERVICES.values()))
        for name, text in {**programs, **{f"{name}.sh": scripts[path(name)] for name in OWNED}}.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        self.note("makes", "nothing that docker is asked for")
        self.note("status", "200")

    def note(self, name: str, text: str = "") -> None:
        """Says something to the docker or curl."""
        (self.folder / name).write_text(text)

    def read(self, name: str) -> str:
        """What they noted."""
        return (self.folder / name).read_text() if (self.folder / name).exists() else ""

    def calls(self) -> list[str]:
        """What docker was asked for, but for the questions to Postgres."""
        return [line for line in self.read("calls").splitlines() if "psql" not in line]

    def run(self, name: str, *arguments: str) -> tuple[int, str, str]:
        """Exit code, output and errors of a service's script."""
        environment = {"PATH": f"{self.folder}:{os.environ['PATH']}", "W": str(self.folder)}
        login = {"ADMIN_EMAIL": "ops@smarterbot.cl", "ADMIN_PASSWORD": PASSWORD}
        done = subprocess.run(
            [str(self.folder / f"{name}.sh"), *arguments],
            env={**environment, **login}, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        return done.returncode, done.stdout, done.stderr


def path(name: str) -> str:
    return f"scripts/{name}-smarter-config.sh"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_each_service_that_would_give_itself_away_has_an_admin_with_a_password_of_its_own() -> None:
    assert set(OWNED) == set(SQL)
    for item in OWNED.values():
        assert item.admin
        assert item.admin.login == "ops@smarterbot.cl"
        assert item.admin.secret in {secret.name for secret in item.secrets}
        assert item.main.env_file


@pytest.mark.parametrize("name", SQL)
def test_check_asks_the_services_own_database_and_says_nothing(host: Host, name: str) -> None:
    assert host.run(name, "check") == (1, "", "")
    host.note("owned")
    assert host.run(name, "check") == (0, "", "")
    assert host.read("sql") == f"SELECT 'yes' WHERE EXISTS ({SQL[name]});\n\\q\n"
    question = f"exec -i postgres psql -qAtX -U postgres -d {name}"
    assert host.read("calls").splitlines() == [question, question]


@pytest.mark.parametrize("name", SQL)
def test_apply_leaves_a_service_alone_that_has_an_admin(host: Host, name: str) -> None:
    host.note("owned")
    assert host.run(name, "apply") == (0, "", "")
    assert host.calls() == []


@pytest.mark.parametrize("name", SQL)
def test_apply_fails_where_the_service_does_not_run(host: Host, name: str) -> None:
    host.note("stopped")
    main = SERVICES[name].main.name
    why = f"the container {main} does not run: docker logs {main} says why; deploy again"
    assert host.run(name, "apply") == (1, "", f"{name} on vps: {why}\n")


def test_chatwoots_door_is_shut_before_the_account_is_made(host: Host) -> None:
    host.note("makes", "rails runner")
    assert host.run("chatwoot", "apply") == (0, "", "")
    compose = "compose -f /root/dkcompose/chatwoot-deploy.yaml --project-name chatwoot --env-file /dev/null"
    runner = f"{compose} --profile job run --rm --no-deps -T chatwoot-prepare bundle exec rails runner"
    account = "account_name: 'smarterbot.cl', user_full_name: 'SmarterOS', email: ENV.fetch('ADMIN_EMAIL')"
    assert host.calls()[1:] == [
        f"{runner} Redis::Alfred.delete(Redis::Alfred::CHATWOOT_INSTALLATION_ONBOARDING)",
        "exit if User.exists?",
        f"AccountBuilder.new({account},",
        "  user_password: ENV.fetch('ADMIN_PASSWORD'), super_admin: true, confirmed: true).perform",
    ]


def test_odoo_does_not_run_while_its_database_is_made(host: Host) -> None:
    host.note("makes", "odoo-init")
    assert host.run("odoo", "apply") == (0, "", "")
    compose = "compose -f /root/dkcompose/odoo-deploy.yaml --project-name odoo --env-file /dev/null"
    assert host.calls()[1:] == [
        "stop odoo",
        f"{compose} --profile job run --rm --no-deps -T odoo-init",
        f"{compose} up -d --no-build --wait odoo",
    ]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("chatwoot", "rails cannot make its first admin: first line\nno such host"),
        ("odoo", "its database cannot be made ready, and it is stopped: first line\nno such host"),
    ],
)
def test_a_failure_says_whose_where_and_why(host: Host, name: str, why: str) -> None:
    assert host.run(name, "apply") == (1, "", f"{name} on vps: {why}\n")
    assert not any(" up " in call for call in host.calls())


@pytest.mark.parametrize(("name", "what"), [("botpress", "its first admin"), ("n8n", "its owner")])
def test_what_makes_its_admin_at_its_start_is_started_anew_once(host: Host, name: str, what: str) -> None:
    why = f"it has not made {what} within two minutes of its start: docker logs {name} says why"
    assert host.run(name, "apply") == (1, "", f"{name} on vps: {why}\n")
    assert host.calls()[1:] == [f"restart {name}"]
    host.note("makes", "restart")
    assert host.run(name, "apply") == (0, "", "")


def test_metabase_is_set_up_with_its_token_and_the_password_in_no_command_line(host: Host) -> None:
    assert host.run("metabase", "apply") == (0, "", "")
    login = {"email": "ops@smarterbot.cl", "password": PASSWORD}
    assert json.loads(host.read("body")) == {
        "token": "0a-1b",
        "user": {"first_name": "SmarterOS", "last_name": "Admin", **login},
        "prefs": {"site_name": "smarterbot.cl", "allow_tracking": False},
    }
    assert host.read("requests").splitlines()[1].endswith("--data-binary @- http://127.0.0.1:3000/api/setup")
    assert "Aa1!" not in host.read("requests") + host.read("calls")


def test_dokploy_takes_its_owner_and_the_password_is_in_no_command_line(host: Host) -> None:
    assert host.run("dokploy", "apply") == (0, "", "")
    login = {"email": "ops@smarterbot.cl", "password": PASSWORD}
    assert json.loads(host.read("body")) == {"name": "SmarterOS", "lastName": "Owner", **login}
    assert host.read("requests").endswith("--data-binary @- http://127.0.0.1:3000/api/auth/sign-up/email\n")
    assert "Aa1!" not in host.read("requests") + host.read("calls")


def test_a_refused_request_shows_its_status_and_not_its_answer(host: Host) -> None:
    host.note("status", "400")
    refused = "POST /api/auth/sign-up/email was refused (400)\n"
    what = "dokploy on vps: Dokploy does not take its owner; docker logs dokploy may say more\n"
    assert host.run("dokploy", "apply") == (1, "", refused + what)


def test_without_an_argument_it_applies_and_shows_what_a_person_needs(host: Host) -> None:
    shown = (
        "Metabase KPI\n"
        "    address   https://kpi.smarterbot.cl\n"
        "    address   https://kpi.smarterbot.store\n"
        "    login     ops@smarterbot.cl\n"
        "    password  in Vault; where you deploy from: make secret NAME=metabase#ADMIN_PASSWORD\n"
        "    state     there is an admin; changes made in Metabase KPI itself are kept\n"
        "    mail      none (settings: mail): invitations, password resets, alerts and subscriptions are not sent\n"
        "    note      no database is connected: its own role reads no other service's; "
        "connect one with a role for it\n"
    )
    assert host.run("metabase") == (0, shown, "")
    assert host.calls()[1:] == ["exec -i smarteros-metabase sh"]


def test_show_changes_nothing_and_names_each_services_own_secret(host: Host) -> None:
    shown = {name: host.run(name, "show") for name in SQL}
    for name, (code, output, _) in shown.items():
        admin = OWNED[name].admin
        assert admin
        assert code == 0
        where = f"make secret NAME={name}#{admin.secret}"
        assert (
            f"    password  in Vault; where you deploy from: {where}\n    state     nobody's yet: " in output
        )
    assert host.calls() == []


def test_another_word_is_refused(host: Host) -> None:
    code, output, errors = host.run("n8n", "aply")
    assert (code, output) == (2, "")
    assert errors.endswith("n8n.sh [check|apply|show]\n")


ASKED = [f"asked|{name}" for name in SQL]


def test_a_run_asks_for_all_services_at_once_and_makes_only_what_is_missing() -> None:
    with fake({"pg_authid": ["owned|chatwoot", "owned|n8n", *ASKED]}):
        assert texts(first_run.configured, SERVICES["n8n"]) == []
        assert texts(first_run.configured, SERVICES["odoo"]) == ["/root/odoo-smarter-config.sh apply"]


@pytest.mark.parametrize("lines", [[], ["owned|chatwoot", "asked|chatwoot"]])
def test_a_database_that_cannot_be_asked_makes_no_second_admin(
    caplog: pytest.LogCaptureFixture, lines: list[str]
) -> None:
    with fake({"pg_authid": lines}) as host:
        (step,) = commands(first_run.configured, SERVICES["n8n"])
        assert step.function(host.state, host) is False
    (said,) = caplog.messages
    assert said.startswith(
        "[@fake/one] whether n8n has an admin is not known: its database n8n on @fake/one does not answer in time. Somebody's open transaction may lock it"
    )
    assert said.endswith(" says whose); else see `docker logs postgres`")


def test_a_plan_where_no_database_runs_yet_shows_the_first_admin() -> None:
    with fake({"pg_authid": []}, executing=False):
        assert texts(first_run.configured, SERVICES["n8n"]) == ["/root/n8n-smarter-config.sh apply"]


def test_every_service_is_asked_about_in_its_own_database_in_one_question() -> None:
    with fake({}):
        _, extended, owned, registered = postgres.question()
    assert extended == ("chatwoot", "odoo", "metabase")
    assert owned == tuple((name, name, SQL[name]) for name in OWNED)
    assert registered == "dokploy"


def test_a_service_gets_its_admin_once_it_is_healthy_and_before_the_next_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[tuple[str, str]] = []
    for module, function in ((containers, "start"), (first_run, "configured")):
        note = partial(lambda what, service, *_, **__: done.append((what, service.name)), function)
        monkeypatch.setattr(module, function, note)
    monkeypatch.setattr(applications, "digests", lambda _service: {})
    with fake({}, services=["vault", "postgres", "n8n", "odoo", "vault-auth-validator", "caddy"]):
        applications.run()
    assert done == [
        ("start", "n8n"),
        ("configured", "n8n"),
        ("start", "odoo"),
        ("configured", "odoo"),
        ("start", "vault-auth-validator"),
    ]


def test_a_run_with_nothing_to_do_has_asked_before_it_comes_to_the_services() -> None:
    with fake({}):
        assert postgres.question() in questions.wide()
