"""Dokploy import: what is different is registered, with a key that is made once; what is not ours is left alone."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from tasks import dokploy
from tasks.clients import dokploy_api, vault_values
from tasks.dokploy import Change, changes
from tasks.facts.dokploy import DokployState, Entry, read
from tasks.operations import origins, postgres
from tasks.rendering import psql
from tasks.run import Refused, services
from tests.fake import commands, fake, stdin
from tests.openbao import OpenBao, running_openbao
from tests.samples import stack

SERVICES = ["postgres", "dokploy"]
OWNER = {"email": "ops@smarterbot.cl", "password": "Owner-password-1"}
OURS = "Kept by SmarterOS: /root/dkcompose/{}-deploy.yaml. Changes made here are undone by the next run."
TEXT = "name: crm\n# é\n"


CONTAINER = [
    "c|/dokploy|dokploy|0123456789ab|feedbeef|running|healthy|0|dokploy/dokploy:v0.30|smarter-net ",
    "p|/dokploy|127.0.0.2",
]


def answers(lines: list[str]) -> dict[str, list[str]]:
    """What the host says where Docker and Postgres print these lines."""
    said = [line for line in lines if line.startswith("dokploy|")]
    return {"pg_authid": said, "docker volume ls --format": [line for line in lines if line not in said]}


def entry(**changes: str) -> Entry:
    """The entry of a service `crm` as it has to be, but for the changes."""
    right = {"id": "e1", "name": "crm", "description": OURS.format("crm"), "source": "raw"}
    digest = "95509e23155f392d6f31b5092e3e64cbe6dcf634c9a936c15c5ca74c4c86172e"
    return Entry(**{**right, "digest": digest, "kind": "docker-compose", **changes})


FIELDS = {"name": "crm", "composeType": "docker-compose", "sourceType": "raw", "composeFile": TEXT}


def test_an_entry_that_is_right_is_left_alone() -> None:
    assert list(changes({"crm": TEXT}, (entry(),))) == []


def test_a_stack_file_that_is_not_there_is_registered() -> None:
    assert list(changes({"crm": TEXT}, ())) == [
        Change("crm: is not registered", "compose.create", {**FIELDS, "description": OURS.format("crm")})
    ]


@pytest.mark.parametrize(
    ("spoilt", "why"),
    [
        ({"digest": "0" * 64}, "crm: its file differs"),
        ({"name": "helpdesk"}, "crm: its name differs"),
        ({"source": "git", "kind": "stack"}, "crm: its source and type differ"),
    ],
)
def test_an_entry_that_a_hand_has_changed_is_repaired(spoilt: dict[str, str], why: str) -> None:
    found = (entry(**spoilt), entry(id="e2", name="bot", description=OURS.format("bot")))
    assert list(changes({"crm": TEXT, "bot": TEXT}, found)) == [
        Change(why, "compose.update", {"composeId": "e1", **FIELDS})
    ]


def test_only_entries_of_ours_that_are_too_many_are_removed_and_no_volume_with_them() -> None:
    gone = entry(id="e0", name="old", description=OURS.format("old"))
    assert list(changes({"crm": TEXT}, (gone, entry(), entry(id="e2")))) == [
        Change("old: is no service any more", "compose.delete", {"composeId": "e0", "deleteVolumes": False}),
        Change("crm: is registered twice", "compose.delete", {"composeId": "e2", "deleteVolumes": False}),
    ]


RECORD = {
    "keys": ["k1"],
    "environment": "env1",
    "entries": [
        {"id": "e1", "name": "crm", "description": "d", "digest": "x", "source": "raw", "kind": "stack"}
    ],
    "cleanup": False,
    "origins": ["https://dokploy.smarterbot.store"],
    "host": "dokploy.smarterbot.cl",
    "offered": None,
}


def test_what_dokploy_has_is_read() -> None:
    assert read("172.18.0.5", json.dumps(RECORD)) == DokployState(
        "172.18.0.5",
        frozenset({"k1"}),
        "env1",
        (Entry("e1", "crm", "d", "x", "raw", "stack"),),
        cleanup=False,
        origins=frozenset({"https://dokploy.smarterbot.store"}),
        host="dokploy.smarterbot.cl",
    )


def test_a_clean_up_of_which_nothing_is_said_is_on() -> None:
    assert read("172.18.0.5", json.dumps({**RECORD, "cleanup": None})).cleanup


@pytest.mark.parametrize("lines", [[], [f"dokploy|{json.dumps(RECORD)}"], CONTAINER])
def test_half_an_answer_is_a_dokploy_that_is_not_there(lines: list[str]) -> None:
    with fake(answers(lines)):
        assert postgres.registered() == DokployState()


@pytest.mark.parametrize(
    "line", ["{", "[]", "{}", '{"keys": [], "environment": null, "entries": [{}]}', "ERROR"]
)
def test_an_answer_that_no_database_gives_is_refused(line: str) -> None:
    with (
        fake(answers([*CONTAINER, f"dokploy|{line}"])),
        pytest.raises(Refused, match="cannot read what Dokploy's database says: "),
    ):
        postgres.registered()


@dataclass
class Dokploy:
    """What the API has been told; it takes one owner and the keys that it has given."""

    keys: dict[str, str] = field(default_factory=dict)
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    password: str = OWNER["password"]
    project: str = ""
    cleanup: bool = False
    origins: list[str] = field(default_factory=list)
    host: str | None = ""
    offered: str | None = None
    calls: list[str] = field(default_factory=list)

    def answer(self, procedure: str, headers: Any, fields: dict[str, Any]) -> tuple[int, Any]:
        """Status and body."""
        self.calls.append(procedure)
        if procedure == "auth/sign-in/email":
            good = fields == {**OWNER, "password": self.password}
            return (200, {"token": "t"}) if good else (401, {"message": "Invalid email or password"})
        if headers["x-api-key"] not in self.keys and headers["Cookie"] != "session=s1":
            return 401, {"message": "Unauthorized"}
        return self.procedure(procedure, fields)

    def procedure(self, name: str, fields: dict[str, Any]) -> tuple[int, Any]:
        """What somebody who is signed in, or has a key, may ask for."""
        match name:
            case "organization.all":
                return 200, [{"id": "org1"}]
            case "user.createApiKey":
                expected = {
                    "name": "smarteros",
                    "rateLimitEnabled": False,
                    "metadata": {"organizationId": "org1"},
                }
                assert fields == expected
                number = len(self.calls)
                self.keys[f"secret-key-{number}"] = f"key-id-{number}"
                return 200, {"id": f"key-id-{number}", "key": f"secret-key-{number}"}
            case "project.create":
                self.project = "env1"
                return 200, {"project": {"name": fields["name"]}, "environment": {"environmentId": "env1"}}
            case "compose.create" if fields["environmentId"] == "env1":
                self.entries[fields["name"]] = {"composeId": f"id-{fields['name']}", **fields}
                return 200, {}
            case "settings.updateDockerCleanup":
                self.cleanup = fields["enableDockerCleanup"]
                return 200, True
            case _:
                return 400, {"message": "Input validation failed"}

    def fact(self) -> list[str]:
        """What the facts' commands print."""
        entries = [
            {
                "id": item["composeId"], "name": item["name"], "description": item["description"],
                "digest": hashlib.sha256(item["composeFile"].encode()).hexdigest(),
                "source": item["sourceType"], "kind": item["composeType"],
            }
            for item in self.entries.values()
        ]  # fmt: skip
        found = {
            "keys": [*self.keys.values()], "environment": self.project or None, "entries": entries,
            "cleanup": self.cleanup, "origins": self.origins, "host": self.host, "offered": self.offered,
        }  # fmt: skip
        return [*CONTAINER, f"dokploy|{json.dumps(found)}"]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Dokploy]:
    """A Dokploy at an address of its own, as a container has one; a fake host's tunnel is a plain connection."""
    state = Dokploy()

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = state.answer(
                self.path.removeprefix("/api/"), self.headers, json.loads(body or b"{}")
            )
            text = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            if self.path.endswith("/sign-in/email"):
                self.send_header("Set-Cookie", "session=s1; Path=/; HttpOnly; Secure")
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = respond  # noqa: N815

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.2", 0), Handler) as server:
        monkeypatch.setattr(dokploy_api, "PORT", server.server_address[1])
        Thread(target=server.serve_forever, daemon=True).start()
        yield state
        server.shutdown()


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with running_openbao(tmp_path_factory.mktemp("openbao")) as server:
        server.mount()
        yield server


@pytest.fixture
def vault(bao: OpenBao, monkeypatch: pytest.MonkeyPatch) -> OpenBao:
    """A Vault that has the owner's password and no key."""
    monkeypatch.setenv("VAULT_TOKEN", bao.root_token)
    bao.call("DELETE", f"secret/metadata/{dokploy.PATH}")
    bao.call("POST", "secret/data/dokploy", {"data": {"ADMIN_PASSWORD": OWNER["password"]}})
    return bao


def stored(vault: OpenBao) -> dict[str, str]:
    return dict(vault.call("GET", f"secret/data/{dokploy.PATH}")["data"]["data"])


@contextmanager
def host(vault: OpenBao, lines: list[str], *, executing: bool = True) -> Iterator[Any]:
    """A host whose Dokploy is as the facts' lines say."""
    with fake(answers(lines), executing=executing, vault_address=vault.address, services=SERVICES) as found:
        yield found


def run(vault: OpenBao, api: Dokploy) -> list[bool]:
    """A run: for each step that it takes, whether it succeeded."""
    with host(vault, api.fact()) as found:
        return [step.function(found.state, found) for step in commands(dokploy.registered)]


def test_the_first_run_makes_key_project_and_entries_and_the_second_nothing(
    vault: OpenBao, api: Dokploy
) -> None:
    assert run(vault, api) == [True]
    assert api.calls == [
        "auth/sign-in/email", "organization.all", "user.createApiKey",
        "project.create", "compose.create", "compose.create",
    ]  # fmt: skip
    assert stored(vault) == {"API_KEY": "secret-key-3", "API_KEY_ID": "key-id-3"}
    assert {name: (item["description"], item["sourceType"]) for name, item in api.entries.items()} == {
        name: (OURS.format(name), "raw") for name in SERVICES
    }
    assert api.entries["dokploy"]["composeFile"].startswith("name: dokploy\n")
    api.calls.clear()
    assert (run(vault, api), api.calls) == ([], [])


def test_a_clean_up_that_is_on_is_turned_off(
    vault: OpenBao, api: Dokploy, caplog: pytest.LogCaptureFixture
) -> None:
    run(vault, api)
    api.calls.clear()
    api.cleanup = True
    with caplog.at_level("INFO"):
        assert run(vault, api) == [True]
    assert (api.calls, api.cleanup) == (["organization.all", "settings.updateDockerCleanup"], False)
    assert "its nightly clean-up of the host's Docker is on" in caplog.text
    api.calls.clear()
    assert (run(vault, api), api.calls) == ([], [])


PSQL = psql.told("dokploy")


@pytest.mark.parametrize(
    ("found", "added"),
    [
        ([], "'https://dokploy.smarterbot.store', 'https://dokploy.smarterbot.net'"),
        (
            ["https://login.example", "https://dokploy.smarterbot.store"],
            "'https://dokploy.smarterbot.net'",
        ),
        (["https://dokploy.smarterbot.net", "https://dokploy.smarterbot.store"], ""),
    ],
)
def test_the_owners_may_sign_in_under_each_domain(found: list[str], added: str) -> None:
    lines = Dokploy(origins=found).fact()
    mirrors = ["smarterbot.store", "smarterbot.net"]
    with fake(answers(lines), mirror_zones=mirrors):
        (service,) = [item for item in services() if item.name == "dokploy"]
        yielded = commands(origins.trusted, service)
    assert [str(item) for item in yielded] == [PSQL] * bool(added)
    statement = f"""
UPDATE "user" SET "trustedOrigins" = coalesce("trustedOrigins", '{{}}') || ARRAY[{added}]::text[]
WHERE id IN (SELECT user_id FROM member WHERE role = 'owner');

\\q
""".lstrip()
    assert [stdin(item) for item in yielded] == [statement] * bool(added)


@pytest.mark.parametrize(
    ("found", "offered", "moves"),
    [
        ("", None, True),
        (None, None, False),
        ("old.smarterbot.cl", "old.smarterbot.cl", True),
        ("dokploy.smarterbot.cl", "dokploy.smarterbot.cl", False),
        ("panel.example.org", None, False),
        ("panel.example.org", "old.smarterbot.cl", False),
    ],
)
def test_its_links_lead_to_its_domain_or_to_where_a_person_has_set(
    found: str | None, offered: str | None, moves: bool
) -> None:
    lines = Dokploy(host=found, offered=offered).fact()
    with fake(answers(lines)):
        (service,) = [item for item in services() if item.name == "dokploy"]
        yielded = commands(origins.addressed, service)
    assert [str(item) for item in yielded] == [PSQL] * moves
    statement = """
BEGIN;
UPDATE "webServerSettings" SET host = 'dokploy.smarterbot.cl', https = true;
ALTER DATABASE dokploy SET smarteros.dokploy_host = 'dokploy.smarterbot.cl';
COMMIT;

\\q
""".lstrip()
    assert [stdin(item) for item in yielded] == [statement] * moves


def test_before_dokploy_runs_nobody_is_let_in() -> None:
    with fake(answers([]), executing=False):
        (service,) = [item for item in services() if item.name == "dokploy"]
        assert commands(origins.trusted, service) == []
        assert commands(origins.addressed, service) == []


def test_while_the_key_works_the_owners_password_does_not_matter(vault: OpenBao, api: Dokploy) -> None:
    run(vault, api)
    api.password = "changed by a person"
    api.calls.clear()
    del api.entries["postgres"]
    assert (run(vault, api), api.calls) == ([True], ["organization.all", "compose.create"])


def test_a_key_of_an_operator_is_used_and_kept(vault: OpenBao, api: Dokploy) -> None:
    api.password, api.keys = "changed by a person", {"by hand": "k"}
    vault.call("POST", f"secret/data/{dokploy.PATH}", {"data": {"API_KEY": "by hand\n"}})
    assert run(vault, api) == [True]
    assert (stored(vault), sorted(api.entries)) == ({"API_KEY": "by hand\n"}, ["dokploy", "postgres"])


def test_a_key_that_is_gone_is_made_anew(vault: OpenBao, api: Dokploy) -> None:
    run(vault, api)
    api.keys.clear()
    assert run(vault, api) == [True]
    assert (stored(vault), api.keys) == (
        {"API_KEY": "secret-key-9", "API_KEY_ID": "key-id-9"},
        {"secret-key-9": "key-id-9"},
    )
    assert run(vault, api) == []


def test_a_key_that_is_listed_and_yet_refused_is_made_anew(vault: OpenBao, api: Dokploy) -> None:
    api.keys = {"another": "k1"}
    vault.call(
        "POST",
        f"secret/data/{dokploy.PATH}",
        {"data": {"API_KEY": "spoilt", "API_KEY_ID": "k1", "NOTE": "x"}},
    )
    assert run(vault, api) == [True]
    assert stored(vault) == {"API_KEY": "secret-key-4", "API_KEY_ID": "key-id-4", "NOTE": "x"}


@pytest.mark.parametrize(
    ("values", "problem"), [({}, "is missing"), ({"API_KEY": "spoilt"}, "does not work")]
)
def test_an_owner_who_cannot_sign_in_is_told_what_to_do(
    vault: OpenBao, api: Dokploy, caplog: pytest.LogCaptureFixture, values: dict[str, str], problem: str
) -> None:
    if values:
        vault.call("POST", f"secret/data/{dokploy.PATH}", {"data": values})
    api.password = "changed by a person"
    assert run(vault, api) == [False]
    assert (
        f"secret/dokploy-import#API_KEY {problem}, and Dokploy on @fake/one does not let ops@smarterbot.cl in with "
        "secret/dokploy#ADMIN_PASSWORD: somebody has changed the password or asked for a second factor. Make an "
        "API key in Dokploy (Settings, Profile; without a rate limit), and store it: "
        "`make give-secrets NAME=dokploy-import#API_KEY`"
    ) in caplog.text
    assert "spoilt" not in caplog.text
    assert OWNER["password"] not in caplog.text


def test_what_dokploy_refuses_is_said_in_its_words(
    vault: OpenBao, api: Dokploy, caplog: pytest.LogCaptureFixture
) -> None:
    api.project = "env2"
    assert run(vault, api) == [False]
    message = "Dokploy on @fake/one refuses compose.create (400): Input validation failed"
    assert message in caplog.text
    assert "secret-key" not in caplog.text


def test_an_api_that_does_not_answer_is_said(
    vault: OpenBao, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dokploy_api, "PORT", 1)
    assert run(vault, Dokploy()) == [False]
    assert (
        "Dokploy on @fake/one does not answer auth/sign-in/email (ConnectionError): see `docker logs dokploy`, then run again"
    ) in caplog.text


def test_a_database_that_cannot_be_read_fails_the_run(
    vault: OpenBao, caplog: pytest.LogCaptureFixture
) -> None:
    with host(vault, []) as found:
        assert [step.function(found.state, found) for step in commands(dokploy.registered)] == [False]
    assert "Dokploy's database cannot be read: see `docker logs dokploy`" in caplog.text


def test_a_plan_changes_nothing_and_works_before_dokploy_runs(vault: OpenBao, api: Dokploy) -> None:
    with host(vault, [], executing=False):
        assert commands(dokploy.registered) == ["true"]
    with host(vault, api.fact(), executing=False):
        assert len(commands(dokploy.registered)) == 1
        assert vault_values.wrote()  # a key
    assert api.calls == []


def test_without_dokploy_among_the_services_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    monkeypatch.setattr(dokploy, "registered", lambda **named: called.extend(named.values()))
    for name in ("trusted", "addressed"):
        monkeypatch.setattr(origins, name, lambda _, **named: called.extend(named.values()))
    with fake({}, services=["vault", "postgres"]):
        dokploy.run()
    assert called == []
    with fake({}):
        dokploy.run()
    assert called == [
        "Dokploy | its owners may sign in under each of its domains",
        "Dokploy | its links lead to its domain",
        "Dokploy | stack files are registered, the nightly clean-up is off",
    ]


def test_every_stack_file_is_registered_and_holds_no_secret() -> None:
    with fake({}):
        assert sorted(dokploy.texts()) == sorted(stack().services)
        assert "/vault/secrets/n8n.env" in dokploy.texts()["n8n"]
