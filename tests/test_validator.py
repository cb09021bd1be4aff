"""vault-auth-validator's verdicts: its own process, over HTTP, against a real OpenBao."""

import socket
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.openbao import OpenBao, running_openbao
from tests.validator import Validator, running_validator, vault_headers

REFUSED = {"error": "Vault refuses the token: unknown, expired, revoked, or may not look itself up"}
MISSING = {"error": "no token: send X-Vault-Token, or Authorization: Bearer"}
MALFORMED = {"error": "malformed token: printable ASCII without blanks, 4096 bytes at most"}
SEALED = {"error": "Vault is sealed: unseal it"}
UNREACHABLE = {"error": "Vault is unreachable"}


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with running_openbao(tmp_path_factory.mktemp("openbao")) as server:
        yield server


@pytest.fixture(scope="module")
def validator(bao: OpenBao, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Validator]:
    with running_validator(tmp_path_factory.mktemp("validator"), bao.address) as service:
        yield service


@pytest.mark.parametrize("header", ["x_vault_token", "authorization"])
def test_a_live_token_is_200_and_names_its_owner(bao: OpenBao, validator: Validator, header: str) -> None:
    bao.call("PUT", "sys/policies/acl/ops", {"policy": 'path "kv/*" { capabilities = ["read"] }'})
    token = bao.token(policies=["ops", "default"], display_name="al ice", ttl="1m")
    response = validator.ask(
        "/validate", **{header: token if header == "x_vault_token" else f"bEarer {token}"}
    )
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    expected = {"x-vault-display-name": "token-al-ice", "x-vault-policies": "default,ops"}
    if header == "authorization":
        expected["x-vault-spent"] = "Authorization"
    assert vault_headers(response) == expected
    assert response.headers["cache-control"] == "no-store"


def test_x_vault_token_goes_before_authorization(bao: OpenBao, validator: Validator) -> None:
    assert validator.answer(x_vault_token=bao.token(), authorization="Basic eDp5")[0] == 200
    assert validator.answer(x_vault_token="s.garbage", authorization=f"Bearer {bao.token()}") == (
        401,
        REFUSED,
    )


def test_an_authorization_that_held_the_token_is_said_to_be_spent(bao: OpenBao, validator: Validator) -> None:
    token = bao.token()
    spent = {
        ("", f"Bearer {token}"): "Authorization",
        (token, f"bearer {token}"): "Authorization",
        (token, "Bearer its.own.jwt"): None,
        (token, "Basic eDp5"): None,
        (token, f"Basic {token}"): None,
    }
    for (own, authorization), said in spent.items():
        response = validator.ask("/validate", x_vault_token=own, authorization=authorization)
        assert (response.status_code, response.headers.get("x-vault-spent")) == (200, said)


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS", "PROPFIND", "HEAD"])
def test_every_method_is_validated(bao: OpenBao, validator: Validator, method: str) -> None:
    assert validator.ask("/validate", method).status_code == 401
    assert validator.ask("/validate", method, x_vault_token=bao.token()).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"x_vault_token": ""}, {"authorization": "Basic eDp5"}])
def test_a_missing_token_is_401(validator: Validator, headers: dict[str, str]) -> None:
    response = validator.ask("/validate", **headers)
    assert (response.status_code, response.json()) == (401, MISSING)
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("token", ["two words", "tab\tbed", "ñ", "a" * 4097, b"\xff\xfe"])
def test_a_malformed_token_is_401_without_asking_vault(validator: Validator, token: str | bytes) -> None:
    assert validator.answer(x_vault_token=token) == (401, MALFORMED)


@pytest.mark.parametrize("token", ["garbage", "hvs.CAESIGarbage", "b.AAAA", "../../sys/health", "a" * 4096])
def test_an_unknown_token_is_401(validator: Validator, token: str) -> None:
    response = validator.ask("/validate", x_vault_token=token)
    assert (response.status_code, response.json()) == (401, REFUSED)
    assert (response.headers["www-authenticate"], vault_headers(response)) == ("Bearer", {})


def test_an_expired_token_is_401(bao: OpenBao, validator: Validator) -> None:
    token = bao.token(ttl="1s")
    assert validator.answer(x_vault_token=token)[0] == 200
    time.sleep(1.2)
    assert validator.answer(x_vault_token=token) == (401, REFUSED)


def test_a_revoked_token_is_401_at_the_next_request(bao: OpenBao, validator: Validator) -> None:
    token = bao.token()
    assert validator.answer(x_vault_token=token)[0] == 200
    bao.call("POST", "auth/token/revoke", {"token": token})
    assert validator.answer(x_vault_token=token) == (401, REFUSED)


def test_a_sealed_vault_is_503_and_health_stays_200(bao: OpenBao, validator: Validator) -> None:
    token = bao.token()
    bao.seal()
    try:
        assert validator.answer(x_vault_token=token) == (503, SEALED)
        assert validator.ask("/health").json() == {"status": "ok"}
    finally:
        bao.unseal()
    assert validator.answer(x_vault_token=token)[0] == 200


def test_a_stopped_vault_is_503_and_its_return_needs_no_restart(bao: OpenBao, validator: Validator) -> None:
    token = bao.token()
    assert validator.answer(x_vault_token=token)[0] == 200
    bao.stop()
    try:
        assert validator.answer(x_vault_token=token) == (503, UNREACHABLE)
        assert validator.ask("/health").status_code == 200
    finally:
        bao.start()
        bao.unseal()
    assert validator.answer(x_vault_token=token)[0] == 200


def test_a_used_up_rate_quota_is_503(bao: OpenBao, validator: Validator) -> None:
    tokens = [bao.token() for _ in range(2)]
    quota = {"rate": 1, "interval": "60s", "path": "auth/token/lookup-self"}
    bao.call("POST", "sys/quotas/rate-limit/test", quota)
    try:
        answers = [validator.answer(x_vault_token=token) for token in tokens]
    finally:
        bao.call("DELETE", "sys/quotas/rate-limit/test")
    assert answers[0][0] == 200
    assert answers[1] == (503, {"error": "Vault limits the rate of requests: its quota is used up"})


def test_a_silent_vault_is_503_within_3_seconds(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        running_validator(tmp_path, f"http://127.0.0.1:{silent.getsockname()[1]}") as service,
    ):
        begin = time.monotonic()
        answer = service.answer(x_vault_token="s.token")
        assert answer == (503, {"error": "Vault did not answer within 2 s"})
        assert time.monotonic() - begin < 3


def test_an_address_that_is_not_vaults_is_503(bao: OpenBao, tmp_path: Path) -> None:
    with running_validator(tmp_path, f"{bao.address}/ui") as service:
        assert service.answer(x_vault_token="s.token") == (503, {"error": "Vault answered with status 404"})


@pytest.mark.parametrize("page", ["<html>welcome</html>", "[]", '{"data": {}}', '{"data": null}'])
def test_a_web_server_in_vaults_place_is_503(tmp_path: Path, page: str) -> None:
    file = tmp_path / "v1" / "auth" / "token" / "lookup-self"
    file.parent.mkdir(parents=True)
    file.write_text(page)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with running_validator(tmp_path, f"http://127.0.0.1:{server.server_port}") as service:
            answer = service.answer(x_vault_token="s.token")
        server.shutdown()
    assert answer == (503, {"error": "VAULT_ADDR answers, but not like Vault"})


def test_the_front_page_says_what_runs_here(validator: Validator) -> None:
    response = validator.ask("/")
    about = {"name": "vault-auth-validator", "version": "1.0.0", "endpoints": ["/validate", "/health"]}
    assert (response.status_code, response.json()) == (200, about)
    assert "server" not in response.headers


@pytest.mark.parametrize("path", ["/docs", "/openapi.json", "/validate/"])
def test_nothing_else_is_served(validator: Validator, path: str) -> None:
    response = validator.ask(path)
    assert (response.status_code, response.json()) == (404, {"error": "Not Found"})
