"""Hostile answers of Vault: whatever a server says in its place is a clear error, and nothing is written to it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from pyinfra import context
from pyinfra.api import DeployError
from pyinfra.api.command import FunctionCommand
from requests.adapters import BaseAdapter

from tasks import data, secrets, vault
from tasks.clients import vault_kept, vault_session, vault_values
from tasks.clients.vault_kept import Kept, keep, kept
from tasks.clients.vault_session import foreseen
from tasks.connection import tunnel_http
from tasks.model.catalogue import Service
from tasks.model.envfile import Impossible
from tasks.model.made import generated
from tasks.operations import vault_policies
from tasks.run import Refused, host, services
from tests.fake import commands, fake


@dataclass
class Answer:
    """What the server says to one request."""

    body: Any
    status: int = 200
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    def content(self) -> bytes:
        """The body as it is sent."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


# Part of a request's path → what a Vault that is well answers.
GOOD: dict[str, Answer] = {
    "sys/health": Answer(b""),
    "auth/approle/login": Answer({"auth": {"client_token": "t"}}),
    "/data/": Answer({"data": {"data": {"OWN": "value"}, "metadata": {"version": 3}}}),
    "sys/policies/acl": Answer({"data": {"policy": "x"}}),
    "auth/approle/role": Answer({"data": {"token_policies": [], "token_ttl": 5}}),
    "sys/init": Answer({"keys": ["00"], "keys_base64": ["AA=="] * 5, "root_token": "r"}),
    "sys/unseal": Answer({"sealed": False, "progress": 0}),
}


class Server(BaseAdapter):
    """Instead of the connection to Vault: answers from a table, and remembers what was to be changed."""

    def __init__(self, answers: dict[str, Answer]) -> None:
        super().__init__()
        self.answers = answers
        self.changes: list[str] = []

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """For requests: one request."""
        path = str(request.path_url)
        asked = next((part for part in GOOD if part in path), "")
        if request.method in ("POST", "PUT", "DELETE") and "login" not in path:
            self.changes.append(f"{request.method} {path}")
        answer = self.answers.get(asked, Answer({}, status=404))
        response = requests.Response()
        response.status_code = answer.status
        response._content = b"" if request.method == "HEAD" else answer.content()
        response.headers["Content-Type"] = answer.kind
        response.headers.update(answer.headers)
        response.url, response.request = str(request.url), request
        return response

    def close(self) -> None:
        """For requests."""


@contextmanager
def talking(
    folder: Path, stored: Kept | None = None, *, executing: bool = True, **answers: Answer
) -> Iterator[Server]:
    """A run whose Vault is this server; keywords: what differs from a good one's answers, by its last word."""
    changed = {part: answers.get(part.strip("/").rpartition("/")[2], answer) for part, answer in GOOD.items()}
    server = Server(changed)
    with pytest.MonkeyPatch.context() as patch, fake(RUNS, state_dir=str(folder), executing=executing):
        patch.setattr(tunnel_http, "Adapter", lambda *_: server)
        if stored:
            keep(stored)
        yield server


RUNS = {"docker ps -aq": ["c|/vault|vault|d||running|healthy|0|x:1|smarter-net "]}
CONFIGURED = Kept(keys=("AA==",) * 5, role_id="r", secret_id="s")


def ready() -> list[Any]:
    service: Service = next(item for item in services() if item.name == "vault")
    return commands(vault.ready, service)


def perform(steps: list[Any]) -> list[str]:
    """What each step that fails says; the others' changes are in the server's list."""
    said: list[str] = []
    for step in steps:
        assert isinstance(step, FunctionCommand), step
        if step.function(context.state, host()) is False:
            said.append("failed")
    return said


NONSENSE: dict[str, Answer] = {
    "a page": Answer(b"<html>Welcome to nginx!</html>", kind="text/html"),
    "a page that calls itself JSON": Answer(b"<html>"),
    "nothing": Answer(b""),
    "null": Answer(None),
    "a list": Answer([1]),
    "a number": Answer(5),
    "another object": Answer({"hello": "world"}),
    "null inside": Answer({"data": None, "auth": None, "sealed": None, "keys_base64": None, "root_token": 5}),
    "text inside": Answer(
        {"data": "data", "auth": "auth", "sealed": "false", "keys_base64": "AA==", "root_token": "r"}
    ),
    "a nest": Answer(b"[" * 100_000),
    "no text": Answer(b"\xff\xfe\x00"),
    "a redirection to nowhere": Answer(b"", status=302),
    "another server's 404": Answer(b"<html>no such page</html>", status=404, kind="text/html"),
    "a 404 without errors": Answer({"message": "no Route matched"}, status=404),
    "errors that are no list": Answer({"errors": 5}, status=400),
    "a list as an error": Answer(["x"], status=500),
    "a page as an error": Answer(b"<html>\n\x1b[2Jbad gateway</html>" * 999, status=502, kind="text/html"),
}


def refused(call: Any) -> str:
    """What the call is refused with, in one line."""
    with pytest.raises(Refused) as error:
        call()
    text = str(error.value)
    assert text.isprintable(), text
    assert len(text) < 1000
    return text


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
def test_a_login_that_no_vault_answers_is_refused(answer: Answer, tmp_path: Path) -> None:
    with talking(tmp_path, CONFIGURED, login=answer) as server:
        assert "logging in to Vault: Vault on @fake/one " in refused(vault_session.deployer)
        assert server.changes == []


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
def test_secrets_that_no_vault_answers_are_refused_and_none_is_made_instead(
    answer: Answer, tmp_path: Path
) -> None:
    with talking(tmp_path, CONFIGURED, data=answer) as server:
        assert "reading secret/n8n: Vault on @fake/one " in refused(lambda: vault_session.read("n8n"))
        assert perform(commands(secrets.filled)) == ["failed"]
        assert perform(commands(data.databases)) == ["failed"]
        assert server.changes == []


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
def test_policies_and_roles_that_no_vault_answers_are_refused_and_left(
    answer: Answer, tmp_path: Path
) -> None:
    with talking(tmp_path, CONFIGURED, acl=answer) as server:
        assert perform(commands(vault_policies.configured)) == ["failed"]
        assert server.changes == []
    with talking(tmp_path, CONFIGURED, role=answer) as server:
        assert perform(commands(vault_policies.configured)) == ["failed"]
        assert server.changes == []


WRITTEN = {
    name: answer
    for name, answer in NONSENSE.items()
    if not isinstance(answer.body, dict) or answer.status != 200
}


@pytest.mark.parametrize("answer", WRITTEN.values(), ids=WRITTEN)
def test_a_change_that_no_vault_confirms_has_not_happened(answer: Answer, tmp_path: Path) -> None:
    with talking(tmp_path, CONFIGURED, data=answer, acl=answer):
        text = refused(lambda: vault_session.write("n8n", {"A": "b"}, 3))
        assert text.startswith("writing secret/n8n: Vault on @fake/one ")
        client = vault_session.deployer()
        text = refused(lambda: vault_policies._write_policy(client, "smarteros-n8n", "x"))
        assert text.startswith("writing the policy smarteros-n8n: Vault on @fake/one ")


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE)
def test_an_initialisation_that_no_vault_answers_keeps_no_keys(answer: Answer, tmp_path: Path) -> None:
    with talking(tmp_path, init=answer, health=Answer(b"", status=501)):
        assert "failed" in perform(ready())
        # What is kept says that it was asked: the next run throws away what nobody has the keys of.
        assert kept() == Kept(asked=True)


def test_an_unseal_that_no_vault_answers_is_refused(tmp_path: Path) -> None:
    for answer in NONSENSE.values():
        with talking(tmp_path, CONFIGURED, unseal=answer, health=Answer(b"", status=503)):
            assert "failed" in perform(ready())


def test_an_error_is_shown_in_one_line_of_bearable_length(tmp_path: Path) -> None:
    with talking(tmp_path, CONFIGURED, data=NONSENSE["a page as an error"]):
        text = refused(lambda: vault_session.read("n8n"))
    start = "reading secret/n8n: Vault on @fake/one says: <html>\\n\\x1b[2Jbad gateway</html>"
    assert text.startswith(start)


def test_what_is_wrong_is_named_without_what_it_holds(tmp_path: Path) -> None:
    answer = Answer({"data": {"data": ["canary"], "metadata": {"version": 1}}})
    with talking(tmp_path, CONFIGURED, data=answer):
        assert refused(lambda: vault_session.read("n8n")) == (
            "reading secret/n8n: Vault on @fake/one answers as no Vault does "
            "(data.data: Input should be a valid dictionary)"
        )


def test_vaults_own_word_that_there_is_nothing_is_taken(tmp_path: Path) -> None:
    with talking(tmp_path, CONFIGURED, data=Answer({"errors": []}, status=404)):
        assert vault_session.read("n8n") == ({}, 0)


SECRETS: list[tuple[Any, str]] = [
    ({"A": 5}, "secret/n8n#A is no text; write it as a string"),
    ({"A": None}, "secret/n8n#A is no text; write it as a string"),
    ({"A\n\x1b": None}, "secret/n8n#A\\n\\x1b is no text; write it as a string"),
    ({"A": "\ud800"}, "secret/n8n#A holds a lone surrogate, which is no text"),
]


@pytest.mark.parametrize(("values", "why"), SECRETS)
def test_secrets_that_are_no_text_are_refused(values: Any, why: str, tmp_path: Path) -> None:
    answer = Answer({"data": {"data": values, "metadata": {"version": 3}}})
    with talking(tmp_path, CONFIGURED, data=answer) as server:
        assert refused(lambda: vault_values.values("n8n")) == why
        assert perform(commands(secrets.filled)) == ["failed"]
        assert server.changes == []


def test_a_password_that_cannot_be_hashed_is_refused(tmp_path: Path) -> None:
    answer = Answer({"data": {"data": {"N8N_OWNER_PASSWORD": "x" * 100}, "metadata": {"version": 3}}})
    with talking(tmp_path, CONFIGURED, data=answer), pytest.raises(Impossible) as error:
        generated(next(item for item in services() if item.name == "n8n").secrets, vault_values.values("n8n"))
    assert str(error.value).startswith(
        "N8N_INSTANCE_OWNER_PASSWORD_HASH cannot be made of N8N_OWNER_PASSWORD: "
    )


def test_a_plan_waits_for_secrets_that_its_run_would_make(tmp_path: Path) -> None:
    """Vault answers, but of a service that was just added it has none yet."""
    with talking(tmp_path, CONFIGURED, executing=False) as server:
        assert commands(secrets.rendered) == ["true"]
        assert commands(data.databases) == ["true"]
        assert server.changes == []


def test_secrets_that_vault_has_not_kept_are_refused(tmp_path: Path) -> None:
    with talking(tmp_path, CONFIGURED):
        assert (
            refused(secrets.to_come)
            == "Vault has not kept secret/smarteros#DIGEST_KEY, which was written to it"
        )


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "5", '{"keys": "abc"}', '{"keys": [1]}', "[" * 100_000, "\0"]
)
def test_keys_that_are_spoilt_on_this_machine_are_refused(text: str, tmp_path: Path) -> None:
    with talking(tmp_path, CONFIGURED):
        vault_kept.state_file().write_text(text)
        assert refused(kept).endswith(": restore it from your backup of it")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["data", "auth", "metadata", "version", "policy"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
ANSWERS = st.builds(
    Answer,
    JSON | st.binary(max_size=8),
    st.sampled_from([200, 200, 200, 204, 302, 400, 404, 429, 500, 501, 503]),
    st.sampled_from(["application/json", "text/html"]),
)


@given_settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answers=st.dictionaries(st.sampled_from(["login", "data", "acl", "role", "init", "unseal"]), ANSWERS))
def test_no_operation_crashes_whatever_vault_answers(answers: dict[str, Answer], tmp_path: Path) -> None:
    for executing in (True, False):
        with talking(tmp_path, CONFIGURED, executing=executing, **answers):
            for operation in (vault_policies.configured, secrets.filled, secrets.rendered, data.databases):
                with suppress(DeployError):
                    assert isinstance(commands(operation), list)


def test_errors_of_ours_stay_errors() -> None:
    """A mistake of this repository's is not blamed on Vault."""
    with fake({}), pytest.raises(ZeroDivisionError), foreseen("x"):
        _ = 1 / 0
