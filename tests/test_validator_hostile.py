"""vault-auth-validator against hostile names, tokens and settings, and what it writes into its log."""

import asyncio
import base64
import importlib
import json
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.openbao import OpenBao, free_port, running_openbao
from tests.validator import SOURCE, Validator, run, running_validator, vault_headers

HINT = "write http(s)://host[:port], for example http://vault:8200"


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with running_openbao(tmp_path_factory.mktemp("openbao")) as server:
        yield server


@pytest.fixture(scope="module")
def validator(bao: OpenBao, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Validator]:
    with running_validator(tmp_path_factory.mktemp("validator"), bao.address) as service:
        yield service


def test_a_hostile_display_name_and_policy_stay_inside_their_header(
    bao: OpenBao, validator: Validator
) -> None:
    token = jwt_login(bao, name="Zoë\r\nX-Evil: 1 %41,\0☃", policies=["b,root", "ñ"])
    response = validator.ask("/validate", x_vault_token=token)
    assert "x-evil" not in response.headers
    headers = vault_headers(response)
    assert (
        headers.pop("x-vault-entity-id") == bao.call("GET", "identity/entity/id?list=true")["data"]["keys"][0]
    )
    assert headers == {
        "x-vault-display-name": "jwt-Zo%C3%AB%0D%0AX-Evil:%201%20%2541%2C%00%E2%98%83",
        "x-vault-policies": "b%2Croot,default,%C3%B1",
    }


def jwt_login(bao: OpenBao, name: str, policies: list[str]) -> str:
    """A token whose display name an outside identity provider chose, as it does with OIDC and LDAP."""
    key = ec.generate_private_key(ec.SECP256R1())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    pem = key.public_key().public_bytes(serialization.Encoding.PEM, form).decode()
    role = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["test"], "token_policies": policies}
    bao.call("POST", "sys/auth/jwt", {"type": "jwt"})
    bao.call("POST", "auth/jwt/config", {"jwt_validation_pubkeys": [pem]})
    bao.call("POST", "auth/jwt/role/test", role)
    now = int(time.time())
    claims = {"sub": name, "aud": "test", "iat": now - 60, "nbf": now - 60, "exp": now + 600}
    signed = f"{base64url(json.dumps({'alg': 'ES256'}).encode())}.{base64url(json.dumps(claims).encode())}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    jwt = f"{signed}.{base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"
    return str(bao.call("POST", "auth/jwt/login", {"role": "test", "jwt": jwt})["auth"]["client_token"])


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_no_token_is_ever_logged(bao: OpenBao, tmp_path: Path) -> None:
    good, garbage = bao.token(), "s.garbage0123456789"
    with running_validator(tmp_path, bao.address) as service:
        for token in (good, garbage, f"two {garbage}"):
            service.ask(f"/validate?token={token.replace(' ', '+')}", x_vault_token=token)
            service.ask("/validate", authorization=f"Bearer {token}")
        bao.seal()
        try:
            service.answer(x_vault_token=good)
        finally:
            bao.unseal()
        service.process.send_signal(signal.SIGTERM)
        begin = time.monotonic()
        service.process.wait(timeout=10)
        assert time.monotonic() - begin < 3
    log = service.log.read_text()
    ours = [line for line in log.splitlines() if not line.startswith("INFO uvicorn.error: ")]
    assert ours == ["WARNING vault_auth_validator: no verdict: Vault is sealed: unseal it"]
    assert "INFO uvicorn.error: Application shutdown complete.\n" in log
    assert [token for token in (good, garbage) if token in log] == []


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({}, "VAULT_ADDR is missing: set it to Vault's address, for example http://vault:8200"),
        ({"VAULT_ADDR": "vault:8200"}, f"VAULT_ADDR does not start with http:// or https://: {HINT}"),
        ({"VAULT_ADDR": "http://"}, f"VAULT_ADDR has no usable host and port: {HINT}"),
        ({"VAULT_ADDR": "http://vault:0"}, f"VAULT_ADDR has no usable host and port: {HINT}"),
        ({"VAULT_ADDR": "http://vault:82000"}, f"VAULT_ADDR has no usable host and port: {HINT}"),
        (
            {"VAULT_ADDR": "http://me:secret@vault"},
            f"VAULT_ADDR holds a blank, a user, a query or a strange character: {HINT}",
        ),
        (
            {"VAULT_ADDR": "http://vault", "LISTEN": "here"},
            "LISTEN is 'here': write [host:]port, for example 0.0.0.0:8080",
        ),
    ],
)
def test_a_bad_setting_is_one_line_and_exit_code_2(environ: dict[str, str], line: str) -> None:
    assert run("vault_auth_validator", environ) == (2, f"vault-auth-validator: {line}\n")


def test_the_health_command_tells_running_from_stopped(validator: Validator) -> None:
    for port, code in ((validator.port, 0), (free_port(), 1)):
        assert run("vault_auth_validator.check", {"LISTEN": f"0.0.0.0:{port}"})[0] == code


@pytest.fixture(scope="module")
def application() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SOURCE))
        yield importlib.import_module("vault_auth_validator.app")


def validate_in_process(app: Any, lines: list[list[tuple[bytes, bytes]]]) -> list[int]:
    """The statuses of /validate for lists of raw headers, also for bytes that no HTTP server lets through."""

    async def ask(state: Any, headers: list[tuple[bytes, bytes]]) -> int:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/validate", "headers": headers, "state": state}
        await app(scope | {"query_string": b"", "root_path": ""}, None, send)
        return int(sent[0]["status"])

    async def run() -> list[int]:
        async with app.router.lifespan_context(app) as state:
            return [await ask(state, headers) for headers in lines]

    return asyncio.run(run())


printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=200)
prefixes = st.sampled_from(["s.", "b.", "r.", "hvs.", "hvb.", "hvr.", "Bearer "])
tokens = st.one_of(
    st.binary(max_size=200),
    st.text().map(str.encode),
    st.builds(lambda p, t: f"{p}{t}".encode(), prefixes, printable),
)


@settings(max_examples=200, deadline=None)
@given(token=tokens)
@example(token=b"a\r\nX-Vault-Token: root")
@example(token=b"\0")
@example(token=b"b.!")
@example(token=b"hvb.A")
def test_any_string_that_is_no_token_is_401(application: Any, bao: OpenBao, token: bytes) -> None:
    app = application.create_app(sys.modules["vault_auth_validator.settings"].Settings(bao.address, "", 0))
    lines = [
        [(b"x-vault-token", token)],
        [(b"authorization", b"Bearer " + token)],
        [(b"authorization", token)],
    ]
    assert validate_in_process(app, lines) == [401, 401, 401]


@given(name=st.text(), policies=st.lists(st.text(min_size=1)))
def test_every_name_survives_its_header(application: Any, name: str, policies: list[str]) -> None:
    identity = sys.modules["vault_auth_validator.vault"].Identity(name, tuple(policies), "")
    headers = application.identity_headers(identity)
    assert all("!" <= char <= "~" for value in headers.values() for char in value)
    assert unquote(headers["X-Vault-Display-Name"]) == name
    listed = headers["X-Vault-Policies"].split(",") if policies else []
    assert [unquote(policy) for policy in listed] == policies
