"""What each service's users do, against answers as the programs give them: no step that fails, and no end, leaves anything
behind, and what an earlier check has left is removed.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any

import pytest

from tasks.commands import check
from tasks.commands.steps import Step
from tasks.model.catalogue import Service
from tasks.model.visitor import Answer, Ended, Failed
from tasks.run import services
from tests.fake import fake

with fake({}):
    SERVICES = {service.name: service for service in services()}

Sent = tuple[str, str, Any]  # method, path, JSON


def rpc(request: Sent) -> Any:
    """Odoo's answers."""
    _, path, body = request
    params = body["params"]
    found = {"ir.model": [3], "res.partner": []}
    results = {
        "create": 7,
        "read": [{"name": "SmarterOS check"}],
        "unlink": True,
        "search": found.get(params.get("model")),
    }
    named = {
        "/web/session/authenticate": {"uid": 2},
        "/report/check_wkhtmltopdf": "ok",
        "/web/session/destroy": None,
    }
    return {"result": named[path] if path in named else results[params["method"]]}


LISTED = [{"name": "smarteros", "environments": [{"compose": [{"name": name} for name in SERVICES]}]}]
SESSION = {"access-token": "t", "client": "c", "uid": "u", "token-type": "Bearer"}
SERVER = {"server": {"name": "io.example/a&b"}}

# "METHOD path" → what is answered, JSON or what makes it.
ANSWERS: dict[str, dict[str, Any]] = {
    "n8n": {
        r"POST /rest/login": {},
        r"GET /rest/workflows\?filter=%7B%22name%22%3A%20%22SmarterOS%20check%22%7D": {
            "count": 0,
            "data": [],
        },
        r"POST /rest/workflows": {"data": {"id": "W", "versionId": "V"}},
        r"POST /rest/workflows/W/(activate|archive)|POST /rest/logout|DELETE /rest/workflows/W": {},
        r"GET /webhook/smarteros-\w+\?word=\w+": lambda sent: {"query": {"word": sent[1].partition("=")[2]}},
    },
    "odoo": {r"POST /.*": rpc, r"GET /report/pdf/base.report_irmodeloverview/3": Answer(200, b"%PDF-1.4")},
    "chatwoot": {
        r"POST /auth/sign_in": Answer(
            200, json.dumps({"data": {"id": 1, "account_id": 5, "pubsub_token": "p"}}).encode(), SESSION
        ),
        r"GET /api/v1/accounts/5/(inboxes|contacts/search\?q=SmarterOS%20check)": {"payload": []},
        r"POST /api/v1/accounts/5/inboxes": {"id": 8},
        r"POST /api/v1/accounts/5/contacts": {
            "payload": {"contact": {"id": 9}, "contact_inbox": {"source_id": "s"}}
        },
        r"POST /api/v1/accounts/5/conversations": {"id": 10},
        r"POST /api/v1/accounts/5/conversations/10/messages": {},
        r"DELETE /.*": {},
    },
    "botpress": {
        r"POST /api/v1/auth/login/basic/default": {"payload": {"jwt": "j"}},
        r"GET /api/v2/admin/workspace/bots": {"payload": {"bots": []}},
        r"POST /api/v2/admin/workspace/bots.*|POST .*/train/en": {},
        r"GET /studio/.*": Answer(200, b"<!DOCTYPE html><html>"),
        r"GET /api/v1/studio/.*/nlu/intents": [],
        r"GET .*/health": {"validLanguages": ["en"]},
        r"GET .*/training/en": {"status": "done"},
        r"POST .*/converse/\w+": {"responses": [{"type": "text", "text": "hello"}]},
    },
    "metabase": {
        r"POST /api/session": {"id": "s"},
        r"GET /api/database": {"data": [], "total": 0},
        r"POST /api/database": {"id": 4},
        r"POST /api/dataset": {"status": "completed", "data": {"rows": [[42]]}},
        r"DELETE /.*": {},
    },
    "dokploy": {r"POST /api/auth/sign-(in/email|out)": {}, r"GET /api/project.all": LISTED},
    "vault": {
        r"GET /v1/auth/token/lookup-self": {"data": {"ttl": 60}},
        r"POST /v1/auth/token/revoke-self": {},
    },
    "vault-auth-validator": {r"GET /validate": {}},
    "mcp-registry": {
        r"GET /v0/servers": {"servers": [SERVER], "metadata": {"count": 1}},
        r"GET /": Answer(200, b"<h2>io.example/a&amp;b</h2>"),
    },
}

# What makes something → what removes it.
REMOVED = {
    "n8n": {r"POST /rest/workflows": "DELETE /rest/workflows/W", "POST /rest/login": "POST /rest/logout"},
    "odoo": {"create": "unlink", "authenticate": "destroy"},
    "chatwoot": {
        "POST /auth/sign_in": "DELETE /auth/sign_out",
        r"POST /api/v1/accounts/5/inboxes": "DELETE /api/v1/accounts/5/inboxes/8",
        r"POST /api/v1/accounts/5/contacts": "DELETE /api/v1/accounts/5/contacts/9",
    },
    "botpress": {r"POST /api/v2/admin/workspace/bots": r"POST /api/v2/admin/workspace/bots/[\w-]+/delete"},
    "metabase": {"POST /api/session": "DELETE /api/session", "POST /api/database": "DELETE /api/database/4"},
    "dokploy": {"POST /api/auth/sign-in/email": "POST /api/auth/sign-out"},
    "vault": {"token": "no token"},
    "vault-auth-validator": {"token": "no token"},
}


class Program:
    """A service that answers as it should, but for the one request at which it fails. ended: the check, before that request."""

    login = "ops@smarterbot.cl"
    services = tuple(SERVICES)

    def __init__(
        self,
        service: Service,
        changes: Mapping[str, Any] | None = None,
        broken: int = -1,
        ended: float = float("inf"),
    ) -> None:
        self.ended, self.removing = ended, 0
        self.domains = ("a.example.org", "b.example.org")
        self.answers = {**(changes or {}), **ANSWERS[service.name], **(changes or {})}
        self.broken, self.done = broken, list[str]()
        self.asked = self.working = 0

    def ask(self, method: str, path: str, json_: Any = None, **_: Any) -> Answer:
        """The first answer whose pattern is the request's."""
        self.asked += 1
        self.working += not self.removing
        if self.working > self.ended and not self.removing:
            raise Ended("by SIGTERM")
        if self.asked - 1 == self.broken:
            raise Failed(f"{method} {path}: HTTP 502")
        self.done.append(words(method, path, json_))
        for pattern, answer in self.answers.items():
            if re.fullmatch(pattern, f"{method} {path}"):
                found = answer((method, path, json_)) if isinstance(answer, Callable) else answer  # type: ignore[arg-type]
                return found if isinstance(found, Answer) else Answer(200, json.dumps(found).encode())
        raise AssertionError(f"{method} {path}")

    def get(self, path: str, **options: Any) -> Answer:
        """GET."""
        return self.ask("GET", path, **options)

    def post(self, path: str, json_: Any = None, **options: Any) -> Answer:
        """POST."""
        return self.ask("POST", path, json_, **options)

    def delete(self, path: str, **options: Any) -> Answer:
        """DELETE."""
        return self.ask("DELETE", path, **options)

    def secret(self, name: str) -> str:
        """Some value."""
        return f"{name}'s value"

    def until(self, done: Callable[[], bool], what: str, *_: Any) -> None:
        """Asks once."""
        if not done():
            raise Failed(what)

    def leaving(self) -> ExitStack:
        """As the real one."""
        return Leaving(self)

    @contextmanager
    def token(self) -> Iterator[str]:
        """Noted, as is its end."""
        self.done.append("token")
        try:
            yield "t"
        finally:
            self.done.append("no token")

    @contextmanager
    def websocket(self, _: str) -> Iterator["Program"]:
        """The same one's."""
        yield self

    def send(self, message: Any) -> None:
        """Noted."""
        self.done.append(message["command"])


class Leaving(ExitStack):
    """Notes on its program when it begins to remove."""

    def __init__(self, program: Program) -> None:
        super().__init__()
        self.program = program

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> bool | None:
        """The end of what can be ended."""
        self.program.removing += 1
        try:
            return super().__exit__(kind, error, where)
        finally:
            self.program.removing -= 1


def words(method: str, path: str, body: Any) -> str:
    """A request's name; Odoo's are all POST."""
    if "/call_kw" in path:
        return str(body["params"]["method"])
    return path.rsplit("/", 1)[1] if path.startswith("/web/session") else f"{method} {path.partition('?')[0]}"


def left(service: str, done: list[str]) -> list[str]:
    """What was made and not removed."""
    pairs = REMOVED.get(service, {}).items()
    return [
        made
        for made, removed in pairs
        if sum(bool(re.fullmatch(made, one)) for one in done)
        > sum(bool(re.fullmatch(removed, one)) for one in done)
    ]


def taken(program: Program, service: Service) -> list[Step]:
    visitor: Any = program
    if service.name == "chatwoot":
        visitor.until = lambda *_: None  # what arrives at the WebSocket
    return list(check.taken(service, visitor))


@pytest.mark.parametrize("name", ANSWERS)
def test_a_service_that_works_passes_and_keeps_nothing(name: str) -> None:
    program = Program(SERVICES[name])
    found = taken(program, SERVICES[name])
    assert [step.why for step in found if step.why] == []
    assert len(found) > 1
    assert left(name, program.done) == []


@pytest.mark.parametrize("name", ANSWERS)
def test_whatever_request_fails_the_step_says_so_and_what_was_made_before_is_removed(name: str) -> None:
    service = SERVICES[name]
    whole = Program(service)
    taken(whole, service)
    removals = [*REMOVED.get(name, {}).values()]
    for number, request in enumerate(one for one in whole.done if "token" not in one and one != "subscribe"):
        program = Program(service, broken=number)
        found = taken(program, service)
        assert found[-1].why.endswith("HTTP 502"), (request, found)
        if not any(re.fullmatch(removal, request) for removal in removals):
            assert left(name, program.done) == [], request


@pytest.mark.parametrize("name", ANSWERS)
def test_whenever_the_check_is_ended_what_was_made_before_is_removed(name: str) -> None:
    service = SERVICES[name]
    whole = Program(service)
    taken(whole, service)
    for number in range(whole.working):
        program = Program(service, ended=number)
        *_, last = taken(program, service)
        assert left(name, program.done) == [], number
        assert (last.skipped, last.why) == ("ended", ""), number


def test_what_could_not_be_removed_at_an_end_is_said() -> None:
    visitor = Program(SERVICES["metabase"], ended=3)
    visitor.broken = 4  # the first removal, after the request that was not sent
    *_, last = taken(visitor, SERVICES["metabase"])
    assert (last.skipped, last.why) == ("ended", "ended; then DELETE /api/database/4: HTTP 502")


NAME, SIMILAR = "SmarterOS check", "SmarterOS check of ours"
NAMED = [{"id": 1, "name": SIMILAR}, {"id": 2, "name": NAME}]
BOTS = [{"id": name, "name": name} for name in ("smarteros-check-0a1b2c3d", "smarteros-check-in", "sales")]
WORKFLOWS = [
    {"id": "A", "name": NAME, "isArchived": False},
    {"id": "B", "name": SIMILAR, "isArchived": False},
    {"id": "C", "name": NAME, "isArchived": True},
]


# What makes the first thing, what is there already, and the requests that remove of it what is ours.
EARLIER: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "n8n": (
        "POST /rest/workflows",
        {r"GET /rest/workflows.*": {"count": 3, "data": WORKFLOWS}, r"(POST|DELETE) /rest/workflows/[AC].*": {}},
        ["POST /rest/workflows/A/archive", "DELETE /rest/workflows/A",
         "POST /rest/workflows/C/archive", "DELETE /rest/workflows/C"],
    ),
    "chatwoot": (
        "POST /api/v1/accounts/5/inboxes",
        {r"GET /api/v1/accounts/5/(inboxes|contacts/search.*)": {"payload": NAMED}},
        ["DELETE /api/v1/accounts/5/inboxes/2", "DELETE /api/v1/accounts/5/contacts/2"],
    ),
    "botpress": (
        "POST /api/v2/admin/workspace/bots",
        {r"GET /api/v2/admin/workspace/bots": {"payload": {"bots": BOTS}}},
        ["POST /api/v2/admin/workspace/bots/smarteros-check-0a1b2c3d/delete"],
    ),
    "metabase": (
        "POST /api/database",
        {r"GET /api/database": {"data": NAMED, "total": 2}},
        ["DELETE /api/database/2"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EARLIER)
def test_what_an_earlier_check_has_left_is_removed_before_anything_is_made(name: str) -> None:
    made, answers, removals = EARLIER[name]
    program = Program(SERVICES[name], answers)
    assert [step.why for step in taken(program, SERVICES[name]) if step.why] == []
    before = program.done[: program.done.index(made)]
    others = [one for one in before if re.match(r"DELETE|.*/(archive|delete)$", one)]
    assert others == removals
    assert left(name, [one for one in program.done if one not in removals]) == []


def test_odoo_removes_the_partners_that_an_earlier_check_has_left() -> None:
    def answered(sent: Sent) -> Any:
        params = sent[2]["params"]
        asked.append((params.get("model"), params.get("method"), params.get("args")))
        return {"result": [5, 6]} if asked[-1][:2] == ("res.partner", "search") else rpc(sent)

    asked: list[tuple[Any, Any, Any]] = []
    taken(Program(SERVICES["odoo"], {r"POST /.*": answered}), SERVICES["odoo"])
    assert asked[1:4] == [
        ("res.partner", "search", ([["name", "=", NAME]],)),
        ("res.partner", "unlink", ([5, 6],)),
        ("res.partner", "create", ({"name": NAME},)),
    ]


WRONG = {
    "n8n": (r"GET /webhook/.*", {"query": {}}, "the webhook's answer is not what it was sent"),
    "odoo": (r"GET /report/.*", Answer(200, b"<html>"), "the report is no PDF: <html>"),
    "botpress": (r"GET .*/training/en", {"status": "errored"}, "the training has ended otherwise: errored"),
    "metabase": (
        r"POST /api/dataset",
        {"status": "failed", "error": "no database"},
        "the query failed: no database",
    ),
    "dokploy": (r"GET /api/project.all", LISTED[:0], "the project smarteros does not list: botpress, "),
    "vault": (r"GET /v1/auth/token/lookup-self", {"data": {"ttl": 3600}}, "the token has 3600 s left"),
    "mcp-registry": (r"GET /", Answer(200, b""), "the page lists 0 servers, the API 1, or others"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_is_seen(name: str) -> None:
    pattern, answer, why = WRONG[name]
    *_, last = taken(Program(SERVICES[name], {pattern: answer}), SERVICES[name])
    assert last.why.startswith(why)


def test_odoo_says_what_it_was_refused() -> None:
    said = {"error": {"data": {"name": "odoo.exceptions.UserError", "message": "No space left"}}}
    (step,) = taken(Program(SERVICES["odoo"], {r"POST /web/session/authenticate": said}), SERVICES["odoo"])
    assert step.why == "/web/session/authenticate: No space left"


def test_odoo_without_its_printer_fails_but_not_in_the_lab() -> None:
    visitor: Any = Program(SERVICES["odoo"], {r"POST /report/check_wkhtmltopdf": {"result": "install"}})
    *_, last = check.taken(SERVICES["odoo"], visitor)
    assert last.why == "it has no wkhtmltopdf"
    *_, last = check.taken(SERVICES["odoo"], visitor, lab=True)
    assert (last.why, last.skipped) == ("", "not against this image: it has no wkhtmltopdf")


def test_botpress_without_a_language_server_says_so() -> None:
    visitor: Any = Program(
        SERVICES["botpress"], {r"GET .*/health": Answer(404, b"NLU Server is unreachable")}
    )
    *_, last = check.taken(SERVICES["botpress"], visitor)
    assert last.why == "no language server answers, so no bot can be trained: see the README"
