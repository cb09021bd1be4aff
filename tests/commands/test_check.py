"""Check: steps, their failures and clean-up, what is said, with visitors that are answered as the programs answer."""

import os
import signal
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import gevent
import pytest

from tasks.clients import ending
from tasks.commands import check, logs
from tasks.commands.steps import Step, answered, reasons, table
from tasks.facts.answering import AnsweringFact, Image, LogFact
from tasks.model.catalogue import Admin
from tasks.model.visitor import Answer, Denied, Failed, Missing, OutOfReach, Visitor
from tasks.run import Refused, services
from tests.fake import commands, fake
from tests.samples import HELPDESK
from tests.signals import heard

with fake({}):
    SERVICES = {service.name: service for service in services()}


class Nobody:
    """A visitor whom nothing answers."""

    login = "ops@smarterbot.cl"
    domains = ("crm.smarterbot.cl",)
    services = ("n8n",)


def steps(users: Any, **options: Any) -> list[Step]:
    """What a service with these users is seen to do, without the time that it took."""
    service = replace(HELPDESK, users=users, admin=Admin("ops@smarterbot.cl", "PASSWORD", ""))
    visitor: Any = Nobody()
    return [replace(step, seconds=0) for step in check.taken(service, visitor, **options)]


def test_each_step_has_its_line() -> None:
    def users(visitor: Visitor) -> Iterator[str]:
        yield "sign in"
        yield "write"

    assert steps(users) == [Step("helpdesk", "sign in"), Step("helpdesk", "write")]


def test_a_step_that_fails_is_the_last_and_what_was_made_is_removed() -> None:
    left: list[str] = []

    def users(visitor: Visitor) -> Iterator[str]:
        yield "make"
        with ExitStack() as leaving:
            leaving.callback(left.append, "removed")
            yield "use"
            raise Failed("GET /use: HTTP 502, expected 200")

    assert steps(users) == [
        Step("helpdesk", "make"),
        Step("helpdesk", "use", why="GET /use: HTTP 502, expected 200"),
    ]
    assert left == ["removed"]


class Proxied(Nobody):
    """Everything comes through a Caddy that packs what is long, or nothing."""

    def __init__(self, body: bytes, packed: str = "") -> None:
        self.body, self.packed = body, packed

    def get(self, path: str, *, domain: str, over: str = "HTTP/1.1", **_: Any) -> Answer:
        """As Caddy answers."""
        headers = {"location": f"https://{domain}{path}"} if over == "plain" else {}
        return Answer(200, self.body, headers | {"content-encoding": self.packed}, over)


@pytest.mark.parametrize(
    ("body", "packed", "why"),
    [
        (b"a" * 512, "gzip", ""),
        (b"a" * 512, "", "no page comes with gzip"),
        (b"a" * 511, "", ""),  # of a few services none may be longer
    ],
)
def test_pages_are_packed_where_there_are_long_ones(body: bytes, packed: str, why: str) -> None:
    visitor: Any = Proxied(body, packed)
    last = [*check.taken(SERVICES["caddy"], visitor)][-1]
    assert (last.name, last.why) == ("get a page compressed", why)


def test_a_clean_up_that_fails_hides_nothing() -> None:
    def gone() -> None:
        try:
            [].pop()
        except IndexError:
            raise Failed("DELETE /made: no answer") from None

    def users(visitor: Visitor) -> Iterator[str]:
        yield "use"
        with ExitStack() as leaving:
            leaving.callback(gone)
            raise Failed("GET /use: HTTP 502")

    assert steps(users) == [Step("helpdesk", "use", why="GET /use: HTTP 502; then DELETE /made: no answer")]


def test_an_answer_of_another_shape_is_a_failure_in_words() -> None:
    def users(visitor: Visitor) -> Iterator[str]:
        yield "sign in"
        _ = Answer(200, b"{}").json()["data"]

    said = "is answered otherwise than this version of it answers (KeyError: 'data')"
    assert steps(users) == [Step("helpdesk", "sign in", why=said)]


def test_what_the_image_has_not_is_a_failure_unless_it_is_the_labs() -> None:
    def users(visitor: Visitor) -> Iterator[str]:
        yield "print"
        raise Missing("it has no printer")

    assert steps(users) == [Step("helpdesk", "print", why="it has no printer")]
    said = "not against this image: it has no printer"
    assert steps(users, lab=True) == [Step("helpdesk", "print", skipped=said)]


def test_what_cannot_be_tried_from_here_is_no_failure() -> None:
    def users(visitor: Visitor) -> Iterator[str]:
        yield "use HTTP/3"
        raise OutOfReach("neither 443/tcp nor 443/udp answers here")

    said = "not from this machine: neither 443/tcp nor 443/udp answers here"
    assert steps(users) == [Step("helpdesk", "use HTTP/3", skipped=said)]


def test_an_admin_who_is_not_let_in_is_said_with_what_to_do() -> None:
    def users(visitor: Visitor) -> Iterator[str]:
        yield "sign in"
        raise Denied("POST /login: HTTP 401")

    (step,) = steps(users)
    assert step.why == (
        "ops@smarterbot.cl is not let in with the password in Vault (secret/helpdesk#PASSWORD): a person has changed it, or "
        "the login, or has asked for a second factor: if it was the password, `make give-secrets "
        "NAME=helpdesk#PASSWORD` tells Vault the new one; where a rotation was cut short, or a restore has brought an earlier one back, "
        "`make rotate SERVICE=helpdesk` gives both another (POST /login: HTTP 401)"
    )
    assert "`docker restart n8n` on the host" in check.denied(SERVICES["n8n"], "secret", "")


def test_what_is_the_same_for_several_services_is_said_once() -> None:
    failed = [
        Step("n8n", "start", why="no Vault answers"),
        Step("caddy", "redirect", why="HTTP 502"),
        Step("odoo", "start", why="no Vault answers"),
    ]
    assert reasons(failed) == ["n8n, odoo: start: no Vault answers", "caddy: redirect: HTTP 502"]


def test_a_host_with_nothing_of_ours_is_told_to_be_deployed_to_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def users(visitor: Visitor) -> Iterator[str]:
        yield "sign in"
        raise AssertionError

    with run(monkeypatch, users, {"smarteros.lab": []}) as said:
        assert said == [
            "nothing of ours is on @fake/one: deploy first (`make deploy`); where that was done, `make status` says why",
            "False",
        ]


def test_services_are_chosen_by_name() -> None:
    every = list(SERVICES.values())
    assert [one.name for one in check.named("", every)] == [
        "vault", "chatwoot", "botpress", "n8n", "odoo", "metabase", "mcp-registry", "dokploy",
        "vault-auth-validator", "caddy",
    ]  # fmt: skip
    assert [one.name for one in check.named("odoo, n8n", every)] == ["n8n", "odoo"]
    with pytest.raises(Refused, match=r"^SERVICE=n8: nothing of that name is checked, did you mean n8n\?$"):
        check.named("n8", every)
    with pytest.raises(Refused, match=r"^SERVICE=redis: nothing of that name is checked: there are vault, "):
        check.named("redis", every)


def test_every_service_with_a_first_admin_signs_in_first_and_needs_its_password() -> None:
    for service in SERVICES.values():
        if service.admin:
            visitor: Any = Refusing(401 if service.name != "botpress" else 400)
            (step,) = check.taken(service, visitor)
            assert step.name.startswith("sign in")
            assert step.why.startswith("ops@smarterbot.cl is not let in with the password in Vault"), step
            assert visitor.asked == [service.admin.secret]


class Refusing(Nobody):
    """A visitor whose login is not taken, in the way of each program."""

    def __init__(self, status: int) -> None:
        self.status, self.asked = status, list[str]()

    def secret(self, name: str) -> str:
        """Notes that it was asked for."""
        self.asked.append(name)
        return "secret"

    def post(self, path: str, _: Any = None, *, denied: tuple[int, ...] = (), **__: Any) -> Answer:
        """Refused with a status, or, as Odoo does it, in the body."""
        if self.status in denied:
            raise Denied(f"POST {path}: HTTP {self.status}")
        data = b'{"name": "odoo.exceptions.AccessDenied", "message": "Access Denied"}'
        return Answer(200, b'{"error": {"data": %s}}' % data)


def test_who_has_answered_is_said() -> None:
    n8n, validator = SERVICES["n8n"], SERVICES["vault-auth-validator"]
    assert answered(n8n, {}) == "nothing"
    assert answered(replace(validator, nodes=2), {}) == "tasks of the swarm"
    assert answered(n8n, {"n8n": Image()}) == "its image"
    assert answered(n8n, {"n8n": Image(lab=True)}) == "the lab's build"
    assert answered(n8n, {"n8n": Image(lab=True, double=True)}) == "a double"
    assert answered(validator, {"vault-auth-validator": Image(lab=True)}) == "built on the host"


def test_the_table() -> None:
    found = [
        Step("n8n", "sign in", 0.24),
        Step("odoo", "print a PDF", 1, skipped="not here"),
        Step("vault", "see it", 2, "no"),
    ]
    assert table(found, {"n8n": "its image", "odoo": "a double", "vault": "its image"}) == [
        "SERVICE  ANSWERED BY  STEP         SECONDS  RESULT",
        "n8n      its image    sign in      0.2      ok",
        "odoo     a double     print a PDF  1.0      not here",
        "vault    its image    see it       2.0      FAILED",
    ]


def test_what_the_containers_run_is_read() -> None:
    lines = ["/n8n image -", "/chatwoot image true", "/odoo - -"]
    assert AnsweringFact().process(lines) == {
        "n8n": Image(lab=True), "chatwoot": Image(lab=True, double=True), "odoo": Image(),
    }  # fmt: skip


def test_logs_are_read_by_container() -> None:
    assert LogFact().process(["n8n one", "n8n ", "odoo exited (exit code 137)"]) == {
        "n8n": ["one", ""],
        "odoo": ["exited (exit code 137)"],
    }


def test_the_telling_lines_of_a_log_hold_no_secret() -> None:
    lines = [
        "started",
        "\x1b[31mError: password hunter22 for postgres refused\x1b[0m",
        "GET / 200",
        "Error: again",
        "Error: again",
    ]
    assert logs.telling(lines, {"PASSWORD": "hunter22"}) == [
        "Error: password *** for postgres refused",
        "Error: again",
    ]
    assert logs.telling(["all is well"], {}) == []


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    with heard():
        yield


@contextmanager
def run(
    monkeypatch: pytest.MonkeyPatch, users: Any, answers: Mapping[str, list[str]], alone: Any = nullcontext
) -> Iterator[list[str]]:
    """The whole command on a host with one service that has these users; what it says."""
    said: list[str] = []
    service = replace(SERVICES["vault-auth-validator"], users=users, secrets=())
    monkeypatch.setattr(check, "services", lambda: (service,))
    monkeypatch.setattr(check, "trust", ssl.create_default_context)
    monkeypatch.setattr(check, "alone", alone)
    monkeypatch.setattr("pyinfra.logger.info", said.append)
    with fake(answers) as host:
        monkeypatch.setattr(host, "log_styled", lambda text, **_: said.append(text))
        said += [str(command.function(host.state, host)) for command in commands(check.used)]
        yield said


def test_a_host_that_does_what_users_want_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    def users(visitor: Visitor) -> Iterator[str]:
        yield "sign in"

    with run(monkeypatch, users, {"smarteros.lab": ["/vault-auth-validator - -"]}) as said:
        *words, seconds, ended = said[1].split()
        assert (words, ended) == (
            ["vault-auth-validator", *["built", "on", "the", "host", "sign", "in"]],
            "ok",
        )
        assert 0 <= float(seconds) < 60
        assert len(said) == 2


def test_a_failed_step_fails_the_host_with_its_words_and_the_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    def users(visitor: Visitor) -> Iterator[str]:
        yield "sign in"
        raise Failed("GET /: HTTP 500, expected 200")

    logged = ["vault-auth-validator started", "vault-auth-validator Error: no space left"]
    answers = {"smarteros.lab": ["/vault-auth-validator - -"], "docker logs": logged}
    with run(monkeypatch, users, answers) as said:
        assert said[2:] == [
            (
                "does not do what its users want:\n"
                "    vault-auth-validator: sign in: GET /: HTTP 500, expected 200\n"
                "    vault-auth-validator says: Error: no space left"
            ),
            "False",
        ]


def test_a_check_that_is_ended_says_so_and_fails_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    def users(visitor: Visitor) -> Iterator[str]:
        yield "make"
        with visitor.leaving() as leaving:
            leaving.callback(left.append, "removed")
            yield "use"
            os.kill(os.getpid(), signal.SIGTERM)
            visitor.get("/use")

    left: list[str] = []
    before = signal.getsignal(signal.SIGTERM)
    with run(monkeypatch, users, {"smarteros.lab": ["/vault-auth-validator - -"]}) as said:
        assert [line.split()[-1] for line in said[2:4]] == ["ok", "ended"]
        assert said[0] == "ended by SIGTERM: what the check has made is removed"
        assert said[4:] == ["the check was ended by SIGTERM, and has left nothing", "False"]
    assert left == ["removed"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_a_check_that_is_ended_could_not_remove_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        raise Failed("DELETE /made: HTTP 502")

    def users(visitor: Visitor) -> Iterator[str]:
        yield "use"
        with visitor.leaving() as leaving:
            leaving.callback(gone)
            os.kill(os.getpid(), signal.SIGTERM)
            visitor.get("/use")

    with run(monkeypatch, users, {"smarteros.lab": ["/vault-auth-validator - -"]}) as said:
        assert said[-2] == (
            "the check was ended by SIGTERM; what failed, or is left for the next check to remove:\n"
            "    vault-auth-validator: use: ended; then DELETE /made: HTTP 502"
        )


def test_a_check_that_is_ended_before_its_first_step_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def ended() -> Iterator[None]:
        os.kill(os.getpid(), signal.SIGINT)
        gevent.sleep(60)
        yield

    monkeypatch.setattr(ending, "_GRACE", 0)
    with run(monkeypatch, None, {}, ended) as said:
        assert said[-2:] == ["the check was ended by SIGINT", "False"]


def test_a_plan_asks_nobody() -> None:
    with fake({}, executing=False):
        assert commands(check.used) == []


def test_a_mail_server_is_a_step_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(to: str) -> None:
        asked.append(to)
        if len(asked) > 1:
            raise Refused("mail.user: smtp.example.com:587 refuses the login 'ops': 535")

    asked: list[str] = []
    monkeypatch.setattr("tasks.commands.test_mail.delivered", refused)
    with fake({}, mail={"host": "smtp.example.com", "from": "ops@example.com"}):
        first, second = [step for _ in range(2) for step in check._mailed()]
    assert asked == ["ops@smarterbot.cl"] * 2
    assert (first.service, first.name, first.why) == ("mail", "one message is delivered", "")
    assert second.why == "mail.user: smtp.example.com:587 refuses the login 'ops': 535"
